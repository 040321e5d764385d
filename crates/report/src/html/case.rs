//! One case: what it measured and what it said. [`super::monitors`] shows what was seen meanwhile.

use flagperf_model::{Better, CaseResult, Measurement, NodeName, Verification};
use maud::{Markup, html};

use super::{breakable, mark, monitors, nodes, strip};
use crate::RunData;
use crate::number::{percent, significant};
use crate::view::{APART, CaseView};

/// Up to this many numbers of a round are shown as cards, more as a table.
const CARDS: usize = 12;

/// The section of a case.
pub(super) fn section(run: &RunData, case: &CaseView<'_>, place: usize, points: usize) -> Markup {
    let several = case.rounds.len() > 1;
    html! {
        section.case id={ "case-" (place) } {
            h2 { (mark(case.outcome())) " " (breakable(case.name.as_str())) " " small { (case.state()) } }
            @if let Some(planned) = case.planned {
                p.lead { (&planned.spec.summary) }
            }
            @if case.rounds.is_empty() {
                @if let Some(reason) = case.reason() { p { (reason) } }
            }
            @for (place, (index, result)) in case.rounds.iter().enumerate() {
                @if several { h3 { "Round " (result.round) " " small { (result.outcome.word()) } } }
                (round(run, case, place, *index, result, points))
            }
        }
    }
}

fn round(
    run: &RunData,
    case: &CaseView<'_>,
    place: usize,
    index: usize,
    result: &CaseResult,
    points: usize,
) -> Markup {
    html! {
        @if result.outcome != flagperf_model::Outcome::Passed {
            p.outcome.bad[result.outcome.is_failure()] { (&result.outcome.to_string()) }
        }
        @if !result.tail.is_empty() {
            p.label {
                "Last lines of its output"
                @if case.places.len() > 1 && let Some(node) = result.outcome.node() { " on " (node) }
            }
            pre tabindex="0" { @for line in &result.tail { (line) "\n" } }
        }
        @if case.metrics().iter().any(|metric| metric.keys.len() > APART) {
            (nodes::section(case, place, result))
        } @else if result.measurements.len() <= CARDS {
            div.metrics { @for (node, m) in &result.measurements { (card(case, node, m)) } }
        } @else {
            (measurement_table(case, result))
        }
        @if !result.notes.is_empty() {
            dl.notes { @for (_, key, value) in distinct(result) {
                div { dt { (key) } dd { (value) } }
            } }
        }
        @if !result.result_lines.is_empty() {
            details { summary { "Result lines as printed (" (result.result_lines.len()) ")" }
                pre tabindex="0" { @for (_, line) in &result.result_lines { (line) "\n" } }
            }
        }
        (monitors::section(run, index, result, points))
        @if run.samples_of(index).next().is_none() && !result.monitor_cost.is_empty() {
            p.none { "The record holds no samples of this round." }
        }
    }
}

/// Notes without repetitions: every rank tends to note the same.
fn distinct(result: &CaseResult) -> Vec<&(NodeName, String, String)> {
    let mut notes: Vec<&(NodeName, String, String)> = Vec::new();
    for note in &result.notes {
        if !notes.iter().any(|n| (&n.1, &n.2) == (&note.1, &note.2)) {
            notes.push(note);
        }
    }
    notes
}

pub(super) fn card(case: &CaseView<'_>, node: &NodeName, m: &Measurement) -> Markup {
    let mut whose: Vec<String> = Vec::new();
    if case.places.len() > 1 {
        whose.push(node.to_string());
    }
    whose.extend(m.rank.map(|rank| format!("rank {rank}")));
    whose.extend(m.device.clone());
    html! {
        article.m {
            h4 { (case.short_name(&m.metric)) @if !whose.is_empty() { " " span { (whose.join(" ")) } } }
            p.big { (significant(m.value)) " " span { (m.unit.as_str()) } }
            @if let Some(s) = m.spread.filter(|s| s.n > 1) {
                p.sub {
                    "spread " (percent(s.cv)) " %, "
                    @match s.ci95 {
                        Some([low, high]) => { "95 % interval " span.nw { (significant(low)) " – " (significant(high)) } },
                        None => { "too few repetitions for an interval" },
                    }
                }
            }
            (strip::large(m))
            @if let Some(printed) = &m.printed { p.sub { "printed as " code { (printed) } } }
            p.sub { (verification(&m.verification)) }
            p.def { (&m.definition) @if m.better == Better::Lower { "; lower is better" } }
        }
    }
}

pub(super) fn verification(verification: &Verification) -> Markup {
    html! { @match verification {
        Verification::Checked(how) => { span.ok { "✓ checked" } ": " (how) },
        Verification::Unchecked(why) => { span.na { "– not checked" } ": " (why) },
    } }
}

fn measurement_table(case: &CaseView<'_>, result: &CaseResult) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Measurements" { table {
            thead { tr {
                th scope="col" { "Metric" } th scope="col" { "Node" } th.n scope="col" { "Rank" }
                th scope="col" { "Device" } th.n scope="col" { "Value" } th scope="col" { "Unit" }
                th.n scope="col" { "Spread" } th scope="col" { "Repetitions" } th scope="col" { "Check" }
            } }
            tbody { @for (node, m) in &result.measurements { tr {
                th scope="row" { (case.short_name(&m.metric)) }
                td { (node) }
                td.n { @if let Some(rank) = m.rank { (rank) } }
                td { (m.device.as_deref().unwrap_or("")) }
                td.n { (significant(m.value)) }
                td { (m.unit.as_str()) }
                td.n { @if let Some(s) = m.spread.filter(|s| s.n > 1) { (percent(s.cv)) " %" } }
                td { (strip::small(m)) }
                td { (verification(&m.verification)) }
            } } }
        } }
    }
}
