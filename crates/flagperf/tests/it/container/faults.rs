//! What befalls engines and containers, and what is said and left then.

use std::thread::sleep;
use std::time::{Duration, Instant};

use flagperf_testkit::{Engine, TestBed};

use super::{IMAGE, beside_another, on_docker, settings};
use crate::cluster::{Cluster, IMPATIENT, RESULT};
use crate::support::{Running, signal, within};

/// Starts a case that waits in a container, until it does.
fn waiting(cluster: &Cluster) -> Running {
    cluster.forget();
    cluster.case("waits", "each", "echo begun; sleep 64");
    let running = cluster.start(&["waits", "--image", IMAGE]);
    await_begun(cluster);
    running
}

fn await_begun(cluster: &Cluster) {
    cluster
        .place
        .await_text("waits/node1_noderank0/benchmark.log.txt", "begun");
}

/// The reason why the case was lost or failed.
fn reason(cluster: &Cluster) -> String {
    cluster.place.outcome().to_string()
}

#[test]
fn an_engine_that_stops_in_the_middle_of_a_build() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    let directory = cluster.image_directory("slow", "RUN trap exit TERM; sleep 61 & wait");
    cluster.case("never", "each", "exit 1");
    for kill in [false, true] {
        cluster.forget();
        let running = cluster.start(&["never", "--image-directory", &directory]);
        within(20.0, "the build", || !cluster.ours("node1").is_empty());
        if kill {
            cluster.bed.kill_engine("node1");
        } else {
            cluster.bed.stop_engine("node1");
        }
        let ended = running.end(30.0);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let step = cluster.step("node1", "prepare_image");
        let failed = &step["outcome"]["failed"];
        assert!(failed["reason"].is_string(), "{step}");
        cluster.bed.start_engine("node1");
        cluster.await_clean();
    }
}

#[test]
fn an_engine_that_stops_in_the_middle_of_a_case() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    for kill in [false, true] {
        let running = waiting(&cluster);
        if kill {
            cluster.bed.kill_engine("node1");
        } else {
            cluster.bed.stop_engine("node1");
        }
        let ended = running.end(60.0);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        let reason = reason(&cluster);
        assert!(reason.contains("its container ended"), "{reason}");
        let step = cluster.step("node1", "stop_container");
        // Nobody can tell whether it is gone while its engine is down.
        let why = step["outcome"]["failed"]["reason"].to_string();
        assert!(why.contains("could not be removed"), "{step}");
        cluster.bed.start_engine("node1");
        super::cleaning::clean(&cluster, &[]);
        cluster.await_gone_beside_another();
    }
}

#[test]
fn a_container_that_is_killed_or_stopped_from_outside() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    for words in [&["kill"][..], &["stop", "--time", "2"], &["rm", "--force"]] {
        let running = waiting(&cluster);
        let name = cluster.ours("node1").remove(0);
        cluster.docker("node1", &[words, &[&name]].concat());
        let ended = running.end(20.0);
        assert_eq!(ended.code, Some(1), "{words:?} {}", ended.stderr);
        let reason = reason(&cluster);
        assert!(reason.contains("node1"), "{words:?} {reason}");
        assert!(reason.contains("its container ended"), "{words:?} {reason}");
        cluster.await_gone_beside_another();
    }
}

#[test]
fn memory_that_runs_out_is_recognised() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    cluster.case("eats", "each", "tail -c 200000000 /dev/zero");
    let memory = "--memory 32m --memory-swap 32m";
    let ran = cluster.run(&["eats", "--image", IMAGE, "--container-options", memory]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let outcome = cluster.place.outcome();
    let cause = &outcome["failed"]["cause"]["out_of_memory"];
    assert_eq!(cause["killed"], 1, "{outcome}");
    assert!(ran.stderr.contains("memory ran out"), "{}", ran.stderr);
    cluster.await_gone_beside_another();
}

