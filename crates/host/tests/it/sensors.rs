//! Energy, temperatures and power.

use std::time::Duration;

use crate::tree::{SOCKETS, Tree, rapl_machine};
use crate::watched::Watched;

#[test]
fn energy_goes_on_when_the_register_starts_again() {
    let tree = rapl_machine();
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
