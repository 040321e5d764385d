//! The classic files' part on chips: `<vendor>_monitor.log`, the `vendor` object of `detail_result.json`, and the
//! statistics of each chip.
//!
//! A classic tool takes the lines of a sample for the ranks in turn, so each chip has its line in every sample,
//! with `N/A` for what is not known.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use flagperf_model::{ChipFacts, MachineFacts, Scope, SeriesDecl, Timestamp, Window};
use serde_json::{Map, Value, json};

use super::statistics;
use crate::clock::Clock;
use crate::disk::{Appender, Disk, Weight};
use crate::samples::Reader;
use crate::task::CHIP_SAMPLES;

/// Bytes in a MiB.
const MIB: f64 = 1_048_576.0;

/// What the classic files say of the chips of a node.
#[derive(Debug, Default)]
pub(super) struct ChipFigures(Vec<Figures>);

/// Of one chip; values are of the measured window, and those of the log.
#[derive(Debug, Default)]
struct Figures {
    label: String,
    /// °C.
    temperature: Vec<f64>,
    /// Watts.
    power: Vec<f64>,
    /// MiB in use.
    memory: Vec<f64>,
    /// MiB in all.
    total: Option<f64>,
}

/// Where the values of a chip stand, each with the factor from stored numbers to the log's unit.
#[derive(Debug, Default)]
struct Columns {
    temperature: Option<(usize, f64)>,
    power: Option<(usize, f64)>,
    memory: Option<(usize, f64)>,
    utilization: Option<(usize, f64)>,
}

/// Writes the monitor log of the chips, if there were samples of any. Without a window all samples count.
pub(super) fn monitor_log(
    disk: &mut Disk,
    run: &Path,
    directory: &str,
    facts: Option<&MachineFacts>,
    window: Option<Window>,
    clock: &Clock,
) -> io::Result<ChipFigures> {
    let mut reader = match Reader::open(&run.join(directory).join(CHIP_SAMPLES)) {
        Ok(reader) => reader,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(ChipFigures::default()),
        Err(error) => return Err(error),
    };
    let known = facts.map_or(&[][..], |facts| &facts.chips);
    let mut chips = chips(&reader.series, known);
    let name = format!("{directory}/{}_monitor.log", vendor(known));
    let mut file = None;
    while let Some(block) = reader.next() {
        let mut text = String::new();
        for (tick, &at) in block.times.iter().enumerate() {
            let value = |column: Option<(usize, f64)>| {
                let (column, factor) = column?;
                Some(block.columns[column][tick]? as f64 * factor)
            };
            let counts = window.is_none_or(|window| window.begin <= at && at <= window.end);
            sample(&mut text, &mut chips, at, value, counts, clock);
        }
        if !text.is_empty() {
            let file = file.get_or_insert_with(|| Appender::open(disk, &name, Weight::Bulk));
            file.append(disk, text.as_bytes());
        }
    }
    let figures = chips.into_iter().map(|(figures, _)| figures);
    Ok(ChipFigures(figures.collect()))
}

/// The name of the log's vendor, which is a part of a file's name.
fn vendor(known: &[ChipFacts]) -> &str {
    let name = known.first().map_or("", |chip| chip.vendor.as_str());
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        return "chip";
    }
    name
}

/// The chips in the order of their series.
fn chips(series: &[SeriesDecl], known: &[ChipFacts]) -> Vec<(Figures, Columns)> {
    let mut chips: Vec<(Figures, Columns)> = Vec::new();
    let of_chips = series
        .iter()
        .enumerate()
        .filter(|(_, decl)| decl.scope == Scope::Chip);
    for (column, decl) in of_chips {
        let Some(label) = &decl.instance else {
            continue;
        };
        let place = chips
            .iter()
            .position(|(figures, _)| figures.label == *label);
        let place = place.unwrap_or_else(|| {
            let facts = known.iter().find(|chip| chip.label == *label);
            let figures = Figures {
                label: label.clone(),
                total: facts
                    .and_then(|chip| chip.memory_bytes)
                    .map(|bytes| bytes as f64 / MIB),
                ..Figures::default()
            };
            chips.push((figures, Columns::default()));
            chips.len() - 1
        });
        let columns = &mut chips[place].1;
        let (field, unit) = match decl.name.as_str() {
            "chip.temperature" => (&mut columns.temperature, 1.0),
            "chip.power" => (&mut columns.power, 1.0),
            "chip.memory_used" => (&mut columns.memory, MIB),
            "chip.utilization" => (&mut columns.utilization, 1.0),
            _ => continue,
        };
        *field = Some((column, decl.resolution / unit));
    }
    // Where the first chip has no power, the second does not come first.
    let place = |label: &str| known.iter().position(|chip| chip.label == label);
    chips.sort_by_key(|(figures, _)| place(&figures.label).unwrap_or(usize::MAX));
    chips
}

