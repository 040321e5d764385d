//! The table of results in a terminal, and the list that takes its place where it would not fit.

use owo_colors::Style;

use super::{BOLD, DIM, Page, Paint, left, len, right, style_of, wrap};
use crate::number::{align, percent, significant};
use crate::rows::Row;
use crate::view::{APART, CaseView, printable};

/// From this width on the 95 % interval has a column of its own.
const WIDE: usize = 100;
/// Writes the table, or below its width a list.
pub(super) fn write(page: &mut Page, cases: &[CaseView<'_>]) {
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
    if rows.iter().all(|row| row.cv.is_none()) {
        return;
    }
    let mut legend =
        "spread: standard deviation of the repetitions divided by their mean".to_owned();
    if cases.iter().any(|case| case.rounds.len() > 1) {
        legend.push_str("; above rounds: their median, and the spread between them");
    }
    let many = |case: &CaseView<'_>| case.metrics().iter().any(|m| m.keys.len() > APART);
    if cases.iter().any(many) {
        legend.push_str("; over nodes, ranks or links: likewise");
    }
    page.prose(DIM, 2, &legend);
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
                value: value.map(|v| significant(v.number)),
                unit: value.map_or(String::new(), |v| printable(&v.unit)),
                cv: spread.map(|s| percent(s.cv)),
                interval: spread
                    .and_then(|s| s.ci95)
                    .map_or(String::new(), |[low, high]| {
                        format!("{}–{}", significant(low), significant(high))
                    }),
                state,
                row,
            }
        })
        .collect()
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
