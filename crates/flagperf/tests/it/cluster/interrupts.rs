//! The controller's end in every phase, by Ctrl-C and by SIGKILL: nothing stays on any node.

use flagperf_testkit::TestBed;

use super::{Cluster, IMPATIENT, RESULT};
use crate::support::{children, within};

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// When the controller is sent the signal.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    /// One node does not answer; there is no program of ours on it.
    BringUp,
    /// The program is on its way to a node.
    Placement,
    /// The case's files are.
    Prepare,
    Run,
    /// One rank has failed, the others have been asked to end and take their time.
    Ending,
    /// Files that the case left are on their way from a node.
    Collect,
}

/// What the case does on each node.
fn script(phase: Phase) -> String {
    match phase {
        Phase::Ending => deaf("[ $FLAGPERF_NODE = node2 ] && { sleep 1; exit 7; }"),
        // Only the link of node2 is slow. Nothing of it can be compressed.
        Phase::Collect => {
            format!("head -c 30000000 /dev/urandom >$FLAGPERF_OUT/noise; {RESULT}")
        }
        _ => "exec sleep 64".to_owned(),
    }
}

/// A script that answers SIGTERM by sleeping on.
fn deaf(first: &str) -> String {
    format!("trap 'exec sleep 65' TERM\n{first}\nsleep 64 &\nwait")
}

/// Three nodes, a case for the phase, and a link that is slow enough for it to be met.
fn made_for(phase: Phase) -> Option<Cluster> {
    let bed = TestBed::hosts(3).up()?;
    let cluster = Cluster::new(bed);
    if phase == Phase::Placement {
        cluster.settings(IMPATIENT);
    } else {
        cluster.installed(IMPATIENT);
    }
    cluster.case("phased", "all", &script(phase));
    match phase {
        Phase::BringUp => cluster.bed.cut("node2"),
        Phase::Placement => cluster.bed.throttle("node2", Some(80)),
        Phase::Prepare => {
            cluster.noise("phased", 40_000_000);
            cluster.bed.throttle("node2", Some(50));
        }
        Phase::Collect => cluster.bed.throttle("node2", Some(50)),
        Phase::Run | Phase::Ending => {}
    }
    Some(cluster)
}

/// Waits until a run is in the middle of a phase.
fn await_phase(cluster: &Cluster, controller: u32, phase: Phase) {
    match phase {
        Phase::BringUp => {
            // Two agents wait for the third, whose ssh has nobody to speak with.
            cluster.await_process(&["node1", "node3"], " agent");
            within(20.0, "ssh to node2", || {
                children(controller).len() == NODES.len()
            });
            assert_eq!(cluster.left_on("node2"), [""; 0]);
        }
        Phase::Placement => cluster.await_process(&["node2"], "head -c"),
        Phase::Prepare => within(40.0, "files arrive", || {
            !cluster
                .sh("node2", "ls -d /tmp/flagperf-*/tree-0")
                .is_empty()
        }),
        Phase::Run => cluster.await_process(&NODES, "sleep 64"),
        Phase::Ending => cluster.await_process(&["node1", "node3"], "sleep 65"),
        Phase::Collect => {
            // Those of node1 and node3 are there before.
            within(40.0, "the files of two nodes", || {
                cluster.events().matches("\"collected\"").count() == 2
            });
            assert_ne!(cluster.left_on("node2"), [""; 0]);
        }
    }
}

/// Sends the controller a signal in a phase of a run on three nodes, which must end with that exit
/// code, absent for a signal.
fn ends_with(signal: &str, phase: Phase, code: Option<i32>) -> Option<Cluster> {
    let cluster = made_for(phase)?;
    let running = cluster.start(&["phased"]);
    await_phase(&cluster, running.child.id(), phase);
    running.signal(signal);
    let ended = running.end(20.0);
    assert_eq!(ended.code, code, "{}", ended.stderr);
    cluster.await_clean();
    Some(cluster)
}

#[test]
fn ctrl_c_while_nodes_come_up() {
    ends_with("INT", Phase::BringUp, Some(130));
}

#[test]
fn ctrl_c_while_the_program_is_placed() {
    ends_with("INT", Phase::Placement, Some(130));
}

#[test]
fn ctrl_c_while_files_are_copied() {
    ends_with("INT", Phase::Prepare, Some(130));
}

#[test]
fn ctrl_c_while_a_case_runs() {
    let Some(cluster) = ends_with("INT", Phase::Run, Some(130)) else {
        return;
    };
    assert_eq!(cluster.place.outcome(), "aborted");
}

#[test]
fn ctrl_c_in_the_grace() {
    let Some(cluster) = ends_with("INT", Phase::Ending, Some(130)) else {
        return;
    };
    // What came before the user lost patience is the reason.
    assert_eq!(cluster.place.outcome()["failed"]["node"], "node2");
}

#[test]
fn ctrl_c_while_files_are_fetched_keeps_the_result() {
    let Some(cluster) = made_for(Phase::Collect) else {
        return;
    };
    // Far too slow for the grace of five seconds.
    cluster.bed.throttle("node2", Some(5));
    let running = cluster.start(&["phased"]);
    await_phase(&cluster, running.child.id(), Phase::Collect);
    running.signal("INT");
    let ended = running.end(20.0);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(cluster.place.outcome(), "passed");
    let warning =
        "not all files that phased left could be fetched from node2: the user asked to stop";
    assert!(ended.stderr.contains(warning), "{}", ended.stderr);
    assert_eq!(cluster.record()["state"], "interrupted");
    cluster.await_clean();
}

#[test]
fn a_second_ctrl_c_ends_all_nodes_at_once() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("phased", "all", &deaf(":"));
    let running = cluster.start(&["phased"]);
    cluster.await_process(&NODES, "sleep 64");
    running.signal("INT");
    // All are in their grace, which is five seconds.
    cluster.await_process(&NODES, "sleep 65");
    running.signal("INT");
    let ended = running.end(4.0);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    assert_eq!(cluster.place.outcome(), "aborted");
    cluster.await_clean();
}

#[test]
fn the_controller_is_killed_while_nodes_come_up() {
    ends_with("KILL", Phase::BringUp, None);
}

#[test]
fn the_controller_is_killed_while_the_program_is_placed() {
    ends_with("KILL", Phase::Placement, None);
}

#[test]
fn the_controller_is_killed_while_files_are_copied() {
    ends_with("KILL", Phase::Prepare, None);
}

#[test]
fn the_controller_is_killed_while_a_case_runs() {
    ends_with("KILL", Phase::Run, None);
}

#[test]
fn the_controller_is_killed_in_the_grace() {
    ends_with("KILL", Phase::Ending, None);
}

#[test]
fn the_controller_is_killed_while_files_are_fetched() {
    ends_with("KILL", Phase::Collect, None);
}
