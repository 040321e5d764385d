//! Container engines of the nodes.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::bed::TestBed;
use crate::script;

/// A container engine that a node can have; the tests that need one are skipped where this machine
/// lacks it, as [`crate::Builder::up`] tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Engine {
    /// `dockerd` and `containerd`. Root may use it, and bob, who is in the group `docker`; alice may not.
    Docker,
    /// A stand-in that takes what nerdctl takes, refuses what it refuses, and has a `dockerd` do it.
    Nerdctl,
    /// No daemon. Root, alice and bob have their own containers and images.
    Podman,
}

impl Engine {
    /// Its command on a node. The commands of other engines are not found there.
    pub fn command(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Nerdctl => "nerdctl",
            Self::Podman => "podman",
        }
    }
}

/// An image that is made from what this machine has, without a registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseImage {
    /// 7 MB: busybox, bash, and the libraries that a debug build of this project is linked with. Every
    /// engine has it for root from the start.
    Busybox,
    /// 60 MB: Debian's bash, coreutils, iproute2, procps and python3 with venv. Made in some seconds by
    /// the first who asks for it.
    Debian,
}

impl BaseImage {
    /// Its name. Podman lists it with `localhost/` in front, as it does what it has built, and finds it
    /// by either.
    pub fn name(self) -> &'static str {
        match self {
            Self::Busybox => "flagperf-test/busybox:1",
            Self::Debian => "flagperf-test/debian:1",
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Busybox => "busybox",
            Self::Debian => "debian",
        }
    }
}

/// A container of a node, running or not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Container {
    /// In full, 64 hexadecimal digits.
    pub id: String,
    /// Its name, without Docker's slash.
    pub name: String,
    /// The name of its image as the engine has it.
    pub image: String,
    /// `created`, `running`, `exited` and so on, in the engine's words.
    pub state: String,
    /// Its labels, those of its image among them.
    pub labels: BTreeMap<String, String>,
}

/// An image of a node.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// In full, 64 hexadecimal digits. A [`BaseImage`] has the same on every node.
    pub id: String,
    /// Its names; an image that another has taken the name from has none.
    pub tags: Vec<String>,
    /// The size of its files.
    pub bytes: u64,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Engines. `destination` is a node or, as for ssh, `alice@node2`, which with Podman makes a difference.
impl TestBed {
    /// Loads an image, which may be there already.
    #[track_caller]
    pub fn load_image(&self, destination: &str, image: BaseImage) {
        let (user, node) = parts(destination);
        script::must("image", self.dir(), &[node, image.word(), user]);
    }

    /// The containers of a node's engine, also those that have ended. Not while it is frozen.
    #[track_caller]
    pub fn containers(&self, destination: &str) -> Vec<Container> {
        self.list("engine-ps", destination)
    }

    /// The images of a node's engine. Not while it is frozen.
    #[track_caller]
    pub fn images(&self, destination: &str) -> Vec<Image> {
        self.list("engine-images", destination)
    }

    #[track_caller]
    fn list<T: DeserializeOwned>(&self, command: &str, destination: &str) -> Vec<T> {
        let (user, node) = parts(destination);
        script::must(command, self.dir(), &[node, user])
            .lines()
            .map(|line| {
                serde_json::from_str(line)
                    .unwrap_or_else(|error| panic!("{error} in what {command} says: {line}"))
            })
            .collect()
    }
}

fn parts(destination: &str) -> (&str, &str) {
    destination.split_once('@').unwrap_or(("root", destination))
}
