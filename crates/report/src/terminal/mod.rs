//! The summary that a person reads in a terminal after a run.

mod table;

use std::collections::HashSet;

use flagperf_model::{CaseResult, NodeName, Outcome};
use owo_colors::{OwoColorize, Style};

use crate::RunData;
use crate::number::{duration, moment};
use crate::view::{CaseView, Cost, Tally, cases, machine_lines, printable};

/// How the summary looks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalOptions {
    /// Write ANSI escape sequences for colour and weight.
    pub colour: bool,
    /// Columns of the terminal.
    pub width: usize,
    /// Where the record lies, as it is to be named to the reader.
    pub location: Option<String>,
    /// How many of the last lines of a failed case's output are shown.
    pub tail_lines: usize,
}

impl Default for TerminalOptions {
    fn default() -> Self {
        Self {
            colour: false,
            width: 80,
            location: None,
            tail_lines: 10,
        }
    }
}

/// A terminal is never taken for narrower than this; below it, lines are broken by the terminal.
const NARROWEST: usize = 24;

/// Characters of a line of output that are shown; the rest is in the record.
const LONGEST_LINE: usize = 400;

/// Paths of a failed case's output that are shown.
const PATHS: usize = 3;

/// Writes the summary: a head, one table, what failed and why, and where the record lies.
pub fn terminal(run: &RunData, options: &TerminalOptions) -> String {
    let mut page = Page {
        paint: Paint(options.colour),
        width: options.width.max(NARROWEST),
        out: String::new(),
    };
    let cases = cases(run);
    head(&mut page, run);
    table::write(&mut page, &cases);
    for case in &cases {
        failures(&mut page, run, case, options);
    }
    foot(&mut page, run, options);
    page.out
}

/// Colour or none.
struct Paint(bool);

impl Paint {
    fn apply(&self, style: Style, text: &str) -> String {
        if self.0 && !text.trim().is_empty() {
            text.style(style).to_string()
        } else {
            text.to_owned()
        }
    }
}

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

fn style_of(outcome: Option<&Outcome>) -> Style {
    match outcome {
        Some(Outcome::Passed) => Style::new().green(),
        Some(Outcome::Unsupported { .. }) => DIM,
        Some(outcome) if outcome.is_failure() => Style::new().red().bold(),
        _ => Style::new().yellow(),
    }
}

struct Page {
    paint: Paint,
    width: usize,
    out: String,
}

impl Page {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    /// Prose, broken at words to the width; further lines are indented by `hang`.
    fn prose(&mut self, style: Style, hang: usize, text: &str) {
        for line in wrap(&printable(text), self.width, hang) {
            let line = self.paint.apply(style, &line);
            self.line(&line);
        }
    }
}

fn head(page: &mut Page, run: &RunData) {
    let record = &run.record;
    let mut title = format!("{} · {}", record.run, moment(record.started));
    if let Some(ended) = record.ended {
        title.push_str(
            &format_args!(" · {}", duration(ended.seconds_since(record.started))).to_string(),
        );
    }
    page.prose(BOLD, 2, &title);
    for (nodes, line) in machine_lines(&record.nodes) {
        page.prose(DIM, 2, &format!("{nodes}: {line}"));
    }
    page.line("");
}

fn failures(page: &mut Page, run: &RunData, case: &CaseView<'_>, options: &TerminalOptions) {
    for (_, result) in &case.rounds {
        if !result.outcome.is_failure() {
            continue;
        }
        let round = if case.rounds.len() > 1 {
            format!(", round {}", result.round)
        } else {
            String::new()
        };
        page.line("");
        let title = format!("{}{round}: {}", case.name, result.outcome);
        page.prose(style_of(Some(&result.outcome)), 2, &title);
        let skipped = result.tail.len().saturating_sub(options.tail_lines);
        for line in &result.tail[skipped..] {
            let bar = page.paint.apply(DIM, "  │ ");
            let shown: String = line.chars().take(LONGEST_LINE).collect();
            let more = if shown.len() < line.len() { "…" } else { "" };
            page.line(&format!("{bar}{}{more}", printable(&shown)));
        }
        let directories = concerned(run, result);
        for directory in directories.iter().take(PATHS) {
            let path = printable(&output_path(run, options, directory));
            let label = if result.directories.len() > 1 {
                "  its output there:"
            } else {
                "  all of its output:"
            };
            // Never broken: a path is there to be copied.
            if len(label) + 1 + len(&path) <= page.width {
                let line = page.paint.apply(DIM, label);
                page.line(&format!("{line} {path}"));
            } else {
                let line = page.paint.apply(DIM, label);
                page.line(&line);
                page.line(&format!("    {path}"));
            }
        }
        let more = directories.len().saturating_sub(PATHS);
        if more > 0 {
            page.prose(DIM, 4, &format!("  and {more} more beside it"));
        }
    }
}

