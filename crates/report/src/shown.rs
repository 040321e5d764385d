//! In which unit a series is shown: counters as rates, processor seconds as percent, bytes with a prefix.

use flagperf_model::{Scope, SeriesDecl, SeriesKind, Unit};

/// The unit of a series' [`crate::Stats`]: a gauge's own unit, a counter's unit a second.
pub fn rate_unit(decl: &SeriesDecl) -> Unit {
    if decl.kind == SeriesKind::Gauge {
        return decl.unit.clone();
    }
    match decl.unit.as_str() {
        "" => Unit::PER_SECOND,
        "B" => Unit::BYTES_PER_S,
        "J" => Unit::WATTS,
        unit => Unit::new(format!("{unit}/s")),
    }
}

/// How the numbers of a series are shown.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Shown {
    /// What a value in [`rate_unit`] is multiplied by.
    pub(crate) factor: f64,
    /// The unit behind the number.
    pub(crate) unit: &'static str,
    /// A unit that is not one of ours, or empty.
    pub(crate) other: String,
    /// What a hundred percent are, such as ` of one core`; empty otherwise.
    pub(crate) of: &'static str,
}

impl Shown {
    /// Chooses for a series whose largest absolute value is `peak`, in [`rate_unit`], on a node
    /// with `threads` logical processors.
    pub(crate) fn of(decl: &SeriesDecl, threads: Option<u32>, peak: f64) -> Self {
        let fixed = |factor, unit, of| Self {
            factor,
            unit,
            other: String::new(),
            of,
        };
        let counter = decl.kind == SeriesKind::Counter;
        match (decl.unit.as_str(), counter) {
            ("s" | "us", true) => {
                let share = if decl.unit == Unit::SECONDS {
                    100.0
                } else {
                    100.0 / 1e6
                };
                let (factor, of) = busy(decl, threads);
                fixed(share * factor, "%", of)
            }
            ("B", true) | ("B/s", false) => {
                let (factor, unit) = prefix(peak, 1000.0, &["B/s", "kB/s", "MB/s", "GB/s", "TB/s"]);
                fixed(factor, unit, "")
            }
            ("B", false) => {
                let (factor, unit) = prefix(peak, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB"]);
                fixed(factor, unit, "")
            }
            ("W", false) | ("J", true) => fixed(1.0, "W", ""),
            ("%", false) => fixed(1.0, "%", ""),
            _ => Self {
                factor: 1.0,
                unit: "",
                other: rate_unit(decl).as_str().to_owned(),
                of: "",
            },
        }
    }

    /// The unit's printed form.
    pub(crate) fn unit(&self) -> &str {
        if self.other.is_empty() {
            self.unit
        } else {
            &self.other
        }
    }
}

/// What processor time is a share of. The machine's total is shown as a share of all its
/// processors, everything else as a share of one; time under pressure is a share of time.
fn busy(decl: &SeriesDecl, threads: Option<u32>) -> (f64, &'static str) {
    let family = decl.name.split('.').next().unwrap_or_default();
    match (family, decl.scope, &decl.instance, threads) {
        ("pressure" | "psi", ..) => (1.0, " of time"),
        ("cpu", Scope::Machine, None, Some(threads)) => (1.0 / f64::from(threads), " of machine"),
        ("disk" | "net" | "network", ..) => (1.0, " of time"),
        _ => (1.0, " of one core"),
    }
}

fn prefix(peak: f64, step: f64, names: &[&'static str]) -> (f64, &'static str) {
    let mut factor = 1.0;
    let mut chosen = 0;
    while peak * factor >= step && chosen + 1 < names.len() {
        factor /= step;
        chosen += 1;
    }
    (factor, names[chosen])
}

/// Groups of series as they stand in a report, in that order.
pub(crate) const FAMILIES: [&str; 12] = [
    "Chips",
    "CPU",
    "Load",
    "Memory",
    "Pressure",
    "Disk",
    "Network",
    "Control group",
    "Power",
    "Temperature",
    "Monitor",
    "Other",
];

/// The group a series belongs to; an index into [`FAMILIES`].
pub(crate) fn family(decl: &SeriesDecl) -> usize {
    let name = decl.name.split('.').next().unwrap_or_default();
    let wanted = match (decl.scope, name) {
        (Scope::Cgroup, _) | (_, "cgroup") => "Control group",
        (Scope::Monitor, _) | (_, "monitor") => "Monitor",
        (Scope::Chip, _) => "Chips",
        (_, "cpu") => "CPU",
        (_, "load") => "Load",
        (_, "memory" | "mem" | "swap" | "vm") => "Memory",
        (_, "pressure" | "psi") => "Pressure",
        (_, "disk") => "Disk",
        (_, "net" | "network" | "rdma" | "ib") => "Network",
        (_, "power" | "rapl" | "energy") => "Power",
        (_, "temperature" | "temp" | "thermal") => "Temperature",
        _ => "Other",
    };
    FAMILIES
        .iter()
        .position(|family| *family == wanted)
        .unwrap_or(FAMILIES.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decl(name: &str, instance: Option<&str>, unit: Unit, kind: SeriesKind) -> SeriesDecl {
        SeriesDecl {
            name: name.into(),
            instance: instance.map(Into::into),
            unit,
            kind,
            scope: Scope::Machine,
            resolution: 1.0,
        }
    }

    #[test]
    fn processor_seconds_become_percent() {
        let total = decl("cpu.busy", None, Unit::SECONDS, SeriesKind::Counter);
        let shown = Shown::of(&total, Some(4), 4.0);
        assert_eq!(
            (shown.factor, shown.unit(), shown.of),
            (25.0, "%", " of machine")
        );
        assert_eq!(Shown::of(&total, None, 4.0).of, " of one core");
        let core = decl("cpu.busy", Some("cpu0"), Unit::SECONDS, SeriesKind::Counter);
        let shown = Shown::of(&core, Some(4), 1.0);
        assert_eq!((shown.factor, shown.of), (100.0, " of one core"));
        assert_eq!(rate_unit(&core).as_str(), "s/s");
        let stall = decl(
            "pressure.cpu",
            None,
            Unit::MICROSECONDS,
            SeriesKind::Counter,
        );
        let shown = Shown::of(&stall, Some(4), 1e5);
        assert!((shown.factor * 1e5 - 10.0).abs() < 1e-9);
        assert_eq!(shown.of, " of time");
    }

    #[test]
    fn bytes_get_a_prefix_and_joules_become_watts() {
        let read = decl("disk.read", Some("sda"), Unit::BYTES, SeriesKind::Counter);
        assert_eq!(Shown::of(&read, None, 2.5e8).unit(), "MB/s");
        assert_eq!(Shown::of(&read, None, 0.0).unit(), "B/s");
        assert_eq!(rate_unit(&read), Unit::BYTES_PER_S);
        let used = decl("memory.used", None, Unit::BYTES, SeriesKind::Gauge);
        let shown = Shown::of(&used, None, 3.0 * 1024.0 * 1024.0);
        assert_eq!((shown.unit(), shown.factor * 1_048_576.0), ("MiB", 1.0));
        let energy = decl("power.package", None, Unit::JOULES, SeriesKind::Counter);
        assert_eq!(Shown::of(&energy, None, 90.0).unit(), "W");
        let swaps = decl("cpu.switches", None, Unit::NONE, SeriesKind::Counter);
        assert_eq!(Shown::of(&swaps, None, 90.0).unit(), "1/s");
    }

    #[test]
    fn families_follow_scope_first() {
        let mut usage = decl("cpu.usage", None, Unit::SECONDS, SeriesKind::Counter);
        assert_eq!(FAMILIES[family(&usage)], "CPU");
        usage.scope = Scope::Cgroup;
        assert_eq!(FAMILIES[family(&usage)], "Control group");
        usage.scope = Scope::Chip;
        assert_eq!(FAMILIES[family(&usage)], "Chips");
        let strange = decl("gizmo", None, Unit::NONE, SeriesKind::Gauge);
        assert_eq!(FAMILIES[family(&strange)], "Other");
    }
}
