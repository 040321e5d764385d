//! Monitors of made-up machines, and of this one.

use std::fs;
use std::time::{Duration, Instant};

use flagperf_host::{Monitor, Root, own_cpu_ns};
use flagperf_model::{Scope, SeriesKind};
use proptest::prelude::*;

use crate::tree::{CORES, SOCKETS, Tree, stat, zen};

/// A monitor and its last sample.
struct Watched {
    monitor: Monitor,
    out: Vec<Option<i64>>,
}

impl Watched {
    fn of(tree: &Tree) -> Self {
        Self {
            monitor: Monitor::open(&tree.root()),
            out: Vec::new(),
        }
    }

    fn sample(&mut self) -> &mut Self {
        self.monitor.sample(&mut self.out);
        assert_eq!(self.out.len(), self.monitor.series().len());
        self
    }

    /// The stored value of a series.
    fn raw(&self, name: &str, instance: Option<&str>) -> Option<i64> {
        let place = self
            .monitor
            .series()
            .iter()
            .position(|s| s.name == name && s.instance.as_deref() == instance);
        self.out[place.unwrap_or_else(|| panic!("no {name} {instance:?}"))]
    }

    /// Samples until a paced sensor has a value: it may rest for some milliseconds in between.
    fn sensor(&mut self, name: &str, instance: &str) -> i64 {
        let start = Instant::now();
        loop {
            self.sample();
            if let Some(value) = self.raw(name, Some(instance)) {
                return value;
            }
            assert!(
                start.elapsed() < Duration::from_secs(20),
                "{name} never came"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn instances(&self, name: &str) -> Vec<&str> {
        let series = self.monitor.series().iter().filter(|s| s.name == name);
        series.filter_map(|s| s.instance.as_deref()).collect()
    }

    fn reason(&self, name: &str) -> &str {
        let absent = self.monitor.absent().iter().find(|a| a.name == name);
        &absent
            .unwrap_or_else(|| panic!("{name} is not absent"))
            .reason
    }
}

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
fn energy_goes_on_when_the_register_starts_again() {
    let tree = zen();
    let mut watched = Watched::of(&tree);
    let mut expected: Vec<String> = Vec::new();
    for socket in 0..SOCKETS {
        expected.push(format!("package-{socket}"));
        expected.push(format!("package-{socket}/dram"));
    }
    let mut found = watched.instances("power.energy");
    found.sort_unstable();
    assert_eq!(found, expected);
    let energy = "sys/class/powercap/intel-rapl:3/energy_uj";
    assert_eq!(watched.sensor("power.energy", "package-3"), 1000);
    assert_eq!(watched.sensor("power.energy", "package-3/dram"), 500);
    tree.file(energy, "262143328000\n");
    assert_eq!(watched.sensor("power.energy", "package-3"), 262_143_328_000);
    tree.file(energy, "150\n");
    assert_eq!(watched.sensor("power.energy", "package-3"), 262_143_329_000);
    // A gap in between loses nothing.
    tree.file(energy, "");
    std::thread::sleep(Duration::from_millis(5));
    watched.sample();
    assert_eq!(watched.raw("power.energy", Some("package-3")), None);
    tree.file(energy, "250\n");
    assert_eq!(watched.sensor("power.energy", "package-3"), 262_143_329_100);
}

#[test]
fn energy_that_cannot_be_read_is_absent_with_its_reason() {
    let tree = Tree::empty();
    let zone = "sys/class/powercap/intel-rapl:0";
    tree.files(zone, &[("name", "package-0")]);
    // Root may read everything, so a directory stands in for a file that may not be read.
    tree.dir(&format!("{zone}/energy_uj"));
    tree.files(
        "sys/class/powercap/intel-rapl:1",
        &[("name", "package-1"), ("energy_uj", "7")],
    );
    let mut watched = Watched::of(&tree);
    assert_eq!(watched.instances("power.energy"), ["package-1"]);
    let reason = watched.reason("power.energy");
    assert!(
        reason.starts_with("/sys/class/powercap/intel-rapl:0/energy_uj cannot be read"),
        "{reason}"
    );
    assert_eq!(watched.sensor("power.energy", "package-1"), 7);
    assert_eq!(
        Watched::of(&Tree::empty()).reason("power.energy"),
        "no RAPL in this machine: /sys/class/powercap does not exist"
    );
}

#[test]
fn whole_disks_only_and_gaps_when_one_goes_away() {
    let tree = Tree::empty();
    let line =
        |name: &str, n: u64| format!(" 8 0 {name} 1 0 {n} 3 4 0 {} 7 0 {} 10\n", 2 * n, 3 * n);
    let all = [
        ("sda", 100),
        ("sda1", 60),
        ("loop0", 0),
        ("loop1", 8),
        ("zram0", 0),
        ("dm-0", 50),
        ("nvme0n1", 7),
    ];
    for (name, _) in all {
        // Partitions have no directory of their own there.
        if name != "sda1" {
            tree.dir(&format!("sys/block/{name}/slaves"));
        }
    }
    tree.dir("sys/block/dm-0/slaves/sda");
    let text: String = all.iter().map(|(name, n)| line(name, *n)).collect();
    tree.file("proc/diskstats", text);
    let mut watched = Watched::of(&tree);
    assert_eq!(watched.instances("disk.read"), ["sda", "loop1", "nvme0n1"]);
    watched.sample();
    assert_eq!(watched.raw("disk.read", Some("sda")), Some(100));
    assert_eq!(watched.raw("disk.written", Some("nvme0n1")), Some(14));
    assert_eq!(watched.raw("disk.busy", Some("loop1")), Some(24));
    // The first disk is pulled out; a new one has no series.
    tree.file("proc/diskstats", line("nvme0n1", 9) + &line("sdb", 1));
    watched.sample();
    assert_eq!(watched.raw("disk.read", Some("sda")), None);
    assert_eq!(watched.raw("disk.read", Some("nvme0n1")), Some(9));
    tree.file("proc/diskstats", line("nvme0n1", 10) + &line("sda", 1));
    watched.sample();
    assert_eq!(watched.raw("disk.read", Some("sda")), Some(1));
}

fn net_dev(rows: &[(&str, u64)]) -> String {
    let mut text = "Inter-| Receive | Transmit\n face |bytes packets|bytes\n".to_owned();
    for (name, n) in rows {
        text += &format!("{name:>6}: {n} 1 2 3 0 0 0 0 {} 1 4 5 0 0 0 0\n", 2 * n);
    }
    text
}

#[test]
fn interfaces_that_carry_something() {
    let tree = Tree::empty();
    tree.dir("sys/class/net/eth0/device");
    let all = [("lo", 5), ("eth0", 0), ("ifb0", 0), ("bond0", 9)];
    tree.file("proc/net/dev", net_dev(&all));
    let mut watched = Watched::of(&tree);
    assert_eq!(watched.instances("network.received"), ["eth0", "bond0"]);
    watched.sample();
    assert_eq!(watched.raw("network.sent", Some("bond0")), Some(18));
    assert_eq!(watched.raw("network.errors", Some("eth0")), Some(6));
    assert_eq!(watched.raw("network.dropped", Some("eth0")), Some(8));
    tree.file("proc/net/dev", net_dev(&[("eth0", 3)]));
    watched.sample();
    assert_eq!(watched.raw("network.received", Some("bond0")), None);
    assert_eq!(watched.raw("network.received", Some("eth0")), Some(3));
}

#[test]
fn a_host_of_many_containers_has_series_of_its_own_interfaces_only() {
    let tree = Tree::empty();
    tree.dir("sys/class/net/eth0/device");
    let names: Vec<String> = (0..300).map(|i| format!("veth{i}")).collect();
    let mut rows = vec![("eth0", 1)];
    rows.extend(names.iter().map(|name| (name.as_str(), 1)));
    tree.file("proc/net/dev", net_dev(&rows));
    let watched = Watched::of(&tree);
    assert_eq!(watched.instances("network.received"), ["eth0"]);
    assert_eq!(
        watched.reason("network.received"),
        "300 virtual interfaces are left out"
    );
}

#[test]
fn rdma_ports() {
    let tree = Tree::empty();
    tree.files(
        "sys/class/infiniband/mlx5_0/ports/1/counters",
        &[("port_rcv_data", "250"), ("port_xmit_data", "500")],
    );
    let mut watched = Watched::of(&tree);
    assert_eq!(watched.sensor("rdma.received", "mlx5_0/1"), 250);
    assert_eq!(watched.sensor("rdma.sent", "mlx5_0/1"), 500);
    let series = watched.monitor.series();
    let sent = series.iter().find(|s| s.name == "rdma.sent").unwrap();
    assert_eq!(sent.resolution, 4.0);
}

#[test]
fn temperatures_and_power() {
    let tree = Tree::empty();
    let hwmon = |n: u32| format!("sys/class/hwmon/hwmon{n}");
    tree.files(
        &hwmon(0),
        &[
            ("name", "coretemp"),
            ("temp1_input", "45000"),
            ("temp1_label", "Package id 0"),
            ("temp2_input", "44000"),
            ("temp2_label", "Core 0"),
        ],
    );
    tree.files(
        &hwmon(1),
        &[
            ("name", "nvme"),
            ("temp1_input", "-1500"),
            ("temp1_max", "80000"),
        ],
    );
    tree.files(
        &hwmon(2),
        &[
            ("name", "power_meter"),
            ("power1_average", "350000000"),
            ("power1_average_interval", "1000"),
            ("power2_input", "5000000"),
            ("power2_average", "4000000"),
        ],
    );
    tree.files(
        &hwmon(3),
        &[("name", "drivetemp"), ("temp1_input", "30000")],
    );
    tree.files(
        &hwmon(4),
        &[("name", "drivetemp"), ("temp1_input", "31000")],
    );
    for (n, kind, temp) in [(0, "x86_pkg_temp", "45000"), (1, "acpitz", "27800")] {
        let zone = format!("sys/class/thermal/thermal_zone{n}");
        tree.files(&zone, &[("type", kind), ("temp", temp)]);
    }
    tree.files(
        "sys/class/thermal/cooling_device0",
        &[("type", "Processor")],
    );
    let mut watched = Watched::of(&tree);
    let temperatures: Vec<String> = watched
        .monitor
        .series()
        .iter()
        .filter_map(|s| Some((s.name.strip_prefix("temperature.")?, s.instance.as_deref()?)))
        .map(|(chip, label)| format!("{chip}: {label}"))
        .collect();
    assert_eq!(
        temperatures,
        [
            "coretemp: Package id 0",
            "nvme: temp1",
            "drivetemp hwmon3: temp1",
            "drivetemp hwmon4: temp1",
            "acpitz: thermal_zone1"
        ]
    );
    assert_eq!(
        watched.sensor("temperature.coretemp", "Package id 0"),
        45_000
    );
    assert_eq!(watched.sensor("temperature.nvme", "temp1"), -1500);
    assert_eq!(
        watched.sensor("temperature.acpitz", "thermal_zone1"),
        27_800
    );
    assert_eq!(
        watched.sensor("power.input", "power_meter power1"),
        350_000_000
    );
    assert_eq!(
        watched.sensor("power.input", "power_meter power2"),
        5_000_000
    );
    // The disk is gone: its sensor is a gap, the others go on.
    tree.file(&format!("{}/temp1_input", hwmon(1)), "");
    std::thread::sleep(Duration::from_millis(5));
    watched.sample();
    assert_eq!(watched.raw("temperature.nvme", Some("temp1")), None);
    assert_eq!(
        watched.sensor("temperature.coretemp", "Package id 0"),
        45_000
    );
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
