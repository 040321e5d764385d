//! Runs that are taken up again.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flagperf_model::{Cause, Event, EventKind, Outcome, PlannedCase, RunState, Stage};
use flagperf_store::{Recorder, ReopenError, read_run};

use crate::support::{
    begin, end_case, event, exit_3, node, passing_case, planned, samples, small_run, start_case,
};

/// Takes a run up again, with the same plan.
fn resumed(directory: &Path, at: i64) -> Recorder {
    let earlier = Recorder::reopen(directory).unwrap();
    let plan = earlier.record().plan.clone();
    let remaining = earlier.record().remaining().len() as u32;
    let passed = plan.cases.len() as u32 - remaining;
    let mut recorder = earlier.resume(plan).unwrap();
    recorder.event(&event(
        at,
        EventKind::RunResumed {
            version: "0.2.0".into(),
            passed,
            cases: remaining,
        },
    ));
    recorder
}

/// Names and contents of all files of a directory and those below it.
fn everything(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

fn run_ended(recorder: &mut Recorder, at: i64) {
    recorder.event(&event(
        at,
        EventKind::RunEnded {
            passed: 3,
            failed: 0,
            skipped: 0,
            unsupported: 0,
            seconds: 1.0,
        },
    ));
}

/// Case and round of every result, in order.
fn results(recorder: &Recorder) -> Vec<String> {
    let results = recorder.record().results.iter();
    results
        .map(|result| format!("{} {} {}", result.case, result.round, result.outcome.word()))
        .collect()
}

/// The record as the directory tells it, and as its events and files alone tell it, agree.
fn events_alone_agree(directory: &Path) {
    let whole = read_run(directory).unwrap().record;
    let json = fs::read(directory.join("run.json")).unwrap();
    fs::remove_file(directory.join("run.json")).unwrap();
    let rebuilt = read_run(directory).unwrap().record;
    fs::write(directory.join("run.json"), json).unwrap();
    assert_eq!(rebuilt.results, whole.results);
    assert_eq!((rebuilt.ended, rebuilt.state), (whole.ended, whole.state));
}

/// A run of four rounds of which one passes, one fails, and one is cut off.
fn cut_off(results: &Path) -> (std::path::PathBuf, Vec<PlannedCase>) {
    let cases: Vec<_> = (1..=4).map(|round| planned("x", round, 4)).collect();
    let mut recorder = begin(results, cases.clone(), 1);
    let directory = recorder.directory().to_owned();
    passing_case(&mut recorder, &cases[0], 2);
    start_case(&mut recorder, &cases[1], 20);
    recorder.output(0, 0, b"fell over\n");
    end_case(&mut recorder, &cases[1], 21, exit_3());
    start_case(&mut recorder, &cases[2], 30);
    recorder.output(0, 0, b"was cut off");
    recorder.samples(0, &samples(30, 3));
    // The process ends here.
    (directory, cases)
}

#[test]
fn a_run_that_was_cut_off_goes_on_where_it_was() {
    let place = tempfile::tempdir().unwrap();
    let (directory, cases) = cut_off(place.path());
    let passed = read_run(&directory).unwrap().record.results[0].clone();

    let mut recorder = resumed(&directory, 100);
    assert_eq!(recorder.directory(), directory);
    assert_eq!(recorder.record().state, RunState::Running);
    assert_eq!(results(&recorder), ["x 1 passed", "x 2 failed", "x 3 lost"]);
    events_alone_agree(&directory);
    assert_eq!(recorder.record().remaining(), [1, 2, 3]);
    for (index, at) in [(1, 110), (2, 130), (3, 150)] {
        passing_case(&mut recorder, &cases[index], at);
    }
    assert_eq!(recorder.record().remaining(), [0usize; 0]);
    run_ended(&mut recorder, 170);
    assert_eq!(recorder.finish(RunState::Finished), [""; 0]);

    let run = read_run(&directory).unwrap();
    assert_eq!(run.missing, [""; 0]);
    assert_eq!(run.record.state, RunState::Finished);
    let rounds: Vec<u32> = run
        .record
        .results
        .iter()
        .map(|result| result.round)
        .collect();
    assert_eq!(rounds, [1, 2, 3, 4]);
    assert_eq!(run.record.results[0], passed);
    for result in &run.record.results[1..] {
        assert_eq!(result.outcome, Outcome::Passed);
        assert_eq!(
            (result.measurements.len(), result.result_lines.len()),
            (1, 1)
        );
        let samples = run.samples(result, 0).unwrap().unwrap();
        assert_eq!((samples.damage, samples.block.times.len()), (None, 10));
    }
    events_alone_agree(&directory);

    // The files of the first attempts are there, and not among the new ones.
    let log = |directory_name: &str| {
        fs::read_to_string(directory.join(directory_name).join("benchmark.log.txt")).unwrap()
    };
    assert_eq!(log("x/round2/127.0.0.1_noderank0.attempt1"), "fell over\n");
    assert!(log("x/round2/127.0.0.1_noderank0").contains("working hard"));
    assert!(
        directory
            .join("x/round3/127.0.0.1_noderank0.attempt1")
            .is_dir()
    );
    assert!(
        !directory
            .join("x/round1/127.0.0.1_noderank0.attempt1")
            .exists()
    );
    // Nothing of the recorder's own is left.
    let own = fs::read_dir(&directory).unwrap();
    assert_eq!(
        own.filter(|entry| entry
            .as_ref()
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with('.'))
            .count(),
        0
    );
    let detail = fs::read_to_string(directory.join("detail_result.json")).unwrap();
    let detail: serde_json::Value = serde_json::from_str(&detail).unwrap();
    assert_eq!(detail.as_object().unwrap().len(), 4);
    assert_eq!(
        detail["x#round2"]["127.0.0.1"]["flagperf"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_run_with_failures_may_be_taken_up_again_and_again() {
    let place = tempfile::tempdir().unwrap();
    let (directory, _) = small_run(place.path(), 1);
    let crash = planned("crash", 1, 1);
    for attempt in 0..3 {
        // Each begins after the one before it has ended.
        let attempt = attempt * 100;
        let mut recorder = resumed(&directory, 100 + attempt);
        assert_eq!(
            (recorder.record().remaining(), recorder.record().ended),
            (vec![1], None)
        );
        assert_eq!(
            results(&recorder),
            ["computation-FP64 1 passed", "crash 1 failed"]
        );
        start_case(&mut recorder, &crash, 110 + attempt);
        assert_eq!(results(&recorder), ["computation-FP64 1 passed"]);
        recorder.output(0, 0, format!("attempt {}\n", attempt / 100).as_bytes());
        let outcome = Outcome::Failed {
            node: node(),
            stage: Stage::Run,
            cause: Cause::Exit {
                rank: 0,
                status: attempt as i32 / 100 + 1,
            },
            also: Vec::new(),
        };
        end_case(&mut recorder, &crash, 110 + attempt, outcome.clone());
        run_ended(&mut recorder, 120 + attempt);
        recorder.finish(RunState::Finished);
        let run = read_run(&directory).unwrap();
        assert_eq!((run.record.results.len(), run.missing.len()), (2, 0));
        assert_eq!(run.record.results[1].outcome, outcome);
        events_alone_agree(&directory);
    }
    for (name, text) in [
        ("", "attempt 2\n"),
        (".attempt1", "about to\nfall over\n"),
        (".attempt2", "attempt 0\n"),
        (".attempt3", "attempt 1\n"),
    ] {
        let log = format!("crash/127.0.0.1_noderank0{name}/benchmark.log.txt");
        assert_eq!(fs::read_to_string(directory.join(log)).unwrap(), text);
    }
}

#[test]
fn what_the_plan_cannot_run_is_done_when_it_has_been_told() {
    let place = tempfile::tempdir().unwrap();
    let mut cases = vec![planned("a", 1, 1), planned("b", 1, 1), planned("c", 1, 1)];
    for case in &mut cases[..2] {
        case.unsupported = Some("amx_fp16".into());
        case.tasks.clear();
    }
    let feature = || Outcome::Unsupported {
        feature: "amx_fp16".into(),
    };
    let mut recorder = begin(place.path(), cases.clone(), 1);
    let directory = recorder.directory().to_owned();
    assert_eq!(recorder.record().remaining(), [0, 1, 2]);
    end_case(&mut recorder, &cases[0], 2, feature());
    // A case that finds out by itself may find something else the next time.
    end_case(&mut recorder, &cases[2], 3, feature());
    assert_eq!(recorder.record().remaining(), [1, 2]);
    drop(recorder);

    let mut recorder = resumed(&directory, 10);
    assert_eq!(recorder.record().remaining(), [1, 2]);
    passing_case(&mut recorder, &cases[2], 20);
    end_case(&mut recorder, &cases[1], 31, feature());
    assert_eq!(
        results(&recorder),
        ["a 1 not supported", "c 1 passed", "b 1 not supported"]
    );
    run_ended(&mut recorder, 40);
    recorder.finish(RunState::Finished);
    events_alone_agree(&directory);
}

#[test]
fn a_torn_last_line_gets_its_end() {
    let place = tempfile::tempdir().unwrap();
    let (directory, cases) = cut_off(place.path());
    for name in ["events.jsonl", "flagperf_run.log"] {
        let path = directory.join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(br#"{"at":1795434"#);
        fs::write(&path, bytes).unwrap();
    }
    let before = read_run(&directory).unwrap().events.len();
    let mut recorder = resumed(&directory, 100);
    passing_case(&mut recorder, &cases[1], 110);
    drop(recorder);
    let run = read_run(&directory).unwrap();
    let is_resumed = |event: &Event| matches!(event.what, EventKind::RunResumed { .. });
    assert!(is_resumed(&run.events[before]), "{:?}", run.events[before]);
    let torn: Vec<_> = run
        .missing
        .iter()
        .filter(|text| text.contains("line"))
        .collect();
    assert_eq!(torn.len(), 1, "{:?}", run.missing);
    let log = fs::read_to_string(directory.join("flagperf_run.log")).unwrap();
    assert!(log.lines().any(|line| line == r#"{"at":1795434"#));
    assert!(log.contains("resumes the run"));
}

#[test]
fn a_run_has_one_writer() {
    let place = tempfile::tempdir().unwrap();
    let recorder = begin(place.path(), vec![planned("x", 1, 1)], 1);
    let directory = recorder.directory().to_owned();
    let before = fs::read(directory.join("run.json")).unwrap();
    let error = Recorder::reopen(&directory).unwrap_err();
    assert!(matches!(error, ReopenError::Running { .. }), "{error:?}");
    assert!(error.to_string().contains("is still going on"));
    assert_eq!(fs::read(directory.join("run.json")).unwrap(), before);
    drop(recorder);
    let second = Recorder::reopen(&directory).unwrap();
    assert!(matches!(
        Recorder::reopen(&directory),
        Err(ReopenError::Running { .. })
    ));
    drop(second);
    resumed(&directory, 10).finish(RunState::Interrupted);
    resumed(&directory, 20).finish(RunState::Finished);
}

#[test]
fn without_its_plan_a_run_cannot_go_on() {
    let place = tempfile::tempdir().unwrap();
    let (directory, _) = cut_off(place.path());
    let json = fs::read(directory.join("run.json")).unwrap();
    for damaged in [&b"{"[..], &json[..json.len() / 2], b""] {
        fs::write(directory.join("run.json"), damaged).unwrap();
        let error = Recorder::reopen(&directory).unwrap_err();
        assert!(matches!(error, ReopenError::NoPlan { .. }), "{error:?}");
        let text = error.to_string();
        assert!(
            text.contains("its plan is lost (run.json is damaged at line"),
            "{text}"
        );
        assert_eq!(fs::read(directory.join("run.json")).unwrap(), damaged);
    }
    fs::write(directory.join("run.json"), json).unwrap();
    fs::remove_file(directory.join("events.jsonl")).unwrap();
    // Events that are lost are no obstacle.
    let earlier = Recorder::reopen(&directory).unwrap();
    let kept = &earlier.record().results;
    assert_eq!((kept.len(), &kept[0].outcome), (2, &Outcome::Passed));
    assert!(matches!(
        Recorder::reopen(place.path()),
        Err(ReopenError::Read(_))
    ));
    assert!(!place.path().join(".lock").exists());
}

#[test]
fn a_run_that_is_not_gone_on_with_stays_as_it_was() {
    let places = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (finished, _) = small_run(places[0].path(), 1);
    let (killed, _) = cut_off(places[1].path());
    // What a process that was killed leaves behind.
    fs::write(killed.join(".lock"), "").unwrap();
    for (directory, locked) in [(finished, false), (killed, true)] {
        let mut before = everything(&directory);
        let earlier = Recorder::reopen(&directory).unwrap();
        assert!(!earlier.record().remaining().is_empty());
        drop(earlier);
        if locked {
            before.remove(&directory.join(".lock"));
        }
        assert!(everything(&directory) == before, "{directory:?}");
    }
}

#[test]
fn a_failure_stays_until_its_round_runs_again() {
    let place = tempfile::tempdir().unwrap();
    let (directory, cases) = cut_off(place.path());
    let before = read_run(&directory).unwrap().record.results;
    let json = || fs::read_to_string(directory.join("run.json")).unwrap();

    // Stopped before its first case.
    let mut recorder = resumed(&directory, 100);
    assert!(json().contains(r#""state": "running""#), "{}", json());
    recorder.event(&event(101, EventKind::Interrupted { count: 1 }));
    for case in &cases[1..] {
        end_case(&mut recorder, case, 102, Outcome::NotRun);
    }
    run_ended(&mut recorder, 103);
    recorder.finish(RunState::Interrupted);
    let run = read_run(&directory).unwrap();
    assert_eq!(run.record.results[..3], before);
    assert_eq!(run.record.results[3].outcome, Outcome::NotRun);
    events_alone_agree(&directory);

    // Cut off in its second case: the failure of the first attempt is not taken for the second's.
    let mut recorder = resumed(&directory, 200);
    passing_case(&mut recorder, &cases[1], 210);
    let stale = json();
    start_case(&mut recorder, &cases[2], 230);
    assert!(!json().contains(r#""lost""#), "{}", json());
    drop(recorder);
    for json in [json(), stale] {
        fs::write(directory.join("run.json"), json).unwrap();
        let run = read_run(&directory).unwrap();
        let results = run.record.results;
        let of_round = |round| results.iter().find(|result| result.round == round).unwrap();
        assert_eq!(results.len(), 4);
        assert_eq!(of_round(2).outcome, Outcome::Passed);
        let lost = of_round(3);
        assert!(matches!(lost.outcome, Outcome::Lost { .. }), "{lost:?}");
        assert!(lost.started > before[2].ended, "{lost:?}");
        events_alone_agree(&directory);
    }
}

#[test]
fn events_tell_that_a_run_goes_on_before_its_record_does() {
    let place = tempfile::tempdir().unwrap();
    let (directory, _) = small_run(place.path(), 1);
    let json = fs::read(directory.join("run.json")).unwrap();
    let before = read_run(&directory).unwrap().record;
    assert!(before.ended.is_some());
    drop(resumed(&directory, 100));
    fs::write(directory.join("run.json"), json).unwrap();
    let run = read_run(&directory).unwrap();
    assert_eq!(
        (run.record.ended, run.record.state),
        (None, RunState::Running)
    );
    assert_eq!(run.record.results, before.results);
}
