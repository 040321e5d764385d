//! Container mode on nodes with real engines: images, containers, what can befall them, and that none is left.

mod chips;
mod cleaning;
mod engines;
mod faults;
mod groups;
mod images;
mod leaving;
mod modes;
mod nerdctl;
mod options;
mod podman;
mod secrets;
mod setup;
mod suite;

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use flagperf_testkit::{BaseImage, Engine, TestBed};
use serde_json::Value;

use crate::cluster::Cluster;

/// The image that every engine of a test bed has.
const IMAGE: &str = "flagperf-test/busybox:1";

/// Nodes with Docker, and the program there.
fn on_docker(nodes: usize) -> Option<Cluster> {
    assert_eq!(BaseImage::Busybox.name(), IMAGE);
    let bed = TestBed::hosts(nodes).engine(Engine::Docker).up()?;
    let cluster = Cluster::new(bed);
    cluster.installed("");
    Some(cluster)
}

/// The same with a container on each node that is nobody's business.
fn beside_another(nodes: usize) -> Option<Cluster> {
    let cluster = on_docker(nodes)?;
    for node in cluster.bed.node_names() {
        cluster.docker(node, &["create", "--name", "another", IMAGE, "true"]);
    }
    Some(cluster)
}

impl Cluster {
    /// Runs a command of Docker's on a node, and gives what it says.
    #[track_caller]
    fn docker(&self, node: &str, words: &[&str]) -> String {
        let output = self.bed.exec(node, &[&["docker"], words].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A directory to build an image from: what follows `FROM` in its Dockerfile.
    fn image_directory(&self, name: &str, steps: &str) -> String {
        let directory = self.place.path(name);
        fs::create_dir_all(&directory).unwrap();
        let dockerfile = format!("FROM {IMAGE}\n{steps}\n");
        fs::write(directory.join("Dockerfile"), dockerfile).unwrap();
        directory.to_str().unwrap().to_owned()
    }

    /// What the latest run noted about a step on a node.
    #[track_caller]
    fn step(&self, node: &str, step: &str) -> Value {
        let record = self.record();
        let nodes = record["nodes"].as_array().unwrap();
        let node = nodes.iter().find(|one| one["name"] == node).unwrap();
        let steps = node["steps"].as_array();
        let found = steps.and_then(|steps| steps.iter().find(|one| one["step"] == step));
        found.unwrap_or_else(|| panic!("no {step}: {node}")).clone()
    }

    /// What was done in a step that went well.
    #[track_caller]
    fn done(&self, node: &str, step: &str) -> String {
        let step = self.step(node, step);
        let what = step["outcome"]["done"]["what"].as_str();
        what.unwrap_or_else(|| panic!("{step}")).to_owned()
    }

    /// What a step printed on a node.
    #[track_caller]
    fn step_log(&self, node: &str, step: &str) -> String {
        let step = self.step(node, step);
        let log = step["log"].as_str().unwrap_or_else(|| panic!("{step}"));
        fs::read_to_string(self.place.run_directory().join(log)).unwrap()
    }

    /// Forgets the runs so far.
    pub(crate) fn forget(&self) {
        let _ = fs::remove_dir_all(self.place.path("results"));
    }

    /// Names of the containers of a node that are not somebody else's.
    fn ours(&self, node: &str) -> Vec<String> {
        let containers = self.bed.containers(node);
        let names = containers.into_iter().map(|container| container.name);
        names.filter(|name| name != "another").collect()
    }

    /// Waits until nothing of ours is left, neither container nor process nor file, and makes sure that somebody
    /// else's container is where it was.
    #[track_caller]
    fn await_gone(&self) {
        for node in self.bed.node_names() {
            let deadline = Instant::now() + Duration::from_secs(15);
            loop {
                let left = self.ours(node);
                if left.is_empty() {
                    break;
                }
                let late = Instant::now() >= deadline;
                assert!(!late, "left on {node}: {left:?}; {}", self.events());
                sleep(Duration::from_millis(100));
            }
        }
        self.await_clean();
    }

    /// The same where another container is on each node.
    #[track_caller]
    fn await_gone_beside_another(&self) {
        self.await_gone();
        for node in self.bed.node_names() {
            let others = self.bed.containers(node).len();
            assert_eq!(others, 1, "{node} has lost somebody else's container");
        }
    }

    /// The only image of a node with this name.
    #[track_caller]
    fn image_id(&self, node: &str, name: &str) -> String {
        let images = self.bed.images(node);
        let named = images.iter().find(|image| {
            let tags = image.tags.iter();
            tags.map(|tag| tag.trim_start_matches("localhost/"))
                .any(|tag| tag == name)
        });
        let named = named.unwrap_or_else(|| panic!("{node} has no {name}: {images:?}"));
        named.id.clone()
    }
}

/// Who makes containers from here, as labels have it.
fn owner() -> String {
    let host = rustix::system::uname();
    let uid = rustix::process::getuid().as_raw();
    format!("{uid}@{}", host.nodename().to_str().unwrap())
}

/// Writes a script that can be run.
fn script(directory: &str, name: &str, text: &str) {
    fs::write(Path::new(directory).join(name), format!("{text}\n")).unwrap();
}

/// `[container]` of the settings.
fn settings(cluster: &Cluster, text: &str) {
    cluster.installed(&format!("[container]\n{text}\n"));
}
