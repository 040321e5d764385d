//! The summary that a person reads in a terminal after a run.

use flagperf_model::Outcome;
use owo_colors::{OwoColorize, Style};

use crate::RunData;
use crate::number::{align, duration, moment, percent, significant};
use crate::view::{CaseView, Cost, Row, Tally, cases, machine_line, printable};

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

/// From this width on the 95 % interval has a column of its own.
const WIDE: usize = 100;
/// A terminal is never taken for narrower than this; below it, lines are broken by the terminal.
const NARROWEST: usize = 24;

/// Characters of a line of output that are shown; the rest is in the record.
const LONGEST_LINE: usize = 400;

/// Writes the summary: a head, one table, what failed and why, and where the record lies.
pub fn terminal(run: &RunData, options: &TerminalOptions) -> String {
    let mut page = Page {
        paint: Paint(options.colour),
        width: options.width.max(NARROWEST),
        out: String::new(),
    };
    let cases = cases(run);
    head(&mut page, run);
    table(&mut page, &cases);
    for case in &cases {
        failures(&mut page, case, options.tail_lines);
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
    for node in &record.nodes {
        let facts = node
            .facts
            .as_ref()
            .map_or_else(|| "did not answer".to_owned(), machine_line);
        page.prose(DIM, 2, &format!("{}: {facts}", node.name));
    }
    page.line("");
}

/// The texts of a row's cells, before alignment.
struct Cells<'a> {
    row: Row<'a>,
    label: String,
    value: Option<String>,
    unit: String,
    cv: Option<String>,
    interval: String,
    state: String,
}

fn cells<'a>(case: &CaseView<'a>) -> Vec<Cells<'a>> {
    case.rows()
        .into_iter()
        .map(|row| {
            let value = row.value.as_ref();
            let spread = value.and_then(|v| v.spread).filter(|s| s.n > 1);
            let state = match row.depth {
                0 => case.state(),
                _ => row.outcome.map_or(String::new(), |o| o.word().to_owned()),
            };
            Cells {
                label: format!("{}{}", "  ".repeat(row.depth), printable(&row.label)),
                value: value.map(|v| significant(v.value)),
                unit: value.map_or(String::new(), |v| printable(&v.unit)),
                cv: spread.map(|s| percent(s.cv)),
                interval: spread.map_or(String::new(), |s| {
                    format!("{}–{}", significant(s.ci95[0]), significant(s.ci95[1]))
                }),
                state,
                row,
            }
        })
        .collect()
}

