//! Images: built, not built again, completed, sent, and what happens when that fails.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;

use flagperf_testkit::{Engine, TestBed};

use super::{IMAGE, beside_another, on_docker, script};
use crate::cluster::{Cluster, RESULT};

/// How the case libraries call an image.
const CLASSIC: &str = "flagperf-base-nvidia-pytorch_2.3:t_v0.1";

#[test]
fn an_image_is_built_again_when_its_directory_has_changed() {
    let Some(cluster) = on_docker(1) else { return };
    let steps = "RUN echo one >/version; echo the builder speaks";
    let directory = cluster.image_directory("image", steps);
    cluster.case("inside", "each", &format!("cat /version; {RESULT}"));
    let run = |more: &[&str]| {
        cluster.forget();
        let built = [
            "inside",
            "--image-directory",
            &directory,
            "--image",
            CLASSIC,
        ];
        cluster.run(&[&built[..], more].concat())
    };
    // It may not be built, and is not there.
    let ran = run(&["--build", "never"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("No such image"), "{}", ran.stderr);

    let prepared = |more: &[&str]| {
        let ran = run(more);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        cluster.done("node1", "prepare_image")
    };
    let done = prepared(&[]);
    assert_eq!(done, format!("docker built {CLASSIC}: it was not there"));
    let log = cluster.step_log("node1", "prepare_image");
    assert!(log.contains("the builder speaks"), "{log}");
    let first = cluster.image_id("node1", CLASSIC);

    let done = prepared(&[]);
    assert!(done.ends_with("made of the same directory"), "{done}");
    assert_eq!(cluster.image_id("node1", CLASSIC), first);

    cluster.image_directory("image", "RUN echo two >/version");
    let done = prepared(&["--build", "never"]);
    assert_eq!(done, format!("docker has {CLASSIC}"));
    assert!(cluster.output("inside", "node1").contains("one"));

    let done = prepared(&[]);
    assert!(done.ends_with("its directory has changed"), "{done}");
    assert!(cluster.output("inside", "node1").contains("two"));
    let second = cluster.image_id("node1", CLASSIC);
    assert_ne!(first, second);

    let done = prepared(&["--build", "always"]);
    assert!(done.ends_with("as asked"), "{done}");

    // By its classic name it is used as it is.
    cluster.forget();
    cluster.passes(&["inside", "--image", CLASSIC]);
    assert!(cluster.output("inside", "node1").contains("two"));
    cluster.await_gone();
}

#[test]
fn an_install_script_that_is_nearly_called_so_is_used_and_said() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    let directory = cluster.image_directory("pytorch_2.3", "ENTRYPOINT [\"/bin/false\"]");
    let install =
        "set -e; cd /workspace/docker_image; cat extra >/installed; echo the script speaks";
    script(&directory, "pytorch2.3_install.sh", install);
    script(&directory, "extra", "extra file");
    cluster.case("inside", "each", &format!("cat /installed; {RESULT}"));
    let ran = cluster.passes(&[
        "inside",
        "--image-directory",
        &directory,
        "--image",
        CLASSIC,
    ]);
    let said = "has no `pytorch_2.3_install.sh`; `pytorch2.3_install.sh` is taken for it";
    assert!(ran.stderr.contains(said), "{}", ran.stderr);
    assert!(cluster.output("inside", "node1").contains("extra file"));
    let log = cluster.step_log("node1", "prepare_image");
    assert!(log.contains("the script speaks"), "{log}");
    // What it starts by itself is what the Dockerfile says, and it is nobody's.
    let config = ["image", "inspect", "--format", "{{json .Config}}", CLASSIC];
    let config: serde_json::Value =
        serde_json::from_str(&cluster.docker("node1", &config)).unwrap();
    assert_eq!(config["Entrypoint"], serde_json::json!(["/bin/false"]));
    assert_ne!(config["Labels"]["org.flagperf.content"], "");
    assert_eq!(config["Labels"]["org.flagperf.owner"], "");
    let tags: Vec<String> = cluster
        .bed
        .images("node1")
        .into_iter()
        .flat_map(|image| image.tags)
        .collect();
    assert_eq!(tags.len(), 2, "{tags:?}");
    cluster.await_gone_beside_another();

    // One that fails is told with its last lines, and nothing of the way stays.
    cluster.forget();
    let broken = "echo the last words; exit 7";
    script(&directory, "pytorch2.3_install.sh", broken);
    let ran = cluster.run(&[
        "inside",
        "--image-directory",
        &directory,
        "--image",
        CLASSIC,
    ]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let step = cluster.step("node1", "prepare_image");
    let failed = &step["outcome"]["failed"];
    let reason = "the install script `pytorch2.3_install.sh` failed (exit status 7)";
    assert_eq!(failed["reason"], reason);
    assert_eq!(failed["tail"], serde_json::json!(["the last words"]));
    assert!(cluster.bed.images("node1").len() <= 3);
    cluster.await_gone_beside_another();
}

#[test]
fn an_image_is_built_once_and_sent_to_the_other_nodes() {
    let Some(cluster) = on_docker(3) else { return };
    let directory = cluster.image_directory("sent", "RUN date +%N >/when");
    cluster.case("inside", "all", &format!("cat /when; {RESULT}"));
    let arguments = [
        "inside",
        "--image-directory",
        &directory,
        "--image",
        "lab/sent:1",
        "--build-once",
    ];
    cluster.passes(&arguments);
    let built = cluster.done("node1", "prepare_image");
    assert!(built.contains("built"), "{built}");
    let id = cluster.image_id("node1", "lab/sent:1");
    for node in ["node2", "node3"] {
        let done = cluster.done(node, "prepare_image");
        assert_eq!(done, "got lab/sent:1 from node1: it was not there");
        assert_eq!(cluster.image_id(node, "lab/sent:1"), id);
    }
    cluster.await_gone();
    // All have it now.
    cluster.forget();
    cluster.passes(&arguments);
    let done = cluster.done("node3", "prepare_image");
    assert!(done.ends_with("made of the same directory"), "{done}");
    cluster.await_gone();
}

#[test]
fn a_build_that_fails_names_its_step_on_all_nodes_at_once() {
    let Some(cluster) = beside_another(2) else {
        return;
    };
    let steps = "RUN sleep 2\nRUN echo the last words; exit 9\nRUN true";
    let directory = cluster.image_directory("broken", steps);
    cluster.case("never", "each", RESULT);
    let ran = cluster.run(&["never", "--image-directory", &directory]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let mut seconds = 0.0;
    for node in ["node1", "node2"] {
        let step = cluster.step(node, "prepare_image");
        let failed = &step["outcome"]["failed"];
        let reason = failed["reason"].as_str().unwrap();
        let expected = "the build failed at step 3/6: RUN echo the last words; exit 9";
        assert!(reason.starts_with(expected), "{reason}");
        let tail = failed["tail"].to_string();
        assert!(tail.contains("the last words"), "{tail}");
        let log = cluster.step_log(node, "prepare_image");
        assert!(log.contains("the last words"), "{log}");
        seconds += step["seconds"].as_f64().unwrap();
    }
    // It is the reason for the case, which did not run.
    let outcome = cluster.place.outcome();
    let cause = &outcome["failed"]["cause"]["environment"];
    assert_eq!(cause["step"], "prepare_image", "{outcome}");
    assert!(ran.stderr.contains("the last words"), "{}", ran.stderr);
    // Both built at the same time.
    let moments = |kind: &str| -> Vec<f64> {
        let events = cluster.events();
        let events = events.lines().filter(|line| line.contains(kind));
        events
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|event| event["at"].as_f64().unwrap() / 1e9)
            .collect()
    };
    let began = moments("step_started")[0];
    let ended = moments("step_ended")[1];
    assert!(ended - began < seconds - 1.0, "{seconds} {began} {ended}");
    cluster.await_gone_beside_another();
}

#[test]
fn an_image_that_cannot_be_fetched_is_told_with_what_helps() {
    let Some(cluster) = on_docker(1) else { return };
    cluster.case("never", "each", RESULT);
    let image = "registry.invalid/lab/torch:2";
    let ran = cluster.run(&["never", "--image", image, "--pull"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let step = cluster.step("node1", "prepare_image");
    let failed = &step["outcome"]["failed"];
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("registry.invalid"), "{reason}");
    let hint = failed["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("registry"), "{failed}");
    // One that is not there is not fetched in silence.
    cluster.forget();
    let ran = cluster.run(&["never", "--image", image]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    let step = cluster.step("node1", "prepare_image");
    let failed = &step["outcome"]["failed"];
    assert!(
        failed["hint"].as_str().unwrap().contains("--pull"),
        "{failed}"
    );
    assert_eq!(cluster.bed.images("node1").len(), 1, "only {IMAGE}");
    cluster.await_gone();
}

#[test]
fn a_directory_is_built_from_as_it_is() {
    let Some(bed) = TestBed::hosts(2)
        .engine(Engine::Docker)
        .engine_of("node2", Some(Engine::Podman))
        .up()
    else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    let directory = cluster.image_directory("context", "COPY . /context");
    let inside = |name: &str| Path::new(&directory).join(name);
    symlink("/etc/hostname", inside("absolute")).unwrap();
    symlink("../../elsewhere", inside("dangling")).unwrap();
    fs::create_dir(inside("empty")).unwrap();
    script(&directory, "left.out", "never seen");
    script(&directory, ".dockerignore", "*.out");
    script(
        &directory,
        "context_install.sh",
        "readlink /workspace/docker_image/absolute >/installed",
    );
    let look = "cd /context; echo *; readlink absolute; readlink dangling; cat /installed";
    cluster.case("inside", "all", &format!("{look}; {RESULT}"));
    cluster.passes(&["inside", "--image-directory", &directory]);
    for node in ["node1", "node2"] {
        let output = cluster.output("inside", node);
        let expected = "Dockerfile absolute context_install.sh dangling empty\n/etc/hostname\n../../elsewhere\n/etc/hostname\n";
        assert!(output.contains(expected), "{node}: {output}");
    }
    cluster.await_gone();

    // What cannot be sent is told before anything starts.
    cluster.forget();
    let _socket = UnixListener::bind(inside("agent.sock")).unwrap();
    let refused = |what: &str| {
        let ran = cluster.run(&["inside", "--image-directory", &directory]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        let why = format!(
            "the directory of the image `{directory}` cannot be copied to the nodes: {what}\n"
        );
        assert!(ran.stderr.contains(&why), "{}", ran.stderr);
        assert!(!cluster.place.path("results").exists());
    };
    refused("`agent.sock` is a socket");
    fs::remove_file(inside("agent.sock")).unwrap();
    let fifo = std::process::Command::new("mkfifo")
        .arg(inside("pipe"))
        .status();
    assert!(fifo.unwrap().success());
    refused("`pipe` is a FIFO");
}