/// Adds one moment, if anything is known of it.
fn sample(
    text: &mut String,
    chips: &mut [(Figures, Columns)],
    at: Timestamp,
    value: impl Fn(Option<(usize, f64)>) -> Option<f64>,
    counts: bool,
    clock: &Clock,
) {
    let is_known = |(_, columns): &(Figures, Columns)| {
        let all = [
            columns.temperature,
            columns.power,
            columns.memory,
            columns.utilization,
        ];
        all.into_iter().any(|column| value(column).is_some())
    };
    if !chips.iter().any(is_known) {
        return;
    }
    text.push_str(&clock.monitor(at));
    text.push('\n');
    for (figures, columns) in chips {
        let temperature = whole(value(columns.temperature), "C");
        let power = whole(value(columns.power), "W");
        let memory = whole(value(columns.memory), "MiB");
        let total = whole(figures.total, "MiB");
        let utilization = whole(value(columns.utilization), "%");
        if counts {
            // The figures of the result file are those of the log, as they always were.
            figures.temperature.extend(temperature.0);
            figures.power.extend(power.0);
            figures.memory.extend(memory.0);
        }
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{} {} {} {} {}",
            temperature.1, power.1, memory.1, total.1, utilization.1
        );
    }
    text.push('\n');
}

/// A value as the log has it: without decimals, with its unit; and the number that stands there.
fn whole(value: Option<f64>, unit: &str) -> (Option<f64>, String) {
    match value.map(f64::round) {
        Some(value) => (Some(value), format!("{value:.0}{unit}")),
        None => (None, "N/A".to_owned()),
    }
}

impl ChipFigures {
    /// The `vendor` object of a host.
    pub(super) fn detail(&self) -> Value {
        let by_label = |values: fn(&Figures) -> &Vec<f64>| -> Value {
            let members = self.0.iter().filter(|chip| !values(chip).is_empty());
            let members = members.map(|chip| (chip.label.clone(), json!(values(chip))));
            Value::Object(members.collect::<Map<_, _>>())
        };
        json!({
            "temp": by_label(|chip| &chip.temperature),
            "power": by_label(|chip| &chip.power),
            "mem": by_label(|chip| &chip.memory),
            "max_mem": self.0.first().and_then(|chip| chip.total).map(f64::round),
        })
    }

    /// Statistics of the power of each chip.
    pub(super) fn power(&self, text: &mut String) {
        for chip in &self.0 {
            statistics(text, &chip.whose(), &chip.power, "Watts", 100.0);
        }
    }

    /// Statistics of the temperature of each chip.
    pub(super) fn temperature(&self, text: &mut String) {
        for chip in &self.0 {
            statistics(text, &chip.whose(), &chip.temperature, "°C", 100.0);
        }
    }

    /// Statistics of the used share of the memory of each chip whose memory is known.
    pub(super) fn memory(&self, text: &mut String) {
        for chip in &self.0 {
            let Some(total) = chip.total.filter(|total| *total > 0.0) else {
                continue;
            };
            let percent: Vec<f64> = chip
                .memory
                .iter()
                .map(|used| used / total * 100.0)
                .collect();
            statistics(text, &chip.whose(), &percent, "%", 1000.0);
        }
    }
}

impl Figures {
    /// Ranks take the chips in turn, so that a rank is called as its chip is.
    fn whose(&self) -> String {
        format!("RANK {}'s ", self.label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chip(label: &str, power: &[f64]) -> Figures {
        Figures {
            label: label.to_owned(),
            temperature: vec![31.0; power.len()],
            power: power.to_vec(),
            memory: vec![10.0; power.len()],
            total: Some(81559.0),
        }
    }

    #[test]
    fn lines_are_those_of_the_python_harness() {
        let figures = ChipFigures(vec![chip("0", &[65.0, 67.0]), chip("1", &[])]);
        let mut text = String::new();
        figures.power(&mut text);
        figures.temperature(&mut text);
        figures.memory(&mut text);
        assert_eq!(
            text,
            "    RANK 0's AVERAGE: 66.0 Watts, MAX: 67.0 Watts, STD DEVIATION: 1.0 Watts\n    \
             RANK 0's AVERAGE: 31.0 °C, MAX: 31.0 °C, STD DEVIATION: 0.0 °C\n    \
             RANK 0's AVERAGE: 0.012 %, MAX: 0.012 %, STD DEVIATION: 0.0 %\n"
        );
        assert_eq!(
            figures.detail().to_string(),
            r#"{"max_mem":81559.0,"mem":{"0":[10.0,10.0]},"power":{"0":[65.0,67.0]},"temp":{"0":[31.0,31.0]}}"#
        );
        let none = ChipFigures::default().detail();
        assert_eq!(
            none,
            json!({"temp": {}, "power": {}, "mem": {}, "max_mem": null})
        );
    }

    #[test]
    fn a_vendor_names_a_file_and_no_more() {
        let chip = |vendor: &str| ChipFacts {
            vendor: vendor.to_owned(),
            ..ChipFacts::default()
        };
        assert_eq!(vendor(&[chip("nvidia")]), "nvidia");
        assert_eq!(vendor(&[chip("../x")]), "chip");
        assert_eq!(vendor(&[]), "chip");
    }
}
