//! A round that many nodes, ranks or links reported: a card a metric with where its numbers lie, and
//! tables with each of them, which can be sorted.

use std::collections::{HashMap, HashSet};

use flagperf_model::{Better, CaseResult, Measurement, NodeName, Verification};
use maud::{Markup, html};

use super::case::{card, verification};
use super::strip;
use crate::across::Across;
use crate::number::{percent, significant};
use crate::rows::{Metric, Numbers, key};
use crate::view::{APART, CaseView};

/// Rows of a table at most; those left out are the ones nearest to the median.
const ROWS: usize = 512;

/// What a row of a table is about: node, rank, device.
type Whose<'a> = (&'a NodeName, Option<u32>, Option<&'a str>);

/// A metric in this round.
struct Column<'a> {
    name: String,
    metric: &'a Metric<'a>,
    across: Option<Across>,
}

/// Cards and tables.
pub(super) fn section(case: &CaseView<'_>, place: usize, result: &CaseResult) -> Markup {
    let metrics = case.metrics();
    let numbers = Numbers::of(case);
    let columns: Vec<Column<'_>> = metrics
        .iter()
        .map(|metric| Column {
            name: case.short_name(metric.name),
            metric,
            across: (metric.keys.len() > APART)
                .then(|| numbers.across(case, metric, Some(place)))
                .flatten(),
        })
        .collect();
    // Metrics that the same nodes, ranks or links reported share a table.
    let mut tables: Vec<(Vec<Whose<'_>>, Vec<&Column<'_>>)> = Vec::new();
    for column in columns.iter().filter(|column| column.across.is_some()) {
        let whose: Vec<Whose<'_>> = column.metric.keys.iter().map(|k| (k.1, k.2, k.3)).collect();
        match tables.iter_mut().find(|(known, _)| *known == whose) {
            Some((_, columns)) => columns.push(column),
            None => tables.push((whose, vec![column])),
        }
    }
    let found: HashMap<_, _> = result
        .measurements
        .iter()
        .map(|(node, m)| (key(node, m), m))
        .collect();
    html! {
        div.metrics { @for column in &columns {
            @match &column.across {
                Some(across) => (across_card(column, across, result)),
                None => { @for key in &column.metric.keys { @if let Some(m) = found.get(key) {
                    (card(case, key.1, m))
                } } },
            }
        } }
        @for (whose, columns) in &tables { (table(case, whose, columns, &found)) }
    }
}

fn across_card(column: &Column<'_>, across: &Across, result: &CaseResult) -> Markup {
    let mut all = result
        .measurements
        .iter()
        .filter(|(_, m)| m.metric == *column.metric.name)
        .map(|(_, m)| m);
    let first = all.next();
    let unchecked = first
        .into_iter()
        .chain(all)
        .find(|m| matches!(m.verification, Verification::Unchecked(_)))
        .or(first);
    html! {
        article.m {
            h4 { (column.name) " " span { "median of " (across.count) } }
            p.big { (significant(across.spread.median)) " " span { (across.unit) } }
            p.sub {
                "spread " (percent(across.spread.cv)) " %, " (across.range())
                @if let Some([low, high]) = across.spread.ci95 {
                    ", 95 % interval of the median " span.nw { (significant(low)) " – " (significant(high)) }
                }
            }
            (strip::large(across))
            @if let Some(words) = across.outlying_words() { p.sub.far { b { "outlying" } " " (words) } }
            @if let Some(m) = unchecked {
                p.sub { (verification(&m.verification)) }
                p.def { (&m.definition) @if m.better == Better::Lower { "; lower is better" } }
            }
        }
    }
}

