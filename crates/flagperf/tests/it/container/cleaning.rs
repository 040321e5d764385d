//! `flagperf clean`: what runs left that could not clear up after themselves, and nothing else.

use flagperf_testkit::{Engine, TestBed};

use super::{IMAGE, beside_another, script, settings};
use crate::cluster::{Cluster, RESULT};
use crate::support::{Ran, ran, signal, within};

/// `flagperf clean` on all nodes.
pub(super) fn clean(cluster: &Cluster, arguments: &[&str]) -> Ran {
    let mut command = cluster.bed.controller(env!("CARGO_BIN_EXE_flagperf"));
    command.arg("clean").env_remove("EXEC_IN_CONTAINER");
    command
        .arg("--config")
        .arg(cluster.place.path("flagperf.toml"));
    command.args(["--nodes", &cluster.list(), "--ssh-config"]);
    command.arg(cluster.bed.ssh_config()).args(arguments);
    ran(command.output().unwrap())
}

/// Kills the controller of a run and the agents on the nodes, all at once, after what else is to happen.
pub(super) fn crash(cluster: &Cluster, controller: u32, before: impl FnOnce()) {
    signal(controller, "STOP");
    before();
    let nodes = cluster.bed.node_names().iter();
    let agents: Vec<u32> = nodes
        .flat_map(|node| cluster.bed.processes(node))
        .filter(|process| process.args.ends_with("flagperf agent"))
        .map(|process| process.pid)
        .collect();
    assert!(!agents.is_empty());
    for agent in agents {
        signal(agent, "KILL");
    }
    signal(controller, "KILL");
}

