//! A test bed that is up.

use std::ffi::OsStr;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Output};

use serde::Deserialize;
use tempfile::TempDir;

use crate::builder::Builder;
use crate::process::Process;
use crate::script;

/// Nodes that are up, until this is dropped.
#[derive(Debug)]
pub struct TestBed {
    dir: TempDir,
    description: Description,
    names: Vec<String>,
    ssh_config: PathBuf,
    /// Environment for programs of the controller, `SLURM_CONF` for one.
    environment: Vec<(String, String)>,
    /// The test bed ends when this end of the pipe is closed, which the kernel does in any case.
    _tie: ChildStdin,
}

/// `testbed.json`.
#[derive(Debug, Deserialize)]
struct Description {
    netns: Option<PathBuf>,
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    name: String,
    address: IpAddr,
    port: u16,
    init: u32,
}

impl TestBed {
    /// `count` hosts with network stacks of their own, behind one bridge: their links can be cut.
    /// About 0.2 s, and 5 s for 256.
    pub fn hosts(count: usize) -> Builder {
        Builder::new("--hosts", count)
    }

    /// `count` nodes on addresses of the loopback interface. About 0.1 s, and 4 s for 256.
    pub fn loopback(count: usize) -> Builder {
        Builder::new("--loopback", count)
    }

    /// As [`TestBed::hosts`], and a Slurm cluster of these hosts. Two seconds.
    pub fn slurm(count: usize) -> Builder {
        Builder::new("--slurm", count)
    }

    pub(crate) fn new(dir: TempDir, tie: ChildStdin) -> Self {
        let text =
            fs::read_to_string(dir.path().join("testbed.json")).expect("testbed.json is written");
        let description: Description =
            serde_json::from_str(&text).expect("testbed.json is as described");
        let environment = fs::read_to_string(dir.path().join("env"))
            .unwrap_or_default()
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Self {
            names: description
                .nodes
                .iter()
                .map(|node| node.name.clone())
                .collect(),
            ssh_config: dir.path().join("ssh_config"),
            dir,
            description,
            environment,
            _tie: tie,
        }
    }

    /// The directory of the test bed: `client_key`, `known_hosts`, `nodes.d/NODE/sshd.log` and so on,
    /// as `scripts/testbed --help` tells.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A configuration for `ssh -F` that knows every node by its name, and nothing of the user's own.
    pub fn ssh_config(&self) -> &Path {
        &self.ssh_config
    }

    /// `node1`, `node2` and so on.
    pub fn node_names(&self) -> &[String] {
        &self.names
    }

    /// Where the sshd of a node listens.
    #[track_caller]
    pub fn address(&self, node: &str) -> SocketAddr {
        let node = self.node(node);
        SocketAddr::new(node.address, node.port)
    }

    /// The first process of a node, as this machine counts; `/proc/PID/ns` has the node's namespaces.
    #[track_caller]
    pub fn init(&self, node: &str) -> u32 {
        self.node(node).init
    }

    /// The network namespace from which the nodes can be reached; `None` if that is the test's own.
    pub fn netns(&self) -> Option<&Path> {
        self.description.netns.as_deref()
    }

    /// A command that runs `program` where the nodes can be reached. The process is the program itself,
    /// so that it can be sent signals.
    pub fn controller(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = match self.netns() {
            None => Command::new(program),
            Some(netns) => {
                let mut enter = Command::new("nsenter");
                let mut option = std::ffi::OsString::from("--net=");
                option.push(netns);
                enter.arg(option).arg("--").arg(program);
                enter
            }
        };
        command.envs(
            self.environment
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        command
    }

    /// `ssh` to a node (or `alice@node2`), from the controller; the command to run there is to be added.
    pub fn ssh(&self, destination: &str) -> Command {
        let mut command = self.controller("ssh");
        command.arg("-F").arg(&self.ssh_config).arg(destination);
        command
    }

    /// Runs a command as root inside a node, not through its sshd.
    #[track_caller]
    pub fn exec<A: AsRef<OsStr>>(&self, node: &str, argv: &[A]) -> Output {
        let mut words = vec![OsStr::new(&self.node(node).name)];
        words.extend(argv.iter().map(AsRef::as_ref));
        script::call("exec", self.dir(), &words)
    }

    /// The processes of a node, but for its first one, the sshd that listens and the daemons of an engine.
    /// Sessions of sshd are among them, and of a container what stands between it and its engine; what runs
    /// in a container is not.
    #[track_caller]
    pub fn processes(&self, node: &str) -> Vec<Process> {
        Process::parse(&script::must("ps", self.dir(), &[node]))
    }

    #[track_caller]
    fn node(&self, name: &str) -> &Node {
        self.description
            .nodes
            .iter()
            .find(|node| node.name == name)
            .unwrap_or_else(|| panic!("there is no {name}, only {}", self.names.join(", ")))
    }
}

impl Drop for TestBed {
    fn drop(&mut self) {
        let output = script::call("down", self.dir(), &["--remove"]);
        if output.status.success() {
            return;
        }
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        // A second panic would abort, and hide the first.
        if std::thread::panicking() {
            eprintln!("testbed down: {}: {complaint}", output.status);
        } else {
            panic!("testbed down: {}: {complaint}", output.status);
        }
    }
}
