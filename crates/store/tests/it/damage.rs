//! Damaged run directories: what is there is read, what is missing is said.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use flagperf_model::{EventKind, Outcome, RunRecord, RunState};
use flagperf_store::{LoadedRun, ReadError, read_run};

use crate::support::{begin, event, passing_case, planned, samples, small_run, start_case};

fn small() -> (tempfile::TempDir, PathBuf) {
    let results = tempfile::tempdir().unwrap();
    let (directory, _) = small_run(results.path(), 1);
    (results, directory)
}

fn says(run: &LoadedRun, text: &str) -> bool {
    run.missing.iter().any(|line| line.contains(text))
}

#[test]
fn events_cut_at_every_byte() {
    let (_results, directory) = small();
    let events = directory.join("events.jsonl");
    let whole = fs::read(&events).unwrap();
    let record = read_run(&directory).unwrap().record;
    for cut in (0..whole.len()).rev() {
        cut_to(&events, cut);
        let run = read_run(&directory).unwrap();
        // run.json is whole, so the record is.
        assert_eq!(run.record, record, "cut at {cut}");
        let lines = whole[..cut].split(|byte| *byte == b'\n').count() - 1;
        let (at_line, at_text) = (cut == 0 || whole[cut - 1] == b'\n', whole[cut] == b'\n');
        if at_text {
            assert_eq!(run.events.len(), lines + 1);
            assert!(
                says(&run, "without a newline"),
                "cut at {cut}: {:?}",
                run.missing
            );
        } else {
            assert_eq!(run.events.len(), lines);
        }
        if !at_line && !at_text {
            let expected = format!("events.jsonl ends in the middle of line {}", lines + 1);
            assert!(says(&run, &expected), "cut at {cut}: {:?}", run.missing);
        }
    }
    fs::remove_file(&events).unwrap();
    let run = read_run(&directory).unwrap();
    assert_eq!(run.record, record);
    assert!(says(&run, "events.jsonl is missing"));
}

#[test]
fn run_json_cut_at_every_byte() {
    let results = tempfile::tempdir().unwrap();
    let cases = vec![planned("a", 1, 1)];
    let mut recorder = begin(results.path(), cases.clone(), 1);
    let directory = recorder.directory().to_owned();
    passing_case(&mut recorder, &cases[0], 2);
    recorder.event(&event(
        13,
        EventKind::RunEnded {
            passed: 1,
            failed: 0,
            skipped: 0,
            unsupported: 0,
            seconds: 13.0,
        },
    ));
    assert_eq!(recorder.finish(RunState::Finished), [""; 0]);
    let json = directory.join("run.json");
    let whole = fs::read(&json).unwrap();
    let record = read_run(&directory).unwrap().record;
    // Without its last newline the file is still whole.
    let expected = rebuilt(&record);
    for cut in (0..whole.len() - 1).rev() {
        cut_to(&json, cut);
        let run = read_run(&directory).unwrap();
        assert_eq!(run.record, expected, "cut at {cut}");
        assert!(
            says(&run, "run.json is damaged at line "),
            "cut at {cut}: {:?}",
            run.missing
        );
    }
    fs::remove_file(&json).unwrap();
    let run = read_run(&directory).unwrap();
    assert_eq!(run.record, expected);
    assert!(says(&run, "run.json is missing; rebuilt from events.jsonl"));
    assert!(says(&run, "are lost"));
    let read = run.samples(&run.record.results[0], 0).unwrap().unwrap();
    assert_eq!(read.block, samples(2, 10));
}

/// Everything but the plan, the command line and the absent series comes back.
fn rebuilt(original: &RunRecord) -> RunRecord {
    let mut expected = original.clone();
    expected.command.clear();
    expected.plan.cases.clear();
    expected.plan.nodes.clear();
    expected.plan.monitor.interval_ns = 0;
    expected.nodes[0].absent.clear();
    expected
}