#[test]
fn a_disk_that_is_full_fails_the_build_with_what_helps() {
    let Some(bed) = TestBed::hosts(1)
        .engine(Engine::Docker)
        .engine_disk("node1", 40 << 20)
        .up()
    else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("never", "each", "exit 1");
    let directory = cluster.image_directory("large", "RUN dd if=/dev/zero of=/file bs=1M count=60");
    let ran = cluster.run(&["never", "--image-directory", &directory]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let step = cluster.step("node1", "prepare_image");
    let failed = &step["outcome"]["failed"];
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("failed at step 2/4"), "{failed}");
    let hint = failed["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("`docker system df`"), "{failed}");
    cluster.await_gone();
}

#[test]
fn an_engine_that_hangs_at_the_end_is_waited_for_no_longer_than_it_takes() {
    let Some(cluster) = on_docker(1) else { return };
    for (asked, most) in [(1, 25), (2, 15)] {
        let running = waiting(&cluster);
        let name = cluster.ours("node1").remove(0);
        cluster.bed.freeze_engine("node1");
        let began = Instant::now();
        for turn in 0..asked {
            if turn > 0 {
                sleep(Duration::from_millis(500));
            }
            running.signal("INT");
        }
        let ended = running.end(60.0);
        assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        let took = began.elapsed().as_secs();
        assert!(took < most, "{asked}: {took} s; {}", ended.stderr);
        let step = cluster.step("node1", "stop_container");
        let failed = &step["outcome"]["failed"];
        let reason = failed["reason"]
            .as_str()
            .unwrap_or_else(|| panic!("{step}"));
        let expected = format!("`{name}` could not be removed (it took longer than ");
        assert!(reason.starts_with(&expected), "{reason}");
        // What is left is said, with what removes it.
        let remove = format!("docker rm --force {name}");
        for part in ["`flagperf clean`", &remove] {
            assert!(failed["hint"].to_string().contains(part), "{failed}");
            assert!(ended.stderr.contains(part), "{}", ended.stderr);
        }
        cluster.bed.thaw_engine("node1");
        cluster.await_gone();
    }
}

#[test]
fn an_agent_that_is_killed_loses_its_node_and_its_container() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    settings(&cluster, &format!("image = \"{IMAGE}\"\n{IMPATIENT}"));
    let running = waiting(&cluster);
    for agent in cluster.bed.processes("node1") {
        if agent.args.ends_with("flagperf agent") {
            signal(agent.pid, "KILL");
        }
    }
    let ended = running.end(30.0);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let reason = reason(&cluster);
    assert!(reason.contains("node1"), "{reason}");
    // Files of an agent that was killed stay.
    cluster.await_idle();
    within(10.0, "the container is gone", || {
        cluster.ours("node1").is_empty()
    });
    assert_eq!(cluster.bed.containers("node1").len(), 1);
}

#[test]
fn a_node_that_is_lost_during_a_build_stops_the_others_unless_they_may_go_on() {
    let Some(cluster) = beside_another(2) else {
        return;
    };
    cluster.installed(IMPATIENT);
    cluster.case("each", "each", RESULT);
    let lost = |cluster: &Cluster, steps: &str, more: &[&str]| {
        cluster.forget();
        let directory = cluster.image_directory("slow", steps);
        let running = cluster.start(&[&["each", "--image-directory", &directory], more].concat());
        for node in ["node1", "node2"] {
            within(20.0, "the build", || !cluster.ours(node).is_empty());
        }
        cluster.bed.cut("node2");
        let ended = running.end(40.0);
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        cluster.bed.heal("node2");
        cluster.await_gone_beside_another();
        let of = |node: &str| cluster.step(node, "prepare_image")["outcome"].clone();
        (of("node1"), of("node2"), ended)
    };
    let began = Instant::now();
    let (one, two, ended) = lost(&cluster, "RUN sleep 61", &[]);
    assert!(began.elapsed().as_secs() < 55, "it waited for the other");
    let reason = one["failed"]["reason"].as_str().unwrap();
    assert_eq!(reason, "stopped, because node2 failed", "{one}");
    assert!(two["failed"]["reason"].is_string(), "{two}");
    let outcome = cluster.place.outcome();
    assert_eq!(outcome["failed"]["node"], "node2", "{outcome}");
    assert!(ended.stderr.contains("node2"), "{}", ended.stderr);

    let tolerant = ["--continue-on-bad-nodes"];
    let (one, two, _) = lost(&cluster, "RUN sleep 8", &tolerant);
    assert!(one["done"]["what"].is_string(), "{one}");
    assert!(two["failed"]["reason"].is_string(), "{two}");
    assert!(cluster.output("each", "node1").contains("FlagPerf Result"));
}

#[test]
fn a_build_that_fails_on_one_node_does_not_wait_for_the_others() {
    let Some(cluster) = beside_another(2) else {
        return;
    };
    cluster.case("never", "each", RESULT);
    // What has the node's network has its name as well.
    let steps = "RUN [ $(hostname) = node2 ] && exit 7; sleep 61";
    let directory = cluster.image_directory("uneven", steps);
    let began = Instant::now();
    let ran = cluster.run(&["never", "--image-directory", &directory]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(began.elapsed().as_secs() < 50, "it waited for the other");
    let outcomes = ["node1", "node2"].map(|node| {
        let step = cluster.step(node, "prepare_image");
        step["outcome"]["failed"]["reason"]
            .as_str()
            .unwrap()
            .to_owned()
    });
    assert!(
        outcomes
            .iter()
            .any(|why| why.contains("failed at step 2/4")),
        "{outcomes:?}"
    );
    assert!(
        outcomes
            .iter()
            .any(|why| why.starts_with("stopped, because node")),
        "{outcomes:?}"
    );
    cluster.await_gone_beside_another();
}