fn table(page: &mut Page, cases: &[CaseView<'_>]) {
    let mut rows: Vec<Cells<'_>> = cases.iter().flat_map(cells).collect();
    if rows.is_empty() {
        page.line("The record holds no cases.");
        return;
    }
    let values = align(&rows.iter().map(|r| r.value.clone()).collect::<Vec<_>>());
    let cvs = align(&rows.iter().map(|r| r.cv.clone()).collect::<Vec<_>>());
    for ((row, value), cv) in rows.iter_mut().zip(values).zip(cvs) {
        row.value = value;
        row.cv = cv.map(|cv| format!("{cv} %"));
    }
    let widest = |text: &dyn Fn(&Cells<'_>) -> usize, least: &str| {
        rows.iter().map(text).max().unwrap_or(0).max(len(least))
    };
    let opt = |text: &Option<String>| text.as_deref().map_or(0, len);
    let label = widest(&|r| len(&r.label), "case");
    let value = widest(&|r| opt(&r.value), "value");
    let unit = widest(&|r| len(&r.unit), "unit");
    let cv = widest(&|r| opt(&r.cv), "spread");
    let state = widest(
        &|r| if r.value.is_some() { len(&r.state) } else { 0 },
        "state",
    );
    let interval = if page.width >= WIDE {
        widest(&|r| len(&r.interval), "95 % interval")
    } else {
        0
    };
    let columns = Columns {
        label,
        value,
        unit,
        cv,
        interval,
    };
    let numbers =
        value + 1 + unit + 2 + cv + 2 + state + if interval > 0 { interval + 2 } else { 0 };
    if label + 2 + numbers <= page.width {
        wide_table(page, &rows, &columns, label + 2 + numbers);
    } else {
        narrow_table(page, &rows);
    }
    let mut legend =
        "spread: standard deviation of the repetitions divided by their mean".to_owned();
    if cases.iter().any(|case| case.rounds.len() > 1) {
        legend.push_str("; above rounds: their median, and the spread between them");
    }
    page.prose(DIM, 2, &legend);
}

struct Columns {
    label: usize,
    value: usize,
    unit: usize,
    cv: usize,
    interval: usize,
}

impl Columns {
    /// Value, unit, spread and state of a row, padded.
    fn numbers(&self, paint: &Paint, row: &Cells<'_>) -> String {
        let strong = if row.row.depth == 0 {
            BOLD
        } else {
            Style::new()
        };
        let mut text = paint.apply(
            strong,
            &right(row.value.as_deref().unwrap_or(""), self.value),
        );
        text.push(' ');
        text.push_str(&left(&row.unit, self.unit));
        text.push_str("  ");
        text.push_str(&paint.apply(DIM, &right(row.cv.as_deref().unwrap_or(""), self.cv)));
        if self.interval > 0 {
            text.push_str("  ");
            text.push_str(&paint.apply(DIM, &right(&row.interval, self.interval)));
        }
        text.push_str("  ");
        text.push_str(&paint.apply(style_of(row.row.outcome), &row.state));
        text
    }
}

fn wide_table(page: &mut Page, rows: &[Cells<'_>], columns: &Columns, width: usize) {
    let mut header = format!(
        "{}  {} {}  {}",
        left("case", columns.label),
        right("value", columns.value),
        left("unit", columns.unit),
        right("spread", columns.cv),
    );
    if columns.interval > 0 {
        header.push_str("  ");
        header.push_str(&right("95 % interval", columns.interval));
    }
    header.push_str("  state");
    let header = page.paint.apply(DIM, &header);
    page.line(&header);
    let rule = page.paint.apply(DIM, &"─".repeat(width));
    page.line(&rule);
    for row in rows {
        let plain = if row.row.depth == 0 {
            Style::new()
        } else {
            DIM
        };
        let label = page.paint.apply(plain, &left(&row.label, columns.label));
        if row.value.is_some() {
            let numbers = columns.numbers(&page.paint, row);
            page.line(&format!("{label}  {numbers}"));
            continue;
        }
        let style = style_of(row.row.outcome);
        let text = without_number(row);
        if text.is_empty() {
            let numbers = columns.numbers(&page.paint, row);
            page.line(&format!("{label}  {numbers}"));
            continue;
        }
        let indent = columns.label + 2;
        let mut lines = wrap(&text, page.width - indent, 0).into_iter();
        let first = page.paint.apply(style, &lines.next().unwrap_or_default());
        page.line(&format!("{label}  {first}"));
        for line in lines {
            let line = page.paint.apply(style, &line);
            page.line(&format!("{}{line}", " ".repeat(indent)));
        }
    }
    page.line(&rule);
}

/// Each row's label on one line and its numbers below it.
fn narrow_table(page: &mut Page, rows: &[Cells<'_>]) {
    for row in rows {
        let indent = (row.row.depth + 1) * 2;
        let plain = if row.row.depth == 0 { BOLD } else { DIM };
        let label = page.paint.apply(plain, &row.label);
        page.line(&label);
        let trimmed = |text: &Option<String>| text.as_deref().unwrap_or("").trim().to_owned();
        let number = format!("{} {}", trimmed(&row.value), row.unit);
        let why = without_number(row);
        let state = if why.is_empty() { &row.state } else { &why };
        let state_style = style_of(row.row.outcome);
        let parts = [
            (Style::new(), number.trim().to_owned()),
            (DIM, trimmed(&row.cv)),
        ];
        let parts = parts
            .into_iter()
            .chain(
                wrap(state, page.width - indent, 0)
                    .into_iter()
                    .map(|line| (state_style, line)),
            )
            .filter(|(_, text)| !text.is_empty());
        let mut line = String::new();
        let mut used = 0;
        for (style, text) in parts {
            if used > 0 && used + 2 + len(&text) > page.width - indent {
                page.line(&format!("{}{line}", " ".repeat(indent)));
                line.clear();
                used = 0;
            }
            if used > 0 {
                line.push_str("  ");
                used += 2;
            }
            used += len(&text);
            line.push_str(&page.paint.apply(style, &text));
        }
        if used > 0 {
            page.line(&format!("{}{line}", " ".repeat(indent)));
        }
    }
    page.line("");
}

/// What a row without a number says instead. The details of a failure stand below the table.
fn without_number(row: &Cells<'_>) -> String {
    match row.row.outcome {
        _ if row.value.is_some() => String::new(),
        Some(outcome) if outcome.is_failure() => format!("{}, see below", row.state),
        _ => printable(row.row.text.as_deref().unwrap_or("")),
    }
}

fn failures(page: &mut Page, case: &CaseView<'_>, tail_lines: usize) {
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
        let skipped = result.tail.len().saturating_sub(tail_lines);
        for line in &result.tail[skipped..] {
            let bar = page.paint.apply(DIM, "  │ ");
            let shown: String = line.chars().take(LONGEST_LINE).collect();
            let more = if shown.len() < line.len() { "…" } else { "" };
            page.line(&format!("{bar}{}{more}", printable(&shown)));
        }
        for directory in &result.directories {
            page.prose(DIM, 4, &format!("  all of its output: {directory}"));
        }
    }
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
