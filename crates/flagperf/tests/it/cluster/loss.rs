//! Packets that are lost. What `ping` calls 30 % is 16 % each way, since an answer has to come through too.
//!
//! Measured with the limits below on a link without delay, on a machine of two processors that also built:
//!
//! | loss each way | what | runs, all passed | seconds |
//! |---|---|---|---|
//! | 16 % | a whole run | 15 | 0.8 to 6.5 |
//! | 16 % | the same, with 11 MiB of program to be placed | 4 | 4 to 19 |
//! | 30 % | a whole run | 26 | 2.7 to 100, seven over 30 |
//!
//! With 30 % each way half of all round trips fail and TCP waits twice as long after each: such runs pass,
//! but how long they take is a matter of luck, so that there is no test of them.

use std::process::Command;

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};
use crate::support::Running;

/// Time for a link that loses so much.
const PATIENT: &str = "[session]\nconnect = \"120s\"\nsilent = \"60s\"\nlost = \"120s\"\n";

/// Two nodes, the link of one of which drops so many percent of the packets each way.
fn lossy(percent: u8) -> Option<Cluster> {
    let bed = TestBed::hosts(2).up()?;
    let cluster = Cluster::new(bed);
    let script = format!("hostname >$FLAGPERF_OUT/name; echo tick 1; sleep 1; {RESULT}");
    cluster.case("lossy", "all", &script);
    for node in ["node1", "node2"] {
        assert_eq!(cluster.left_on(node), [""; 0], "{node} before");
    }
    cluster.bed.loss("node2", percent);
    Some(cluster)
}

/// A whole run: bringing up, copying the case's directory, running, fetching a file.
fn runs(cluster: &Cluster, mut command: Command) {
    let child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let ended = Running { child }.end(100.0);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(cluster.output("lossy", "node2").contains("tick 1"));
    let record = cluster.record();
    let collected = record["results"][0]["collected"].as_array().unwrap();
    assert_eq!(collected.len(), 2, "{collected:?}");
    cluster.bed.loss("node2", 0);
    cluster.await_clean();
}

#[test]
fn heavy_loss_only_makes_a_run_slower() {
    let Some(cluster) = lossy(16) else {
        return;
    };
    cluster.installed(PATIENT);
    runs(&cluster, cluster.command(&["lossy"]));
}

#[test]
fn heavy_loss_only_makes_the_placing_of_the_program_slower() {
    // The program is thousands of packets, each of which must come through: with more loss the time they take is
    // a matter of luck.
    let Some(cluster) = lossy(8) else {
        return;
    };
    // A build for tests is mostly symbols, five times what users have.
    let stripped = cluster.place.path("flagperf");
    let built = env!("CARGO_BIN_EXE_flagperf");
    let strip = Command::new("strip")
        .arg("-o")
        .args([stripped.as_os_str(), built.as_ref()])
        .status();
    assert!(strip.unwrap().success(), "strip is where linkers are");
    cluster.settings(PATIENT);
    let whole = cluster.command(&["lossy"]);
    let mut command = Command::new(whole.get_program());
    command.args(whole.get_args().map(|word| {
        if word == built {
            stripped.as_os_str()
        } else {
            word
        }
    }));
    runs(&cluster, command);
    assert_ne!(cluster.sh("node2", "ls /root/.cache/flagperf"), "");
}

#[test]
fn loss_that_begins_in_the_middle_does_no_harm() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    let script = format!("for i in 1 2 3; do echo tick $i; sleep 1; done; {RESULT}");
    cluster.installed("");
    cluster.case("ticking", "all", &script);
    let running = cluster.start(&["ticking"]);
    cluster.await_process(&["node1", "node2"], "main.sh");
    // What is lost on the way there and on the way back makes 30 % together.
    cluster.bed.loss("node2", 16);
    let ended = running.end(60.0);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(cluster.output("ticking", "node2").contains("tick 3"));
    cluster.bed.loss("node2", 0);
    cluster.await_clean();
}
