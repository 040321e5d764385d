//! What a test bed shall be.

use std::process::{Command, Stdio};

use crate::bed::TestBed;
use crate::engine::Engine;
use crate::script;

/// A test bed that is not up yet; made by [`TestBed::hosts`] and its siblings.
#[derive(Debug, Clone)]
#[must_use = "a test bed starts with `up`"]
pub struct Builder {
    args: Vec<String>,
}

impl Builder {
    pub(crate) fn new(kind: &str, count: usize) -> Self {
        Self {
            args: vec![kind.to_owned(), count.to_string()],
        }
    }

    fn option(mut self, option: &str, value: String) -> Self {
        self.args.extend([option.to_owned(), value]);
        self
    }

    /// Shells of root and alice on `node` print a greeting, also where only a program listens.
    pub fn banner(self, node: &str) -> Self {
        self.option("--banner", node.to_owned())
    }

    /// Dynamically linked programs that sshd starts on `node` see a wall clock that is off by `offset`:
    /// `+1h`, `-90` (seconds). Their monotonic clock is right.
    pub fn clock(self, node: &str, offset: &str) -> Self {
        self.option("--clock", format!("{node}:{offset}"))
    }

    /// A line of `sshd_config` of `node` (`*` for all), ahead of the usual ones, so that it counts.
    pub fn sshd_option(self, node: &str, line: &str) -> Self {
        self.option("--sshd-option", format!("{node}:{line}"))
    }

    /// A container engine of its own on every node, with [`crate::BaseImage::Busybox`] loaded. About half
    /// a second more for each node.
    pub fn engine(self, engine: Engine) -> Self {
        self.option("--engine", engine.command().to_owned())
    }

    /// Another engine on `node`, or none at all, so that its command is not found either.
    pub fn engine_of(self, node: &str, engine: Option<Engine>) -> Self {
        let engine = engine.map_or("none", Engine::command);
        self.option("--engine", format!("{node}:{engine}"))
    }

    /// What the engine of `node` keeps lies on a file system of `bytes`, in memory. The base image alone
    /// takes 7 MB of it, and twice that while it is loaded.
    pub fn engine_disk(self, node: &str, bytes: u64) -> Self {
        self.option("--engine-disk", format!("{node}:{bytes}"))
    }

    /// Starts it.
    ///
    /// `None` where this machine lacks the rights or a tool: that has been printed, and the test
    /// returns. In continuous integration (`CI` set, and not to `false` or `0`) that is a panic.
    ///
    /// # Panics
    ///
    /// If it does not come up for any other reason.
    #[must_use = "the test bed ends when this is dropped"]
    pub fn up(self) -> Option<TestBed> {
        let dir = tempfile::Builder::new()
            .prefix("flagperf-testbed-")
            .tempdir()
            .expect("a directory for the test bed");
        let mut child = Command::new(script::script())
            .arg("up")
            .arg(dir.path())
            .args(&self.args)
            .arg("--tied")
            .args(["--owner", &std::process::id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("scripts/testbed cannot be started");
        // Held back from `wait_with_output`, which would close it and with it the test bed.
        let tie = child.stdin.take().expect("a pipe was asked for");
        let output = child.wait_with_output().expect("scripts/testbed is ours");
        let complaint = String::from_utf8_lossy(&output.stderr);
        if output.status.code() == Some(script::LACKING) {
            assert!(
                !script::may_not_skip(),
                "this test may not be skipped here: {complaint}"
            );
            println!("skipped: {}", complaint.trim_end());
            return None;
        }
        assert!(
            output.status.success(),
            "testbed up: {}: {complaint}",
            output.status
        );
        Some(TestBed::new(dir, tie))
    }
}
