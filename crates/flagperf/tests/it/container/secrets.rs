//! Secrets: used as they are, and nowhere written or printed.

use std::fs;
use std::path::Path;

use super::{IMAGE, on_docker, settings};
use crate::cluster::{Cluster, RESULT};
use crate::support::ran;

/// What no file and no output may have in it.
const MARK: &str = "s3cret";

const SETTINGS: &str = "nodes = \"node1\"
[container]
image = \"flagperf-test/busybox:1\"
mounts = [\"/tmp/shared:/shared\"]
env = { HF_TOKEN = \"s3cret-one\", PLAIN = \"seen\" }
[node.node1]
env = { NODE_PASSWORD = \"s3cret-three\" }";

const OPTIONS: &str = "-e 'API_KEY=s3cret two' --env=http_proxy=http://ann:s3cret-four@proxy:3128 --label a.token=s3cret-five";

/// Files below a directory that have a secret in them.
fn files_with_secrets(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with_secrets(&path));
        } else if String::from_utf8_lossy(&fs::read(&path).unwrap()).contains(MARK) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn resume(cluster: &Cluster, arguments: &[&str]) -> crate::support::Ran {
    let mut command = cluster.bed.controller(env!("CARGO_BIN_EXE_flagperf"));
    command.args(["run", "--resume"]);
    command.arg(cluster.place.run_directory());
    command
        .arg("--config")
        .arg(cluster.place.path("flagperf.toml"));
    ran(command.args(arguments).output().unwrap())
}

#[test]
fn secrets_reach_the_container_and_no_record() {
    let Some(cluster) = on_docker(1) else { return };
    let expected = "s3cret-one s3cret two s3cret-three http://ann:s3cret-four@proxy:3128";
    cluster.sh(
        "node1",
        &format!("mkdir -p /tmp/shared; echo '{expected}' >/tmp/shared/expected"),
    );
    let script = format!(
        "[ \"$HF_TOKEN $API_KEY $NODE_PASSWORD $http_proxy\" = \"$(cat /shared/expected)\" ] || exit 4
        echo begun
        while [ ! -e /shared/seen ]; do sleep 0.1; done
        [ -e /shared/ready ] || exit 3
        {RESULT}"
    );
    cluster.case("uses", "each", &script);
    cluster.installed(&format!("{SETTINGS}\n"));
    let options = ["uses", "--container-options", OPTIONS];
    for format in [&["--dry-run"][..], &["--dry-run", "--json"]] {
        let plan = cluster.passes(&[&options[..], format].concat());
        assert!(!plan.stdout.contains(MARK), "{}", plan.stdout);
        assert!(plan.stdout.contains("HF_TOKEN") && plan.stdout.contains("API_KEY"));
        assert!(plan.stdout.contains("***"), "{}", plan.stdout);
    }

    let running = cluster.start(&options);
    cluster
        .place
        .await_text("uses/node1_noderank0/benchmark.log.txt", "begun");
    // Who lists the processes of the node sees none, but for the label, which is a word like any other.
    let words = cluster.sh("node1", "cat /proc/[0-9]*/cmdline | tr '\\0' '\\n'");
    let shown: Vec<&str> = words.lines().filter(|line| line.contains(MARK)).collect();
    assert_eq!(shown, ["a.token=s3cret-five"; 1], "{words}");
    cluster.sh("node1", "touch /tmp/shared/seen");
    let failed = running.end(20.0);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(cluster.place.outcome().to_string().contains('3'));
    cluster.await_gone();
    let results = cluster.place.path("results");
    assert_eq!(files_with_secrets(&results), [""; 0]);
    let record = cluster.record();
    let container = &record["plan"]["environment"]["container"]["options"];
    assert_eq!(container["env"]["HF_TOKEN"], "***", "{container}");
    assert_eq!(container["env"]["PLAIN"], "seen", "{container}");
    let command = record["command"].to_string();
    assert!(command.contains("a.token=***"), "{command}");

    // What is not in the record must be said again.
    cluster.sh("node1", "touch /tmp/shared/ready");
    let lacking = resume(&cluster, &[]);
    assert_eq!(lacking.code, Some(2), "{}", lacking.stderr);
    assert!(
        lacking.stderr.contains("`API_KEY` of the containers"),
        "{}",
        lacking.stderr
    );
    assert!(
        lacking.stderr.contains("keeps no secrets"),
        "{}",
        lacking.stderr
    );
    let resumed = resume(&cluster, &["--container-options", OPTIONS]);
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert_eq!(files_with_secrets(&results), [""; 0]);
    cluster.await_gone();
}

#[test]
fn secrets_are_not_in_what_an_engine_says_when_it_refuses() {
    let Some(cluster) = on_docker(1) else { return };
    cluster.case("never", "each", RESULT);
    for options in [
        "--no-such-token=s3cret",
        "--memory-password s3cret",
        "-e A_TOKEN=s3cret --device /dev/none",
    ] {
        cluster.forget();
        let ran = cluster.run(&["never", "--image", IMAGE, "--container-options", options]);
        assert_eq!(ran.code, Some(1), "{options}: {}", ran.stderr);
        let step = cluster.step("node1", "start_container");
        let reason = step["outcome"]["failed"]["reason"].as_str().unwrap();
        assert!(reason.contains("its option"), "{reason}");
        assert!(!ran.stderr.contains(MARK), "{}", ran.stderr);
        let files = files_with_secrets(&cluster.place.path("results"));
        assert_eq!(files, [""; 0]);
    }
    // A command is recorded as it is, so none may have one in it.
    settings(
        &cluster,
        "setup = [\"pip3 install --index-url https://ann:s3cret@index/simple torch\"]",
    );
    cluster.forget();
    let ran = cluster.run(&["never", "--image", IMAGE]);
    assert_eq!(ran.code, Some(2), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("https://ann:***@index/simple"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stderr.contains(MARK), "{}", ran.stderr);
    cluster.await_gone();
}
