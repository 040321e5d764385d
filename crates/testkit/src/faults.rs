//! What can befall a node. Each takes effect before it returns, and panics if it cannot.

use std::path::Path;
use std::time::Duration;

use crate::bed::TestBed;
use crate::script;

impl TestBed {
    /// Takes a node's link down. Not on loopback.
    #[track_caller]
    pub fn cut(&self, node: &str) {
        self.fault("cut", &[node]);
    }

    /// Takes a node's link up again.
    #[track_caller]
    pub fn heal(&self, node: &str) {
        self.fault("heal", &[node]);
    }

    /// Limits a node's link to so many megabits per second each way; `None` lifts it. Not on loopback.
    #[track_caller]
    pub fn throttle(&self, node: &str, megabits: Option<u32>) {
        let rate = megabits.map_or_else(|| "off".to_owned(), |megabits| format!("{megabits}mbit"));
        self.fault("throttle", &[node, &rate]);
    }

    /// Drops so many percent of the IP packets each way; 0 ends it. Not on loopback.
    ///
    /// What `ping` calls 30 % loss is about 16 each way. With 30 each way a short run takes anything from
    /// seconds to minutes.
    #[track_caller]
    pub fn loss(&self, node: &str, percent: u8) {
        self.fault("loss", &[node, &percent.to_string()]);
    }

    /// Delays what goes to a node and what comes back by so much each, to the millisecond, without
    /// limiting how much that is; zero ends it. It counts for connections made from then on through
    /// [`TestBed::ssh_config`], which it changes.
    #[track_caller]
    pub fn delay(&self, node: &str, each_way: Duration) {
        let each_way = match each_way.as_millis() {
            0 => "off".to_owned(),
            milliseconds => milliseconds.to_string(),
        };
        self.fault("delay", &[node, &each_way]);
    }

    /// Kills a node's sshd with SIGKILL, listener and sessions.
    #[track_caller]
    pub fn kill_sshd(&self, node: &str) {
        self.fault("kill-sshd", &[node]);
    }

    /// Starts a node's sshd again.
    #[track_caller]
    pub fn start_sshd(&self, node: &str) {
        self.fault("start-sshd", &[node]);
    }

    /// Puts an empty file system of `bytes` over `path` in a node.
    #[track_caller]
    pub fn fill(&self, node: &str, path: impl AsRef<Path>, bytes: u64) {
        self.fault("fill", &[node, text(path.as_ref()), &bytes.to_string()]);
    }

    /// Puts an empty file system that cannot be written over `path` in a node.
    #[track_caller]
    pub fn readonly(&self, node: &str, path: impl AsRef<Path>) {
        self.fault("readonly", &[node, text(path.as_ref())]);
    }

    /// Puts an empty file system from which nothing can be executed over `path` in a node.
    #[track_caller]
    pub fn noexec(&self, node: &str, path: impl AsRef<Path>) {
        self.fault("noexec", &[node, text(path.as_ref())]);
    }

    /// Takes away what was last put over `path`.
    #[track_caller]
    pub fn restore(&self, node: &str, path: impl AsRef<Path>) {
        self.fault("restore", &[node, text(path.as_ref())]);
    }

    /// Ends a node's `dockerd` and then its `containerd` by SIGTERM, as an init would. The containers end
    /// too: those that do not on their own are killed after ten seconds.
    #[track_caller]
    pub fn stop_engine(&self, node: &str) {
        self.fault("stop-engine", &[node, "TERM"]);
    }

    /// Kills a node's `dockerd` and `containerd` with SIGKILL. The containers go on, until
    /// [`TestBed::start_engine`] finds and ends them.
    #[track_caller]
    pub fn kill_engine(&self, node: &str) {
        self.fault("stop-engine", &[node, "KILL"]);
    }

    /// Starts a node's `containerd` and `dockerd` again.
    #[track_caller]
    pub fn start_engine(&self, node: &str) {
        self.fault("start-engine", &[node]);
    }

    /// Halts a node's `dockerd` and `containerd` by SIGSTOP: whoever asks them waits. Containers go on.
    #[track_caller]
    pub fn freeze_engine(&self, node: &str) {
        self.fault("freeze-engine", &[node]);
    }

    /// Lets them go on, by SIGCONT.
    #[track_caller]
    pub fn thaw_engine(&self, node: &str) {
        self.fault("thaw-engine", &[node]);
    }

    #[track_caller]
    fn fault(&self, command: &str, args: &[&str]) {
        script::must(command, self.dir(), args);
    }
}

#[track_caller]
fn text(path: &Path) -> &str {
    path.to_str()
        .expect("paths in a test bed are plain, as their authors chose them")
}
