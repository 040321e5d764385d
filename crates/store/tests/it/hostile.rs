//! Run directories and events as nobody would write them by chance.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use flagperf_model::{EventKind, Outcome, Phase, Timestamp, Window};
use flagperf_store::{LoadedRun, ReadError, read_run};
use proptest::prelude::*;
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{
    START, begin, case, end_case, event, node, planned, second, small_run, start_case,
};

fn small() -> (tempfile::TempDir, PathBuf) {
    let results = tempfile::tempdir().unwrap();
    let (directory, _) = small_run(results.path(), 1);
    (results, directory)
}

fn says(run: &LoadedRun, text: &str) -> bool {
    run.missing.iter().any(|line| line.contains(text))
}

/// Puts something that is not a regular file in the place of a file, by every way there is.
fn in_place_of(path: &Path, mut check: impl FnMut(&str)) {
    let replaced = |what: &str, check: &mut dyn FnMut(&str)| {
        check(what);
        let _ = fs::remove_file(path).or_else(|_| fs::remove_dir(path));
    };
    let whole = fs::read(path).unwrap();
    fs::remove_file(path).unwrap();
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    replaced("a FIFO", &mut check);
    fs::create_dir(path).unwrap();
    replaced("a directory", &mut check);
    symlink("/dev/zero", path).unwrap();
    replaced("a device", &mut check);
    drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    replaced("a socket", &mut check);
    fs::write(path, whole).unwrap();
}

#[test]
fn run_json_that_is_no_file_is_rebuilt() {
    let (_results, directory) = small();
    let whole = read_run(&directory).unwrap().record;
    in_place_of(&directory.join("run.json"), |what| {
        let run = read_run(&directory).unwrap();
        let expected = format!(
            "run.json cannot be read: it is {what}, expected a regular file; rebuilt from events.jsonl"
        );
        assert!(says(&run, &expected), "{:?}", run.missing);
        assert_eq!(run.record.results, whole.results);
    });
    assert_eq!(read_run(&directory).unwrap().record, whole);
}

#[test]
fn events_that_are_no_file_are_missing() {
    let (_results, directory) = small();
    let whole = read_run(&directory).unwrap().record;
    in_place_of(&directory.join("events.jsonl"), |what| {
        let run = read_run(&directory).unwrap();
        let expected = format!("events.jsonl cannot be read: it is {what}");
        assert!(says(&run, &expected), "{:?}", run.missing);
        assert_eq!(run.record, whole);
    });
}

#[test]
fn where_neither_can_be_read_there_is_no_run() {
    let (_results, directory) = small();
    fs::remove_file(directory.join("events.jsonl")).unwrap();
    in_place_of(&directory.join("run.json"), |_| {
        let error = read_run(&directory).unwrap_err();
        assert!(
            matches!(&error, ReadError::Io { path, .. } if path.ends_with("run.json")),
            "{error:?}"
        );
    });
    fs::remove_file(directory.join("run.json")).unwrap();
    fs::create_dir(directory.join("events.jsonl")).unwrap();
    let error = read_run(&directory).unwrap_err();
    assert!(matches!(&error, ReadError::Io { path, .. } if path.ends_with("events.jsonl")));
}

#[test]
fn samples_that_are_no_file_cannot_be_read() {
    let (_results, directory) = small();
    let run = read_run(&directory).unwrap();
    let result = &run.record.results[0];
    let path = directory.join(&result.directories[0]).join("samples.fps");
    in_place_of(&path, |what| {
        let error = run.samples(result, 0).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(source, format!("it is {what}, expected a regular file"));
    });
    assert!(run.samples(result, 0).unwrap().is_some());
}

#[test]
fn run_json_without_leave_to_read_it_is_rebuilt() {
    let (_results, directory) = small();
    let json = directory.join("run.json");
    let whole = read_run(&directory).unwrap().record;
    fs::set_permissions(&json, fs::Permissions::from_mode(0o000)).unwrap();
    let run = read_run(&directory).unwrap();
    assert_eq!(run.record.results, whole.results);
    // To root every file is readable.
    let refused = File::open(&json).is_err();
    let told = says(&run, "run.json cannot be read: Permission denied");
    assert_eq!(told, refused, "{:?}", run.missing);
}

