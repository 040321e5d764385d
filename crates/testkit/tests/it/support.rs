//! What the tests share.

use std::process::Output;
use std::time::{Duration, Instant};

use flagperf_testkit::TestBed;

/// What a command that must succeed wrote to its standard output, trimmed.
#[track_caller]
pub(crate) fn said(output: &Output) -> String {
    assert!(
        output.status.success(),
        "{}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What a command on a node, reached by ssh, says.
#[track_caller]
pub(crate) fn over_ssh(bed: &TestBed, destination: &str, command: &str) -> String {
    said(&bed.ssh(destination).arg(command).output().unwrap())
}

/// True as soon as `condition` is, false if it is not within `limit`.
pub(crate) fn within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > limit {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// How long `work` takes.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = work();
    (result, start.elapsed())
}
