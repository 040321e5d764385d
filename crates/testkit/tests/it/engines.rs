//! Container engines on the nodes: they do what a real one does, fail when told to, and leave nothing.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use flagperf_testkit::{BaseImage, Builder, Container, Engine, TestBed, script};

use crate::support::{over_ssh, said, within};

/// What the case libraries start containers with, less the image and its command.
const OPTIONS: &str = "--init --rm -d --net=host --ipc=host --privileged --ulimit=memlock=-1 \
    --ulimit=stack=67108864 --label=purpose=test";

/// The control group of a test bed, which all of its processes are in, by the name of its last part.
fn group(bed: &TestBed) -> String {
    let groups = fs::read_to_string(format!("/proc/{}/cgroup", bed.init("node1"))).unwrap();
    let start = groups.find("flagperf-testbed-").unwrap();
    let name = groups[start..].split(['/', '\n']).next().unwrap();
    name.to_owned()
}

/// The processes of the machine that are in a group, or below it.
fn members(group: &str) -> Vec<String> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(|entry| {
            fs::read_to_string(entry.path().join("cgroup"))
                .is_ok_and(|groups| groups.contains(group))
        })
        .map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
            format!("{} {}", entry.file_name().display(), name.trim_end())
        })
        .collect()
}

/// The folders of a group in all hierarchies.
fn folders(group: &str) -> String {
    let mut find = Command::new("find");
    find.args(["/sys/fs/cgroup", "-name", group]);
    // Others come and go beside it.
    String::from_utf8_lossy(&find.output().unwrap().stdout).into_owned()
}

/// Drops a test bed, and makes sure that nothing of it is left: processes, whatever namespace they are
/// in; groups; mounts; files.
fn leaves_nothing(bed: TestBed) {
    let group = group(&bed);
    assert!(members(&group).len() > 2);
    assert!(folders(&group).lines().count() >= 1);
    let dir = bed.dir().to_owned();
    drop(bed);
    assert_eq!(members(&group), [""; 0]);
    assert_eq!(folders(&group), "");
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!mounts.contains(dir.to_str().unwrap()), "{mounts}");
    assert!(!dir.exists());
}

/// Runs a command over ssh and tells what became of it.
fn attempt(bed: &TestBed, destination: &str, command: &str) -> Output {
    bed.ssh(destination).arg(command).output().unwrap()
}

