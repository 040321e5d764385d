//! What befalls Podman, which has no daemon: its processes, and what they leave.

use std::fs;
use std::time::Duration;

use flagperf_testkit::{Engine, TestBed};

use super::cleaning::{clean, crash};
use super::{IMAGE, script};
use crate::cluster::{Cluster, RESULT};
use crate::support::{Running, ran, signal, within};

/// A node with Podman and somebody else's container.
fn on_podman() -> Option<Cluster> {
    let bed = TestBed::hosts(1).engine(Engine::Podman).up()?;
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.podman(&["create", "--name", "another", IMAGE, "true"]);
    Some(cluster)
}

impl Cluster {
    #[track_caller]
    fn podman(&self, words: &[&str]) -> String {
        let output = self.bed.exec("node1", &[&["podman"], words].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Containers in which builds worked.
    fn working(&self) -> usize {
        let all = self.podman(&["ps", "--all", "--external", "--quiet"]);
        all.lines().count() - self.podman(&["ps", "--all", "--quiet"]).lines().count()
    }
}

/// Starts a case that waits in a container, until it does.
fn waiting(cluster: &Cluster) -> Running {
    cluster.forget();
    cluster.case("waits", "each", "echo begun; sleep 64");
    let running = cluster.start(&["waits", "--image", IMAGE]);
    cluster
        .place
        .await_text("waits/node1_noderank0/benchmark.log.txt", "begun");
    running
}

#[test]
fn a_build_of_podmans_that_fails_names_its_step_and_leaves_nothing() {
    let Some(cluster) = on_podman() else { return };
    cluster.case("never", "each", RESULT);
    let steps = "RUN true\nRUN echo the last words; exit 9\nRUN true";
    let directory = cluster.image_directory("broken", steps);
    let ran = cluster.run(&["never", "--image-directory", &directory]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let step = cluster.step("node1", "prepare_image");
    let failed = &step["outcome"]["failed"];
    let reason = failed["reason"].as_str().unwrap();
    let expected = "the build failed at step 3/6: RUN echo the last words; exit 9 (exit status 9)";
    assert_eq!(reason, expected);
    assert!(
        failed["tail"].to_string().contains("the last words"),
        "{failed}"
    );
    assert_eq!(cluster.working(), 0);
    cluster.await_gone_beside_another();
}

#[test]
fn a_container_of_podmans_that_is_killed_from_outside() {
    let Some(cluster) = on_podman() else { return };
    for words in [&["kill"][..], &["stop", "--time", "2"], &["rm", "--force"]] {
        let running = waiting(&cluster);
        let name = cluster.ours("node1").remove(0);
        cluster.podman(&[words, &[&name]].concat());
        let ended = running.end(30.0);
        assert_eq!(ended.code, Some(1), "{words:?} {}", ended.stderr);
        let reason = cluster.place.outcome().to_string();
        assert!(reason.contains("its container ended"), "{words:?} {reason}");
        cluster.await_gone_beside_another();
    }
    // What stands in the place of a daemon: the process that watches the container, and the client.
    for process in ["conmon", "podman run"] {
        let running = waiting(&cluster);
        let pids = cluster.pids("node1", process);
        assert!(
            !pids.is_empty(),
            "{process}: {:?}",
            cluster.bed.processes("node1")
        );
        for pid in pids {
            signal(pid, "KILL");
        }
        let ended = running.end(60.0);
        assert_eq!(ended.code, Some(1), "{process} {}", ended.stderr);
        let outcome = cluster.place.outcome().to_string();
        assert!(outcome.contains("lost"), "{process} {outcome}");
        assert!(outcome.contains("node1"), "{process} {outcome}");
        assert_eq!(cluster.done("node1", "stop_container"), "gone", "{process}");
        cluster.await_gone_beside_another();
    }
}

#[test]
fn somebody_elses_container_of_our_name_is_left_alone_by_podman_too() {
    let Some(cluster) = on_podman() else { return };
    cluster.case("failing", "each", "exit 3");
    let failed = cluster.run(&["failing", "--image", IMAGE]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    cluster.await_gone_beside_another();
    let directory = cluster.place.run_directory();
    let run = directory.file_name().unwrap().to_str().unwrap().to_owned();
    let name = format!("flagperf-{run}-0");
    let theirs = cluster.podman(&["run", "-d", "--name", &name, IMAGE, "sleep", "60"]);
    let mut command = cluster.bed.controller(env!("CARGO_BIN_EXE_flagperf"));
    command.args(["run", "--resume"]).arg(&directory);
    let resumed = ran(command.output().unwrap());
    assert_eq!(resumed.code, Some(1), "{}", resumed.stderr);
    assert!(
        resumed.stderr.contains("is already in use"),
        "{}",
        resumed.stderr
    );
    assert!(resumed.stderr.contains("left alone"), "{}", resumed.stderr);
    let found = cluster.bed.containers("node1");
    let found = found.iter().find(|one| one.name == name).unwrap();
    assert_eq!((&found.id, &found.state[..]), (&theirs, "running"));
    cluster.podman(&["rm", "--force", "--time", "1", &name]);
    cluster.await_gone_beside_another();
    assert!(fs::read_dir(directory).is_ok());
}

#[test]
fn what_crashed_runs_left_in_podman_is_removed_and_a_cut_off_build_is_told() {
    let Some(cluster) = on_podman() else { return };
    cluster.case("never", "each", RESULT);
    let directory = cluster.image_directory("image", "RUN true");
    script(&directory, "image_install.sh", "sleep 62");
    let running = cluster.start(&["never", "--image-directory", &directory]);
    let named = || {
        let names = cluster.ours("node1");
        names.into_iter().find(|name| name.ends_with("-build"))
    };
    within(30.0, "the install script", || named().is_some());
    let left = named().unwrap();
    crash(&cluster, running.child.id(), || {});
    drop(running);
    let told = clean(&cluster, &[]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let lines: Vec<&str> = told.stdout.lines().collect();
    let container = format!("node1: podman container {left} of run");
    assert!(
        lines[0].starts_with(&container) && lines[0].ends_with(": removed"),
        "{lines:?}"
    );
    assert!(
        lines[1].contains(":build-") && lines[1].ends_with(": removed"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(cluster.bed.images("node1").len(), 1);
    cluster.await_gone_beside_another();

    // A build that is cut off leaves a container of Podman's own.
    cluster.forget();
    let slow = cluster.image_directory("slow", "RUN sleep 61");
    let running = cluster.start(&["never", "--image-directory", &slow]);
    within(30.0, "the build", || {
        !cluster.pids("node1", "podman build").is_empty()
    });
    within(30.0, "its container", || cluster.working() > 0);
    std::thread::sleep(Duration::from_secs(1));
    running.signal("KILL");
    assert_eq!(running.end(5.0).code, None);
    cluster.await_gone_beside_another();
    assert_eq!(cluster.working(), 1);
    let told = clean(&cluster, &[]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let line = told.stdout.trim();
    assert!(
        line.starts_with("node1: podman build containers "),
        "{line}"
    );
    let (_, command) = line.split_once('`').unwrap();
    let (command, _) = command.split_once('`').unwrap();
    cluster.sh("node1", command);
    assert_eq!(cluster.working(), 0);
    assert_eq!(clean(&cluster, &[]).stdout, "node1: nothing\n");
}