fn table(
    case: &CaseView<'_>,
    whose: &[Whose<'_>],
    columns: &[&Column<'_>],
    found: &HashMap<crate::rows::Key<'_>, &Measurement>,
) -> Markup {
    let Some(first) = columns.first() else {
        return html! {};
    };
    let Some(across) = &first.across else {
        return html! {};
    };
    let rows = shown(whose, first, across, found);
    let ranks = whose.iter().any(|w| w.1 != whose[0].1);
    let devices = whose.iter().any(|w| w.2 != whose[0].2);
    let reported: HashSet<&NodeName> = whose.iter().map(|w| w.0).collect();
    let tasks = case.planned.map_or(&[][..], |planned| &planned.tasks);
    let silent = tasks.iter().filter(|task| !reported.contains(&task.node));
    let numbers = columns.len() + 1;
    html! {
        details open {
            summary {
                "One by one: " (across.count)
                @if rows.len() < whose.len() { ", the " (rows.len()) " farthest from the median; JSON and CSV have all" }
            }
            div.scroll.tall tabindex="0" role="region" aria-label="Numbers of each node" { table.sort {
                thead { tr {
                    th scope="col" { "Node" }
                    @if ranks { th.n scope="col" { "Rank" } }
                    @if devices { th scope="col" { "Device" } }
                    @for column in columns {
                        th.n scope="col" { (column.name) @if let Some(across) = &column.across { ", " (across.unit) } }
                    }
                    th.n scope="col" { @if columns.len() > 1 { (first.name) ", off median" } @else { "Off median" } }
                } }
                tbody {
                    @for task in silent { tr {
                        th scope="row" { (task.node) }
                        @if ranks { td.n {} }
                        @if devices { td {} }
                        td.n.bad colspan=(numbers) { "✕ no number" }
                    } }
                    @for place in rows { (row(&whose[place], columns, found, across, ranks, devices)) }
                }
            } }
        }
    }
}

/// The places of the rows that are shown, in order.
fn shown(
    whose: &[Whose<'_>],
    first: &Column<'_>,
    across: &Across,
    found: &HashMap<crate::rows::Key<'_>, &Measurement>,
) -> Vec<usize> {
    let distance = |place: &usize| {
        let (node, rank, device) = whose[*place];
        found
            .get(&(first.metric.name, node, rank, device))
            .map_or(f64::INFINITY, |m| (m.value - across.spread.median).abs())
    };
    let mut places: Vec<usize> = (0..whose.len()).collect();
    if places.len() > ROWS {
        places.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
        places.truncate(ROWS);
        places.sort_unstable();
    }
    places
}

fn row(
    (node, rank, device): &Whose<'_>,
    columns: &[&Column<'_>],
    found: &HashMap<crate::rows::Key<'_>, &Measurement>,
    across: &Across,
    ranks: bool,
    devices: bool,
) -> Markup {
    let value = |column: &Column<'_>| {
        let m = found.get(&(column.metric.name, *node, *rank, *device))?;
        Some(m.value)
    };
    let median = across.spread.median;
    let off = columns
        .first()
        .and_then(|column| value(column))
        .filter(|_| median != 0.0)
        .map(|value| (value - median) / median);
    let far = columns
        .first()
        .and_then(|column| value(column))
        .is_some_and(|value| across.stands_out(value));
    html! {
        tr.far[far] {
            th scope="row" { (node) }
            @if ranks { td.n { @if let Some(rank) = rank { (rank) } } }
            @if devices { td { (device.unwrap_or("")) } }
            @for column in columns {
                td.n { @match value(column) { Some(value) => (significant(value)), None => "✕ no number" } }
            }
            td.n { @if let Some(off) = off { @if far { "✕ " } (signed(off)) " %" } }
        }
    }
}

/// A share as percent with its sign: `+0.42`, `−20.0`.
fn signed(share: f64) -> String {
    let text = percent(share.abs());
    match share {
        share if text.chars().all(|c| "0.".contains(c)) || share == 0.0 => text,
        share if share < 0.0 => format!("\u{2212}{text}"),
        _ => format!("+{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::signed;

    #[test]
    fn shares_have_signs_unless_they_are_nothing() {
        assert_eq!(signed(-0.2), "\u{2212}20.0");
        assert_eq!(signed(0.0042), "+0.42");
        assert_eq!(signed(-0.000_001), "0.00");
        assert_eq!(signed(0.0), "0.00");
    }
}
