//! In-container mode, and the node that is this machine.

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};
use crate::support::ran;

/// How many of the steps that containers save are named.
fn steps(text: &str) -> usize {
    text.lines().filter(|line| line.contains("skipped")).count()
}

#[test]
fn in_container_mode_names_the_steps_that_it_skips() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("quick", "all", RESULT);
    let plan = cluster.passes(&["quick", "--dry-run", "--in-container"]);
    assert_eq!(steps(&plan.stdout), 4, "{}", plan.stdout);
    let mut command = cluster.command(&["quick", "--dry-run"]);
    let plan = ran(command.env("EXEC_IN_CONTAINER", "0").output().unwrap());
    assert_eq!(steps(&plan.stdout), 0, "{}", plan.stdout);
    let mut command = cluster.command(&["quick"]);
    let ended = ran(command.env("EXEC_IN_CONTAINER", "True").output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let log =
        std::fs::read_to_string(cluster.place.run_directory().join("flagperf_run.log")).unwrap();
    assert!(steps(&log) >= 4, "{log}");
    assert!(log.contains("EXEC_IN_CONTAINER"), "{log}");
    cluster.await_clean();
}

#[test]
fn a_doubtful_in_container_mode_is_refused() {
    let Some(bed) = TestBed::hosts(1).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("quick", "each", RESULT);
    let mut command = cluster.command(&["quick"]);
    let ended = ran(command.env("EXEC_IN_CONTAINER", "maybe").output().unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("EXEC_IN_CONTAINER"),
        "{}",
        ended.stderr
    );
    assert_eq!(cluster.left_on("node1"), [""; 0]);
}
