//! Which directories hold this process's control group, in v1, v2 and hybrid set-ups, on a host
//! and inside a container with or without a control group namespace.

use std::path::{Path, PathBuf};

use flagperf_model::CgroupFacts;

use crate::Root;
use crate::parse::cgroup::{
    Membership, Mount, cfs_limit, cpu_max, memberships, memory_limit, mounts,
};
use crate::parse::{cpu_list, keyed};

/// A control group's directory in one hierarchy, as a path below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The group's own directory.
    pub(crate) own: PathBuf,
    /// The topmost directory that shows: the hierarchy's root, or the container's own group.
    top: PathBuf,
}

impl Place {
    /// The group's own directory and all its ancestors that show, the nearest first.
    fn chain(&self) -> impl Iterator<Item = &Path> {
        self.own
            .ancestors()
            .take_while(|dir| dir.starts_with(&self.top))
    }
}

/// Where each controller's files are. In a hybrid set-up some controllers are v1 and the v2
/// hierarchy has none or a few.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Layout {
    pub(crate) v2: Option<Place>,
    pub(crate) v1_cpu: Option<Place>,
    pub(crate) v1_cpuacct: Option<Place>,
    pub(crate) v1_memory: Option<Place>,
    v1_cpuset: Option<Place>,
}

impl Layout {
    /// Reads the layout of this process.
    pub(crate) fn read(root: &Root) -> Self {
        let memberships = memberships(&root.text("proc/self/cgroup").unwrap_or_default());
        let mounts = mounts(&root.text("proc/self/mountinfo").unwrap_or_default());
        let v1 = |controller: &str| {
            let member = memberships
                .iter()
                .find(|m| m.controllers.iter().any(|name| name == controller))?;
            mounts
                .iter()
                .filter(|m| m.kind == "cgroup" && m.options.iter().any(|o| o == controller))
                .find_map(|mount| place(root, member, mount))
        };
        let v2 = || {
            let member = memberships.iter().find(|m| m.controllers.is_empty())?;
            mounts
                .iter()
                .filter(|mount| mount.kind == "cgroup2")
                .find_map(|mount| place(root, member, mount))
        };
        Self {
            v2: v2(),
            v1_cpu: v1("cpu"),
            v1_cpuacct: v1("cpuacct"),
            v1_memory: v1("memory"),
            v1_cpuset: v1("cpuset"),
        }
    }

    /// Version and limits. A limit is the smallest of the group and all its ancestors that show.
    pub(crate) fn facts(&self, root: &Root) -> CgroupFacts {
        let version = if self.v1_cpu.is_some() || self.v1_memory.is_some() {
            "v1"
        } else if self.v2.is_some() {
            "v2"
        } else {
            "none"
        };
        let cpu = each(self.v2.as_ref(), |dir| {
            cpu_max(&root.text(dir.join("cpu.max"))?)
        });
        let cpu_v1 = each(self.v1_cpu.as_ref(), |dir| {
            let quota = root.text(dir.join("cpu.cfs_quota_us"))?;
            cfs_limit(&quota, &root.text(dir.join("cpu.cfs_period_us"))?)
        });
        let memory = each(self.v2.as_ref(), |dir| {
            memory_limit(&root.text(dir.join("memory.max"))?)
        });
        let memory_v1 = each(self.v1_memory.as_ref(), |dir| {
            memory_limit(&root.text(dir.join("memory.limit_in_bytes"))?)
        });
        // v1 tells the smallest limit of all ancestors itself, also of those outside a namespace.
        let hierarchical = self.v1_memory.as_ref().and_then(|place| {
            let stat = root.bytes(place.own.join("memory.stat"))?;
            memory_limit(&keyed(&stat, b"hierarchical_memory_limit")?.to_string())
        });
        CgroupFacts {
            version: version.to_owned(),
            cpu_limit: cpu.into_iter().chain(cpu_v1).reduce(f64::min),
            memory_limit: memory
                .into_iter()
                .chain(memory_v1)
                .chain(hierarchical)
                .min(),
        }
    }

    /// The processors of the cpuset controller; absent without one.
    pub(crate) fn cpuset(&self, root: &Root) -> Option<Vec<u32>> {
        let files = [
            (self.v2.as_ref(), "cpuset.cpus.effective"),
            (self.v1_cpuset.as_ref(), "cpuset.effective_cpus"),
            (self.v1_cpuset.as_ref(), "cpuset.cpus"),
        ];
        files.into_iter().find_map(|(place, file)| {
            let cpus = cpu_list(&root.text(place?.own.join(file))?);
            (!cpus.is_empty()).then_some(cpus)
        })
    }
}

/// Processes that the kernel has ended so far because the memory that this place may use had run out: those of
/// this process's control group where it counts them (`memory.events`, or `memory.oom_control` in v1), else those of
/// the machine (`/proc/vmstat`, since Linux 4.13).
pub fn oom_kills(root: &Root) -> u64 {
    let layout = Layout::read(root);
    let count = |file: PathBuf| keyed(&root.bytes(file)?, b"oom_kill");
    let own = |place: Option<&Place>, file: &str| count(place?.own.join(file));
    own(layout.v2.as_ref(), "memory.events")
        .or_else(|| own(layout.v1_memory.as_ref(), "memory.oom_control"))
        .or_else(|| count(PathBuf::from("proc/vmstat")))
        .unwrap_or(0)
}

/// What a file says in each directory of a chain.
fn each<T>(place: Option<&Place>, limit: impl Fn(&Path) -> Option<T>) -> Vec<T> {
    place
        .into_iter()
        .flat_map(Place::chain)
        .filter_map(limit)
        .collect()
}

/// Where a membership lies under a mount.
///
/// Without a namespace of its own, a container is told its path on the host, while its mount
/// shows only a part of the hierarchy: the mount's root is then the beginning of the path. Where
/// the two do not fit, or the directory is not there, the mount itself is the best that shows.
fn place(root: &Root, member: &Membership, mount: &Mount) -> Option<Place> {
    let top = Path::new(&mount.point);
    let top = top.strip_prefix("/").unwrap_or(top).to_owned();
    let below = Path::new(&member.path)
        .strip_prefix(&mount.root)
        .unwrap_or(Path::new(""));
    // `/..` in a path means that the group lies outside the reader's namespace.
    let outside = below.components().any(|part| part.as_os_str() == "..");
    let own = top.join(below.strip_prefix("/").unwrap_or(below));
    if !outside && root.exists(&own) {
        // Joining an empty path adds a slash, which `components` takes away again.
        let own = own.components().collect();
        return Some(Place { own, top });
    }
    root.exists(&top).then(|| Place {
        own: top.clone(),
        top,
    })
}
