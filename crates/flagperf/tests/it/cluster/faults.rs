//! What befalls nodes while a case runs, and what is left on each of them.

use std::time::Duration;

use flagperf_testkit::TestBed;

use super::{Cluster, IMPATIENT, RESULT};
use crate::support::{signal, within};

const NODES: [&str; 3] = ["node1", "node2", "node3"];

#[test]
fn one_ranks_failure_ends_the_others_and_is_named() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    let script = "[ $FLAGPERF_NODE = node2 ] && { sleep 1; exit 7; }; exec sleep 61";
    cluster.installed("");
    cluster.case("failing", "all", script);
    let ran = cluster.run(&["failing"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let record = cluster.record();
    let failed = &record["results"][0]["outcome"]["failed"];
    assert_eq!(failed["node"], "node2", "{failed}");
    assert_eq!(failed["cause"]["exit"]["status"], 7, "{failed}");
    assert_eq!(failed["also"], serde_json::Value::Null, "{failed}");
    let took = record["results"][0]["ended"].as_f64().unwrap()
        - record["results"][0]["started"].as_f64().unwrap();
    assert!(took < 8e9, "{took} ns");
    cluster.await_clean();
}

#[test]
fn the_first_failure_is_told_in_its_own_words_alone() {
    let Some(bed) = TestBed::hosts(2).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    let script = "if [ $FLAGPERF_NODE = node2 ]; then sleep 1; exit 7; fi
        say() { echo '[FlagPerf Record]{\"failure\":{\"rank\":0,\"message\":\"I am node1\"}}'; exit 3; }
        trap say TERM
        sleep 66 & wait";
    cluster.installed("");
    cluster.case("failing", "all", script);
    let ran = cluster.run(&["failing"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(cluster.output("failing", "node1").contains("I am node1"));
    let failed = cluster.place.outcome()["failed"].clone();
    assert_eq!(failed["node"], "node2", "{failed}");
    assert_eq!(failed["cause"]["exit"]["rank"], 1, "{failed}");
    assert_eq!(failed["cause"]["exit"]["status"], 7, "{failed}");
    assert_eq!(failed["also"], serde_json::Value::Null, "{failed}");
    cluster.await_clean();
}

#[test]
fn a_node_lost_in_the_grace_of_a_failure_is_told_beside_it() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    let script = "trap 'exec sleep 65' TERM
        [ $FLAGPERF_NODE = node2 ] && { sleep 1; exit 7; }
        sleep 64 & wait";
    cluster.installed(IMPATIENT);
    cluster.case("failing", "all", script);
    let running = cluster.start(&["failing"]);
    cluster.await_process(&["node1", "node3"], "sleep 65");
    // A loss at nearly the same time would count as what came first.
    std::thread::sleep(Duration::from_secs(1));
    for agent in cluster.pids("node3", " agent") {
        signal(agent, "KILL");
    }
    let ended = running.end(20.0);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let failed = cluster.place.outcome()["failed"].clone();
    assert_eq!(failed["node"], "node2", "{failed}");
    assert_eq!(failed["cause"]["exit"]["status"], 7, "{failed}");
    assert_eq!(failed["also"], serde_json::json!(["node3"]), "{failed}");
    cluster.await_clean_on("node1");
    cluster.await_clean_on("node2");
    cluster.await_idle();
}

#[test]
fn nodes_that_do_not_belong_together_go_on_when_one_fails() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    let script = format!("[ $FLAGPERF_NODE = node2 ] && exit 7; sleep 1; {RESULT}");
    cluster.installed("");
    cluster.case("failing", "each", &script);
    let ran = cluster.run(&["failing"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let record = cluster.record();
    let result = &record["results"][0];
    assert_eq!(
        result["outcome"]["failed"]["node"], "node2",
        "{}",
        result["outcome"]
    );
    let mut reported: Vec<&str> = result["result_lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line[0].as_str().unwrap())
        .collect();
    reported.sort_unstable();
    assert_eq!(reported, ["node1", "node3"]);
    cluster.await_clean();
}

#[test]
fn a_link_that_comes_back_after_five_seconds_does_no_harm() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    let script = format!("for i in 1 2 3 4 5 6 7 8; do echo tick $i; sleep 1; done; {RESULT}");
    cluster.installed("");
    cluster.case("ticking", "all", &script);
    let running = cluster.start(&["ticking"]);
    cluster.await_process(&NODES, "main.sh");
    let ticks = |node| cluster.output("ticking", node).matches("tick").count();
    within(10.0, "the first ticks", || {
        NODES.iter().all(|node| ticks(node) > 0)
    });
    cluster.bed.cut("node2");
    std::thread::sleep(Duration::from_millis(500));
    let at_first = NODES.map(ticks);
    std::thread::sleep(Duration::from_millis(4500));
    let at_last = NODES.map(ticks);
    cluster.bed.heal("node2");
    // Nothing came from there, although it went on, as the others did, whose words came.
    assert_eq!(at_first[1], at_last[1]);
    for place in [0, 2] {
        assert!(
            at_last[place] >= at_first[place] + 3,
            "{at_first:?} {at_last:?}"
        );
    }
    let ended = running.end(30.0);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for node in NODES {
        let output = cluster.output("ticking", node);
        let ticks = output
            .lines()
            .filter(|line| line.starts_with("tick"))
            .count();
        assert_eq!(ticks, 8, "{node}: {output}");
    }
    cluster.await_clean();
}

#[test]
fn a_link_cut_for_good_loses_the_node_and_its_agent_leaves() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed(IMPATIENT);
    cluster.case("sleeping", "all", "exec sleep 62");
    let running = cluster.start(&["sleeping"]);
    cluster.await_process(&NODES, "sleep 62");
    cluster.bed.cut("node2");
    let ended = running.end(20.0);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let lost = cluster.place.outcome()["lost"].clone();
    assert_eq!(lost["node"], "node2", "{lost}");
    cluster.await_clean_on("node1");
    cluster.await_clean_on("node3");
    // Sessions of sshd do not notice for hours that their client is gone; the agent does.
    within(10.0, "task and agent of the cut-off node are gone", || {
        cluster.pids("node2", "sleep 62").is_empty() && cluster.pids("node2", "agent").is_empty()
    });
    cluster.bed.heal("node2");
    cluster.await_clean_on("node2");
}

/// Lets something befall node2 while a case sleeps on three nodes.
fn befalls(fault: impl Fn(&Cluster)) -> Option<Cluster> {
    let bed = TestBed::hosts(3).up()?;
    let cluster = Cluster::new(bed);
    cluster.installed(IMPATIENT);
    cluster.case("sleeping", "all", "exec sleep 63");
    let running = cluster.start(&["sleeping"]);
    cluster.await_process(&NODES, "sleep 63");
    fault(&cluster);
    let ended = running.end(20.0);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let lost = cluster.place.outcome()["lost"].clone();
    assert_eq!(lost["node"], "node2", "{lost}");
    assert_ne!(lost["reason"], "", "{lost}");
    cluster.await_idle();
    Some(cluster)
}

#[test]
fn an_sshd_that_is_killed_loses_the_node() {
    let Some(cluster) = befalls(|cluster| cluster.bed.kill_sshd("node2")) else {
        return;
    };
    cluster.await_clean();
}

#[test]
fn an_agent_that_is_killed_loses_the_node() {
    let killed = befalls(|cluster| {
        let agents = cluster.pids("node2", " agent");
        assert!(!agents.is_empty());
        for agent in agents {
            signal(agent, "KILL");
        }
    });
    let Some(cluster) = killed else {
        return;
    };
    cluster.await_clean_on("node1");
    cluster.await_clean_on("node3");
    // It could not remove its files. The next one does.
    assert_ne!(cluster.left_on("node2"), [""; 0]);
    cluster.case("quick", "each", RESULT);
    let next = cluster.run_as_they_are(&["quick"]);
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    cluster.await_clean();
}
