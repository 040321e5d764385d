//! Runs on many nodes: real sshd servers in namespaces of their own, and what can befall them.

mod bad_nodes;
mod faults;
mod interrupts;
mod interserver;
mod launch;
mod logins;
mod loss;
mod machines;
mod modes;
mod neighbours;
mod places;
mod placing;
mod resume;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flagperf_testkit::TestBed;
use serde_json::Value;

use crate::support::{Place, Ran, Running, ran, within};

/// A line that makes a case pass.
pub(crate) const RESULT: &str = "echo \"[FlagPerf Result]Rank $RANK's x=1 GB/s\"";

/// A session that finds a lost node within seconds, and gives a busy machine time to start it.
pub(crate) const IMPATIENT: &str =
    "[session]\nconnect = \"1m\"\nheartbeat = \"300ms\"\nsilent = \"1s\"\nlost = \"3s\"\n";

/// Nodes, and a place to run the program in.
pub(crate) struct Cluster {
    pub(crate) bed: TestBed,
    pub(crate) place: Place,
}

impl Cluster {
    pub(crate) fn new(bed: TestBed) -> Self {
        Self {
            bed,
            place: Place::new(),
        }
    }

    /// Adds a case for `nodes` (`each` or `all`) that runs a shell script.
    pub(crate) fn case(&self, name: &str, nodes: &str, script: &str) -> &Self {
        let directory = self.place.path("cases").join(name);
        fs::create_dir_all(&directory).unwrap();
        let main = directory.join("main.sh");
        fs::write(&main, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&main, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(
            directory.join("case.toml"),
            format!(
                "summary = \"a test case\"\nsuite = \"base\"\nranks = \"node\"\nnodes = \"{nodes}\"\n[entry]\nargv = [\"./main.sh\"]\n"
            ),
        )
        .unwrap();
        self
    }

    /// Adds a file to a case that cannot be compressed.
    pub(crate) fn noise(&self, case: &str, bytes: u32) {
        let file = self.place.path("cases").join(case).join("noise");
        let status = Command::new("head")
            .args(["-c", &bytes.to_string(), "/dev/urandom"])
            .stdout(fs::File::create(file).unwrap())
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Settings for the runs to come.
    pub(crate) fn settings(&self, text: &str) -> &Self {
        fs::write(self.place.path("flagperf.toml"), text).unwrap();
        self
    }

    /// Settings for the runs to come, with the program there already where nodes can see it: a
    /// build with all its symbols takes seconds to be sent. Tests of the placing do not ask for this.
    pub(crate) fn installed(&self, text: &str) -> &Self {
        let program = env!("CARGO_BIN_EXE_flagperf");
        // These directories are each node's own.
        let hidden = ["/root/", "/home/", "/tmp/", "/var/tmp/", "/run/", "/dev/"];
        if hidden.iter().any(|place| program.starts_with(place)) {
            return self.settings(text);
        }
        self.settings(&format!("{text}[defaults]\nprogram = {program:?}\n"))
    }

    /// All nodes, as `--nodes` takes them.
    pub(crate) fn list(&self) -> String {
        self.bed.node_names().join(",")
    }

    /// `flagperf run` where the nodes can be reached, without naming any.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = self.bed.controller(env!("CARGO_BIN_EXE_flagperf"));
        command.arg("run").env_remove("EXEC_IN_CONTAINER");
        if self.place.path("cases").exists() {
            command.arg("--cases").arg(self.place.path("cases"));
        }
        command.arg("--results").arg(self.place.path("results"));
        let settings = self.place.path("flagperf.toml");
        if settings.exists() {
            command.arg("--config").arg(settings);
        }
        command.args(arguments);
        command
    }

    /// `flagperf run` on all nodes by ssh.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command.args(["--nodes", &self.list(), "--ssh-config"]);
        command.arg(self.bed.ssh_config());
        command
    }

    /// Runs it to its end on nodes that are clean before.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.assert_clean();
        self.run_as_they_are(arguments)
    }

    /// Runs it to its end, whatever is on the nodes.
    pub(crate) fn run_as_they_are(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    /// Runs a case that must pass.
    pub(crate) fn passes(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran
    }

    /// Starts it on nodes that are clean before.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        self.assert_clean();
        let mut command = self.command(arguments);
        let child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running { child }
    }

    /// Standard output of a shell script inside a node.
    pub(crate) fn sh(&self, node: &str, script: &str) -> String {
        let output = self.bed.exec(node, &["sh", "-c", script]);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Processes of a node whose arguments contain a text: their numbers on this machine.
    pub(crate) fn pids(&self, node: &str, text: &str) -> Vec<u32> {
        self.bed
            .processes(node)
            .into_iter()
            .filter(|process| process.args.contains(text))
            .map(|process| process.pid)
            .collect()
    }

    /// Waits until a process with this text in its arguments runs on every one of the nodes.
    pub(crate) fn await_process(&self, nodes: &[&str], text: &str) {
        for node in nodes {
            within(20.0, &format!("`{text}` on {node}"), || {
                !self.pids(node, text).is_empty()
            });
        }
    }

    /// What runs on a node, and what tasks have left there. The placed program may stay.
    pub(crate) fn left_on(&self, node: &str) -> Vec<String> {
        let files = self.sh(node, "ls -d /tmp/flagperf-*/* /var/tmp/flagperf-*/* /dev/shm/flagperf* 2>/dev/null | grep -vE '/[0-9a-f]{64}$'; ls -A /root/.cache/flagperf 2>/dev/null | grep -vE '^[0-9a-f]{64}$'; ls -d /tmp/flagperf-* /tmp/.flagperf-* 2>/dev/null | grep -vE 'flagperf-[0-9]+$'");
        self.bed
            .processes(node)
            .into_iter()
            .filter(|process| !process.args.contains("ls -d /tmp"))
            .map(|process| process.args)
            .chain(files.lines().map(str::to_owned))
            .collect()
    }

    fn assert_clean(&self) {
        for node in self.bed.node_names() {
            assert_eq!(self.left_on(node), [""; 0], "{node} before");
        }
    }

    /// Waits until nothing is left on any node.
    pub(crate) fn await_clean(&self) {
        for node in self.bed.node_names() {
            self.await_clean_on(node);
        }
    }

    pub(crate) fn await_clean_on(&self, node: &str) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = self.left_on(node);
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left on {node}: {left:#?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until nothing runs on any node.
    pub(crate) fn await_idle(&self) {
        for node in self.bed.node_names() {
            within(10.0, &format!("nothing runs on {node}"), || {
                self.bed.processes(node).is_empty()
            });
        }
    }

    /// Output of the latest run's case on a node.
    pub(crate) fn output(&self, case: &str, node: &str) -> String {
        let rank: usize = self
            .bed
            .node_names()
            .iter()
            .position(|name| name == node)
            .unwrap();
        let log = self
            .place
            .run_directory()
            .join(format!("{case}/{node}_noderank{rank}/benchmark.log.txt"));
        fs::read_to_string(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()))
    }

    /// The events of the latest run so far.
    pub(crate) fn events(&self) -> String {
        let events = self.place.run_directory().join("events.jsonl");
        fs::read_to_string(events).unwrap_or_default()
    }

    pub(crate) fn record(&self) -> Value {
        self.place.record()
    }
}
