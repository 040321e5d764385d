//! Facts of the processors: topology, caches, NUMA nodes, frequency.

use std::collections::{BTreeMap, BTreeSet};

use flagperf_model::{CacheFacts, CpuFacts, NumaNode};
use rustix::thread::{CpuSet, sched_getaffinity};

use crate::Root;
use crate::cgroup::Layout;
use crate::parse::cpuinfo::CpuInfo;
use crate::parse::{cpu_list, fields, lines, number};

const CPUS: &str = "sys/devices/system/cpu";

/// Reads the facts of the processors.
pub(crate) fn cpu_facts(root: &Root, info: CpuInfo, layout: &Layout) -> CpuFacts {
    let online = online(root, &info);
    let allowed = allowed(root, &online, layout);
    let topology = Topology::read(root, &online);
    let core_cpus = topology.first_of_each_core(&allowed);
    let frequency = |cpu: u32, file: &str| root.text(format!("{CPUS}/cpu{cpu}/cpufreq/{file}"));
    let max_khz = core_cpus
        .iter()
        .filter_map(|cpu| number(frequency(*cpu, "cpuinfo_max_freq")?.as_bytes()))
        .max();
    // Where sysfs does not tell sockets and cores, cpuinfo may; else each processor is a core.
    let or = |from_sysfs: usize, from_cpuinfo: usize, else_: usize| {
        [from_sysfs, from_cpuinfo, else_]
            .into_iter()
            .find(|n| *n > 0)
            .unwrap_or(0) as u32
    };
    CpuFacts {
        model: info.model,
        sockets: or(
            topology.sockets.len(),
            info.sockets,
            usize::from(!online.is_empty()),
        ),
        cores: or(topology.cores(), info.cores, online.len()),
        threads: online.len() as u32,
        governor: core_cpus
            .first()
            .and_then(|cpu| frequency(*cpu, "scaling_governor")),
        max_mhz: max_khz.map(|khz| khz as f64 / 1e3),
        numa: numa(root, &online),
        features: info.features,
        caches: caches(root, &online),
        allowed,
        core_cpus,
    }
}

/// The first logical processor of each physical core, of those that may be used; for monitors.
pub(crate) fn core_cpus(root: &Root) -> Vec<u32> {
    let info = CpuInfo::default();
    let online = online(root, &info);
    Topology::read(root, &online).first_of_each_core(&online)
}

fn online(root: &Root, info: &CpuInfo) -> Vec<u32> {
    let listed = root.text(format!("{CPUS}/online"));
    let listed = listed.map(|list| cpu_list(&list)).unwrap_or_default();
    if listed.is_empty() {
        info.cpus.clone()
    } else {
        listed
    }
}

/// The processors that this process may run on. The scheduler's answer counts on a real machine;
/// it has the cpuset in it already, but some container runtimes only fake the one or the other.
fn allowed(root: &Root, online: &[u32], layout: &Layout) -> Vec<u32> {
    let mut allowed = online.to_vec();
    if root.is_this_machine()
        && let Ok(set) = sched_getaffinity(None)
    {
        let by_scheduler: Vec<u32> = (0..CpuSet::MAX_CPU)
            .filter(|cpu| set.is_set(*cpu))
            .map(|cpu| cpu as u32)
            .collect();
        narrow(&mut allowed, &by_scheduler);
    }
    if let Some(cpuset) = layout.cpuset(root) {
        narrow(&mut allowed, &cpuset);
    }
    allowed
}

/// Keeps what is in both lists; a list that has nothing in common with the first is not believed.
fn narrow(cpus: &mut Vec<u32>, to: &[u32]) {
    let both: Vec<u32> = cpus.iter().copied().filter(|c| to.contains(c)).collect();
    if !both.is_empty() {
        *cpus = both;
    } else if cpus.is_empty() {
        *cpus = to.to_vec();
    }
}

/// Which logical processors share a physical core, and how many sockets there are.
struct Topology {
    /// For each processor the lowest-numbered one of its core.
    core_of: BTreeMap<u32, u32>,
    sockets: BTreeSet<u64>,
}

impl Topology {
    fn read(root: &Root, online: &[u32]) -> Self {
        let mut topology = Self {
            core_of: BTreeMap::new(),
            sockets: BTreeSet::new(),
        };
        for &cpu in online {
            let file = |name: &str| format!("{CPUS}/cpu{cpu}/topology/{name}");
            // An unknown socket is -1, which is no number here.
            topology
                .sockets
                .extend(root.number(file("physical_package_id")));
            if topology.core_of.contains_key(&cpu) {
                continue;
            }
            // Kernels before 5.1 have only the second name.
            let siblings = root
                .text(file("core_cpus_list"))
                .or_else(|| root.text(file("thread_siblings_list")));
            for sibling in siblings.map(|list| cpu_list(&list)).unwrap_or_default() {
                topology.core_of.insert(sibling, cpu);
            }
        }
        topology
    }

