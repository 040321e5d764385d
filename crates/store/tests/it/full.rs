//! Full and read-only disks: real ones, small tmpfs mounted where only one child process sees them.

use std::fs;
use std::process::{Command, Stdio};

use flagperf_model::{EventKind, Outcome, RunState};
use flagperf_store::{CreateError, Recorder, read_run};

use crate::children::{child, place};
use crate::support::{
    begin, end_case, event, node, passing_case, planned, record, samples, start_case,
};

/// Runs a child test in a mount namespace of its own, and returns false where nobody may have one.
fn in_own_mounts(test: &str) -> bool {
    let allowed = Command::new("unshare")
        .args(["-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !allowed {
        let reason = "skipped: mounting a small disk needs root and unshare(1)";
        assert!(
            std::env::var_os("CI").is_none_or(|value| value != "true"),
            "{reason}"
        );
        println!("{reason}");
        return false;
    }
    let place = tempfile::tempdir().unwrap();
    let output = child(&["unshare", "-m"], test, place.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    true
}

fn mount(options: &str) -> std::path::PathBuf {
    let place = place();
    let status = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(&place)
        .status()
        .unwrap();
    assert!(status.success());
    place
}

#[test]
fn a_disk_that_runs_full_does_not_stop_the_run() {
    in_own_mounts("full::child_fills_the_disk");
}

#[test]
#[ignore = "runs as a child of `a_disk_that_runs_full_does_not_stop_the_run`"]
fn child_fills_the_disk() {
    let results = mount("size=4m");
    let cases = vec![
        planned("flood", 1, 1),
        planned("after", 1, 1),
        planned("later", 1, 1),
    ];
    let mut recorder = begin(&results, cases.clone(), 1);
    let directory = recorder.directory().to_owned();

    start_case(&mut recorder, &cases[0], 2);
    recorder.samples(0, &samples(2, 5));
    for _ in 0..2000 {
        recorder.output(
            0,
            0,
            &[b"a line of output that nobody stops\n".as_slice(); 100].concat(),
        );
    }
    recorder.samples(0, &samples(7, 5));
    end_case(&mut recorder, &cases[0], 12, Outcome::Passed);
    // The disk stays full during the next case; its events and its result are recorded.
    passing_case(&mut recorder, &cases[1], 13);
    let problems = recorder.problems().to_vec();
    let full = "no space left on the disk";
    let lost = format!("`flood/127.0.0.1_noderank0/benchmark.log.txt` is not complete: {full}");
    assert_eq!(problems[0], lost);
    assert!(
        problems.iter().all(|problem| problem.ends_with(full)),
        "{problems:?}"
    );
    assert!(problems.len() <= 8, "each is said once: {problems:?}");

    let run = read_run(&directory).unwrap();
    assert_eq!(run.record.results.len(), 2);
    assert_eq!(run.record.results[1].measurements.len(), 1);
    assert_eq!(run.record.warnings, problems);
    let kept = run.samples(&run.record.results[0], 0).unwrap().unwrap();
    assert_eq!(
        kept.block,
        samples(2, 5),
        "samples before the end of the space are kept"
    );

    // Somebody tidies up: recording goes on in full.
    fs::remove_file(directory.join("flood/127.0.0.1_noderank0/benchmark.log.txt")).unwrap();
    passing_case(&mut recorder, &cases[2], 30);
    assert_eq!(recorder.problems().len(), problems.len());
    recorder.finish(RunState::Finished);
    let run = read_run(&directory).unwrap();
    assert_eq!(run.missing, [""; 0]);
    assert_eq!(run.record.state, RunState::Finished);
    let later = &run.record.results[2];
    assert_eq!(
        run.samples(later, 0).unwrap().unwrap().block,
        samples(30, 10)
    );
    assert_eq!(later.result_lines[0].0, node());
}

#[test]
fn a_disk_without_space_or_without_leave_to_write_is_refused_at_once() {
    in_own_mounts("full::child_cannot_begin");
}

#[test]
#[ignore = "runs as a child of `a_disk_without_space_or_without_leave_to_write_is_refused_at_once`"]
fn child_cannot_begin() {
    let results = mount("size=256k");
    let error = Recorder::create(&results, record(Vec::new(), 1)).unwrap_err();
    assert!(matches!(error, CreateError::NoSpace { .. }), "{error:?}");
    assert!(error.to_string().contains("free some space"));
    assert_eq!(
        fs::read_dir(&results).unwrap().count(),
        0,
        "nothing is left behind"
    );

    let results = mount("ro");
    let error = Recorder::create(&results, record(Vec::new(), 1)).unwrap_err();
    assert!(matches!(error, CreateError::ReadOnly { .. }), "{error:?}");
    let error = Recorder::create(&results.join("a/b"), record(Vec::new(), 1)).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is read-only; name another results directory")
    );
}

#[test]
fn events_go_on_where_they_can_when_even_the_reserve_is_used_up() {
    in_own_mounts("full::child_uses_up_the_reserve");
}

#[test]
#[ignore = "runs as a child of `events_go_on_where_they_can_when_even_the_reserve_is_used_up`"]
fn child_uses_up_the_reserve() {
    let results = mount("size=2m");
    let mut recorder = begin(&results, Vec::new(), 1);
    let directory = recorder.directory().to_owned();
    let ballast = results.join("ballast");
    fs::write(&ballast, vec![1u8; 256 << 10]).unwrap();
    let warning = |number: i64| {
        let message = format!("{number} {}", "x".repeat(3000));
        event(number, EventKind::Warning { message })
    };
    for number in 0..600 {
        recorder.event(&warning(number));
    }
    let problem = "`events.jsonl` is not complete: no space left on the disk";
    assert!(recorder.problems().iter().any(|known| known == problem));
    fs::remove_file(&ballast).unwrap();
    for number in 600..605 {
        recorder.event(&warning(number));
    }
    let run = read_run(&directory).unwrap();
    let last: Vec<_> = run.events.iter().rev().take(5).rev().cloned().collect();
    assert_eq!(last, (600..605).map(warning).collect::<Vec<_>>());
    // The one line that was torn is the only one that cannot be read.
    let torn = run
        .missing
        .iter()
        .filter(|line| line.contains("cannot be read"));
    assert_eq!(torn.count(), 1, "{:?}", run.missing);
}
