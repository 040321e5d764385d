//! One case: what it measured, what it said, and what the monitors saw meanwhile.

use flagperf_model::{Better, CaseResult, Measurement, NodeName, Verification};
use maud::{Markup, html};

use super::chart::{Axis, Chart, bundles};
use super::{breakable, heat, mark, strip};
use crate::number::{duration, percent, significant};
use crate::shown::FAMILIES;
use crate::view::CaseView;
use crate::{CaseSamples, RunData, Series};

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
            @for (index, result) in &case.rounds {
                @if several { h3 { "Round " (result.round) " " small { (result.outcome.word()) } } }
                (round(run, case, *index, result, points))
            }
        }
    }
}

fn round(
    run: &RunData,
    case: &CaseView<'_>,
    index: usize,
    result: &CaseResult,
    points: usize,
) -> Markup {
    html! {
        @if result.outcome != flagperf_model::Outcome::Passed {
            p.outcome.bad[result.outcome.is_failure()] { (&result.outcome.to_string()) }
        }
        @if !result.tail.is_empty() {
            p.label { "Last lines of its output" }
            pre tabindex="0" { @for line in &result.tail { (line) "\n" } }
        }
        @if result.measurements.len() <= CARDS {
            div.metrics { @for (node, m) in &result.measurements { (card(run, case, node, m)) } }
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
        @for samples in run.samples_of(index) { (monitors(run, result, samples, points)) }
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

fn card(run: &RunData, case: &CaseView<'_>, node: &NodeName, m: &Measurement) -> Markup {
    let mut whose: Vec<String> = Vec::new();
    if run.record.nodes.len() > 1 {
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
            p.sub { (verification(&m.verification)) }
            p.def { (&m.definition) @if m.better == Better::Lower { " Lower is better." } }
        }
    }
}

fn verification(verification: &Verification) -> Markup {
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

fn monitors(run: &RunData, result: &CaseResult, samples: &CaseSamples, points: usize) -> Markup {
    let Some(axis) = Axis::of(&samples.block.times, result.window) else {
        return html! { p.none { "Too few samples on " (samples.node) " for a picture." } };
    };
    let threads = run.threads_of(&samples.node);
    let mut groups: Vec<Group<'_>> = (0..FAMILIES.len()).map(|_| Group::default()).collect();
    let mut flat = Vec::new();
    for bundle in bundles(samples) {
        if bundle.len() > 1 {
            let family = crate::shown::family(bundle[0].decl);
            groups[family].heats.push(bundle);
            continue;
        }
        for series in bundle {
            let chart = Chart::of(series, &axis, threads);
            if chart.is_flat() {
                flat.push(chart);
            } else {
                groups[chart.family()].charts.push(chart);
            }
        }
    }
    let absent = run
        .record
        .nodes
        .iter()
        .find(|node| node.name.as_str() == samples.node)
        .map_or(&[][..], |node| &node.absent);
    html! {
        div.monitors data-t=(axis.seconds()) style={ "--t:'" (duration(axis.seconds()).replace(' ', "\u{202f}")) "'" } {
            p.label {
                "Monitors"
                @if run.record.nodes.len() > 1 { " of " (samples.node) }
                ": "
                @match result.window {
                    Some(window) => {
                        i.wk aria-hidden="true" {} " shaded: the measured window of " (duration(window.seconds()))
                        ", which the statistics are of"
                    },
                    None => "the case told of no measured window; statistics are of its whole time",
                }
            }
            div.grid { @for (group, family) in groups.iter().zip(FAMILIES) {
                @if !group.heats.is_empty() {
                    div.fam.full role="group" aria-label={ (family) ", by instance" } {
                        h4 { (family) }
                        @for heat in &group.heats { (heat::draw(heat, &axis, threads)) }
                    }
                }
                @if !group.charts.is_empty() {
                    div.fam role="group" aria-label=(family) style={ "--n:" (group.charts.len()) } {
                        h4 { (family) @if !group.heats.is_empty() { ", total" } }
                        @for chart in &group.charts { (chart.draw(&axis, points)) }
                    }
                }
            } }
            @if !flat.is_empty() {
                details {
                    summary { "Series that did not change (" (flat.len()) ")" }
                    div.grid { div.fam.full { @for chart in &flat { (chart.draw(&axis, points)) } } }
                }
            }
            @if !absent.is_empty() {
                details {
                    summary { "Not recorded on this node (" (absent.len()) ")" }
                    ul.gone { @for absent in absent {
                        li { b { (&absent.name) } ": " (&absent.reason) }
                    } }
                }
            }
        }
    }
}

#[derive(Default)]
struct Group<'a> {
    charts: Vec<Chart<'a>>,
    heats: Vec<Vec<Series<'a>>>,
}
