//! Which ranks a case has on a node, and the cores of each.

use flagperf_model::{CaseSpec, CpuFacts, Entry, RankLayout};

/// The cores of each rank on a node. An empty list of cores means that the rank is not pinned.
///
/// # Errors
///
/// In words, what the machine lacks.
pub(crate) fn ranks_on(spec: &CaseSpec, cpu: &CpuFacts) -> Result<Vec<Vec<u32>>, String> {
    // A machine that does not tell its cores still tells which processors may be used.
    let cores: &[u32] = if cpu.core_cpus.is_empty() {
        &cpu.allowed
    } else {
        &cpu.core_cpus
    };
    // A reduction over one process moves nothing: its bus bandwidth is 0 by definition.
    let alone = matches!(&spec.entry, Entry::Kernel(kernel) if kernel == "allreduce");
    if alone && cores.len() < 2 {
        return Err("at least 2 cores".to_owned());
    }
    Ok(match spec.ranks {
        // A program of the user's own that has the whole node also decides where its threads run.
        RankLayout::Node if matches!(spec.entry, Entry::Argv(_)) => vec![Vec::new()],
        RankLayout::Node => vec![cores.to_vec()],
        RankLayout::Numa => {
            let nodes = cpu.numa.iter();
            let of_node = nodes.map(|node| {
                let inside = cores.iter().filter(|core| node.cpus.contains(core));
                inside.copied().collect::<Vec<u32>>()
            });
            let ranks: Vec<Vec<u32>> = of_node.filter(|cores| !cores.is_empty()).collect();
            if ranks.is_empty() {
                vec![cores.to_vec()]
            } else {
                ranks
            }
        }
        RankLayout::Core if cores.is_empty() => vec![Vec::new()],
        RankLayout::Core => cores.iter().map(|core| vec![*core]).collect(),
        RankLayout::Pair => {
            let (first, second) = pair(cores, cpu).ok_or("at least 2 cores")?;
            vec![vec![first], vec![second]]
        }
    })
}

/// Two processors on different physical cores: the first, and the first after it that lies in the
/// same NUMA node and does not share its level 2 cache, as far as that shows. The facts count the
/// caches but do not name their cores, so caches shared by several cores are taken to be shared by
/// neighbours. Where no such second core exists, it is the next core.
fn pair(cores: &[u32], cpu: &CpuFacts) -> Option<(u32, u32)> {
    let first = *cores.first()?;
    let next = *cores.get(1)?;
    let instances = cpu
        .caches
        .iter()
        .find(|cache| cache.level == 2)
        .map_or(0, |cache| cache.instances);
    let sharing = match instances {
        0 => 1,
        instances => cpu.cores.div_ceil(instances).max(1) as usize,
    };
    let home = cpu.numa.iter().find(|node| node.cpus.contains(&first));
    let second = cores
        .iter()
        .skip(sharing)
        .find(|core| home.is_none_or(|node| node.cpus.contains(core)));
    Some((first, second.copied().unwrap_or(next)))
}

/// What of `needs_any` the machine lacks, in words; `None` if one whole set is present. The last,
/// least demanding set comes first.
pub(crate) fn lacking(spec: &CaseSpec, cpu: &CpuFacts) -> Option<String> {
    let has = |name: &str| cpu.features.iter().any(|feature| feature == name);
    let mut ways = Vec::new();
    let mut compound = false;
    for set in spec.needs_any.iter().rev() {
        let missing: Vec<&str> = set
            .iter()
            .map(|feature| feature.0.as_str())
            .filter(|name| !has(name))
            .collect();
        if missing.is_empty() {
            return None;
        }
        compound |= missing.len() > 1;
        ways.push(missing.join(" and "));
    }
    let or = if compound { ", or " } else { " or " };
    (!ways.is_empty()).then(|| ways.join(or))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Library;
    use flagperf_model::{CacheFacts, Feature, NumaNode};

    /// Two NUMA nodes of four cores with two threads each; two cores share a level 2 cache.
    fn machine() -> CpuFacts {
        CpuFacts {
            cores: 8,
            threads: 16,
            allowed: (0..16).collect(),
            core_cpus: (0..8).collect(),
            numa: vec![
                NumaNode {
                    id: 0,
                    cpus: vec![0, 1, 2, 3, 8, 9, 10, 11],
                    memory_bytes: None,
                },
                NumaNode {
                    id: 1,
                    cpus: vec![4, 5, 6, 7, 12, 13, 14, 15],
                    memory_bytes: None,
                },
            ],
            caches: vec![CacheFacts {
                level: 2,
                kind: "Unified".to_owned(),
                bytes: 1 << 20,
                instances: 4,
            }],
            ..CpuFacts::default()
        }
    }

    fn spec(layout: RankLayout) -> CaseSpec {
        let library = Library::builtin().unwrap();
        let mut spec = library.get("computation-FP64").unwrap().clone();
        spec.ranks = layout;
        spec
    }

    #[test]
    fn every_layout_on_two_numa_nodes() {
        let ranks = |layout| ranks_on(&spec(layout), &machine()).unwrap();
        assert_eq!(ranks(RankLayout::Node), [(0..8).collect::<Vec<u32>>()]);
        assert_eq!(ranks(RankLayout::Numa), [[0, 1, 2, 3], [4, 5, 6, 7]]);
        assert_eq!(ranks(RankLayout::Pair), [[0], [2]]);
        assert_eq!(ranks(RankLayout::Core).len(), 8);
    }

    #[test]
    fn only_allowed_cores_are_used() {
        let mut cpu = machine();
        cpu.core_cpus = vec![5, 6];
        assert_eq!(ranks_on(&spec(RankLayout::Numa), &cpu).unwrap(), [[5, 6]]);
        assert_eq!(ranks_on(&spec(RankLayout::Pair), &cpu).unwrap(), [[5], [6]]);
        cpu.numa.clear();
        assert_eq!(ranks_on(&spec(RankLayout::Numa), &cpu).unwrap(), [[5, 6]]);
    }

    #[test]
    fn one_core_is_no_pair() {
        let mut cpu = machine();
        cpu.core_cpus = vec![3];
        let lacks = ranks_on(&spec(RankLayout::Pair), &cpu).unwrap_err();
        assert_eq!(lacks, "at least 2 cores");
        let library = Library::builtin().unwrap();
        let reduce = library.get("interconnect-MPI_intraserver").unwrap();
        assert_eq!(ranks_on(reduce, &cpu).unwrap_err(), "at least 2 cores");
        assert_eq!(ranks_on(&spec(RankLayout::Core), &cpu).unwrap(), [[3]]);
    }

    #[test]
    fn what_is_lacking_names_only_what_is_missing() {
        let feature = |name: &str| Feature(name.to_owned());
        let mut spec = spec(RankLayout::Node);
        let mut cpu = machine();
        assert_eq!(lacking(&spec, &cpu), None);
        spec.needs_any = vec![vec![feature("amx_fp16")], vec![feature("avx512_fp16")]];
        assert_eq!(lacking(&spec, &cpu).unwrap(), "avx512_fp16 or amx_fp16");
        spec.needs_any = vec![
            vec![feature("avx512f")],
            vec![feature("fma"), feature("avx2")],
        ];
        assert_eq!(lacking(&spec, &cpu).unwrap(), "fma and avx2, or avx512f");
        cpu.features = vec!["fma".to_owned()];
        assert_eq!(lacking(&spec, &cpu).unwrap(), "avx2 or avx512f");
        cpu.features.push("avx2".to_owned());
        assert_eq!(lacking(&spec, &cpu), None);
    }
}
