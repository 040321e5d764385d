//! The controller's end in every phase, by Ctrl-C and by SIGKILL: nothing stays on any node.

use std::fs;

use flagperf_testkit::TestBed;

use super::{Cluster, IMPATIENT};

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// When the controller is sent the signal.
#[derive(Clone, Copy)]
enum Phase {
    BringUp,
    Prepare,
    Run,
}

/// Sends the controller a signal in a phase of a run on three nodes, which must end with that exit
/// code, absent for a signal.
fn ends_with(signal: &str, phase: Phase, code: Option<i32>) {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    match phase {
        Phase::BringUp => cluster.settings(IMPATIENT),
        Phase::Prepare | Phase::Run => cluster.installed(IMPATIENT),
    };
    cluster.case("sleeping", "all", "exec sleep 64");
    for node in NODES {
        assert_eq!(cluster.left_on(node), [""; 0], "{node} before");
    }
    // Slow enough to be met in the middle, whether the program is on its way or the case's files are.
    match phase {
        Phase::BringUp => cluster.bed.throttle("node2", Some(80)),
        Phase::Prepare => {
            let big = cluster.place.path("cases/sleeping/big");
            // Incompressible, so that it takes seconds.
            let status = std::process::Command::new("head")
                .args(["-c", "40000000", "/dev/urandom"])
                .stdout(fs::File::create(big).unwrap())
                .status()
                .unwrap();
            assert!(status.success());
            cluster.bed.throttle("node2", Some(50));
        }
        Phase::Run => {}
    }
    let running = cluster.start(&["sleeping"]);
    match phase {
        Phase::BringUp => cluster.await_process(&["node2"], "head -c"),
        Phase::Prepare => crate::support::within(40.0, "files arrive", || {
            !cluster
                .sh("node2", "ls -d /tmp/flagperf-*/tree-0")
                .is_empty()
        }),
        Phase::Run => cluster.await_process(&NODES, "sleep 64"),
    }
    running.signal(signal);
    assert_eq!(running.end(20.0).code, code);
    cluster.await_clean();
}

#[test]
fn ctrl_c_while_nodes_come_up() {
    ends_with("INT", Phase::BringUp, Some(130));
}

#[test]
fn ctrl_c_while_files_are_copied() {
    ends_with("INT", Phase::Prepare, Some(130));
}

#[test]
fn ctrl_c_while_a_case_runs() {
    ends_with("INT", Phase::Run, Some(130));
}

#[test]
fn the_controller_is_killed_while_nodes_come_up() {
    ends_with("KILL", Phase::BringUp, None);
}

#[test]
fn the_controller_is_killed_while_files_are_copied() {
    ends_with("KILL", Phase::Prepare, None);
}

#[test]
fn the_controller_is_killed_while_a_case_runs() {
    ends_with("KILL", Phase::Run, None);
}
