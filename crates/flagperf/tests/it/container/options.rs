//! What containers are started with, and whose containers are touched.

use std::fs;

use super::{IMAGE, on_docker, settings};
use crate::cluster::{Cluster, RESULT};
use crate::support::ran;

/// What docker's `inspect` says of the case's container while it runs: the case waits for it to be asked.
fn inside(cluster: &Cluster, arguments: &[&str]) -> serde_json::Value {
    let script =
        format!("env; id; echo begun; while [ ! -e /shared/seen ]; do sleep 0.1; done; {RESULT}");
    cluster.case("inside", "each", &script);
    let running = cluster.start(&[&["inside"], arguments].concat());
    cluster
        .place
        .await_text("inside/node1_noderank0/benchmark.log.txt", "begun");
    let containers = cluster.bed.containers("node1");
    let name = &containers[0].name;
    let text = cluster.docker("node1", &["inspect", "--format", "{{json .}}", name]);
    let state = serde_json::from_str(&text).unwrap();
    cluster.sh("node1", "touch /tmp/shared/seen");
    let ended = running.end(20.0);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    state
}

#[test]
fn options_reach_the_engine_word_by_word() {
    let Some(cluster) = on_docker(1) else { return };
    cluster.sh("node1", "mkdir -p /tmp/shared");
    settings(
        &cluster,
        &format!(
            "image = \"{IMAGE}\"
            mounts = [\"/tmp/shared:/shared\", \"/etc:/node-etc:ro\"]
            env = {{ GREETING = \"two words\" }}
            devices = [\"/dev/null:/dev/nothing\"]
            ulimits = [\"memlock=-1\"]
            security = [\"seccomp=unconfined\"]
            shm_size = \"64m\"
            ipc = \"private\"
            workdir = \"/work\"
            options = \"--env 'INERT=$(touch /tmp/shared/x)' --hostname=of-its-own --network none\""
        ),
    );
    let state = inside(&cluster, &[]);
    let host = &state["HostConfig"];
    let binds = host["Binds"].to_string();
    assert!(binds.contains("\"/tmp/shared:/shared\""), "{binds}");
    assert!(binds.contains("\"/etc:/node-etc:ro\""), "{binds}");
    assert!(binds.contains(":/.flagperf:ro\""), "{binds}");
    assert_eq!(host["Privileged"], false);
    assert_eq!(host["AutoRemove"], true);
    assert_eq!(host["ShmSize"], 64 << 20);
    assert_eq!(host["IpcMode"], "private");
    assert_eq!(host["NetworkMode"], "none");
    assert_eq!(host["Ulimits"][0]["Name"], "memlock");
    assert_eq!(host["SecurityOpt"][0], "seccomp=unconfined");
    assert_eq!(host["Devices"][0]["PathInContainer"], "/dev/nothing");
    assert_eq!(state["Config"]["Hostname"], "of-its-own");
    assert_eq!(state["Config"]["WorkingDir"], "/work");
    let labels = &state["Config"]["Labels"];
    let run = cluster.record()["run"].as_str().unwrap().to_owned();
    assert_eq!(labels["org.flagperf.run"], run.as_str());
    assert!(labels["org.flagperf.owner"].as_str().unwrap().contains('@'));
    assert_eq!(state["Name"], format!("/flagperf-{run}-0"));
    let output = cluster.output("inside", "node1");
    assert!(output.contains("GREETING=two words"), "{output}");
    assert!(output.contains("INERT=$(touch /tmp/shared/x)"), "{output}");
    assert_eq!(cluster.sh("node1", "ls /tmp/shared"), "seen\n");
    cluster.await_gone();

    // All rights only for who asks for them.
    cluster.forget();
    cluster.sh("node1", "rm /tmp/shared/seen");
    let state = inside(&cluster, &["--privileged"]);
    assert_eq!(state["HostConfig"]["Privileged"], true);
    cluster.await_gone();
}

#[test]
fn a_refused_option_is_named_with_what_helps() {
    let Some(cluster) = on_docker(1) else { return };
    cluster.case("never", "each", RESULT);
    for (options, named, hint) in [
        ("--gpu all", "(its option `--gpu all`)", "no such option"),
        (
            "--gpus '\"device=0,1\"'",
            "could not select device driver",
            "container toolkit",
        ),
        (
            "--device /dev/davinci0",
            "(its option `--device /dev/davinci0`)",
            "no such device",
        ),
        (
            "--mount type=bind,source=/no/such,target=/data",
            "/no/such",
            "make that directory",
        ),
    ] {
        cluster.forget();
        let ran = cluster.run(&["never", "--image", IMAGE, "--container-options", options]);
        assert_eq!(ran.code, Some(1), "{options}: {}", ran.stderr);
        let step = cluster.step("node1", "start_container");
        let failed = &step["outcome"]["failed"];
        let reason = failed["reason"].as_str().unwrap();
        assert!(reason.contains(named), "{options}: {reason}");
        let said = failed["hint"].as_str().unwrap_or_default();
        assert!(said.contains(hint), "{options}: {failed}");
        cluster.await_gone();
    }
    // In the plan, the words are what they will be.
    let plan = cluster.passes(&[
        "never",
        "--image",
        IMAGE,
        "--container-options",
        "--gpus '\"device=0,1\"' --env A=$(touch x)",
        "--dry-run",
        "--json",
    ]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let words = &plan["environment"]["container"]["options"]["extra"];
    let expected = ["--gpus", "\"device=0,1\"", "--env", "A=$(touch", "x)"];
    assert_eq!(*words, serde_json::json!(expected));
}

#[test]
fn somebody_elses_container_of_our_name_is_left_alone() {
    let Some(cluster) = on_docker(1) else { return };
    cluster.case("failing", "each", "exit 3");
    let failed = cluster.run(&["failing", "--image", IMAGE]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    cluster.await_gone();
    // A run that is taken up again has the names that it had.
    let directory = cluster.place.run_directory();
    let run = directory.file_name().unwrap().to_str().unwrap().to_owned();
    let name = format!("flagperf-{run}-0");
    let create = ["run", "-d", "--name", &name, IMAGE, "sleep", "60"];
    let theirs = cluster.docker("node1", &create);
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
    assert_eq!(
        (&found[0].id, found[0].state.as_str()),
        (&theirs, "running")
    );

    // Nor does what removes a container of a run touch one that carries another's label.
    let program = env!("CARGO_BIN_EXE_flagperf");
    let label = [
        "--label",
        "org.flagperf.run=another",
        "--label",
        "org.flagperf.owner=a@b",
    ];
    let create = [&["create", "--name", "labelled"], &label[..], &[IMAGE]].concat();
    cluster.docker("node1", &create);
    for container in [&name, "labelled"] {
        let remove = [program, "remove-container", "docker", container, &run];
        let output = cluster.bed.exec("node1", &remove);
        assert!(output.status.success(), "{output:?}");
    }
    assert_eq!(cluster.bed.containers("node1").len(), 2);
    let remove = [program, "remove-container", "docker", "labelled", "another"];
    assert!(cluster.bed.exec("node1", &remove).status.success());
    assert_eq!(cluster.ours("node1"), std::slice::from_ref(&name));
    cluster.docker("node1", &["rm", "--force", &name]);
    cluster.await_gone();
    assert!(fs::read_dir(directory).is_ok());
}

#[test]
fn the_user_of_an_image_may_run_the_program_that_was_placed() {
    let Some(bed) = flagperf_testkit::TestBed::hosts(1)
        .engine(flagperf_testkit::Engine::Docker)
        .up()
    else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.case("who", "each", &format!("id -u; {RESULT}"));
    // Placed, in a directory of its owner's alone. A build for tests is large.
    cluster.settings("[session]\nconnect = \"1m\"\n");
    let options = ["--image", IMAGE, "--container-options", "--user 1234"];
    let ended = cluster.run(&[&["who"][..], &options].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(cluster.output("who", "node1").contains("1234"));
    cluster.await_gone();
}
