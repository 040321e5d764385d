//! Runs on several nodes that are taken up again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flagperf_testkit::TestBed;
use serde_json::Value;

use super::{Cluster, IMPATIENT, RESULT};
use crate::support::{Ran, Running, everything, ran};

/// A case that goes on until its node is told to let it pass.
const WAITING: &str = "while ! [ -e /root/mended ]; do sleep 0.2; done";

/// A case that fails until its node is told to let it pass.
const FAILING: &str = "[ -e /root/mended ] || exit 7";

/// Finds a node that does not answer within seconds.
const HASTY: &str = "[session]\nconnect = \"10s\"\n";

impl Cluster {
    /// Takes the only run up again.
    fn resume(&self, arguments: &[&str]) -> Command {
        let mut command = self.bed.controller(env!("CARGO_BIN_EXE_flagperf"));
        command.args(["run", "--resume"]);
        command.arg(self.place.run_directory());
        command
            .arg("--config")
            .arg(self.place.path("flagperf.toml"));
        command.args(arguments);
        command
    }

    fn resumed(&self, arguments: &[&str]) -> Ran {
        ran(self.resume(arguments).output().unwrap())
    }

    fn start_resume(&self) -> Running {
        let mut command = self.resume(&[]);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running { child }
    }

    fn mend(&self) {
        for node in self.bed.node_names() {
            self.sh(node, "touch /root/mended");
        }
    }

    /// How the case came out.
    fn outcome(&self, case: &str) -> Value {
        let record = self.record();
        let results = record["results"].as_array().unwrap();
        let mut of_case = results.iter().filter(|result| result["case"] == case);
        let result = of_case.next().unwrap_or_else(|| panic!("{record}"));
        assert!(of_case.next().is_none(), "{record}");
        result["outcome"].clone()
    }
}

/// Nodes on which a case has failed: one that spans them, and one that does not.
fn with_failures(settings: &str) -> Option<Cluster> {
    let bed = TestBed::hosts(2).up()?;
    let cluster = Cluster::new(bed);
    cluster.installed(settings);
    cluster.case("spanning", "all", &format!("{FAILING}; {RESULT}"));
    cluster.case("single", "each", &format!("{FAILING}; {RESULT}"));
    let first = cluster.run(&["spanning", "single"]);
    assert_eq!(first.code, Some(1), "{}", first.stderr);
    Some(cluster)
}

/// The files of a directory are what they were, byte for byte.
fn is_unchanged(directory: &Path, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let after = everything(directory);
    let changed: Vec<&PathBuf> = after
        .keys()
        .chain(before.keys())
        .filter(|path| after.get(*path) != before.get(*path))
        .collect();
    assert!(changed.is_empty(), "{changed:?}");
}

