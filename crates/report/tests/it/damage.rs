//! Runs of which parts are gone: every format still says what is there.

use flagperf_model::{Outcome, RunState, SampleBlock};
use flagperf_report::{RunData, TerminalOptions, csv, html, json, markdown, terminal};

use crate::fixture::{Size, run};
use crate::pages::tags;

fn all(data: &RunData) -> [String; 5] {
    let texts = [
        terminal(data, &TerminalOptions::default()),
        html(data),
        markdown(data),
        json(data),
        csv(data),
    ];
    tags(&texts[1]);
    serde_json::from_str::<serde_json::Value>(&texts[3]).unwrap();
    texts
}

#[test]
fn what_is_missing_is_said() {
    let mut data = run(Size::SMALL);
    data.missing.push("the end of events.jsonl".to_owned());
    let [screen, page, wiki, json, _] = all(&data);
    for text in [screen, page, wiki, json] {
        assert!(text.contains("the end of events.jsonl"));
    }
}

#[test]
fn a_run_that_was_cut_off() {
    let mut data = run(Size::SMALL);
    data.record.state = RunState::Running;
    data.record.ended = None;
    data.record.results.truncate(4);
    data.samples.retain(|samples| samples.result_index < 4);
    let [screen, page, ..] = all(&data);
    assert!(
        screen.contains("computation-BF16              the record ends before it did"),
        "{screen}"
    );
    assert!(screen.contains("4 passed, 7 without a result"), "{screen}");
    assert!(page.contains("cut off: the record has no end"));
}

#[test]
fn nothing_but_a_name() {
    let mut data = run(Size::SMALL);
    data.record.plan.cases.clear();
    data.record.nodes.clear();
    data.record.results.clear();
    data.samples.clear();
    let [screen, page, ..] = all(&data);
    assert!(screen.contains("The record holds no cases."));
    assert!(page.contains("The record names no node."));
}

#[test]
fn results_without_a_plan_and_without_facts() {
    let mut data = run(Size::SMALL);
    data.record.plan.cases.clear();
    data.record.nodes[0].facts = None;
    let [screen, page, ..] = all(&data);
    assert!(screen.contains("node0: did not answer"));
    assert!(screen.contains("main_memory-capacity"));
    // Without the number of threads a share of the machine cannot be told.
    assert!(!page.contains("% of machine"));
}

#[test]
fn samples_that_do_not_fit_their_declaration() {
    let mut data = run(Size::SMALL);
    data.samples[0].block.columns.truncate(3);
    data.samples[0].block.columns[1].truncate(4);
    data.samples[1].block = SampleBlock::default();
    data.samples[2].block.times.truncate(1);
    for column in &mut data.samples[3].block.columns {
        column.fill(None);
    }
    for samples in &mut data.samples[4..6] {
        let same = samples.block.times[0];
        samples.block.times.fill(same);
    }
    data.samples[6].result_index = 999;
    all(&data);
}

#[test]
fn numbers_that_are_none() {
    let mut data = run(Size::SMALL);
    for (i, result) in data.record.results.iter_mut().enumerate() {
        for (_, m) in &mut result.measurements {
            m.value = [f64::NAN, f64::INFINITY, 0.0, -1e300][i % 4];
            m.spread = None;
            m.repetitions = vec![f64::NAN, 1.0];
        }
    }
    let [screen, ..] = all(&data);
    assert!(screen.contains("not a number"));
}

#[test]
fn a_failed_round_among_good_ones() {
    let mut data = run(Size::SMALL);
    data.record.results[1].outcome = Outcome::TimedOut { limit_s: 300.0 };
    data.record.results[1].measurements.clear();
    data.record.results[1].tail = vec!["still at repetition 2".to_owned()];
    let [screen, ..] = all(&data);
    for expected in [
        "timed out (2 of 3 passed)",
        "computation-FP64, round 2: timed out: the limit is 300 s",
        "│ still at repetition 2",
    ] {
        assert!(screen.contains(expected), "{expected}\n{screen}");
    }
}

#[test]
fn failed_rounds_are_counted_like_passed_ones() {
    let mut data = run(Size::SMALL);
    for result in &mut data.record.results[..3] {
        result.outcome = Outcome::TimedOut { limit_s: 300.0 };
        result.measurements.clear();
    }
    let [screen, _, wiki, ..] = all(&data);
    assert!(
        screen.contains("computation-FP64              timed out (3 rounds), see below"),
        "{screen}"
    );
    assert!(wiki.contains("timed out: the limit is 300 s"), "{wiki}");
    // Two kinds of failure are not counted together.
    data.record.results[2].outcome = Outcome::Aborted;
    let [screen, ..] = all(&data);
    assert!(screen.contains("timed out, see below"), "{screen}");
}