#[test]
fn what_crashed_runs_left_is_told_and_removed_and_nothing_else() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    let directory = cluster.image_directory("image", "RUN true");
    script(&directory, "image_install.sh", "sleep 62");
    settings(&cluster, "image = \"lab/left:1\"");
    cluster.case("waits", "each", "echo begun; sleep 64");
    let running = cluster.start(&["waits", "--image-directory", &directory]);
    let named = |ending: &str| {
        let names = cluster.ours("node1");
        names.into_iter().find(|name| name.ends_with(ending))
    };
    within(20.0, "the install script", || named("-build").is_some());
    let left = named("-build").unwrap();
    crash(&cluster, running.child.id(), || {});
    drop(running);
    cluster.place.await_text("events.jsonl", "prepare_image");

    // Another run of the same user goes on meanwhile, and there is one of another user.
    cluster.forget();
    let mut command = cluster.command(&["waits", "--image", IMAGE]);
    let child = command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let going = crate::support::Running { child };
    cluster
        .place
        .await_text("waits/node1_noderank0/benchmark.log.txt", "begun");
    let busy = named("-0").unwrap();
    let label = [
        "--label",
        "org.flagperf.run=r",
        "--label",
        "org.flagperf.owner=eve@lab",
    ];
    let create = [&["create", "--name", "hers"], &label[..], &[IMAGE]].concat();
    cluster.docker("node1", &create);

    let told = clean(&cluster, &["--dry-run"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let line = |ran: &Ran, name: &str| {
        let lines = ran.stdout.lines();
        let found = lines.clone().find(|line| line.contains(name));
        found
            .unwrap_or_else(|| panic!("{name}: {}", ran.stdout))
            .to_owned()
    };
    assert!(line(&told, &left).ends_with("would be removed"));
    assert!(line(&told, &busy).ends_with("its run goes on; left alone"));
    // What the script was to complete is there too.
    assert!(line(&told, " image ").ends_with("would be removed"));
    assert_eq!(told.stdout.lines().count(), 3, "{}", told.stdout);
    assert_eq!(cluster.ours("node1").len(), 3);

    let done = clean(&cluster, &[]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(line(&done, &left).ends_with(": removed"), "{}", done.stdout);
    assert!(
        line(&done, " image ").ends_with(": removed"),
        "{}",
        done.stdout
    );
    let images = cluster.bed.images("node1");
    assert_eq!(images.len(), 1, "{images:?}");
    let mut names = cluster.ours("node1");
    names.sort();
    assert_eq!(names, [busy, "hers".to_owned()]);
    going.signal("INT");
    assert_eq!(going.end(30.0).code, Some(130));
    cluster.docker("node1", &["rm", "hers"]);
    cluster.await_gone_beside_another();
    let nothing = clean(&cluster, &[]);
    assert_eq!(nothing.stdout, "node1: nothing\n");
}

#[test]
fn a_run_of_which_all_was_killed_leaves_what_clean_removes() {
    let Some(cluster) = beside_another(1) else {
        return;
    };
    cluster.case("waits", "each", "echo begun; sleep 64");
    let running = cluster.start(&["waits", "--image", IMAGE]);
    cluster
        .place
        .await_text("waits/node1_noderank0/benchmark.log.txt", "begun");
    crash(&cluster, running.child.id(), || {
        cluster.bed.kill_engine("node1");
    });
    drop(running);
    cluster.bed.start_engine("node1");
    let done = clean(&cluster, &[]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    cluster.await_gone_beside_another();
}

#[test]
fn clean_says_where_it_cannot_look() {
    let Some(bed) = TestBed::hosts(2)
        .engine(Engine::Docker)
        .engine_of("node2", None)
        .up()
    else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.case("unused", "each", RESULT);
    let done = clean(&cluster, &[]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert!(done.stdout.contains("node1: nothing"), "{}", done.stdout);
    let why = "node2: it has no container engine";
    assert!(done.stderr.contains(why), "{}", done.stderr);
}

#[test]
fn images_whose_name_a_later_build_has_taken_are_removed_and_no_others() {
    for engine in [Engine::Docker, Engine::Podman] {
        let Some(bed) = TestBed::hosts(1).engine(engine).up() else {
            return;
        };
        let cluster = Cluster::new(bed);
        cluster.installed("");
        cluster.case("inside", "each", RESULT);
        let command = engine.command();
        let name = "lab/rebuilt:1";
        let mut ids = Vec::new();
        for version in 1..=3 {
            cluster.forget();
            let steps = format!("RUN echo {version} >/version");
            let directory = cluster.image_directory("image", &steps);
            cluster.passes(&["inside", "--image-directory", &directory, "--image", name]);
            ids.push(cluster.image_id("node1", name));
            if version == 1 {
                let create = format!("{command} create --name another {name} true");
                cluster.sh("node1", &create);
            }
        }
        // Nameless images of somebody else's, ours by no label or by another's.
        for maker in ["", "--label org.flagperf.maker=eve@lab"] {
            for version in [1, 2] {
                let build = format!(
                    "mkdir -p /tmp/theirs; cd /tmp/theirs; printf 'FROM {IMAGE}\\nRUN echo {version} >/of{}\\n' >Dockerfile; {command} build --network host {maker} --tag lab/theirs:1 .",
                    maker.len()
                );
                cluster.sh("node1", &build);
            }
        }
        let before = cluster.bed.images("node1").len();
        let short = |place: usize| {
            format!(
                "node1: {command} image {}, which has no name any more: ",
                &ids[place][..12]
            )
        };
        let lines = |arguments: &[&str]| {
            let ran = clean(&cluster, arguments);
            assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
            let mut lines: Vec<String> = ran.stdout.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let sorted = |mut expected: Vec<String>| {
            expected.sort();
            expected
        };
        let told = lines(&["--dry-run"]);
        let would =
            [0, 1].map(|place| short(place) + "would be removed unless a container needs it");
        assert_eq!(told, sorted(would.to_vec()));
        assert_eq!(cluster.bed.images("node1").len(), before);
        let done = lines(&[]);
        let needed = short(0) + "a container needs it; left alone";
        assert_eq!(done, sorted(vec![needed, short(1) + "removed"]));
        let left = cluster.bed.images("node1");
        let left: Vec<&str> = left.iter().map(|image| &image.id[..]).collect();
        assert_eq!(left.len(), before - 1, "{left:?}");
        assert!(
            left.contains(&&ids[0][..]) && left.contains(&&ids[2][..]),
            "{left:?}"
        );
        // The container that needed one of them gone, it goes too.
        cluster.sh("node1", &format!("{command} rm another"));
        assert_eq!(lines(&[]), [short(0) + "removed"]);
        assert_eq!(lines(&[]), ["node1: nothing"]);
        cluster.await_gone();
    }
}
