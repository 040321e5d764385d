//! The report as Markdown, for wikis, issues and pull requests (GitHub's flavour: tables, `<details>`).

use std::collections::HashSet;

use flagperf_model::{CaseResult, Verification, fold};

use crate::number::{count, duration, moment, percent, shell, short, significant};
use crate::shown::Shown;
use crate::steps;
use crate::view::{APART, CaseView, Cost, Tally, absences, cases, machine_lines, printable};
use crate::{CaseSamples, RunData, window_stats};

/// Writes results, failures, how the run was made, the machines, and the statistics of the
/// monitors' series.
pub fn markdown(run: &RunData) -> String {
    let record = &run.record;
    let mut out = Text(String::new());
    let cases = cases(run);
    out.line(&format!("# {}", escape(record.run.as_str())));
    out.line("");
    let mut facts = vec![moment(record.started)];
    facts.extend(
        record
            .ended
            .map(|e| duration(e.seconds_since(record.started))),
    );
    facts.push(Tally::of(run).words());
    facts.retain(|fact| !fact.is_empty());
    out.line(&facts.join(" · "));
    for item in &run.missing {
        out.line("");
        out.line(&format!("> **Missing from this record:** {}", escape(item)));
    }
    for item in &record.warnings {
        out.line("");
        out.line(&format!("> **Warning:** {}", escape(item)));
    }
    results(&mut out, &cases);
    failures(&mut out, &cases);
    setting(&mut out, run);
    out.line("");
    out.line("## Monitors");
    out.line("");
    if let Some(cost) = Cost::of(&record.results) {
        out.line(&format!("The {}.", cost.words()));
        out.line("");
    }
    out.line("Statistics are of the measured window of each case.");
    for case in &cases {
        for (index, result) in &case.rounds {
            let samples: Vec<&CaseSamples> = run.samples_of(*index).collect();
            if samples.len() > APART {
                nodewise(&mut out, run, case, result, &samples);
                continue;
            }
            for samples in samples {
                monitors(&mut out, run, case, result, samples);
            }
        }
    }
    out.0
}

struct Text(String);

impl Text {
    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }

    fn row<const N: usize>(&mut self, cells: [&str; N]) {
        self.line(&format!("| {} |", cells.join(" | ")));
    }
}

