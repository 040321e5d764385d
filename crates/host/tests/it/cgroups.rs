//! Limits and figures of the agent's control group in every set-up that is in use.

use flagperf_host::{Monitor, facts};
use flagperf_model::{CgroupFacts, Scope};

use crate::tree::Tree;

const V2: &str = "41 31 0:38 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";

fn limits(tree: &Tree) -> CgroupFacts {
    facts(&tree.root()).cgroup
}

fn group(version: &str, cpu_limit: Option<f64>, memory_limit: Option<u64>) -> CgroupFacts {
    CgroupFacts {
        version: version.into(),
        cpu_limit,
        memory_limit,
    }
}

/// Values of the control group's series, by name and instance, in units.
fn values(tree: &Tree) -> Vec<(String, Option<f64>)> {
    let mut monitor = Monitor::open(&tree.root());
    let mut out = Vec::new();
    monitor.sample(&mut out);
    let series = monitor.series().iter().zip(out);
    series
        .filter(|(decl, _)| decl.scope == Scope::Cgroup)
        .map(|(decl, value)| {
            let name = match &decl.instance {
                Some(instance) => format!("{} {instance}", decl.name),
                None => decl.name.clone(),
            };
            (name, value.map(|value| value as f64 * decl.resolution))
        })
        .collect()
}

fn reason(tree: &Tree, name: &str) -> String {
    let monitor = Monitor::open(&tree.root());
    let found = monitor.absent().iter().find(|absent| absent.name == name);
    found.unwrap().reason.clone()
}

#[test]
fn v2_takes_the_smallest_limit_of_all_ancestors() {
    let tree = Tree::empty();
    tree.file("proc/self/cgroup", "0::/a/b/c\n");
    tree.file("proc/self/mountinfo", V2);
    let base = "sys/fs/cgroup";
    tree.files(
        &format!("{base}/a"),
        &[("cpu.max", "150000 100000"), ("memory.max", "max")],
    );
    tree.files(
        &format!("{base}/a/b"),
        &[("cpu.max", "max 100000"), ("memory.max", "4096000")],
    );
    tree.files(
        &format!("{base}/a/b/c"),
        &[
            ("cpu.max", "200000 100000"),
            ("memory.max", "8192000"),
            ("memory.current", "40960"),
            ("memory.stat", "anon 8192\nfile 16384\ninactive_file 12288"),
            ("cpu.stat", "usage_usec 2500000\nuser_usec 1\nnr_throttled 3\nthrottled_usec 750000"),
            ("cgroup.events", "populated 1\nfrozen 0"),
            ("memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=30\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=20"),
        ],
    );
    assert_eq!(limits(&tree), group("v2", Some(1.5), Some(4_096_000)));
    let expected = [
        ("cgroup.cpu", 2.5),
        ("cgroup.throttled", 0.75),
        ("cgroup.memory", 40_960.0),
        ("cgroup.working_set", 28_672.0),
        ("cgroup.pressure_memory some", 30e-6),
        ("cgroup.pressure_memory full", 20e-6),
    ];
    for ((name, value), (found, got)) in expected.iter().zip(values(&tree)) {
        assert_eq!(*name, found);
        assert!((got.unwrap() - value).abs() < 1e-9, "{name}: {got:?}");
    }
    assert_eq!(values(&tree).len(), expected.len());
    assert_eq!(
        reason(&tree, "cgroup.pressure_io"),
        "no pressure information: /sys/fs/cgroup/a/b/c/io.pressure does not exist"
    );
}

#[test]
fn v2_in_a_namespace_reads_the_mount_itself() {
    let tree = Tree::empty();
    tree.file("proc/self/cgroup", "0::/\n");
    tree.file("proc/self/mountinfo", V2);
    tree.files(
        "sys/fs/cgroup",
        &[
            ("cpu.max", "50000 100000"),
            ("memory.max", "1048576"),
            ("memory.current", "8192"),
        ],
    );
    assert_eq!(limits(&tree), group("v2", Some(0.5), Some(1 << 20)));
    assert_eq!(values(&tree), [("cgroup.memory".to_owned(), Some(8192.0))]);
}

#[test]
fn v2_at_the_root_of_a_machine_has_no_limits_and_says_what_is_missing() {
    let tree = Tree::empty();
    tree.file("proc/self/cgroup", "0::/\n");
    tree.file("proc/self/mountinfo", V2);
    tree.files(
        "sys/fs/cgroup",
        &[("cpu.stat", "usage_usec 5\nuser_usec 5")],
    );
    assert_eq!(limits(&tree), group("v2", None, None));
    assert_eq!(
        reason(&tree, "cgroup.memory"),
        "/sys/fs/cgroup/memory.current does not exist"
    );
    assert_eq!(
        reason(&tree, "cgroup.throttled"),
        "/sys/fs/cgroup/cpu.stat has no throttled_usec"
    );
}

