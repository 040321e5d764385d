//! Temperatures, electric power and energy: hwmon, thermal zones and RAPL.

use flagperf_model::{SeriesDecl, Unit};
use rustix::time::{ClockId, clock_gettime};

use super::{Probe, Source, counter, gauge, of, stored};
use crate::Root;
use crate::parse::{only_number, signed};
use crate::root::{Held, Scratch, link_name};

pub(super) fn probe(probe: &mut Probe<'_>) {
    probe_temperatures(probe);
    probe_energy(probe);
    probe_power(probe);
}

/// A file whose reading may be slow: sensors behind a bus or in firmware take milliseconds, and
/// some interrupt the processor that they belong to. It is left alone for a multiple of the time
/// that a reading takes.
pub(super) struct Paced {
    file: Held,
    /// Not to be read before, in nanoseconds of the monotonic clock.
    due: u64,
    /// How long the last two readings took, in nanoseconds.
    took: [u64; 2],
    /// How many times as long as a reading took it rests, for each file of its source.
    rest: u64,
}

/// A sensor of a source with n files rests for this times n as long as its reading took, so that
/// all of them together never take more than one percent of the time, however slow they are. Most
/// of that time a slow sensor's reader sleeps; it is not processor time.
const REST: u64 = 100;

impl Paced {
    /// A sensor, with the usual rest.
    pub(super) fn sensor(file: Held) -> Self {
        Self::resting(file, REST)
    }

    pub(super) fn resting(file: Held, rest: u64) -> Self {
        Self {
            file,
            due: 0,
            took: [0; 2],
            rest,
        }
    }

    /// The content, or `None` if it cannot be read or is not due. `files` is how many files the
    /// source has.
    pub(super) fn read<'s>(&mut self, scratch: &'s mut Scratch, files: usize) -> Option<&'s [u8]> {
        let start = monotonic_ns();
        if start < self.due {
            return None;
        }
        let content = self.file.read(scratch);
        let end = monotonic_ns();
        // The shorter of the last two, since one reading may be long only because the scheduler
        // took the processor away in its middle.
        self.took = [self.took[1], end.saturating_sub(start)];
        let rest = self.rest.saturating_mul(files as u64);
        self.due = end.saturating_add(rest.saturating_mul(self.took[0].min(self.took[1])));
        content
    }
}

fn monotonic_ns() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    // The monotonic clock counts from the machine's start and is never negative.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// States that are one number a file: millidegrees, microwatts.
struct States(Vec<Paced>);

impl Source for States {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        let files = self.0.len();
        for (file, out) in self.0.iter_mut().zip(out) {
            *out = file
                .read(scratch, files)
                .and_then(|text| signed(text.trim_ascii()));
        }
    }
}

/// One sensor of a hwmon chip.
struct Sensor {
    /// The chip's name, with the device's where there are several of the kind: `nvme nvme0`.
    chip: String,
    /// The sensor's label, or its name: `Package id 0`, `temp1`.
    label: String,
    /// The file with its value, below the root.
    path: String,
}

/// The sensors of all hwmon chips whose files begin and end in a certain way.
fn hwmon(root: &Root, begin: &str, ends: &[&str]) -> Vec<Sensor> {
    let class = "sys/class/hwmon";
    let mut sensors = Vec::new();
    let chips = root.names(class);
    let name_of = |chip: &str| root.text(format!("{class}/{chip}/name"));
    let names: Vec<Option<String>> = chips.iter().map(|chip| name_of(chip)).collect();
    for (chip, name) in chips.iter().zip(&names) {
        let mut name_shown = name.clone().unwrap_or_else(|| chip.clone());
        if names.iter().filter(|other| *other == name).count() > 1 {
            let device = link_name(&root.path(format!("{class}/{chip}/device")));
            name_shown = format!("{name_shown} {}", device.as_ref().unwrap_or(chip));
        }
        // The second ending counts only where the first is missing.
        let mut seen: Vec<String> = Vec::new();
        for end in ends {
            for file in root.names(format!("{class}/{chip}")) {
                let Some(number) = file
                    .strip_prefix(begin)
                    .and_then(|rest| rest.strip_suffix(end))
                    .filter(|number| number.bytes().all(|b| b.is_ascii_digit()))
                else {
                    continue;
                };
                let sensor = format!("{begin}{number}");
                if seen.contains(&sensor) {
                    continue;
                }
                let label = root.text(format!("{class}/{chip}/{sensor}_label"));
                sensors.push(Sensor {
                    chip: name_shown.clone(),
                    label: label.unwrap_or_else(|| sensor.clone()),
                    path: format!("{class}/{chip}/{file}"),
                });
                seen.push(sensor);
            }
        }
    }
    sensors
}

