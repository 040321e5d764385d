//! What is read of a chip.

use flagperf_model::{Scope, SeriesDecl, SeriesKind, Unit};

/// Something that a status tool tells of a chip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quantity {
    /// Watts, of the chip or of the card that it is on, as the tool tells it.
    Power,
    /// °C, of the core.
    Temperature,
    /// Bytes of its memory in use.
    MemoryUsed,
    /// Bytes of its memory.
    MemoryTotal,
    /// Share of time in which its cores had work, in percent.
    Utilization,
    /// Share of time in which its memory was read or written, in percent.
    MemoryUtilization,
    /// MHz of its cores.
    Clock,
    /// MHz of its memory.
    MemoryClock,
}

/// How many quantities there are.
pub(crate) const QUANTITIES: usize = 8;

impl Quantity {
    /// All of them.
    pub const ALL: [Self; QUANTITIES] = [
        Self::Power,
        Self::Temperature,
        Self::MemoryUsed,
        Self::MemoryTotal,
        Self::Utilization,
        Self::MemoryUtilization,
        Self::Clock,
        Self::MemoryClock,
    ];

    /// Those that change while a case runs, each of which is a series.
    pub const SERIES: [Self; QUANTITIES - 1] = [
        Self::Power,
        Self::Temperature,
        Self::MemoryUsed,
        Self::Utilization,
        Self::MemoryUtilization,
        Self::Clock,
        Self::MemoryClock,
    ];

    /// The name of its series: `chip.power`.
    pub fn series_name(self) -> &'static str {
        match self {
            Self::Power => "chip.power",
            Self::Temperature => "chip.temperature",
            Self::MemoryUsed => "chip.memory_used",
            Self::MemoryTotal => "chip.memory_total",
            Self::Utilization => "chip.utilization",
            Self::MemoryUtilization => "chip.memory_utilization",
            Self::Clock => "chip.clock",
            Self::MemoryClock => "chip.memory_clock",
        }
    }

    /// Its unit.
    pub fn unit(self) -> Unit {
        match self {
            Self::Power => Unit::WATTS,
            Self::Temperature => Unit::CELSIUS,
            Self::MemoryUsed | Self::MemoryTotal => Unit::BYTES,
            Self::Utilization | Self::MemoryUtilization => Unit::PERCENT,
            Self::Clock | Self::MemoryClock => Unit::MEGAHERTZ,
        }
    }

    /// What one count of a stored number is worth. Tools print at most so many digits.
    pub fn resolution(self) -> f64 {
        match self {
            Self::Power => 0.01,
            Self::Temperature | Self::Utilization | Self::MemoryUtilization => 0.1,
            Self::MemoryUsed | Self::MemoryTotal | Self::Clock | Self::MemoryClock => 1.0,
        }
    }

    /// What a chip can have of it. A number outside is a slip of the tool: drivers print all ones, for one, where
    /// they could not read.
    fn is_plausible(self, value: f64) -> bool {
        match self {
            Self::Power => (0.0..=100_000.0).contains(&value),
            Self::Temperature => (-100.0..=300.0).contains(&value),
            Self::MemoryUsed | Self::MemoryTotal => (0.0..=1e15).contains(&value),
            Self::Utilization | Self::MemoryUtilization => (0.0..=100.0).contains(&value),
            Self::Clock | Self::MemoryClock => (0.0..=100_000.0).contains(&value),
        }
    }

    /// What a printed unit is worth in the quantity's own; the empty one stands for "as the tool always means it".
    fn scale(self, unit: &str) -> Option<f64> {
        const KIB: f64 = 1024.0;
        Some(match (self, unit) {
            (Self::Power, "" | "W") => 1.0,
            (Self::Power, "mW") => 1e-3,
            (Self::Temperature, "" | "C" | "°C") => 1.0,
            (Self::MemoryUsed | Self::MemoryTotal, "B") => 1.0,
            (Self::MemoryUsed | Self::MemoryTotal, "KiB") => KIB,
            (Self::MemoryUsed | Self::MemoryTotal, "" | "MiB") => KIB * KIB,
            (Self::MemoryUsed | Self::MemoryTotal, "GiB") => KIB * KIB * KIB,
            (Self::Utilization | Self::MemoryUtilization, "" | "%") => 1.0,
            (Self::Clock | Self::MemoryClock, "" | "MHz") => 1.0,
            _ => return None,
        })
    }

    /// The value of a number and the unit that it was printed with.
    pub(crate) fn value(self, number: &str, unit: &str) -> Value {
        let strange = || Value::Unreadable(format!("{number} {unit}").trim().to_owned());
        let Some(number) = plain_number(number) else {
            return strange();
        };
        match self.scale(unit).map(|scale| number * scale) {
            Some(value) if self.is_plausible(value) => Value::Number(value),
            _ => strange(),
        }
    }

    /// Its series on one chip.
    pub(crate) fn series(self, label: &str) -> SeriesDecl {
        SeriesDecl {
            name: self.series_name().to_owned(),
            instance: Some(label.to_owned()),
            unit: self.unit(),
            kind: SeriesKind::Gauge,
            scope: Scope::Chip,
            resolution: self.resolution(),
        }
    }
}

/// Digits with at most one point and a minus before them. Rust reads more than that as a number: `inf`, `1e9`.
fn plain_number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_plain = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
    text.parse().ok().filter(|_| is_plain && text.len() <= 24)
}

/// What a tool told of a quantity.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value {
    /// A number, in the quantity's unit.
    Number(f64),
    /// The chip has no such thing, in the tool's word for it: `[N/A]`. It stays so.
    Unsupported(String),
    /// Something that is no number, as it was printed; the next time it may be one.
    Unreadable(String),
    /// The tool does not speak of it.
    #[default]
    Untold,
}

impl Value {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Number(value) => Some(*value),
            Self::Unsupported(_) | Self::Unreadable(_) | Self::Untold => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units_and_bounds() {
        use Quantity::{Clock, MemoryUsed, Power, Temperature, Utilization};
        let number = |quantity: Quantity, number, unit| quantity.value(number, unit).number();
        assert_eq!(number(Power, "631.95", "W"), Some(631.95));
        assert_eq!(number(Power, "65000", "mW"), Some(65.0));
        assert_eq!(number(Power, "631.95", "MiB"), None);
        assert_eq!(number(MemoryUsed, "3", "MiB"), Some(3_145_728.0));
        assert_eq!(number(MemoryUsed, "18446744073709551615", "B"), None);
        assert_eq!(
            number(MemoryUsed, "1", "MB"),
            None,
            "10^6 or 2^20 bytes, who knows"
        );
        assert_eq!(number(Temperature, "-4", ""), Some(-4.0));
        assert_eq!(number(Utilization, "101", "%"), None);
        assert_eq!(number(Clock, "4294967295", "MHz"), None);
        for strange in [
            "", "-", ".", "1.2.3", "inf", "NaN", "1e3", "+3", "0x10", "1,5", "٣",
        ] {
            assert_eq!(number(Power, strange, "W"), None, "{strange}");
        }
    }

    #[test]
    fn every_quantity_is_stored_as_whole_numbers_of_its_resolution() {
        for quantity in Quantity::ALL {
            assert!(quantity.resolution() > 0.0 && quantity.resolution() <= 1.0);
            assert!(quantity.series_name().starts_with("chip."));
        }
    }
}
