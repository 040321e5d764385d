//! Names and texts from outside must stay text in every format.

use flagperf_model::{Absent, Cause, Outcome, Unit, Verification};
use flagperf_report::{RunData, TerminalOptions, csv, html, json, markdown, terminal};

use crate::fixture::{Size, node, run};
use crate::pages::tags;

/// Breaks out of HTML text and attributes, of Markdown, of a table, of a terminal, of a formula.
const EVIL: &str =
    "=1+1\"'><script>alert(1)</script>|`*[x](javascript:y)\n\r\u{1b}]0;t\u{7}\u{1b}[2J\u{202e}";

/// A run with hostile text in every field that takes text.
fn hostile() -> RunData {
    let mut data = run(Size::SMALL);
    let evil = || EVIL.to_owned();
    let record = &mut data.record;
    record.version = evil();
    record.command.push(evil());
    record.warnings.push(evil());
    data.missing.push(evil());
    let facts = record.nodes[0].facts.as_mut().unwrap();
    facts.hostname = evil();
    facts.kernel = evil();
    facts.os = Some(evil());
    facts.cpu.model = Some(evil());
    facts.cpu.features.push(evil());
    facts.cpu.governor = Some(evil());
    facts.cgroup.version = evil();
    record.nodes[0].absent.push(Absent {
        name: evil(),
        reason: evil(),
    });
    for planned in &mut record.plan.cases {
        planned.spec.summary = evil();
        planned
            .params
            .insert(evil(), flagperf_model::ParamValue::Text(evil()));
    }
    for result in &mut record.results {
        result.notes.push((node(), evil(), evil()));
        result.result_lines.push((node(), evil()));
        result.tail.push(evil());
        result.directories.push(evil());
        for (_, m) in &mut result.measurements {
            m.unit = Unit::new(EVIL);
            m.definition = evil();
            m.device = Some(evil());
            m.verification = Verification::Unchecked(evil());
        }
        if let Outcome::Unsupported { feature } = &mut result.outcome {
            *feature = evil();
        }
    }
    let last = record.results.last_mut().unwrap();
    last.outcome = Outcome::Failed {
        also: Vec::new(),
        node: node(),
        stage: flagperf_model::Stage::Run,
        cause: Cause::Reported {
            rank: 0,
            message: evil(),
        },
    };
    for samples in &mut data.samples {
        for decl in &mut samples.decls {
            decl.name = evil();
            decl.instance = decl.instance.as_ref().map(|i| format!("{i}{EVIL}"));
            decl.unit = Unit::new(EVIL);
        }
    }
    data
}

#[test]
fn html_shows_it_as_text() {
    let page = html(&hostile());
    let tags = tags(&page);
    assert_eq!(tags.iter().filter(|t| *t == "script").count(), 1);
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("&lt;script&gt;alert(1)"));
    assert!(!page.contains('\u{1b}'));
}

#[test]
fn markdown_shows_it_as_text() {
    let text = markdown(&hostile());
    let mut fence = None;
    for line in text.lines() {
        if line.starts_with("```") {
            fence = if fence.is_none() { Some(line) } else { None };
        } else if fence.is_none() {
            assert!(!line.contains("<script"), "{line}");
            assert!(!line.contains("[x]("), "{line}");
        }
    }
    assert!(fence.is_none());
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn a_terminal_gets_no_control_characters() {
    for width in [30, 80, 120] {
        let options = TerminalOptions {
            width,
            location: Some(EVIL.to_owned()),
            ..TerminalOptions::default()
        };
        let text = terminal(&hostile(), &options);
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'));
        assert!(!text.contains('\u{202e}'));
    }
}

#[test]
fn csv_holds_no_formula_and_json_no_broken_text() {
    let data = hostile();
    let text = csv(&data);
    assert!(!text.contains("\"=1") && !text.contains(",=1"));
    let value: serde_json::Value = serde_json::from_str(&json(&data)).unwrap();
    assert_eq!(value["version"], EVIL);
}