fn results(out: &mut Text, cases: &[CaseView<'_>]) {
    out.line("");
    out.line("## Results");
    out.line("");
    out.row(["Case", "Value", "Unit", "Spread", "95 % interval", "State"]);
    out.row(["---", "---:", "---", "---:", "---:", "---"]);
    for case in cases {
        for row in case.rows() {
            let spread = row
                .value
                .as_ref()
                .and_then(|v| v.spread)
                .filter(|s| s.n > 1);
            let label = format!("{}{}", "&emsp;".repeat(row.depth), escape(&row.label));
            let state = match (row.depth, &row.text, row.outcome) {
                (0, Some(text), _) if row.value.is_none() => text.clone(),
                (0, ..) => case.state(),
                (_, _, Some(outcome)) => outcome.word().to_owned(),
                _ => String::new(),
            };
            out.row([
                &label,
                &row.value
                    .as_ref()
                    .map_or(String::new(), |v| significant(v.number)),
                &row.value
                    .as_ref()
                    .map_or(String::new(), |v| escape(&v.unit)),
                &spread.map_or(String::new(), |s| format!("{} %", percent(s.cv))),
                &spread
                    .and_then(|s| s.ci95)
                    .map_or(String::new(), |[low, high]| {
                        format!("{} to {}", significant(low), significant(high))
                    }),
                &escape(&state),
            ]);
        }
    }
    out.line("");
    out.line(
        "Spread: standard deviation of the repetitions divided by their mean. \
         95 % interval: bootstrap interval of the median, given for six repetitions or more.",
    );
    let unchecked = cases.iter().flat_map(|case| {
        case.rounds.iter().flat_map(|(_, result)| {
            result
                .measurements
                .iter()
                .filter_map(|(_, m)| match &m.verification {
                    Verification::Unchecked(why) => Some((&m.metric, why)),
                    Verification::Checked(_) => None,
                })
        })
    });
    let mut lines: Vec<String> = unchecked
        .map(|(metric, why)| {
            format!(
                "- {}: not checked, {}",
                escape(metric.as_str()),
                escape(why)
            )
        })
        .collect();
    let mut seen = HashSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    if !lines.is_empty() {
        out.line("");
        out.line(&lines.join("\n"));
    }
}

fn failures(out: &mut Text, cases: &[CaseView<'_>]) {
    let failed = cases.iter().flat_map(|case| &case.rounds);
    for (_, result) in failed.filter(|(_, result)| result.outcome.is_failure()) {
        out.line("");
        out.line(&format!(
            "### {}, round {}",
            escape(result.case.as_str()),
            result.round
        ));
        out.line("");
        out.line(&escape(&result.outcome.to_string()));
        if !result.tail.is_empty() {
            out.line("");
            code(out, &result.tail);
        }
    }
}

/// A code block whose fence is longer than any run of backticks inside it.
fn code(out: &mut Text, lines: &[String]) {
    let longest = lines
        .iter()
        .flat_map(|line| line.split(|c| c != '`'))
        .map(str::len)
        .max()
        .unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    out.line(&format!("{fence}text"));
    for line in lines {
        out.line(&printable(line));
    }
    out.line(&fence);
}

fn setting(out: &mut Text, run: &RunData) {
    let record = &run.record;
    out.line("");
    out.line("## How it was run");
    out.line("");
    code(out, &[shell(&record.command)]);
    out.line("");
    out.line(&format!(
        "FlagPerf {}, monitors every {}.",
        escape(&record.version),
        duration(record.plan.monitor.interval_ns as f64 / 1e9)
    ));
    let steps = steps::lines(&record.nodes);
    if !steps.is_empty() {
        out.line("");
    }
    for line in steps {
        let failed = if line.failed { "**failed**: " } else { "" };
        out.line(&format!(
            "- {}, {}: {failed}{} ({})",
            escape(&line.step),
            escape(&line.nodes),
            escape(&line.words),
            duration(line.seconds)
        ));
    }
    for (nodes, line) in machine_lines(&record.nodes) {
        out.line("");
        out.line(&format!("- **{}**: {}", escape(&nodes), escape(&line)));
    }
    for (gone, nodes) in absences(&record.nodes) {
        let (indent, where_) = match record.nodes.len() {
            1 => ("  ", String::new()),
            _ => ("", format!(" on {}", escape(&fold(&nodes)))),
        };
        let (name, reason) = (escape(&gone.name), escape(&gone.reason));
        out.line(&format!("{indent}- no {name}{where_}: {reason}"));
    }
}

fn monitors(
    out: &mut Text,
    run: &RunData,
    case: &CaseView<'_>,
    result: &CaseResult,
    samples: &CaseSamples,
) {
    open(out, case, result, &samples.node);
    out.row(["Series", "Mean", "Max", "Min", "Std. dev.", "Unit"]);
    out.row(["---", "---:", "---:", "---:", "---:", "---"]);
    let threads = run.threads_of(&samples.node);
    for series in samples.series() {
        let name = match &series.decl.instance {
            Some(instance) => format!("{} {instance}", series.decl.name),
            None => series.decl.name.clone(),
        };
        let Some(stats) = window_stats(&series, result.window) else {
            out.row([&escape(&name), "no sample in the window", "", "", "", ""]);
            continue;
        };
        let shown = Shown::of(series.decl, threads, stats.max.abs().max(stats.min.abs()));
        let number = |value: f64| short(value * shown.factor);
        out.row([
            &escape(&name),
            &number(stats.mean),
            &number(stats.max),
            &number(stats.min),
            &number(stats.std),
            &escape(&format!("{}{}", shown.unit(), shown.of)),
        ]);
    }
    out.line("");
    out.line("</details>");
}

/// Begins the details on what the monitors saw of a round.
fn open(out: &mut Text, case: &CaseView<'_>, result: &CaseResult, whose: &str) {
    let mut title = case.name.to_string();
    if case.rounds.len() > 1 {
        title = format!("{title}, round {}", result.round);
    }
    let over = match result.window {
        Some(window) => format!("window of {}", duration(window.seconds())),
        None => "no window known, so over its whole time".to_owned(),
    };
    out.line("");
    out.line(&format!(
        "<details><summary>{} on {} ({over})</summary>",
        escape(&title),
        escape(whose)
    ));
    out.line("");
}

/// What the monitors of many nodes saw: the means of their series beside each other.
fn nodewise(
    out: &mut Text,
    run: &RunData,
    case: &CaseView<'_>,
    result: &CaseResult,
    samples: &[&CaseSamples],
) {
    open(out, case, result, &count(samples.len(), "node"));
    out.row([
        "Series, by its means",
        "Median",
        "Lowest",
        "",
        "Highest",
        "",
        "Unit",
    ]);
    out.row(["---", "---:", "---:", "---", "---:", "---", "---"]);
    for nodewise in crate::nodewise::all_nodewise(run, samples, result.window) {
        let name = escape(&nodewise.name());
        let Some(means) = &nodewise.means else {
            out.row([&name, "no sample in the window", "", "", "", "", ""]);
            continue;
        };
        let (low, high) = (means.lowest(), means.highest());
        out.row([
            &name,
            &short(means.spread.median),
            &short(low.value),
            &escape(&low.name),
            &short(high.value),
            &escape(&high.name),
            &escape(&format!("{}{}", means.unit, nodewise.shown.of)),
        ]);
    }
    out.line("");
    out.line("</details>");
}

/// Text that Markdown and the HTML inside it show as it is, on one line.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(&text.replace(['\n', '\r'], " ")).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn escaped_text_opens_nothing(text in any::<String>()) {
            let escaped = escape(&text);
            let breaks = escaped.contains(['<', '>', '\n', '\r', '\x1b']);
            prop_assert!(!breaks);
            let bytes = escaped.as_bytes();
            // Every mark that means something has an odd number of backslashes before it.
            for (i, byte) in bytes.iter().enumerate() {
                if b"`*_[]|#~".contains(byte) {
                    let slashes = bytes[..i].iter().rev().take_while(|b| **b == b'\\').count();
                    prop_assert!(slashes % 2 == 1);
                }
            }
        }
    }

    #[test]
    fn a_code_block_cannot_be_left_from_inside() {
        let mut out = Text(String::new());
        code(&mut out, &["a".into(), "````".into(), "b".into()]);
        assert_eq!(out.0, "`````text\na\n````\nb\n`````\n");
    }
}