    fn cores(&self) -> usize {
        self.core_of.values().collect::<BTreeSet<_>>().len()
    }

    fn first_of_each_core(&self, cpus: &[u32]) -> Vec<u32> {
        let mut seen = BTreeSet::new();
        cpus.iter()
            .copied()
            .filter(|cpu| seen.insert(*self.core_of.get(cpu).unwrap_or(cpu)))
            .collect()
    }
}

fn caches(root: &Root, online: &[u32]) -> Vec<CacheFacts> {
    let mut instances: BTreeMap<(u32, String, u64), u32> = BTreeMap::new();
    // An instance is read once, through the first processor that has it: on a machine with a
    // thousand processors this saves most of some ten thousand small files.
    let mut covered: BTreeSet<(String, u32)> = BTreeSet::new();
    for &cpu in online {
        for index in root.names(format!("{CPUS}/cpu{cpu}/cache")) {
            if !index.starts_with("index") || covered.contains(&(index.clone(), cpu)) {
                continue;
            }
            let file = |name: &str| root.text(format!("{CPUS}/cpu{cpu}/cache/{index}/{name}"));
            let (Some(level), Some(kind), Some(bytes)) = (
                file("level").and_then(|level| level.parse().ok()),
                file("type"),
                file("size").and_then(|size| cache_size(&size)),
            ) else {
                continue;
            };
            let shared = file("shared_cpu_list").map(|list| cpu_list(&list));
            for sharer in shared.unwrap_or_default() {
                covered.insert((index.clone(), sharer));
            }
            *instances.entry((level, kind, bytes)).or_default() += 1;
        }
    }
    instances
        .into_iter()
        .map(|((level, kind, bytes), instances)| CacheFacts {
            level,
            kind,
            bytes,
            instances,
        })
        .collect()
}

/// `48K`, `32M` in bytes.
fn cache_size(text: &str) -> Option<u64> {
    let (digits, unit) = match text.as_bytes().last()? {
        b'K' => (&text[..text.len() - 1], 1 << 10),
        b'M' => (&text[..text.len() - 1], 1 << 20),
        b'G' => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    number(digits.as_bytes())?.checked_mul(unit)
}

fn numa(root: &Root, online: &[u32]) -> Vec<NumaNode> {
    let dir = "sys/devices/system/node";
    let node = |name: String| {
        let id = name.strip_prefix("node")?.parse().ok()?;
        let cpus = cpu_list(&root.text(format!("{dir}/{name}/cpulist"))?);
        let cpus: Vec<u32> = cpus.into_iter().filter(|c| online.contains(c)).collect();
        let meminfo = root.bytes(format!("{dir}/{name}/meminfo"));
        (!cpus.is_empty()).then(|| NumaNode {
            id,
            cpus,
            memory_bytes: meminfo.and_then(|text| node_memory(&text)),
        })
    };
    root.names(dir).into_iter().filter_map(node).collect()
}

/// `Node 0 MemTotal:  123 kB` in bytes.
fn node_memory(text: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let mut words = fields(line).skip_while(|word| *word != b"MemTotal:");
        number(words.nth(1)?)?.checked_mul(1024)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_caches() {
        assert_eq!(cache_size("48K"), Some(48 << 10));
        assert_eq!(cache_size("32M"), Some(32 << 20));
        assert_eq!(cache_size("512"), Some(512));
        assert_eq!(cache_size("K"), None);
        assert_eq!(cache_size(""), None);
        assert_eq!(cache_size("é"), None);
    }

    #[test]
    fn memory_of_a_node() {
        let text = b"Node 0 MemTotal:       24684092 kB\nNode 0 MemFree:        23934648 kB\n";
        assert_eq!(node_memory(text), Some(24_684_092 * 1024));
        assert_eq!(node_memory(b"Node 0 MemTotal:\n"), None);
    }

    #[test]
    fn a_list_without_anything_in_common_is_not_believed() {
        let mut cpus = vec![0, 1, 2];
        narrow(&mut cpus, &[1, 2, 3]);
        assert_eq!(cpus, [1, 2]);
        narrow(&mut cpus, &[9]);
        assert_eq!(cpus, [1, 2]);
    }
}
