//! The controller's end in every phase, by Ctrl-C and by SIGKILL: no container of ours stays, and all others do.

use std::thread::sleep;
use std::time::{Duration, Instant};

use flagperf_testkit::{Engine, TestBed};

use super::{IMAGE, beside_another, script, settings};
use crate::cluster::{Cluster, RESULT};
use crate::support::{Running, within};

/// Where in a run the controller is sent a signal.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Build,
    Install,
    Start,
    Configure,
    Case,
}

impl Phase {
    const ALL: [Self; 5] = [
        Self::Build,
        Self::Install,
        Self::Start,
        Self::Configure,
        Self::Case,
    ];
}

/// Two nodes, each with somebody else's container, and a case that waits.
fn ready(waiting: &str) -> Option<Cluster> {
    let cluster = beside_another(2)?;
    cluster.case("waits", "all", &format!("echo begun; {waiting}"));
    Some(cluster)
}

/// Starts a run, and waits until it is in the middle of a phase.
fn started(cluster: &Cluster, phase: Phase) -> Running {
    let running = begun(cluster, phase);
    for node in cluster.bed.node_names() {
        let is_there = || match phase {
            Phase::Start => true,
            Phase::Install => cluster
                .ours(node)
                .iter()
                .any(|name| name.ends_with("-build")),
            _ => !cluster.ours(node).is_empty(),
        };
        within(20.0, &format!("{phase:?} on {node}"), is_there);
    }
    running
}

/// Starts a run, and waits until its phase has begun.
fn begun(cluster: &Cluster, phase: Phase) -> Running {
    cluster.forget();
    let setup = match phase {
        Phase::Configure => "setup = [\"sleep 63\"]",
        _ => "",
    };
    settings(cluster, &format!("image = \"lab/phased:1\"\n{setup}"));
    let plain = cluster.image_directory("plain", "RUN true");
    let slow = cluster.image_directory("slow", "RUN sleep 61");
    let long = cluster.image_directory("long", "RUN true");
    script(&long, "long_install.sh", "sleep 62");
    let directory = match phase {
        Phase::Build => slow,
        Phase::Install => long,
        _ => plain,
    };
    let running = cluster.start(&[
        "waits",
        "--image-directory",
        &directory,
        "--build",
        "always",
    ]);
    let event = match phase {
        Phase::Build | Phase::Install => "prepare_image",
        Phase::Start => "start_container",
        Phase::Configure => "configure_container",
        Phase::Case => "case_started",
    };
    cluster.place.await_text("events.jsonl", event);
    running
}

#[test]
fn ctrl_c_in_every_phase() {
    let Some(cluster) = ready("exec sleep 64") else {
        return;
    };
    for phase in Phase::ALL {
        let running = started(&cluster, phase);
        running.signal("INT");
        let ended = running.end(30.0);
        assert_eq!(ended.code, Some(130), "{phase:?}: {}", ended.stderr);
        assert_eq!(cluster.record()["state"], "interrupted", "{phase:?}");
        cluster.await_gone_beside_another();
    }
}

#[test]
fn a_second_ctrl_c_in_every_phase() {
    let Some(cluster) = ready("trap '' TERM; sleep 64; sleep 65") else {
        return;
    };
    for phase in [Phase::Build, Phase::Install, Phase::Configure, Phase::Case] {
        let running = started(&cluster, phase);
        running.signal("INT");
        cluster.place.await_text("events.jsonl", "\"interrupted\"");
        running.signal("INT");
        let ended = running.end(20.0);
        assert_eq!(ended.code, Some(130), "{phase:?}: {}", ended.stderr);
        cluster.await_gone_beside_another();
    }
}

#[test]
fn a_controller_that_is_killed_in_any_phase() {
    let Some(cluster) = ready("exec sleep 64") else {
        return;
    };
    for phase in Phase::ALL {
        let running = started(&cluster, phase);
        running.signal("KILL");
        assert_eq!(running.end(5.0).code, None);
        cluster.await_gone_beside_another();
    }
}

#[test]
fn kept_containers_stay_with_the_way_into_them() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    cluster.case("kept", "each", &format!("touch /made; {RESULT}"));
    for (setup, code) in [("touch /made", 0), ("false", 1)] {
        cluster.forget();
        settings(&cluster, &format!("setup = [\"{setup}\"]"));
        let ran = cluster.run_as_they_are(&["kept", "--image", IMAGE, "--keep-containers"]);
        assert_eq!(ran.code, Some(code), "{}", ran.stderr);
        let name = cluster.ours("node1").remove(0);
        let enter = format!("docker exec --interactive --tty {name} sh");
        assert!(ran.stderr.contains(&enter), "{}", ran.stderr);
        let look = format!("docker exec {name} ls / | grep -c made");
        let made = if code == 0 { "1\n" } else { "0\n" };
        assert_eq!(cluster.sh("node1", &look), made);
        // Its run is over, and it is removed when that is asked for.
        let clean = super::cleaning::clean(&cluster, &[]);
        assert_eq!(clean.code, Some(0), "{}", clean.stderr);
        assert!(clean.stdout.contains(": removed"), "{}", clean.stdout);
        cluster.await_gone_beside_another();
    }
}

/// What podman has on a node, and what runs in it. Where a build was cut off podman itself keeps what it worked on, a
/// container that does not run and bears no name or label of ours.
fn of_podman(cluster: &Cluster, phase: Phase) -> String {
    let all = match phase {
        Phase::Build => "--all",
        _ => "--all --external",
    };
    let list = format!("podman ps {all} --format '{{{{.Names}}}}'; pgrep -af 'sleep 6[0-9]'");
    let said = cluster.sh("node1", &list);
    let lines = said.lines().filter(|line| !line.contains("pgrep"));
    lines.fold(String::new(), |text, line| format!("{text}{line}\n"))
}

#[test]
fn podmans_containers_go_as_well() {
    let Some(bed) = TestBed::hosts(1).engine(Engine::Podman).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("waits", "all", "echo begun; sleep 64");
    for (phase, signals) in [
        (Phase::Install, &["INT", "KILL"][..]),
        (Phase::Case, &["KILL"]),
        (Phase::Build, &["INT", "KILL"]),
    ] {
        for &name in signals {
            let running = begun(&cluster, phase);
            within(20.0, &format!("{phase:?}"), || {
                of_podman(&cluster, phase).contains("sleep 6")
            });
            running.signal(name);
            let ended = running.end(30.0);
            assert_eq!(ended.code.is_some(), name == "INT", "{}", ended.stderr);
            let mut left = String::new();
            let deadline = Instant::now() + Duration::from_secs(15);
            while Instant::now() < deadline {
                left = of_podman(&cluster, phase);
                if left.is_empty() {
                    break;
                }
                sleep(Duration::from_millis(200));
            }
            assert_eq!(left, "", "{phase:?} {name}");
            cluster.await_clean();
        }
    }
}