#[test]
fn a_run_whose_controller_was_killed_goes_on_to_its_end() {
    let nodes = ["node1", "node2", "node3"];
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed(IMPATIENT);
    cluster
        .case("quick", "all", RESULT)
        .case("waiting", "all", &format!("{WAITING}; {RESULT}"))
        .case("later", "each", RESULT);
    let running = cluster.start(&["quick", "waiting", "later"]);
    cluster.await_process(&nodes, "sleep 0.2");
    running.signal("KILL");
    assert_eq!(running.end(10.0).code, None);
    cluster.await_clean();
    let before = cluster.record();
    assert_eq!(before["state"], "running");
    assert_eq!(before["results"].as_array().unwrap().len(), 1);

    let running = cluster.start_resume();
    cluster.await_process(&nodes, "sleep 0.2");
    let second = cluster.resumed(&[]);
    assert_eq!(second.code, Some(2), "{}", second.stderr);
    let said = "is still going on: another process is writing its record";
    assert!(second.stderr.contains(said), "{}", second.stderr);
    cluster.mend();
    let ended = running.end(60.0);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    let after = cluster.record();
    assert_eq!(after["state"], "finished");
    for case in ["quick", "waiting", "later"] {
        assert_eq!(cluster.outcome(case), "passed");
    }
    assert_eq!(after["results"][0], before["results"][0]);
    // The port of the first attempt may be somebody else's by now.
    let port = |record: &Value, case: usize, node: usize| {
        let env = &record["plan"]["cases"][case]["tasks"][node]["processes"][0]["env"];
        env["MASTER_PORT"].as_str().unwrap().to_owned()
    };
    for node in 0..3 {
        assert_eq!(port(&after, 0, node), port(&before, 0, node));
        assert_eq!(port(&after, 1, node), port(&after, 1, 0));
        assert_ne!(port(&after, 1, node), port(&before, 1, node));
    }
    let left: Vec<String> = std::fs::read_dir(cluster.place.run_directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(left, [""; 0]);
    cluster.await_clean();
}

#[test]
fn a_port_that_the_user_chose_stays() {
    let Some(cluster) = with_failures("master_port = 29777\n") else {
        return;
    };
    // No word of it any more.
    cluster.installed("");
    cluster.mend();
    let ended = cluster.resumed(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let record = cluster.record();
    for task in record["plan"]["cases"][0]["tasks"].as_array().unwrap() {
        assert_eq!(task["processes"][0]["env"]["MASTER_PORT"], "29777");
    }
}

#[test]
fn a_node_that_is_bad_now_keeps_the_record_as_it_was() {
    let Some(cluster) = with_failures(HASTY) else {
        return;
    };
    let run = cluster.place.run_directory();
    let before = everything(&run);
    cluster.bed.cut("node2");
    let ended = cluster.resumed(&[]);
    assert_eq!(ended.code, Some(4), "{}", ended.stderr);
    assert!(ended.stderr.contains("node2: "), "{}", ended.stderr);
    let hint = "--continue-on-bad-nodes runs";
    assert!(ended.stderr.contains(hint), "{}", ended.stderr);
    is_unchanged(&run, &before);

    // What the hint says can be done.
    cluster.mend();
    let ended = cluster.resumed(&["--continue-on-bad-nodes"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(cluster.outcome("single"), "passed");
    assert_eq!(
        cluster.outcome("spanning")["failed"]["cause"]["exit"]["status"],
        7
    );
    let record = cluster.record();
    assert_eq!(record["nodes"][1]["bad"]["node"], "node2", "{record}");

    cluster.bed.heal("node2");
    let ended = cluster.resumed(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(cluster.outcome("spanning"), "passed");
    assert!(cluster.output("spanning", "node2").contains("x=1"));
    assert_eq!(cluster.record()["nodes"][1]["bad"], Value::Null);
    cluster.await_clean();
}

#[test]
fn ctrl_c_while_nodes_come_up_keeps_the_record_as_it_was() {
    let Some(cluster) = with_failures("[session]\nconnect = \"1m\"\n") else {
        return;
    };
    let run = cluster.place.run_directory();
    let before = everything(&run);
    // Hardly ever an answer or a refusal.
    cluster.bed.loss("node2", 99);
    let running = cluster.start_resume();
    cluster.await_process(&["node1"], " agent");
    running.signal("INT");
    let ended = running.end(20.0);
    assert_eq!(ended.code, Some(130), "{}", ended.stderr);
    is_unchanged(&run, &before);
    cluster.bed.loss("node2", 0);
    cluster.await_clean();
}

#[test]
fn what_was_skipped_runs_when_the_missing_node_is_back() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed(HASTY);
    cluster
        .case("spanning", "all", &format!("echo $NNODES nodes; {RESULT}"))
        .case("single", "each", RESULT);
    cluster.bed.cut("node2");
    let first = cluster.run(&["spanning", "single", "--continue-on-bad-nodes"]);
    assert_eq!(first.code, Some(1), "{}", first.stderr);
    assert!(!cluster.outcome("spanning")["skipped"].is_null());
    assert_eq!(cluster.outcome("single"), "passed");

    // It stays away.
    let ended = cluster.resumed(&["--continue-on-bad-nodes"]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(!cluster.outcome("spanning")["skipped"].is_null());

    cluster.bed.heal("node2");
    let ended = cluster.resumed(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(cluster.outcome("spanning"), "passed");
    for node in ["node1", "node2"] {
        let output = cluster.output("spanning", node);
        assert!(output.contains("2 nodes"), "{output}");
    }
    let record = cluster.record();
    assert_eq!(record["state"], "finished");
    assert_eq!(record["nodes"][1]["bad"], Value::Null);
    assert!(!record["nodes"][1]["facts"].is_null());
    cluster.await_clean();
}

#[test]
fn a_node_that_was_lost_takes_part_again() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed(IMPATIENT);
    cluster.case("waiting", "all", &format!("{WAITING}; {RESULT}"));
    let running = cluster.start(&["waiting"]);
    cluster.await_process(&["node1", "node2"], "sleep 0.2");
    cluster.bed.kill_sshd("node2");
    let ended = running.end(20.0);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert_eq!(cluster.outcome("waiting")["lost"]["node"], "node2");
    cluster.await_idle();
    cluster.bed.start_sshd("node2");
    cluster.mend();
    let ended = cluster.resumed(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(cluster.outcome("waiting"), "passed");
    cluster.await_clean();
}

#[test]
fn when_nothing_is_left_missing_nodes_are_named() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed(HASTY);
    cluster.case("single", "each", RESULT);
    cluster.bed.cut("node2");
    let first = cluster.run(&["single", "--continue-on-bad-nodes"]);
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let run = cluster.place.run_directory();
    let before = everything(&run);
    let ended = cluster.resumed(&[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("nothing is left to run"));
    assert!(ended.stderr.contains("without node2"), "{}", ended.stderr);
    is_unchanged(&run, &before);
}
