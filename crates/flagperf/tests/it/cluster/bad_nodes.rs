//! Nodes that cannot take part: all told together, each with its own reason.

use std::fs;

use flagperf_testkit::TestBed;

use super::{Cluster, RESULT};
use crate::support::{Ran, ran};

/// Five nodes: the second cannot be reached, the third has another key, the fourth refuses.
fn with_bad_nodes() -> Option<Cluster> {
    let bed = TestBed::hosts(5).up()?;
    let cluster = Cluster::new(bed);
    cluster.installed("[session]\nconnect = \"8s\"\n");
    cluster.bed.cut("node2");
    let keys = cluster.bed.dir().join("known_hosts");
    let text = fs::read_to_string(&keys).unwrap();
    let address = |node: &str| cluster.bed.address(node).ip().to_string();
    let key_of = |node: &str| {
        let ip = address(node);
        text.lines()
            .find(|line| {
                line.split([' ', ','])
                    .any(|word| word == node || word == ip)
            })
            .unwrap()
            .split_once(' ')
            .unwrap()
            .1
            .to_owned()
    };
    let (right, wrong) = (key_of("node3"), key_of("node1"));
    fs::write(&keys, text.replace(&right, &wrong)).unwrap();
    cluster.bed.kill_sshd("node4");
    Some(cluster)
}

fn reason_of<'r>(ran: &'r Ran, node: &str) -> &'r str {
    ran.stderr
        .lines()
        .find(|line| line.trim_start().starts_with(&format!("{node}: ")))
        .unwrap_or_else(|| panic!("nothing about {node}: {}", ran.stderr))
}

#[test]
fn bad_nodes_are_told_together_and_nothing_is_started() {
    let Some(cluster) = with_bad_nodes() else {
        return;
    };
    cluster.case("quick", "each", RESULT);
    let ran = cluster.run(&["quick"]);
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("3 of 5 nodes"), "{}", ran.stderr);
    let reasons = ["node2", "node3", "node4"].map(|node| reason_of(&ran, node));
    let silent = ["No route to host", "timed out", "did not come up"];
    assert!(
        silent.iter().any(|words| reasons[0].contains(words)),
        "{reasons:?}"
    );
    assert!(
        reasons[1].contains("IDENTIFICATION HAS CHANGED"),
        "{reasons:?}"
    );
    assert!(reasons[2].contains("Connection refused"), "{reasons:?}");
    cluster.await_clean_on("node1");
    cluster.await_clean_on("node5");
}

#[test]
fn the_rest_runs_what_one_node_can_do_alone() {
    let Some(cluster) = with_bad_nodes() else {
        return;
    };
    cluster
        .case("single", "each", RESULT)
        .case("spanning", "all", RESULT);
    let ran = cluster.run(&["single", "spanning", "--continue-on-bad-nodes"]);
    // What was skipped has not passed.
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let record = cluster.record();
    let bad: Vec<&str> = record["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| !node["bad"].is_null())
        .map(|node| node["name"].as_str().unwrap())
        .collect();
    assert_eq!(bad, ["node2", "node3", "node4"], "{}", ran.stderr);
    let results = record["results"].as_array().unwrap();
    let outcome = |case| {
        let result = results.iter().find(|result| result["case"] == case);
        &result.unwrap()["outcome"]
    };
    assert_eq!(*outcome("single"), "passed");
    assert!(!outcome("spanning")["skipped"].is_null(), "{results:?}");
    let run = cluster.place.run_directory();
    let log = crate::support::read(&run.join("flagperf_run.log"));
    let told = "1 passed, 0 failed, 1 skipped, 0 not supported, in ";
    assert!(log.contains(told), "{log}");
    for node in ["node1", "node5"] {
        assert!(cluster.output("single", node).contains("x=1"));
        cluster.await_clean_on(node);
    }
}

#[test]
fn a_node_that_is_too_slow_is_bad_with_the_default_patience() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    // The first has the program; the second gets it through a link that takes minutes for it.
    let program = env!("CARGO_BIN_EXE_flagperf");
    cluster.settings(&format!(
        "nodes = \"node[1-2]\"\n[node.node1]\nprogram = {program:?}\n"
    ));
    cluster.case("quick", "each", RESULT);
    cluster.bed.throttle("node2", Some(1));
    let began = std::time::Instant::now();
    let ran = cluster.run(&["quick"]);
    let took = began.elapsed().as_secs_f64();
    assert_eq!(ran.code, Some(4), "{}", ran.stderr);
    assert!(ran.stderr.contains("1 of 2 nodes"), "{}", ran.stderr);
    let reason = reason_of(&ran, "node2");
    assert!(reason.contains("20 s"), "{reason}");
    assert!((19.0..40.0).contains(&took), "{took} s");
    cluster.await_clean_on("node1");
    cluster.bed.throttle("node2", None);
    cluster.await_clean_on("node2");
}

#[test]
fn hostile_names_are_refused_and_nothing_is_executed() {
    let Some(bed) = TestBed::hosts(1).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("quick", "each", RESULT);
    let witness = cluster.place.path("witness");
    let touch = format!("touch {}", witness.display());
    let names = [
        format!("-oProxyCommand={touch}"),
        "-oProxyCommand=true".to_owned(),
        format!("node1;{touch}"),
        format!("$({touch})"),
        format!("`{touch}`"),
        "node'1".to_owned(),
        "node\"1".to_owned(),
        "node1\nnode1".to_owned(),
    ];
    for (place, name) in names.iter().enumerate() {
        let file = cluster.place.path("names");
        fs::write(&file, format!("{name}\n")).unwrap();
        let toml = cluster.place.path("names.toml");
        fs::write(&toml, format!("nodes = {}\n", serde_json::json!(name))).unwrap();
        for source in ["--nodes", "--nodes-file", "--config"] {
            let mut command = cluster.bare(&["quick", "--launcher", "ssh", source]);
            match source {
                "--nodes" => command.arg(name),
                "--nodes-file" => command.arg(&file),
                _ => command.arg(&toml),
            };
            let ran = ran(command
                .arg("--ssh-config")
                .arg(cluster.bed.ssh_config())
                .output()
                .unwrap());
            assert_eq!(
                ran.code,
                Some(2),
                "{place} {source} {name:?}: {}",
                ran.stderr
            );
            assert!(!witness.exists(), "{name:?} was executed");
        }
    }
    // A blank stands between two names; one of digits alone is most likely torn off.
    let torn = ran(cluster
        .bare(&["quick", "--nodes", "no 1"])
        .output()
        .unwrap());
    assert_eq!(torn.code, Some(2), "{}", torn.stderr);
    let said = "expected `no1`, or `no,1` if there are such nodes";
    assert!(torn.stderr.contains(said), "{}", torn.stderr);
    assert_eq!(cluster.left_on("node1"), [""; 0]);
}
