//! Calling `scripts/testbed`.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The status with which the script says that this machine lacks the rights or a tool.
pub(crate) const LACKING: i32 = 77;

/// Where `scripts/testbed` lies in the source tree that this crate was built from.
pub fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/testbed")
}

/// Runs `scripts/testbed COMMAND DIR ARGS...` and gives all it said, whatever its status.
pub(crate) fn call<A: AsRef<OsStr>>(command: &str, dir: &Path, args: &[A]) -> Output {
    Command::new(script())
        .arg(command)
        .arg(dir)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("scripts/testbed cannot be started")
}

/// As [`call`], for what must succeed.
#[track_caller]
pub(crate) fn must<A: AsRef<OsStr>>(command: &str, dir: &Path, args: &[A]) -> String {
    let output = call(command, dir, args);
    assert!(
        output.status.success(),
        "testbed {command}: {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether a test that cannot be done here is a failure: in continuous integration it is.
pub(crate) fn may_not_skip() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}
