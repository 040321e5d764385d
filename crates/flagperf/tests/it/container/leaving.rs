//! The controller's end in every phase, by Ctrl-C and by SIGKILL: no container of ours stays, and all others do.

use super::{IMAGE, beside_another, script, settings};
use crate::cluster::Cluster;
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

/// Two nodes, each with somebody else's container.
fn ready() -> Option<Cluster> {
    let cluster = beside_another(2)?;
    cluster.case(
        "waits",
        "all",
        "echo begun; trap '' TERM; sleep 64; sleep 65",
    );
    Some(cluster)
}

/// Starts a run, and waits until it is in the middle of a phase.
fn started(cluster: &Cluster, phase: Phase) -> Running {
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
        Phase::Case => "task_started",
    };
    cluster.place.await_text("events.jsonl", event);
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

#[test]
fn ctrl_c_in_every_phase() {
    let Some(cluster) = ready() else { return };
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
    let Some(cluster) = ready() else { return };
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
    let Some(cluster) = ready() else { return };
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
    cluster.case(
        "kept",
        "each",
        "touch /made; echo '[FlagPerf Result]Rank 0 x=1 GB/s'",
    );
    let ran = cluster.run(&["kept", "--image", IMAGE, "--keep-containers"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let name = cluster.ours("node1").remove(0);
    let enter = format!("docker exec --interactive --tty {name} sh");
    assert!(ran.stderr.contains(&enter), "{}", ran.stderr);
    assert_eq!(
        cluster.docker("node1", &["exec", &name, "ls", "/made"]),
        "/made"
    );
    // Its run is over, and it is removed when that is asked for.
    let clean = super::cleaning::clean(&cluster, &[]);
    assert_eq!(clean.code, Some(0), "{}", clean.stderr);
    assert!(clean.stdout.contains(": removed"), "{}", clean.stdout);
    cluster.await_gone_beside_another();
}