/// Cuts a file off, without the rewriting that would make the disk the slowest part of the test.
fn cut_to(path: &Path, length: usize) {
    let file = File::options().write(true).open(path).unwrap();
    file.set_len(length as u64).unwrap();
}

#[test]
fn both_files_damaged_still_read() {
    let (_results, directory) = small();
    let events = directory.join("events.jsonl");
    fs::write(directory.join("run.json"), "{").unwrap();
    for cut in (0..fs::metadata(&events).unwrap().len() as usize).rev() {
        cut_to(&events, cut);
        let run = read_run(&directory).unwrap();
        assert!(says(&run, "run.json is damaged at line 1 column 1"));
        assert_eq!(
            Some(run.record.run.as_str()),
            directory.file_name().unwrap().to_str()
        );
        if run.record.ended.is_none() {
            assert!(says(&run, "the record has no end"));
        }
    }
}

#[test]
fn a_line_that_cannot_be_read_is_passed_over() {
    let (_results, directory) = small();
    let events = directory.join("events.jsonl");
    let text = fs::read_to_string(&events).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[3] = r#"{"at":1,"what":{"an_event_of_the_future":{}}}"#;
    lines.insert(5, "\u{0}\u{fffd} rubbish");
    fs::write(&events, lines.join("\n") + "\n").unwrap();
    let run = read_run(&directory).unwrap();
    assert_eq!(run.events.len(), lines.len() - 2);
    assert!(says(&run, "events.jsonl line 4 cannot be read"));
    assert!(says(&run, "events.jsonl line 6 cannot be read"));
}

#[test]
fn other_formats() {
    let (_results, directory) = small();
    let json = directory.join("run.json");
    let text = fs::read_to_string(&json).unwrap();
    let with = |schema: &str| {
        fs::write(&json, text.replacen("flagperf.run/1", schema, 1)).unwrap();
        read_run(&directory)
    };
    // A newer minor version only adds fields.
    assert_eq!(with("flagperf.run/1.7").unwrap().missing, [""; 0]);
    let error = with("flagperf.run/2").unwrap_err();
    assert!(matches!(error, ReadError::Newer { .. }));
    assert!(
        error
            .to_string()
            .contains("written by a newer program: its format is `flagperf.run/2`")
    );
    assert!(says(
        &with("something/1").unwrap(),
        "expected `flagperf.run/1`"
    ));
}

#[test]
fn a_case_that_ran_when_the_record_ends_is_lost_and_shown() {
    let results = tempfile::tempdir().unwrap();
    let cases = vec![planned("a", 1, 1), planned("b", 1, 1)];
    let mut recorder = begin(results.path(), cases.clone(), 7);
    let directory = recorder.directory().to_owned();
    passing_case(&mut recorder, &cases[0], 2);
    start_case(&mut recorder, &cases[1], 20);
    recorder.samples(0, &samples(20, 1));
    recorder.samples(0, &samples(21, 1));
    recorder.output(0, 0, b"half a");
    // The recorder is never finished, as after kill -9.
    drop(recorder);
    let run = read_run(&directory).unwrap();
    assert_eq!(run.record.state, RunState::Running);
    assert_eq!(run.missing.len(), 1);
    let lost = &run.record.results[1];
    assert!(matches!(lost.outcome, Outcome::Lost { .. }), "{lost:?}");
    assert!(
        says(&run, "cut off while b round 1 ran"),
        "{:?}",
        run.missing
    );
    assert_eq!(run.samples(lost, 0).unwrap().unwrap().block, samples(20, 2));
    torn_samples(&run, &directory);
}

fn torn_samples(run: &LoadedRun, directory: &Path) {
    let path = directory.join("b/127.0.0.1_noderank0/samples.fps");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let read = run.samples(&run.record.results[1], 0).unwrap().unwrap();
    assert_eq!(read.block, samples(20, 1));
    assert!(read.damage.unwrap().contains("in the middle of a record"));
}