#[test]
fn a_group_outside_the_namespace_falls_back_to_the_mount() {
    let tree = Tree::empty();
    tree.file("proc/self/cgroup", "0::/../other\n");
    tree.file("proc/self/mountinfo", V2);
    tree.files("sys/fs/cgroup", &[("memory.max", "4096")]);
    tree.files("sys/fs/other", &[("memory.max", "1024")]);
    assert_eq!(limits(&tree), group("v2", None, Some(4096)));
}

/// v1 in a container without a namespace: the path is the host's, the mount shows only the
/// container's part.
#[test]
fn v1_in_a_container_without_a_namespace() {
    let tree = Tree::empty();
    tree.file(
        "proc/self/cgroup",
        "5:memory:/docker/abc/sub\n4:cpu,cpuacct:/docker/abc\n3:name=systemd:/docker/abc\n",
    );
    tree.file(
        "proc/self/mountinfo",
        "34 31 0:31 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n\
         35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
    );
    tree.files(
        "sys/fs/cgroup/cpu,cpuacct",
        &[
            ("cpu.cfs_quota_us", "250000"),
            ("cpu.cfs_period_us", "100000"),
            (
                "cpu.stat",
                "nr_periods 1\nnr_throttled 1\nthrottled_time 2000000000",
            ),
            ("cpuacct.usage", "7000000000"),
        ],
    );
    tree.files(
        "sys/fs/cgroup/memory",
        &[("memory.limit_in_bytes", "2147483648")],
    );
    tree.files(
        "sys/fs/cgroup/memory/sub",
        &[
            ("memory.limit_in_bytes", "9223372036854771712"),
            ("memory.usage_in_bytes", "81920"),
            (
                "memory.stat",
                "inactive_file 0\nhierarchical_memory_limit 1073741824\ntotal_inactive_file 40960",
            ),
        ],
    );
    // The pod above the container, which its mount does not show, is limited to half as much.
    assert_eq!(limits(&tree), group("v1", Some(2.5), Some(1 << 30)));
    let expected = [
        ("cgroup.cpu", 7.0),
        ("cgroup.throttled", 2.0),
        ("cgroup.memory", 81_920.0),
        ("cgroup.working_set", 40_960.0),
    ];
    let found = values(&tree);
    assert_eq!(found.len(), expected.len());
    for ((name, value), (found, got)) in expected.iter().zip(found) {
        assert_eq!(
            (*name, Some(*value)),
            (found.as_str(), got.map(|v| (v * 1e6).round() / 1e6))
        );
    }
    assert_eq!(
        reason(&tree, "cgroup.pressure_cpu"),
        "control groups v1 have no pressure information"
    );
}

/// Memory is controlled by v1, processors and pressure by v2.
#[test]
fn hybrid() {
    let tree = Tree::empty();
    tree.file(
        "proc/self/cgroup",
        "4:memory:/m\n1:name=systemd:/s\n0::/s\n",
    );
    tree.file(
        "proc/self/mountinfo",
        "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
         40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n\
         41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
    );
    tree.files(
        "sys/fs/cgroup/memory/m",
        &[
            ("memory.limit_in_bytes", "8192"),
            ("memory.usage_in_bytes", "4096"),
        ],
    );
    tree.files(
        "sys/fs/cgroup/unified/s",
        &[
            ("cpu.stat", "usage_usec 3000000"),
            ("cpu.max", "100000 100000"),
        ],
    );
    assert_eq!(limits(&tree), group("v1", Some(1.0), Some(8192)));
    let found = values(&tree);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].0, "cgroup.cpu");
    assert!((found[0].1.unwrap() - 3.0).abs() < 1e-9);
    assert_eq!(found[1], ("cgroup.memory".to_owned(), Some(4096.0)));
    assert_eq!(
        reason(&tree, "cgroup.working_set"),
        "/sys/fs/cgroup/memory/m/memory.stat does not exist"
    );
}

#[test]
fn no_control_groups_at_all() {
    let tree = Tree::empty();
    assert_eq!(limits(&tree), group("none", None, None));
    assert!(reason(&tree, "cgroup.cpu").starts_with("no control group of this process"));
}
