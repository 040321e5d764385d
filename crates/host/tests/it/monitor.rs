//! Monitors of made-up machines, and of this one.

use std::fs;

use flagperf_host::{Monitor, Root, own_cpu_ns};
use flagperf_model::{Scope, SeriesKind};
use proptest::prelude::*;

use crate::tree::{CORES, SOCKETS, Tree, net_dev, stat, zen};
use crate::watched::Watched;

#[test]
fn processors_of_a_large_machine() {
    let tree = zen();
    let cpus = 2 * SOCKETS * CORES;
    let mut watched = Watched::of(&tree);
    watched.sample();
    assert_eq!(watched.instances("cpu.busy").len(), cpus as usize);
    assert_eq!(watched.raw("cpu.busy", Some("cpu255")), Some(6000));
    assert_eq!(watched.raw("cpu.busy", None), Some(6000 * i64::from(cpus)));
    assert_eq!(watched.raw("cpu.steal", None), Some(1000 * i64::from(cpus)));
    assert_eq!(watched.raw("cpu.iowait", None), Some(5 * i64::from(cpus)));
    // One frequency for each core, in thousandths of a MHz.
    assert_eq!(
        watched.instances("cpu.frequency").len(),
        (cpus / 2) as usize
    );
    assert_eq!(watched.sensor("cpu.frequency", "cpu127"), 3_100_500);

    // Half of the processors are taken offline, and waiting for disks is counted down.
    tree.file("proc/stat", stat(cpus / 2, 1001));
    watched.sample();
    assert_eq!(watched.raw("cpu.busy", Some("cpu127")), Some(6006));
    assert_eq!(watched.raw("cpu.busy", Some("cpu128")), None);
    assert_eq!(watched.raw("cpu.iowait", None), Some(5 * i64::from(cpus)));
}

#[test]
fn load_memory_and_pressure() {
    let tree = Tree::empty();
    tree.file("proc/loadavg", "0.12 10.06 0.02 3/94 5494\n");
    tree.file(
        "proc/meminfo",
        "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 600 kB\nBuffers: 20 kB\nCached: 300 kB\nSwapTotal: 50 kB\nSwapFree: 10 kB\n",
    );
    let line = |which: &str, total: u32| {
        format!("{which} avg10=0.00 avg60=0.00 avg300=0.00 total={total}\n")
    };
    tree.file("proc/pressure/cpu", line("some", 7));
    tree.file("proc/pressure/io", line("some", 8) + &line("full", 5));
    let mut watched = Watched::of(&tree);
    watched.sample();
    assert_eq!(watched.raw("load.5m", None), Some(1006));
    assert_eq!(watched.raw("load.running", None), Some(3));
    assert_eq!(watched.raw("memory.used", None), Some(400));
    assert_eq!(watched.raw("memory.cached", None), Some(320));
    assert_eq!(watched.raw("memory.swap_used", None), Some(40));
    assert_eq!(watched.instances("pressure.cpu"), ["some"]);
    assert_eq!(watched.raw("pressure.io", Some("full")), Some(5));
    assert_eq!(
        watched.reason("pressure.memory"),
        "no pressure information: /proc/pressure/memory does not exist"
    );
}

#[test]
fn a_machine_that_shows_nothing_has_a_reason_for_everything() {
    let mut watched = Watched::of(&Tree::empty());
    watched.sample();
    assert!(
        watched
            .monitor
            .series()
            .iter()
            .all(|s| s.scope == Scope::Monitor)
    );
    assert!(watched.out.iter().all(Option::is_some));
    let families = [
        "cpu.busy",
        "cpu.frequency",
        "load.1m",
        "memory.used",
        "pressure.cpu",
        "pressure.memory",
        "pressure.io",
        "disk.read",
        "network.received",
        "rdma.received",
        "cgroup.cpu",
        "cgroup.throttled",
        "cgroup.memory",
        "cgroup.pressure_cpu",
        "temperature",
        "power.energy",
        "power.input",
    ];
    for family in families {
        assert!(!watched.reason(family).is_empty());
    }
}

