//! The table of results.

use maud::{Markup, html};

use super::{breakable, mark, strip};
use crate::number::{align, percent, significant};
use crate::rows::Row;
use crate::view::CaseView;

/// The section with one table over all cases.
pub(super) fn section(cases: &[CaseView<'_>]) -> Markup {
    let rows: Vec<(usize, &CaseView<'_>, Row<'_>)> = cases
        .iter()
        .enumerate()
        .flat_map(|(place, case)| case.rows().into_iter().map(move |row| (place, case, row)))
        .collect();
    let numbers: Vec<_> = rows
        .iter()
        .map(|(_, _, row)| row.value.as_ref().map(|v| significant(v.number)))
        .collect();
    let numbers = align(&numbers);
    html! {
        section #results {
            h2 { "Results" }
            table.results {
                caption { "Value: median of the repetitions, or what the definition of the metric says. Spread: their standard deviation divided by their mean. Interval: 95 % bootstrap interval of the median, given for six repetitions or more. Above rounds stands the median over the rounds, with the spread between them; over many nodes, ranks or links likewise." }
                thead { tr {
                    th scope="col" { "Case" }
                    th.n scope="col" { "Value" }
                    th scope="col" { "Unit" }
                    th.n.mid scope="col" { "Spread" }
                    th.n.wide scope="col" { "95 % interval" }
                    th.wide scope="col" { "Repetitions" }
                    th scope="col" { "State" }
                } }
                tbody {
                    @for ((place, case, row), number) in rows.iter().zip(&numbers) {
                        (line(*place, case, row, number.as_deref()))
                    }
                }
            }
        }
    }
}

fn line(place: usize, case: &CaseView<'_>, row: &Row<'_>, number: Option<&str>) -> Markup {
    let spread = row
        .value
        .as_ref()
        .and_then(|v| v.spread)
        .filter(|s| s.n > 1);
    html! {
        tr.(format_args!("d{}", row.depth)) {
            th scope="row" {
                @if row.depth == 0 { a href={ "#case-" (place) } { (breakable(&row.label)) } }
                @else { (breakable(&row.label)) }
            }
            @if let (Some(value), Some(number)) = (&row.value, number) {
                td.n { (number) }
                td { (&value.unit) }
                td.n.mid { @if let Some(s) = spread { (percent(s.cv)) " %" } }
                td.n.wide { @if let Some([low, high]) = spread.and_then(|s| s.ci95) {
                    (significant(low)) " – " (significant(high))
                } }
                td.wide { @if let Some(m) = row.measurement { (strip::small(m)) } }
                td.state {
                    @if row.depth == 0 {
                        (mark(row.outcome)) span.word { " " (case.state()) }
                    } @else if let Some(outcome) = row.outcome {
                        (mark(Some(outcome))) span.word { " " (outcome.word()) }
                    }
                }
            } @else if let Some(text) = &row.text {
                td.why colspan="6" { @if row.depth == 0 || row.outcome.is_some() { (mark(row.outcome)) " " } (text) }
            } @else {
                td {} td {} td.mid {} td.wide {} td.wide {}
                td.state { (mark(row.outcome)) span.word { " " (case.state()) } }
            }
        }
    }
}
