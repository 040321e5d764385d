//! FlagPerf's classic files: monitor logs, `detail_result.json`, and the statistics of the report
//! at the end of the log. Their forms are those of the Python harness, so that tools which read
//! them go on working; unlike there, the figures are of the measured window only.

mod chips;

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use flagperf_model::{MachineFacts, NodeName, Scope, SeriesDecl, SeriesKind, Timestamp, Window};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::disk::{Appender, Disk, Weight};
use crate::samples::Reader;

use chips::ChipFigures;

/// What the classic files say of one case on one node; values are of the measured window.
#[derive(Debug, Default)]
pub(crate) struct Classic {
    /// Busy share of all processors, 0 to 1.
    cpu: Vec<f64>,
    /// Used share of the memory, 0 to 1.
    mem: Vec<f64>,
    /// Power of the machine in watts.
    pwr: Vec<f64>,
    chips: ChipFigures,
}

/// Reads the samples of a task block by block and writes the monitor logs beside them. Without a
/// window all samples count.
pub(crate) fn monitor_logs(
    disk: &mut Disk,
    run: &Path,
    directory: &str,
    facts: Option<&MachineFacts>,
    window: Option<Window>,
    clock: &Clock,
) -> io::Result<Classic> {
    let chips = chips::monitor_log(disk, run, directory, facts, window, clock)?;
    let mut reader = Reader::open(&run.join(directory).join(crate::task::SAMPLES))?;
    let mut logs = [
        Log::new("cpu_monitor.log", 4, cpu(&reader.series, facts)),
        Log::new("mem_monitor.log", 6, memory(&reader.series, facts)),
        Log::new("pwr_monitor.log", 1, power(&reader.series)),
    ];
    while let Some(block) = reader.next() {
        for log in &mut logs {
            log.text.clear();
            for (tick, &at) in block.times.iter().enumerate() {
                log.take(at, |column| block.columns[column][tick], window, clock);
            }
            if !log.text.is_empty() {
                let file = log.file.get_or_insert_with(|| {
                    Appender::open(disk, &format!("{directory}/{}", log.name), Weight::Bulk)
                });
                file.append(disk, log.text.as_bytes());
            }
        }
    }
    let [cpu, mem, pwr] = logs.map(|log| log.values);
    Ok(Classic {
        cpu,
        mem,
        pwr,
        chips,
    })
}

/// One monitor log and where its figures come from.
struct Log {
    name: &'static str,
    decimals: usize,
    sources: Vec<Source>,
    file: Option<Appender>,
    text: String,
    values: Vec<f64>,
}

/// A column, and the factor from its stored numbers to the log's unit.
struct Source {
    column: usize,
    factor: f64,
    kind: SeriesKind,
    before: Option<(Timestamp, i64)>,
}

impl Log {
    fn new(name: &'static str, decimals: usize, sources: Vec<Source>) -> Self {
        Self {
            name,
            decimals,
            sources,
            file: None,
            text: String::new(),
            values: Vec::new(),
        }
    }

    /// Adds one moment: the sum over the sources, if all of them have a value.
    fn take(
        &mut self,
        at: Timestamp,
        value: impl Fn(usize) -> Option<i64>,
        window: Option<Window>,
        clock: &Clock,
    ) {
        let mut total = 0.0;
        let mut since = at;
        let mut whole = !self.sources.is_empty();
        for source in &mut self.sources {
            let now = value(source.column);
            let before = source.before;
            source.before = now.map(|now| (at, now)).or(before);
            match (source.kind, now, before) {
                (SeriesKind::Gauge, Some(now), _) => total += now as f64 * source.factor,
                (SeriesKind::Counter, Some(now), Some((then, old))) if at > then => {
                    since = since.min(then);
                    total += now.wrapping_sub(old) as f64 * source.factor / at.seconds_since(then);
                }
                _ => whole = false,
            }
        }
        if !whole {
            return;
        }
        let text = format!("{total:.*}", self.decimals);
        if window.is_none_or(|window| window.begin <= since && at <= window.end) {
            // The figures of the result file are those of the log, as they always were.
            self.values.extend(text.parse::<f64>());
        }
        self.text.push_str(&clock.monitor(at));
        self.text.push('\t');
        self.text.push_str(&text);
        self.text.push('\n');
    }
}

fn source(column: usize, decl: &SeriesDecl, factor: f64) -> Source {
    Source {
        column,
        factor: factor * decl.resolution,
        kind: decl.kind,
        before: None,
    }
}

/// A series of the whole machine by its name.
fn machine<'a>(series: &'a [SeriesDecl], name: &str) -> Option<(usize, &'a SeriesDecl)> {
    series.iter().enumerate().find(|(_, decl)| {
        decl.name == name && decl.instance.is_none() && decl.scope == Scope::Machine
    })
}

/// `cpu.busy`: a gauge in percent, or a counter of seconds summed over the logical processors.
fn cpu(series: &[SeriesDecl], facts: Option<&MachineFacts>) -> Vec<Source> {
    let Some((column, decl)) = machine(series, "cpu.busy") else {
        return Vec::new();
    };
    let threads = facts.map(|facts| facts.cpu.threads).filter(|&n| n > 0);
    match (decl.kind, threads) {
        (SeriesKind::Gauge, _) => vec![source(column, decl, 0.01)],
        (SeriesKind::Counter, Some(n)) => vec![source(column, decl, 1.0 / f64::from(n))],
        (SeriesKind::Counter, None) => Vec::new(),
    }
}

/// `memory.used` in bytes, as a share of the machine's memory.
fn memory(series: &[SeriesDecl], facts: Option<&MachineFacts>) -> Vec<Source> {
    let total = facts.map_or(0, |facts| facts.memory.total);
    match machine(series, "memory.used") {
        Some((column, decl)) if total > 0 => vec![source(column, decl, 1.0 / total as f64)],
        _ => Vec::new(),
    }
}

