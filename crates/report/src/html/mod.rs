//! The report as one HTML file that needs nothing else: style, pictures and script are inside, and
//! its content security policy forbids every request. Without script all but the read-out under
//! the pointer works.

mod band;
mod case;
mod chart;
mod heat;
mod monitors;
mod nodes;
mod results;
mod setting;
mod strip;

use flagperf_model::{NodeRecord, Outcome};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::RunData;
use crate::number::{count, duration, moment};
use crate::view::{CaseView, Cost, Tally, cases, machine_lines};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// No source is allowed but what the file itself holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

/// Writes the page.
pub fn html(run: &RunData) -> String {
    let record = &run.record;
    let cases = cases(run);
    let points = chart::points_each(run);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                // Without this a browser asks the server that shows the file for an icon.
                link rel="icon" href="data:,";
                title { (record.run) ": FlagPerf report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#results" { "Skip to results" }
                (header(run))
                div.page {
                    (contents(&cases, record.nodes.len()))
                    main {
                        (damage(run))
                        (results::section(&cases))
                        @for (place, case) in cases.iter().enumerate() {
                            (case::section(run, case, place, points))
                        }
                        (setting::sections(run, &cases))
                    }
                }
                (footer(run))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    visible(&page.into_string())
}

/// The page without control characters, which HTML forbids, and without marks that reorder text,
/// which could make a line read differently from what it holds. They become U+FFFD.
fn visible(page: &str) -> String {
    let visible = |c: char| match c {
        '\n' | '\t' => c,
        c if crate::view::is_invisible(c) => '\u{fffd}',
        c => c,
    };
    page.chars().map(visible).collect()
}

fn header(run: &RunData) -> Markup {
    let record = &run.record;
    let tally = Tally::of(run);
    html! {
        header {
            p.brand { "FlagPerf" }
            h1 { (record.run) }
            p.facts {
                span { time datetime=(crate::number::rfc3339(record.started)) { (moment(record.started)) } }
                @if let Some(ended) = record.ended {
                    span { "took " (duration(ended.seconds_since(record.started))) }
                }
                span {
                    (count(record.nodes.len(), "node"))
                    @let missing = bad(run).count();
                    @if missing > 0 { ", " (missing) " not there" }
                }
                @if record.state != flagperf_model::RunState::Finished {
                    span { strong {
                        @if record.state == flagperf_model::RunState::Interrupted { "stopped by the user" }
                        @else { "cut off: the record has no end" }
                    } }
                }
                @for (word, times) in &tally.counts {
                    span { (times) " " (word) }
                }
            }
        }
    }
}

fn contents(cases: &[CaseView<'_>], nodes: usize) -> Markup {
    let machines = if nodes == 1 { "Machine" } else { "Machines" };
    html! {
        nav aria-label="Contents" {
            ul {
                li { a href="#results" { "Results" } }
                @for (place, case) in cases.iter().enumerate() {
                    li.case { a href={ "#case-" (place) } {
                        (mark(case.outcome())) " " (case.name)
                    } }
                }
                li { a href="#setting" { "How it was run" } }
                li { a href="#machine" { (machines) } }
            }
        }
    }
}

/// The nodes that could not take part.
fn bad(run: &RunData) -> impl Iterator<Item = &NodeRecord> {
    run.record.nodes.iter().filter(|node| node.bad.is_some())
}

fn damage(run: &RunData) -> Markup {
    let bad: Vec<NodeRecord> = bad(run).cloned().collect();
    let bad = machine_lines(&bad)
        .into_iter()
        .map(|(nodes, why)| format!("{nodes} {why}"))
        .collect();
    let lists = [
        ("Nodes that are not there", &bad),
        ("Missing from this record", &run.missing),
        ("Warnings", &run.record.warnings),
    ];
    html! {
        @for (title, items) in lists {
            @if !items.is_empty() {
                section.callout aria-label=(title) {
                    h2 { (title) }
                    ul { @for item in items { li { (item) } } }
                }
            }
        }
    }
}

fn footer(run: &RunData) -> Markup {
    html! {
        footer {
            @if let Some(cost) = Cost::of(&run.record.results) {
                p { "The " (cost.words()) "." }
            }
            p { "Written by FlagPerf " (run.record.version) "." }
        }
    }
}

/// A name that may be broken behind its separators, where a narrow column asks for it.
fn breakable(name: &str) -> Markup {
    html! { @for (i, part) in name.split_inclusive(['_', '-', ':', '.']).enumerate() {
        @if i > 0 { wbr; }
        (part)
    } }
}

/// A sign for an outcome. A word always stands beside it or in its label, never the colour alone.
fn mark(outcome: Option<&Outcome>) -> Markup {
    let (class, sign) = match outcome {
        Some(Outcome::Passed) => ("ok", "✓"),
        Some(Outcome::Unsupported { .. }) => ("na", "–"),
        Some(outcome) if outcome.is_failure() => ("bad", "✕"),
        _ => ("odd", "?"),
    };
    let word = outcome.map_or("no result", Outcome::word);
    html! { span.mark.(class) role="img" aria-label=(word) title=(word) { (sign) } }
}