#[test]
fn of_many_unreadable_lines_five_are_told() {
    let (_results, directory) = small();
    let events = directory.join("events.jsonl");
    for (more, rest) in [
        (5, None),
        (1, Some("events.jsonl: one more line cannot be read")),
        (1000, Some("events.jsonl: 1001 more lines cannot be read")),
    ] {
        let mut file = File::options().append(true).open(&events).unwrap();
        file.write_all("rubbish\n".repeat(more).as_bytes()).unwrap();
        let run = read_run(&directory).unwrap();
        let told = |line: &&String| line.starts_with("events.jsonl line ");
        assert_eq!(run.missing.iter().filter(told).count(), 5);
        assert_eq!(run.missing.get(5).map(String::as_str), rest);
        assert!(run.missing.len() <= 6, "{:?}", run.missing);
    }
}

/// The window of a case from second 10 to 20 with these phases, as recorded and as read again.
fn window(phases: &[(i64, Phase)]) -> Option<Window> {
    let results = tempfile::tempdir().unwrap();
    let cases = vec![planned("a", 1, 1)];
    let mut recorder = begin(results.path(), cases.clone(), 1);
    let directory = recorder.directory().to_owned();
    start_case(&mut recorder, &cases[0], 10);
    for (at, phase) in phases {
        let mut event = event(
            0,
            EventKind::Phase {
                case: case("a"),
                node: node(),
                rank: 0,
                phase: *phase,
            },
        );
        event.at = Timestamp(*at);
        recorder.event(&event);
    }
    // Read while it runs, and with the case still open.
    let running = read_run(&directory).unwrap().record;
    let open = &running.results[0];
    assert!(matches!(open.outcome, Outcome::Lost { .. }));
    assert_eq!(open.ended, second(10));
    end_case(&mut recorder, &cases[0], 20, Outcome::Passed);
    let recorded = recorder.record().results[0].window;
    drop(recorder);
    fs::remove_file(directory.join("run.json")).unwrap();
    let read = read_run(&directory).unwrap().record;
    assert_eq!(read.results[0].window, recorded);
    recorded
}

fn seconds(begin: i64, end: i64) -> Window {
    Window {
        begin: second(begin),
        end: second(end),
    }
}

#[test]
fn phases_outside_a_case_do_not_widen_its_window() {
    use Phase::{Measure, Verify};
    let at = |second: i64| START + second * 1_000_000_000;
    for (phases, expected) in [
        (
            vec![(at(12), Measure), (at(18), Verify)],
            Some(seconds(12, 18)),
        ),
        (
            vec![
                (at(12), Measure),
                (at(18), Verify),
                (i64::MIN, Measure),
                (i64::MAX, Verify),
            ],
            Some(seconds(12, 18)),
        ),
        // Nothing else tells the end, so it is the case's.
        (
            vec![(at(12), Measure), (i64::MAX, Verify)],
            Some(seconds(12, 20)),
        ),
        (
            vec![(i64::MIN, Measure), (at(18), Verify)],
            Some(seconds(10, 18)),
        ),
        (vec![(at(18), Measure), (at(12), Verify)], None),
        (vec![(at(15), Measure), (at(15), Verify)], None),
        (vec![(i64::MAX, Measure), (i64::MIN, Verify)], None),
        (vec![(i64::MAX, Measure)], None),
        (vec![(at(1), Measure), (at(5), Verify)], None),
        (vec![(at(12), Measure)], Some(seconds(12, 20))),
    ] {
        assert_eq!(window(&phases), expected, "{phases:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_window_lies_inside_its_case(
        phases in prop::collection::vec(
            (
                prop_oneof![any::<i64>(), START..START + 30_000_000_000],
                prop_oneof![Just(Phase::Measure), Just(Phase::Verify)],
            ),
            0..8,
        ),
    ) {
        if let Some(Window { begin, end }) = window(&phases) {
            prop_assert!(second(10) <= begin && begin < end && end <= second(20));
        }
    }
}