#[track_caller]
fn complaint(output: &Output) -> String {
    assert!(!output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A container on each node that sees the node's network and name, may do what root may, and has what
/// its options say.
fn use_both_nodes(bed: &TestBed, engine: Engine) {
    let engine = engine.command();
    let image = BaseImage::Busybox.name();
    for node in bed.node_names() {
        let run = format!("{engine} run --name mine {OPTIONS} {image} sleep infinity");
        let id = over_ssh(bed, node, &run);
        let address = bed.address(node).ip();
        let inside = "hostname; ip address show dev eth0; nproc; tar --help 2>&1; \
            mkdir /tmp/m && mount -t tmpfs none /tmp/m && echo mounted; cat /proc/1/cmdline";
        let inside = over_ssh(bed, node, &format!("{engine} exec mine bash -c '{inside}'"));
        for part in [
            &format!("{node}\n"),
            &format!("inet {address}/"),
            "BusyBox",
            "mounted",
            "sleep\0infinity",
        ] {
            assert!(inside.contains(part), "{part:?} in {inside}");
        }
        let [container] = &bed.containers(node)[..] else {
            panic!("{:?}", bed.containers(node))
        };
        assert_eq!(container.id, id);
        assert_eq!(container.name, "mine");
        assert_eq!(container.state, "running");
        assert!(container.image.ends_with(image), "{container:?}");
        let labels = BTreeMap::from([("purpose".to_owned(), "test".to_owned())]);
        assert_eq!(container.labels, labels);
        // What stands between engine and container is a process of the node.
        assert_eq!(bed.processes(node).len(), 1, "{:?}", bed.processes(node));
    }
    let images = bed.images("node1");
    assert_eq!(images.len(), 1);
    assert!(images[0].tags[0].ends_with(image), "{images:?}");
    assert_eq!(images[0].labels, BTreeMap::new());
    assert_eq!(images[0].id, bed.images("node2")[0].id);
}

fn states(containers: &[Container]) -> Vec<(&str, &str)> {
    containers
        .iter()
        .map(|container| (container.name.as_str(), container.state.as_str()))
        .collect()
}

#[test]
fn docker_runs_stops_dies_and_leaves_nothing() {
    let Some(bed) = TestBed::hosts(2).engine(Engine::Docker).up() else {
        return;
    };
    use_both_nodes(&bed, Engine::Docker);

    // Killed, the engine leaves its containers running, and ends them when it is back.
    bed.kill_engine("node1");
    let refused = complaint(&attempt(&bed, "node1", "docker ps"));
    assert!(refused.contains("Cannot connect"), "{refused}");
    assert_eq!(bed.processes("node1").len(), 1);
    assert_eq!(states(&bed.containers("node2")), [("mine", "running")]);
    bed.start_engine("node1");
    assert_eq!(bed.containers("node1"), []);

    // Stopped, it ends them first.
    let image = BaseImage::Busybox.name();
    let run = format!("docker run --init -d --name other {image} sleep infinity");
    over_ssh(&bed, "node1", &run);
    bed.stop_engine("node1");
    assert_eq!(bed.processes("node1"), []);
    bed.start_engine("node1");
    assert_eq!(states(&bed.containers("node1")), [("other", "exited")]);
    // What is started after that is as it was before, and belongs to the test bed.
    over_ssh(&bed, "node1", "docker start other");
    let run = format!("docker run --name mine {OPTIONS} {image} sleep infinity");
    over_ssh(&bed, "node1", &run);
    assert_eq!(bed.containers("node1").len(), 2);
    leaves_nothing(bed);
}

#[test]
fn podman_runs_for_root_and_for_alice_and_leaves_nothing() {
    let Some(bed) = TestBed::hosts(2).engine(Engine::Podman).up() else {
        return;
    };
    use_both_nodes(&bed, Engine::Podman);
    assert_eq!(bed.images("alice@node1"), []);
    bed.load_image("alice@node1", BaseImage::Busybox);
    assert_eq!(bed.images("alice@node1")[0].id, bed.images("node1")[0].id);
    let image = BaseImage::Busybox.name();
    let run = format!("podman run --name hers {OPTIONS} {image} sleep infinity");
    over_ssh(&bed, "alice@node1", &run);
    let inside = over_ssh(
        &bed,
        "alice@node1",
        "podman exec hers sh -c 'id -u; hostname'",
    );
    assert_eq!(inside, "0\nnode1");
    assert_eq!(
        states(&bed.containers("alice@node1")),
        [("hers", "running")]
    );
    assert_eq!(states(&bed.containers("node1")), [("mine", "running")]);
    assert_eq!(bed.containers("bob@node1"), []);
    leaves_nothing(bed);
}

#[test]
fn on_loopback_containers_share_the_network_that_is_there() {
    for engine in [Engine::Docker, Engine::Podman] {
        let links = || fs::read_dir("/sys/class/net").unwrap().count();
        let before = links();
        let Some(bed) = TestBed::loopback(2).engine(engine).up() else {
            return;
        };
        let run = format!("{} run --rm --net=host", engine.command());
        let image = BaseImage::Busybox.name();
        let greeting = |node: &str| {
            let address = bed.address(node);
            let connect = format!("nc -w 2 {} {} </dev/null", address.ip(), address.port());
            over_ssh(&bed, "node1", &format!("{run} {image} sh -c '{connect}'"))
        };
        assert!(greeting("node1").starts_with("SSH-2.0-"));
        assert!(greeting("node2").starts_with("SSH-2.0-"));
        assert_eq!(
            links(),
            before,
            "the machine has no more bridges than before"
        );
        leaves_nothing(bed);
    }
}

#[test]
fn on_loopback_the_bridge_of_the_machine_s_own_docker_survives() {
    if TestBed::loopback(1).engine(Engine::Docker).up().is_none() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    // A network of this test's own stands for the machine's.
    let program = "set -e
        ip link set lo up
        ip link add docker0 type bridge
        $1 up $2 --loopback 1 --engine docker >/dev/null
        trap '$1 down $2' EXIT
        ip -oneline link show docker0 | cut -d : -f 2
        ssh -F $2/ssh_config node1 docker run --rm --net=host $3 ip -oneline link | grep -o docker0";
    let output = Command::new("unshare")
        .args(["--net", "bash", "-c", program, "bash"])
        .arg(script())
        .arg(place.path().join("bed"))
        .arg(BaseImage::Busybox.name())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(said(&output), "docker0\ndocker0");
}

#[test]
fn an_engine_answers_only_those_who_may_and_is_not_everywhere() {
    let Some(bed) = TestBed::loopback(2)
        .engine(Engine::Docker)
        .engine_of("node2", None)
        .up()
    else {
        return;
    };
    assert_eq!(over_ssh(&bed, "bob@node1", "docker ps -q"), "");
    let refused = complaint(&attempt(&bed, "alice@node1", "docker ps"));
    assert!(refused.contains("permission denied"), "{refused}");
    for (node, command) in [
        ("node1", "podman"),
        ("node2", "docker"),
        ("node2", "podman"),
    ] {
        let refused = attempt(&bed, node, &format!("{command} ps"));
        assert_eq!(refused.status.code(), Some(127), "{node} {refused:?}");
    }
}

#[test]
fn a_frozen_engine_answers_nobody_until_it_is_thawed() {
    let Some(bed) = TestBed::loopback(1).engine(Engine::Docker).up() else {
        return;
    };
    let run = format!(
        "docker run --name mine {OPTIONS} {} sleep infinity",
        BaseImage::Busybox.name()
    );
    over_ssh(&bed, "node1", &run);
    bed.freeze_engine("node1");
    let hangs = attempt(&bed, "node1", "timeout 1 docker stop mine");
    assert_eq!(hangs.status.code(), Some(124));
    bed.thaw_engine("node1");
    over_ssh(&bed, "node1", "docker stop mine");
    assert!(within(Duration::from_secs(10), || bed
        .containers("node1")
        .is_empty()));
    bed.freeze_engine("node1");
    leaves_nothing(bed);
}

#[test]
fn a_build_can_fill_the_disk_and_memory_can_run_out() {
    let Some(bed) = TestBed::loopback(2)
        .engine(Engine::Docker)
        .engine_of("node2", Some(Engine::Podman))
        .engine_disk("node1", 40 << 20)
        .engine_disk("node2", 40 << 20)
        .up()
    else {
        return;
    };
    let image = BaseImage::Busybox.name();
    for (node, engine) in [("node1", "docker"), ("node2", "podman")] {
        let build = format!(
            "mkdir b; printf 'FROM {image}\\nRUN dd if=/dev/zero of=/file bs=1M count=60\\n' >b/Dockerfile
             {engine} build --force-rm --network=host b 2>&1 | cat; exit ${{PIPESTATUS[0]}}"
        );
        let full = attempt(&bed, node, &build);
        assert!(!full.status.success());
        let output = String::from_utf8_lossy(&full.stdout);
        assert!(output.contains("No space left"), "{node}: {output}");
        let eat = format!(
            "{engine} run --name eats --net=host --memory=32m {image} tail -c 200000000 /dev/zero"
        );
        let killed = attempt(&bed, node, &eat);
        assert_eq!(killed.status.code(), Some(137), "{node}: {killed:?}");
        // Podman 4.3 does not say why.
        if engine == "docker" {
            let why = "docker inspect --format '{{.State.OOMKilled}}' eats";
            assert_eq!(over_ssh(&bed, node, why), "true");
        }
    }
}

#[test]
fn the_larger_image_has_python() {
    let Some(bed) = TestBed::loopback(1).engine(Engine::Docker).up() else {
        return;
    };
    bed.load_image("node1", BaseImage::Debian);
    let run = format!(
        "docker run --rm {} bash -c 'python3 -m venv --without-pip /tmp/v && /tmp/v/bin/python -c \"import ssl, json; print(6 * 7)\"'",
        BaseImage::Debian.name()
    );
    assert_eq!(over_ssh(&bed, "node1", &run), "42");
}

#[test]
fn what_a_dead_owner_left_is_swept_with_its_groups() {
    let ready = |builder: Builder| builder.engine(Engine::Docker).up().is_some();
    if !ready(TestBed::loopback(1)) {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let dir: PathBuf = place.path().join("bed");
    let mut owner = Command::new("sleep").arg("60").spawn().unwrap();
    let call = |words: &[&str]| Command::new(script()).args(words).output().unwrap();
    let path = dir.to_str().unwrap();
    let pid = owner.id().to_string();
    said(&call(&[
        "up",
        path,
        "--loopback",
        "1",
        "--owner",
        &pid,
        "--engine",
        "docker",
    ]));
    let image = BaseImage::Busybox.name();
    said(&call(&[
        "exec",
        path,
        "node1",
        "docker",
        "run",
        "-d",
        "--net=host",
        image,
        "sleep",
        "60",
    ]));
    let init = fs::read_to_string(dir.join("nodes.d/node1/init")).unwrap();
    let groups = format!("/proc/{}/cgroup", init.split(' ').next().unwrap());
    let groups = fs::read_to_string(groups).unwrap();
    let start = groups.find("flagperf-testbed-").unwrap();
    let group = groups[start..].split('/').next().unwrap();
    assert!(members(group).len() > 4, "{:?}", members(group));
    owner.kill().unwrap();
    owner.wait().unwrap();
    let sweep = Command::new(script())
        .arg("sweep")
        .stdin(Stdio::null())
        .output();
    said(&sweep.unwrap());
    assert_eq!(members(group), [""; 0]);
    assert_eq!(folders(group), "");
    assert!(!dir.exists());
}