/// The directories of the nodes on which a case failed; of all its nodes if none is named.
fn concerned<'a>(run: &'a RunData, result: &'a CaseResult) -> Vec<&'a str> {
    let mut named: Vec<&NodeName> = result.outcome.node().into_iter().collect();
    if let Outcome::Failed { also, .. } = &result.outcome {
        named.extend(also);
    }
    let tasks = run.record.plan.cases.iter().flat_map(|case| &case.tasks);
    let there: HashSet<&str> = tasks
        .filter(|task| named.contains(&&task.node))
        .map(|task| task.directory.as_str())
        .collect();
    let all = || result.directories.iter().map(String::as_str);
    let found: Vec<&str> = all().filter(|path| there.contains(path)).collect();
    if found.is_empty() {
        all().collect()
    } else {
        found
    }
}

/// Where the output of a task lies: its file as the plan names it, else its directory.
fn output_path(run: &RunData, options: &TerminalOptions, directory: &str) -> String {
    let log = run
        .record
        .plan
        .cases
        .iter()
        .flat_map(|case| &case.tasks)
        .find(|task| task.directory == directory)
        // Where ranks have logs of their own, it is one of several.
        .filter(|task| task.rank_logs.is_empty())
        .map(|task| task.log.as_str());
    let location = options
        .location
        .as_deref()
        .map(|location| location.trim_end_matches('/'));
    let parts = location.into_iter().chain([directory]).chain(log);
    parts.collect::<Vec<_>>().join("/")
}

fn foot(page: &mut Page, run: &RunData, options: &TerminalOptions) {
    let record = &run.record;
    for (title, items) in [
        ("warning", &record.warnings),
        ("missing from this record", &run.missing),
    ] {
        for item in items {
            page.line("");
            page.prose(Style::new().yellow(), 2, &format!("{title}: {item}"));
        }
    }
    page.line("");
    let tally = Tally::of(run);
    let words = tally.words();
    if !words.is_empty() {
        let style = if tally.failed {
            Style::new().red().bold()
        } else {
            Style::new().green()
        };
        page.prose(style, 2, &words);
    }
    if let Some(cost) = Cost::of(&record.results) {
        page.prose(DIM, 2, &cost.words());
    }
    if let Some(location) = &options.location {
        // Never broken: a path is there to be copied.
        let line = page.paint.apply(DIM, "record: ");
        page.line(&format!("{line}{}", printable(location)));
    }
}

fn len(text: &str) -> usize {
    text.chars().count()
}

fn left(text: &str, width: usize) -> String {
    format!("{text:<width$}")
}

fn right(text: &str, width: usize) -> String {
    format!("{text:>width$}")
}

/// Breaks text at spaces so that no line is longer than `width`, unless one word is.
fn wrap(text: &str, width: usize, hang: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let indent: String = text.chars().take_while(|c| *c == ' ').collect();
    let mut line = indent;
    let mut empty = true;
    for word in text.split_whitespace() {
        if !empty && len(&line) + 1 + len(word) > width {
            lines.push(std::mem::replace(&mut line, " ".repeat(hang)));
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.push_str(word);
        empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_broken_at_words() {
        assert_eq!(wrap("one two three", 8, 2), ["one two", "  three"]);
        assert_eq!(wrap("unbreakable", 4, 0), ["unbreakable"]);
        assert_eq!(wrap("", 4, 0), [""]);
    }
}
