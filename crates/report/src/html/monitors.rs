//! What the monitors saw while a round of a case ran: node by node where they are few, and where they
//! are many all nodes in one picture a series.

use flagperf_model::{CaseResult, Timestamp, fold};
use maud::{Markup, html};

use super::band::Band;
use super::chart::{Axis, Chart, bundles};
use super::heat;
use crate::nodewise::all_nodewise;
use crate::number::{count, duration};
use crate::shown::FAMILIES;
use crate::view::{APART, absences};
use crate::{CaseSamples, RunData, Series};

/// The pictures of a round.
pub(super) fn section(run: &RunData, index: usize, result: &CaseResult, points: usize) -> Markup {
    let samples: Vec<&CaseSamples> = run.samples_of(index).collect();
    html! {
        @if samples.len() > APART { (many_nodes(run, result, &samples, points)) }
        @else { @for samples in samples { (one_node(run, result, samples, points)) } }
    }
}

/// A band a series.
fn many_nodes(
    run: &RunData,
    result: &CaseResult,
    samples: &[&CaseSamples],
    points: usize,
) -> Markup {
    let times: Vec<Timestamp> = samples.iter().flat_map(|samples| samples.ends()).collect();
    let Some(axis) = Axis::of(&times, result.window) else {
        return html! { p.none { "Too few samples for a picture." } };
    };
    let bands = all_nodewise(run, samples, result.window)
        .into_iter()
        .map(|of| Band::of(of, &axis, points));
    let (flat, moving): (Vec<_>, Vec<_>) = bands.partition(Band::is_flat);
    let absent = absences(&run.record.nodes);
    html! {
        (open(&axis, &count(samples.len(), "node"), result, "The line is the median over the nodes, the band reaches from the lowest to the highest of them; below stand their means. ", &html! {
            div.grid { @for (family, name) in FAMILIES.iter().enumerate() {
                @let group: Vec<_> = moving.iter().filter(|band| band.family() == family).collect();
                @if !group.is_empty() {
                    div.fam role="group" aria-label=(name) style={ "--n:" (group.len()) } {
                        h4 { (name) }
                        @for band in group { (band.draw(&axis)) }
                    }
                }
            } }
            @if !flat.is_empty() {
                details {
                    summary { "Series that are the same on all nodes and did not change (" (flat.len()) ")" }
                    div.grid { div.fam.full { @for band in &flat { (band.draw(&axis)) } } }
                }
            }
            @if !absent.is_empty() {
                details {
                    summary { "Not recorded (" (absent.len()) ")" }
                    ul.gone { @for (absent, nodes) in &absent {
                        li { b { (&absent.name) } " on " (fold(nodes)) ": " (&absent.reason) }
                    } }
                }
            }
        }))
    }
}

/// The frame around pictures that share an axis.
fn open(axis: &Axis, whose: &str, result: &CaseResult, reading: &str, inside: &Markup) -> Markup {
    html! {
        div.monitors data-t=(axis.seconds()) style={ "--t:'" (duration(axis.seconds()).replace(' ', "\u{202f}")) "'" } {
            p.label {
                "Monitors"
                @if !whose.is_empty() { " of " (whose) }
                ": " (reading)
                @match result.window {
                    Some(window) => {
                        i.wk aria-hidden="true" {} " shaded: the measured window of " (duration(window.seconds()))
                        ", which the statistics are of"
                    },
                    None => "the case told of no measured window; statistics are of its whole time",
                }
            }
            (inside)
        }
    }
}

fn one_node(run: &RunData, result: &CaseResult, samples: &CaseSamples, points: usize) -> Markup {
    let times: Vec<Timestamp> = samples.ends().collect();
    let Some(axis) = Axis::of(&times, result.window) else {
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
    let whose = match run.record.nodes.len() {
        1 => "",
        _ => samples.node.as_str(),
    };
    html! {
        (open(&axis, whose, result, "", &html! {
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
        }))
    }
}

#[derive(Default)]
struct Group<'a> {
    charts: Vec<Chart<'a>>,
    heats: Vec<Vec<Series<'a>>>,
}