fn probe_temperatures(probe: &mut Probe<'_>) {
    let root = probe.root;
    let sensors = hwmon(root, "temp", &["_input"]);
    // Reading the sensor of a core interrupts that core, and with it what is being measured
    // there. The package's sensor tells the hottest of them, so it stands for all.
    let has_package: Vec<String> = sensors
        .iter()
        .filter(|s| s.label.starts_with("Package id"))
        .map(|s| s.chip.clone())
        .collect();
    let mut found: Vec<(String, String, String)> = sensors
        .into_iter()
        .filter(|s| !(s.label.starts_with("Core ") && has_package.contains(&s.chip)))
        .map(|s| (format!("temperature.{}", s.chip), s.label, s.path))
        .collect();
    for zone in root.names("sys/class/thermal") {
        let dir = format!("sys/class/thermal/{zone}");
        let Some(kind) = root.text(format!("{dir}/type")) else {
            continue;
        };
        // A zone that has a hwmon chip of the same name shows the same sensor a second time;
        // `x86_pkg_temp` is coretemp's package sensor.
        let name = format!("temperature.{kind}");
        let shown = found.iter().any(|(other, _, _)| {
            *other == name || (kind == "x86_pkg_temp" && other.starts_with("temperature.coretemp"))
        });
        let hwmon_twin = root
            .names(&dir)
            .iter()
            .any(|name| name.starts_with("hwmon"));
        if zone.starts_with("thermal_zone") && !shown && !hwmon_twin {
            found.push((name, zone, format!("{dir}/temp")));
        }
    }
    let all = found.into_iter().map(|(name, label, path)| {
        let degrees = gauge(&name, Unit::CELSIUS, 1e-3);
        (of(label, degrees), path)
    });
    let none = "no sensor in /sys/class/hwmon and /sys/class/thermal";
    add_states(probe, "temperature", "temperatures", none, all.collect());
}

fn probe_power(probe: &mut Probe<'_>) {
    let sensors = hwmon(probe.root, "power", &["_input", "_average"]);
    let all = sensors.into_iter().map(|s| {
        let watts = gauge("power.input", Unit::WATTS, 1e-6);
        (of(format!("{} {}", s.chip, s.label), watts), s.path)
    });
    let none = "no power sensor in /sys/class/hwmon";
    add_states(probe, "power.input", "power sensors", none, all.collect());
}

/// Opens what can be read; the others are absent with their reason.
fn add_states(
    probe: &mut Probe<'_>,
    family: &str,
    source: &'static str,
    none: &str,
    found: Vec<(SeriesDecl, String)>,
) {
    if found.is_empty() {
        return probe.lacks(family, none);
    }
    let mut files = Vec::new();
    let mut series = Vec::new();
    for (decl, path) in found {
        match probe.root.hold(path) {
            Ok(file) => {
                files.push(Paced::sensor(file));
                series.push(decl);
            }
            Err(reason) => probe.lacks(&decl.name, reason),
        }
    }
    if !files.is_empty() {
        probe.add(source, series, States(files));
    }
}

/// One RAPL zone. The hardware counts in a small register that starts again at zero; the total
/// goes on.
struct Zone {
    file: Paced,
    /// Largest value of the register, in microjoules.
    range: u64,
    last: Option<u64>,
    total: u64,
}

impl Zone {
    /// Takes a reading over into the total, in microjoules. More than one wrap between two
    /// readings cannot be seen; at 500 W the usual range of 262 kJ lasts almost nine minutes.
    fn advance(&mut self, now: u64) -> u64 {
        let step = match self.last {
            // The total begins with what the register shows.
            None => now,
            Some(last) if now >= last => now - last,
            Some(last) => self.range.saturating_sub(last).saturating_add(now),
        };
        self.last = Some(now);
        self.total = self.total.saturating_add(step);
        self.total
    }
}

struct Energy(Vec<Zone>);

fn probe_energy(probe: &mut Probe<'_>) {
    let root = probe.root;
    let class = "sys/class/powercap";
    let mut zones = Vec::new();
    let mut series: Vec<SeriesDecl> = Vec::new();
    let mut missing = None;
    for dir in root.names(class) {
        let Some(instance) = zone_name(root, class, &dir) else {
            continue;
        };
        // The same package may be shown a second time through another register (`-mmio`).
        if series
            .iter()
            .any(|s| s.instance.as_ref() == Some(&instance))
        {
            continue;
        }
        match root.hold(format!("{class}/{dir}/energy_uj")) {
            Ok(file) => {
                zones.push(Zone {
                    file: Paced::sensor(file),
                    range: root
                        .number(format!("{class}/{dir}/max_energy_range_uj"))
                        .unwrap_or(0),
                    last: None,
                    total: 0,
                });
                series.push(of(instance, counter("power.energy", Unit::JOULES, 1e-6)));
            }
            Err(reason) => missing = missing.or(Some(reason)),
        }
    }
    match missing {
        Some(reason) => probe.lacks("power.energy", reason),
        None if zones.is_empty() => {
            let why = if root.exists(class) {
                "has no zone that can be read"
            } else {
                "does not exist"
            };
            probe.lacks(
                "power.energy",
                format!("no RAPL in this machine: /{class} {why}"),
            );
        }
        None => {}
    }
    if !zones.is_empty() {
        probe.add("RAPL", series, Energy(zones));
    }
}

/// `package-0`, `package-0/dram`, `psys`. Cores and graphics are parts of their package and are
/// left out.
fn zone_name(root: &Root, class: &str, dir: &str) -> Option<String> {
    // The name is `<control type>:<package>` or `<control type>:<package>:<part>`.
    if !dir.contains("rapl") || !dir.contains(':') {
        return None;
    }
    let name = root.text(format!("{class}/{dir}/name"))?;
    if name.starts_with("package") || name == "psys" {
        return Some(name);
    }
    let parent = dir.rsplit_once(':')?.0;
    let package = root.text(format!("{class}/{parent}/name"));
    match (name.as_str(), package) {
        ("dram", Some(package)) => Some(format!("{package}/dram")),
        _ => None,
    }
}

impl Source for Energy {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        let zones = self.0.len();
        for (zone, out) in self.0.iter_mut().zip(out) {
            let now = zone.file.read(scratch, zones).and_then(only_number);
            *out = stored(now.map(|now| zone.advance(now)));
        }
    }
}
