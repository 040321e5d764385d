//! Child processes for tests that need one of their own: the test binary starts itself again,
//! with the name of an ignored test and what it needs in the environment.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flagperf_store::read_run;

use crate::support::{begin, passing_case, planned};

/// Where a child test finds the directory to work in.
pub(crate) const PLACE: &str = "FLAGPERF_TEST_PLACE";

/// A command that runs one ignored test of this binary, after the words in `before`.
pub(crate) fn child(before: &[&str], test: &str, place: &Path) -> Command {
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap();
    let words: Vec<&str> = before
        .iter()
        .copied()
        .chain([own, "--exact", test, "--ignored", "--nocapture"])
        .collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env(PLACE, place);
    command
}

pub(crate) fn place() -> PathBuf {
    std::env::var_os(PLACE)
        .expect("started by another test")
        .into()
}

#[test]
#[ignore = "runs as a child of `killed_at_any_moment_the_directory_reads`"]
fn record_until_killed() {
    let cases: Vec<_> = (1..=60).map(|round| planned("x", round, 60)).collect();
    let mut recorder = begin(&place(), cases.clone(), 1);
    for (index, planned) in cases.iter().enumerate() {
        passing_case(&mut recorder, planned, 2 + 10 * index as i64);
    }
    recorder.finish(flagperf_model::RunState::Finished);
}

/// Waits until the child has written so many bytes of events, and returns the run directory.
fn wait_for_events(results: &Path, bytes: u64, child: &mut Child) -> PathBuf {
    let begun = Instant::now();
    loop {
        let found = std::fs::read_dir(results).unwrap().flatten().next();
        if let Some(found) = found
            && found.path().join("run.json").exists()
        {
            let events = std::fs::metadata(found.path().join("events.jsonl"));
            if events.map_or(0, |file| file.len()) >= bytes {
                return found.path();
            }
        }
        assert!(child.try_wait().unwrap().is_none(), "the child ended early");
        assert!(begun.elapsed() < Duration::from_mins(1), "no events");
        std::thread::sleep(Duration::from_micros(50));
    }
}

#[test]
fn killed_at_any_moment_the_directory_reads() {
    let mut ended_cases = 0;
    let mut lost_cases = 0;
    for turn in 0..20u64 {
        let results = tempfile::tempdir().unwrap();
        let mut process = child(&[], "children::record_until_killed", results.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // From before the first event to the tenth case or so, at moments without a pattern.
        let directory = wait_for_events(results.path(), turn * turn * 53, &mut process);
        std::thread::sleep(Duration::from_micros((turn * 7919) % 9000));
        process.kill().unwrap();
        process.wait().unwrap();

        let run = read_run(&directory).unwrap();
        assert_eq!(run.record.plan.cases.len(), 60, "run.json is always whole");
        // Lines go out in one write. A kill tears one only where the system copies it page by page; what is
        // missing besides is the end.
        for line in &run.missing {
            assert!(
                line.starts_with("the record has no end")
                    || line.starts_with("events.jsonl ends in the middle of line")
                    || line == "events.jsonl is empty"
                    || line == "events.jsonl is missing",
                "{line}"
            );
        }
        for result in &run.record.results {
            if matches!(result.outcome, flagperf_model::Outcome::Passed) {
                ended_cases += 1;
                assert_eq!(result.measurements.len(), 1);
                let samples = run.samples(result, 0).unwrap().unwrap();
                assert_eq!((samples.damage, samples.block.times.len()), (None, 10));
            } else {
                lost_cases += 1;
                if let Some(samples) = run.samples(result, 0).unwrap() {
                    assert_eq!(samples.damage, None);
                }
            }
        }
    }
    // How many cases a kill interrupts is chance; that some had ended is not.
    assert!(ended_cases > 0);
    println!("{ended_cases} ended cases, {lost_cases} lost ones read");
}
