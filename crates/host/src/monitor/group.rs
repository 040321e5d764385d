//! What the agent's own control group uses: a container's or pod's share of the machine.
//!
//! In a hierarchy where the agent is in the root group, its figures are those of the machine.

use std::path::Path;

use flagperf_model::{Scope, SeriesDecl, Unit};

use super::machine::probe_pressure;
use super::{Probe, Source, counter, gauge, scoped, stored};
use crate::cgroup::{Layout, Place};
use crate::parse::{keyed, only_number};
use crate::root::{Held, Scratch};

pub(super) fn probe(probe: &mut Probe<'_>) {
    let layout = Layout::read(probe.root);
    probe_cpu(probe, &layout);
    probe_throttled(probe, &layout);
    probe_memory(probe, &layout);
    probe_pressures(probe, &layout);
}

/// One number for each series out of files with one number or with `key number` lines.
struct Files(Vec<(Held, Key)>);

#[derive(Clone, Copy)]
enum Key {
    /// The file is the number.
    Whole,
    /// The number behind a key.
    Of(&'static [u8]),
}

impl Key {
    fn find(self, text: &[u8]) -> Option<u64> {
        match self {
            Self::Whole => only_number(text),
            Self::Of(key) => keyed(text, key),
        }
    }
}

impl Source for Files {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        for ((file, key), out) in self.0.iter().zip(out) {
            *out = stored(file.read(scratch).and_then(|text| key.find(text)));
        }
    }
}

/// A file that has the wanted number, or why not.
fn hold(probe: &Probe<'_>, path: &Path, key: Key) -> Result<Held, String> {
    let file = probe.root.hold(path)?;
    let mut scratch = Scratch::new();
    let found = file.read(&mut scratch).and_then(|text| key.find(text));
    match (found, key) {
        (Some(_), _) => Ok(file),
        (None, Key::Whole) => Err(format!("/{} does not hold a number", path.display())),
        (None, Key::Of(key)) => {
            let key = String::from_utf8_lossy(key);
            Err(format!("/{} has no {key}", path.display()))
        }
    }
}

/// Adds the first of several files that has what is wanted.
fn first_of(
    probe: &mut Probe<'_>,
    name: &'static str,
    candidates: [(Option<&Place>, &str, Key, f64); 2],
) {
    let mut reasons = Vec::new();
    for (place, file, key, resolution) in candidates {
        let Some(place) = place else {
            continue;
        };
        match hold(probe, &place.own.join(file), key) {
            Ok(file) => {
                let seconds = counter(name, Unit::SECONDS, resolution);
                let series = vec![scoped(Scope::Cgroup, seconds)];
                return probe.add(name, series, Files(vec![(file, key)]));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    probe.lacks(name, no_group(&reasons));
}

fn no_group(reasons: &[String]) -> String {
    if reasons.is_empty() {
        "no control group of this process shows in /proc/self/cgroup and /proc/self/mountinfo"
            .into()
    } else {
        reasons.join("; ")
    }
}

fn probe_cpu(probe: &mut Probe<'_>, layout: &Layout) {
    // Where v1's accounting is mounted, it is the container's; the v2 hierarchy beside it is
    // usually only systemd's.
    let v1 = (
        layout.v1_cpuacct.as_ref(),
        "cpuacct.usage",
        Key::Whole,
        1e-9,
    );
    let v2 = (layout.v2.as_ref(), "cpu.stat", Key::Of(b"usage_usec"), 1e-6);
    first_of(probe, "cgroup.cpu", [v1, v2]);
}

fn probe_throttled(probe: &mut Probe<'_>, layout: &Layout) {
    let v1 = (
        layout.v1_cpu.as_ref(),
        "cpu.stat",
        Key::Of(b"throttled_time"),
        1e-9,
    );
    let v2 = (
        layout.v2.as_ref(),
        "cpu.stat",
        Key::Of(b"throttled_usec"),
        1e-6,
    );
    first_of(probe, "cgroup.throttled", [v1, v2]);
}

/// Charged memory, and the same without file pages that have not been used for long, which the
/// kernel takes back first: the working set in the sense of Kubernetes.
struct Memory {
    usage: Held,
    stat: Option<(Held, &'static [u8])>,
}

/// Charges are whole pages, and no supported machine has pages smaller than this.
const PAGE: u64 = 4096;

fn probe_memory(probe: &mut Probe<'_>, layout: &Layout) {
    let total: &'static [u8] = b"total_inactive_file";
    let v1 = (layout.v1_memory.as_ref(), "memory.usage_in_bytes", total);
    let v2 = (
        layout.v2.as_ref(),
        "memory.current",
        &total["total_".len()..],
    );
    let mut reasons = Vec::new();
    for (place, file, inactive) in [v1, v2] {
        let Some(place) = place else {
            continue;
        };
        match hold(probe, &place.own.join(file), Key::Whole) {
            Ok(usage) => {
                let bytes = |name| -> SeriesDecl {
                    scoped(Scope::Cgroup, gauge(name, Unit::BYTES, PAGE as f64))
                };
                let stat = hold(probe, &place.own.join("memory.stat"), Key::Of(inactive));
                let mut series = vec![bytes("cgroup.memory")];
                let stat = match stat {
                    Ok(stat) => {
                        series.push(bytes("cgroup.working_set"));
                        Some((stat, inactive))
                    }
                    Err(reason) => {
                        probe.lacks("cgroup.working_set", reason);
                        None
                    }
                };
                return probe.add("cgroup.memory", series, Memory { usage, stat });
            }
            Err(reason) => reasons.push(reason),
        }
    }
    probe.lacks("cgroup.memory", no_group(&reasons));
}

impl Source for Memory {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        let Some(usage) = self.usage.read(scratch).and_then(only_number) else {
            return;
        };
        out[0] = stored(Some(usage / PAGE));
        if let Some((stat, key)) = &self.stat {
            let inactive = stat.read(scratch).and_then(|text| keyed(text, key));
            // The two files are read one after the other, so their difference may dip below zero.
            out[1] = stored(inactive.map(|inactive| usage.saturating_sub(inactive) / PAGE));
        }
    }
}

fn probe_pressures(probe: &mut Probe<'_>, layout: &Layout) {
    let names = ["cpu", "memory", "io"].map(|what| (what, format!("cgroup.pressure_{what}")));
    let Some(place) = &layout.v2 else {
        for (_, name) in names {
            probe.lacks(&name, "control groups v1 have no pressure information");
        }
        return;
    };
    // Only groups below the root have this file.
    let is_root = !probe.root.exists(place.own.join("cgroup.events"));
    for (what, name) in names {
        if is_root {
            probe.lacks(&name, "in the root control group it is the machine's");
            continue;
        }
        let file = place.own.join(format!("{what}.pressure"));
        let seconds = counter(&name, Unit::SECONDS, 1e-6);
        let decl = scoped(Scope::Cgroup, seconds);
        probe_pressure(probe, &file.to_string_lossy(), "cgroup pressure", &decl);
    }
}