/// The power of the machine, from the best source that it has: its own meter in watts (the kernel
/// calls it `power_meter`); the energy counter of the whole platform (`psys`); the sum of the
/// energy counters of the processor packages and their memory. Energy over time is power.
fn power(series: &[SeriesDecl]) -> Vec<Source> {
    let of = |unit: &str, kind, instance: &str| -> Vec<Source> {
        let fits = |decl: &SeriesDecl| {
            let own = decl.instance.as_deref().unwrap_or_default();
            decl.scope == Scope::Machine
                && decl.unit.as_str() == unit
                && decl.kind == kind
                && own.starts_with(instance)
        };
        series
            .iter()
            .enumerate()
            .filter(|(_, decl)| fits(decl))
            .map(|(column, decl)| source(column, decl, 1.0))
            .collect()
    };
    [
        of("W", SeriesKind::Gauge, "power_meter"),
        of("J", SeriesKind::Counter, "psys"),
        of("J", SeriesKind::Counter, "package"),
    ]
    .into_iter()
    .find(|found| !found.is_empty())
    .unwrap_or_default()
}

impl Classic {
    /// A host's object in `detail_result.json`.
    pub(crate) fn detail(&self, result_lines: &[&str]) -> Value {
        json!({
            "vendor": self.chips.detail(),
            "cpu": self.cpu,
            "mem": self.mem,
            "pwr": self.pwr,
            "flagperf": result_lines,
        })
    }

    /// The lines of the report at the end of the log, for one node.
    pub(crate) fn report(&self, node: &NodeName, node_rank: u32, result_lines: &[&str]) -> String {
        let mut text = format!(
            "{}\nNoderank {node_rank} with IP {node}\n1) Performance:\n",
            "*".repeat(50)
        );
        for line in result_lines {
            // The classic harness shows what stands between the first and the second bracket.
            if let Some(shown) = line.split(']').nth(1) {
                text.push_str("  ");
                text.push_str(shown);
                text.push('\n');
            }
        }
        let percent: Vec<f64> = self.cpu.iter().map(|share| share * 100.0).collect();
        let memory: Vec<f64> = self.mem.iter().map(|share| share * 100.0).collect();
        text.push_str("2) POWER:\n  2.1) SYSTEM POWER:\n");
        statistics(&mut text, "", &self.pwr, "Watts", 100.0);
        text.push_str("  2.2) AI-chip POWER:\n");
        self.chips.power(&mut text);
        text.push_str("  2.3) AI-chip TEMPERATURE:\n");
        self.chips.temperature(&mut text);
        text.push_str("3) Utilization:\n  3.1) SYSTEM CPU:\n");
        statistics(&mut text, "", &percent, "%", 1000.0);
        text.push_str("  3.2) SYSTEM MEMORY:\n");
        statistics(&mut text, "", &memory, "%", 1000.0);
        text.push_str("  3.3) AI-chip MEMORY:\n");
        self.chips.memory(&mut text);
        text
    }
}

/// Mean, maximum and population standard deviation, rounded to 1/`scale`; `whose` stands before them. Nothing
/// without values: absent is not zero.
fn statistics(text: &mut String, whose: &str, values: &[f64], unit: &str, scale: f64) {
    if values.is_empty() {
        return;
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let max = values.iter().copied().fold(f64::MIN, f64::max);
    let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n).sqrt();
    let round = |value: f64| (value * scale).round() / scale;
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "    {whose}AVERAGE: {:?} {unit}, MAX: {:?} {unit}, STD DEVIATION: {:?} {unit}",
        round(mean),
        round(max),
        round(deviation)
    );
}

/// The members of a JSON object in the order of the text.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Members;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Collect)
    }
}

/// Adds a member to the text of a JSON object, in the place of one with the same key; a text that
/// is not an object is begun anew.
pub(crate) fn add_member(object: &str, key: &str, value: &Value) -> String {
    // Reading all of it is worth while only where there may be something to replace.
    let text = Value::from(key).to_string();
    if object.contains(&text)
        && let Ok(Members(members)) = serde_json::from_str(object)
        && members.iter().any(|(known, _)| known == key)
    {
        let others = members.iter().filter(|(known, _)| known != key);
        let parts: Vec<String> = others
            .map(|(known, value)| (known.as_str(), value))
            .chain([(key, value)])
            .map(|(key, value)| format!("{}: {value}", Value::from(key)))
            .collect();
        return format!("{{{}}}", parts.join(", "));
    }
    let body = object
        .trim()
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .unwrap_or_default();
    let comma = if body.is_empty() { "" } else { ", " };
    format!("{{{body}{comma}{text}: {value}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_printed_like_numpy_does() {
        let mut text = String::new();
        statistics(&mut text, "", &[100.0, 75.5, 88.2], "%", 1000.0);
        assert_eq!(
            text,
            "    AVERAGE: 87.9 %, MAX: 100.0 %, STD DEVIATION: 10.004 %\n"
        );
        statistics(&mut text, "", &[], "Watts", 100.0);
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn members_are_added_to_an_object() {
        let one = add_member("", "a:b", &json!({"x": [1.5]}));
        let two = add_member(&one, "c\"d", &json!(null));
        let read: Value = serde_json::from_str(&two).unwrap();
        assert_eq!(read, json!({"a:b": {"x": [1.5]}, "c\"d": null}));
        // One with the same key is replaced and comes last.
        let again = add_member(&two, "a:b", &json!([0.1]));
        assert_eq!(again, r#"{"c\"d": null, "a:b": [0.1]}"#);
    }
}
