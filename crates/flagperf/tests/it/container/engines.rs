//! Engines of all kinds, and nodes that have none.

use flagperf_testkit::{BaseImage, Engine, TestBed};

use super::{IMAGE, beside_another};
use crate::cluster::{Cluster, RESULT};

/// A built-in case that is over soon.
const QUICK: [&str; 5] = [
    "main_memory-bandwidth",
    "--duration",
    "200ms",
    "--param",
    "threads=1",
];

#[test]
fn a_built_in_case_runs_in_containers_of_an_image_that_is_there() {
    let Some(cluster) = beside_another(2) else {
        return;
    };
    let ran = cluster.passes(&[&QUICK[..], &["--image", IMAGE]].concat());
    for node in ["node1", "node2"] {
        assert_eq!(
            cluster.done(node, "prepare_image"),
            format!("docker has {IMAGE}")
        );
        assert_eq!(cluster.done(node, "stop_container"), "gone");
    }
    // Nodes of which the same is to be said share a line.
    let said = [
        "node[1-2]: prepare image: docker has flagperf-test/busybox:1 (",
        "node[1-2]: start container: started (",
        "node[1-2]: stop container: gone (",
    ];
    for line in said {
        assert!(ran.stderr.contains(line), "{line}: {}", ran.stderr);
    }
    let record = cluster.record();
    let container = &record["plan"]["environment"]["container"];
    assert_eq!(container["image"], IMAGE, "{record}");
    assert_eq!(container["options"]["privileged"], false, "{record}");
    assert_eq!(record["results"][0]["outcome"], "passed");
    cluster.await_gone_beside_another();

    // Ranks of all nodes meet, and what they run in is a container of an image that was built.
    cluster.forget();
    let directory = cluster.image_directory("quick", "RUN echo built >/built");
    cluster.case("inside", "all", &format!("cat /built; {RESULT}"));
    cluster.passes(&["inside", "--image-directory", &directory]);
    for node in ["node1", "node2"] {
        assert!(cluster.output("inside", node).contains("built"));
        let done = cluster.done(node, "prepare_image");
        assert!(done.contains("it was not there"), "{done}");
    }
    cluster.await_gone_beside_another();
}

#[test]
fn podman_builds_and_runs_for_root_and_for_who_is_not() {
    let Some(bed) = TestBed::hosts(1).engine(Engine::Podman).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.bed.load_image("alice@node1", BaseImage::Busybox);
    cluster.case("inside", "each", &format!("cat /built; {RESULT}"));
    let directory = cluster.image_directory("podman", "RUN echo built >/built");
    super::script(&directory, "podman_install.sh", "echo more >>/built");
    for user in ["root", "alice"] {
        cluster.forget();
        cluster.installed(&format!(
            "nodes = \"node1\"\n[node.node1]\nuser = \"{user}\"\n"
        ));
        let ran = cluster.run_as_they_are(&["inside", "--image-directory", &directory]);
        assert_eq!(ran.code, Some(0), "{user}: {}", ran.stderr);
        let output = cluster.output("inside", "node1");
        assert!(output.contains("built\nmore"), "{output}");
        let done = cluster.done("node1", "prepare_image");
        assert!(done.starts_with("podman built"), "{done}");
        let node = format!("{user}@node1");
        assert_eq!(cluster.bed.containers(&node), [], "{user}");
        // It is not built again.
        cluster.forget();
        let ran = cluster.run_as_they_are(&["inside", "--image-directory", &directory]);
        assert_eq!(ran.code, Some(0), "{user}: {}", ran.stderr);
        let done = cluster.done("node1", "prepare_image");
        assert!(done.ends_with("made of the same directory"), "{done}");
        assert_eq!(cluster.bed.containers(&node), [], "{user}");
    }
}

#[test]
fn a_node_without_an_engine_or_the_right_to_it_is_told_with_what_helps() {
    let Some(bed) = TestBed::hosts(4)
        .engine(Engine::Docker)
        .engine_of("node2", None)
        .up()
    else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("never", "each", RESULT);
    cluster.installed("nodes = \"node[1-4]\"\n[node.node1]\nuser = \"alice\"\n");
    cluster.bed.stop_engine("node3");
    let ran = cluster.run(&["never", "--image", IMAGE]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let failed = |node: &str| {
        let step = cluster.step(node, "prepare_image");
        let failed = &step["outcome"]["failed"];
        let text = |key: &str| failed[key].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("hint"))
    };
    let (reason, hint) = failed("node1");
    assert!(
        reason.to_lowercase().contains("permission denied"),
        "{reason}"
    );
    assert!(hint.contains("group `docker`"), "{hint}");
    let (reason, hint) = failed("node2");
    assert!(reason.contains("it has no container engine"), "{reason}");
    assert!(hint.contains("--in-container"), "{hint}");
    let (reason, hint) = failed("node3");
    assert!(reason.contains("Cannot connect"), "{reason}");
    assert!(hint.contains("systemctl start docker"), "{hint}");
    assert!(ran.stderr.contains(&hint), "{}", ran.stderr);
    // The node that could is not kept by the others: it is cleared too.
    let outcome = cluster.place.outcome();
    assert_eq!(outcome["failed"]["node"], "node1", "{outcome}");
    let also = serde_json::json!(["node2", "node3"]);
    assert_eq!(outcome["failed"]["also"], also, "{outcome}");
    assert_eq!(cluster.bed.containers("node4"), []);
    cluster.await_clean();

    // Those that can go on alone do so if that was asked for.
    cluster.forget();
    let ran = cluster.run(&["never", "--image", IMAGE, "--continue-on-bad-nodes"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(cluster.output("never", "node4").contains("FlagPerf Result"));
    assert_eq!(cluster.bed.containers("node4"), []);
    cluster.await_clean();
}
