//! Container mode by way of nerdctl's command line: a stand-in that takes what nerdctl takes and refuses the rest.

use flagperf_testkit::{Engine, TestBed};

use super::cleaning::clean;
use super::{IMAGE, owner, script, settings};
use crate::cluster::{Cluster, RESULT};
use crate::support::ran;

fn on_nerdctl(nodes: usize) -> Option<Cluster> {
    let bed = TestBed::hosts(nodes).engine(Engine::Nerdctl).up()?;
    let cluster = Cluster::new(bed);
    cluster.installed("");
    Some(cluster)
}

#[test]
fn nerdctl_is_asked_for_nothing_that_it_does_not_know() {
    let Some(cluster) = on_nerdctl(2) else { return };
    // Of what a node has, this is what works.
    cluster.sh("node1", "mkdir -p /tmp/shared; echo seen >/tmp/shared/file");
    cluster.sh("node2", "mkdir -p /tmp/shared; echo seen >/tmp/shared/file");
    settings(
        &cluster,
        "mounts = [\"/tmp/shared:/shared:ro\"]
        env = { GREETING = \"two words\" }
        ulimits = [\"nofile=1000\"]
        security = [\"seccomp=unconfined\"]
        workdir = \"/\"
        options = \"--hostname=of-its-own\"
        setup = [\"cp /shared/file /seen\"]",
    );
    let look = "cat /built /seen; hostname; env | grep GREETING";
    cluster.case("inside", "all", &format!("{look}; {RESULT}"));
    let directory =
        cluster.image_directory("nerd", "ENTRYPOINT [\"/bin/false\"]\nRUN echo a >/built");
    script(&directory, "nerd_install.sh", "echo completed >>/built");
    let arguments = [
        "inside",
        "--image-directory",
        &directory,
        "--image",
        "lab/nerd:1",
        "--build-once",
    ];
    let started = cluster.passes(&arguments);
    let output = cluster.output("inside", "node2");
    assert!(
        output.contains("a\ncompleted\nseen\nof-its-own\nGREETING=two words"),
        "{output}"
    );
    let built = cluster.done("node1", "prepare_image");
    assert_eq!(built, "nerdctl built lab/nerd:1: it was not there");
    let sent = cluster.done("node2", "prepare_image");
    assert_eq!(sent, "got lab/nerd:1 from node1: it was not there");
    assert!(
        started.stderr.contains("start container"),
        "{}",
        started.stderr
    );
    for node in ["node1", "node2"] {
        assert_eq!(cluster.done(node, "stop_container"), "gone");
        let images = cluster.bed.images(node);
        assert_eq!(images.len(), 2, "nothing of the way stays: {images:?}");
        let made = images.iter().find(|image| image.tags == ["lab/nerd:1"]);
        let labels = &made.unwrap().labels;
        let names: Vec<&str> = labels.keys().map(String::as_str).collect();
        assert_eq!(names, ["org.flagperf.content", "org.flagperf.maker"]);
    }
    cluster.await_gone();

    // What was completed is known by its content, and is not made again.
    cluster.forget();
    cluster.passes(&arguments);
    for node in ["node1", "node2"] {
        let done = cluster.done(node, "prepare_image");
        assert!(done.ends_with("made of the same directory"), "{done}");
    }
    cluster.await_gone();
}

#[test]
fn what_nerdctl_refuses_is_told_with_what_helps() {
    let Some(cluster) = on_nerdctl(1) else { return };
    cluster.case("never", "each", "exit 3");
    let failed = |arguments: &[&str], step: &str| {
        cluster.forget();
        let ran = cluster.run(&[&["never"], arguments].concat());
        assert_eq!(ran.code, Some(1), "{}", ran.stderr);
        let step = cluster.step("node1", step);
        let failed = &step["outcome"]["failed"];
        let text = |key: &str| failed[key].as_str().unwrap_or_default().to_owned();
        (text("reason"), text("hint"), failed["tail"].to_string())
    };
    let (reason, hint, _) = failed(&["--image", "lab/none:1"], "prepare_image");
    assert_eq!(
        reason,
        "`nerdctl` refused (exit status 1): 1 errors: no such image: lab/none:1"
    );
    assert!(hint.contains("`nerdctl load`"), "{hint}");
    let options = ["--image", IMAGE, "--container-options", "--gpu all"];
    let (reason, hint, _) = failed(&options, "start_container");
    assert!(
        reason.ends_with("unknown flag: --gpu (its option `--gpu all`)"),
        "{reason}"
    );
    assert!(hint.contains("no such option"), "{hint}");
    let steps = "RUN echo the last words; exit 9\nRUN true";
    let directory = cluster.image_directory("broken", steps);
    let (reason, _, tail) = failed(&["--image-directory", &directory], "prepare_image");
    let expected = "the build failed at step 2/5: RUN echo the last words; exit 9";
    assert!(reason.starts_with(expected), "{reason}");
    assert!(tail.contains("the last words"), "{tail}");

    // A name that somebody else has.
    let run = failed(&["--image", IMAGE], "stop_container");
    assert_eq!(run.0, "", "it only failed by itself: {}", run.0);
    let directory = cluster.place.run_directory();
    let name = format!("flagperf-{}-0", directory.file_name().unwrap().display());
    let theirs = [
        "nerdctl", "run", "--detach", "--name", &name, IMAGE, "sleep", "60",
    ];
    assert!(cluster.bed.exec("node1", &theirs).status.success());
    let mut command = cluster.bed.controller(env!("CARGO_BIN_EXE_flagperf"));
    command.args(["run", "--resume"]).arg(&directory);
    let resumed = ran(command.output().unwrap());
    assert_eq!(resumed.code, Some(1), "{}", resumed.stderr);
    assert!(
        resumed.stderr.contains("is already used by ID"),
        "{}",
        resumed.stderr
    );
    assert!(resumed.stderr.contains("left alone"), "{}", resumed.stderr);
    assert_eq!(cluster.ours("node1"), std::slice::from_ref(&name));
    assert!(
        cluster
            .bed
            .exec("node1", &["nerdctl", "rm", "--force", &name])
            .status
            .success()
    );

    // With its containerd down it is no engine that could be used.
    cluster.bed.stop_engine("node1");
    let (reason, hint, _) = failed(&["--image", IMAGE], "prepare_image");
    assert!(
        reason.contains("cannot access containerd socket"),
        "{reason}"
    );
    assert!(hint.contains("rootless containerd"), "{hint}");
}

#[test]
fn nerdctls_containers_are_kept_found_and_removed() {
    let Some(cluster) = on_nerdctl(1) else { return };
    cluster.case("kept", "each", RESULT);
    let ran = cluster.passes(&["kept", "--image", IMAGE, "--keep-containers"]);
    let name = cluster.ours("node1").remove(0);
    let enter = format!("nerdctl exec --interactive --tty {name} sh");
    assert!(ran.stderr.contains(&enter), "{}", ran.stderr);
    // An image that was to become another is there too, from an agent that is gone.
    let way = "flagperf-run1-x-0:build-999999.1";
    let build = format!(
        "mkdir /tmp/way; cd /tmp/way; printf 'FROM {IMAGE}\\n' >Dockerfile; nerdctl build --label org.flagperf.maker={} --tag {way} .",
        owner()
    );
    cluster.sh("node1", &build);
    let clean = clean(&cluster, &[]);
    assert_eq!(clean.code, Some(0), "{}", clean.stderr);
    let lines: Vec<&str> = clean.stdout.lines().collect();
    let run = cluster.record()["run"].as_str().unwrap().to_owned();
    assert_eq!(
        lines,
        [
            format!("node1: nerdctl container {name} of {run}: removed"),
            format!("node1: nerdctl image {way} of run1-x: removed"),
        ]
    );
    assert_eq!(cluster.bed.images("node1").len(), 1);
    cluster.await_gone();
}