#[test]
fn this_machine() {
    let mut monitor = Monitor::open(&Root::new("/"));
    let (mut first, mut second) = (Vec::new(), Vec::new());
    monitor.sample(&mut first);
    // Ticks are 10 ms, so ten of them are sure to show.
    let end = own_cpu_ns() + 100_000_000;
    while own_cpu_ns() < end {}
    monitor.sample(&mut second);
    let series = monitor.series();
    assert_eq!((first.len(), second.len()), (series.len(), series.len()));
    for ((decl, a), b) in series.iter().zip(&first).zip(&second) {
        if decl.kind == SeriesKind::Counter {
            assert!(
                a <= b || b.is_none(),
                "{} {:?}: {a:?} {b:?}",
                decl.name,
                decl.instance
            );
        }
        assert!(decl.resolution > 0.0);
    }
    for name in ["cpu.busy", "monitor.sampler_cpu", "monitor.agent_cpu"] {
        let place = series.iter().position(|s| s.name == name).unwrap();
        assert!(first[place] < second[place], "{name}");
    }
    let mut names: Vec<_> = series.iter().map(|s| (&s.name, &s.instance)).collect();
    names.sort();
    names.dedup();
    assert_eq!(
        names.len(),
        series.len(),
        "a name and an instance are given twice"
    );
    let count = series.len();
    assert_eq!(
        monitor.costs(3).iter().map(|c| c.series).sum::<usize>(),
        count
    );
}

/// Files that a monitor of this tree reads.
const READ: [&str; 9] = [
    "proc/stat",
    "proc/loadavg",
    "proc/meminfo",
    "proc/diskstats",
    "proc/net/dev",
    "proc/pressure/cpu",
    "sys/fs/cgroup/cpu.stat",
    "sys/fs/cgroup/memory.current",
    "sys/class/powercap/intel-rapl:0/energy_uj",
];

fn small() -> Tree {
    let tree = Tree::empty();
    tree.file(READ[0], stat(4, 5));
    tree.file(READ[1], "0.12 10.06 0.02 3/94 5494\n");
    tree.file(READ[2], "MemTotal: 1000 kB\nMemAvailable: 600 kB\n");
    tree.dir("sys/block/sda");
    tree.file(READ[3], "8 0 sda 1 2 3 4 5 6 7 8 9 10 11\n");
    tree.file(READ[4], net_dev(&[("eth0", 3)]));
    tree.file(READ[5], "some avg10=0.00 avg60=0.00 avg300=0.00 total=30\n");
    tree.file("proc/self/cgroup", "0::/\n");
    tree.file(
        "proc/self/mountinfo",
        "41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
    );
    tree.file(READ[6], "usage_usec 5\n");
    tree.file(READ[7], "4096\n");
    tree.file("sys/class/powercap/intel-rapl:0/name", "package-0\n");
    tree.file(READ[8], "5\n");
    tree
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the files turn into, a sample has one value or gap for each series.
    #[test]
    fn damage_gives_gaps(
        file in prop::sample::select(&READ[..]),
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        text in "([a-z:]{0,8} ?[0-9.=/]{0,22}[ \n]){0,12}",
        cut in 0usize..200,
    ) {
        let tree = small();
        let mut watched = Watched::of(&tree);
        watched.sample();
        let gaps = watched.out.iter().filter(|v| v.is_none()).count();
        // Only swap is unknown in the undamaged tree, and the page cache.
        prop_assert_eq!(gaps, 2);
        let mut whole = fs::read(tree.path(file)).unwrap();
        whole.truncate(cut);
        for damage in [&bytes[..], text.as_bytes(), &whole, b""] {
            tree.file(file, damage);
            watched.sample();
        }
        // The last damage was to empty the file, and nothing comes from an empty file.
        prop_assert!(watched.out.iter().filter(|v| v.is_none()).count() > gaps);
        // Opening on the damaged machine must work as well.
        tree.file(file, &bytes);
        Watched::of(&tree).sample();
    }
}
