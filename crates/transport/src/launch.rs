//! From a node to the command that brings up its agent. A launcher is two things only: an argument
//! vector and a stream.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use flagperf_model::{Launcher, NodeSpec, ProgramSource, SshTarget};

use crate::script;

/// A command whose standard input and standard output become an agent's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// The word that marks the lines of the script that places the program; absent where the agent
    /// answers at once.
    pub(crate) nonce: Option<String>,
    /// True if it goes through the OpenSSH client.
    pub(crate) is_ssh: bool,
}

impl Launch {
    /// An agent on this machine: `program agent` as a child.
    pub fn local(program: &Path) -> Self {
        Self {
            program: program.into(),
            arguments: vec!["agent".into()],
            nonce: None,
            is_ssh: false,
        }
    }

    /// The command for a node. `own` is this program's file, `hash` its content hash in hexadecimal
    /// digits, `nonce` a word that nobody can guess, and `patience` what the node has to come up.
    pub fn new(node: &NodeSpec, own: &Path, hash: &str, nonce: &str, patience: Duration) -> Self {
        let directory = match &node.program {
            ProgramSource::Installed(path) => return Self::installed(node, path, patience),
            ProgramSource::Placed => "",
            ProgramSource::PlacedIn(directory) => directory,
        };
        let (mut words, is_ssh) = match &node.launcher {
            Launcher::Local => return Self::local(own),
            Launcher::Ssh(target) => {
                let mut words = ssh(target, patience);
                words.push(script::for_login_shell(nonce, hash, directory));
                (words, true)
            }
            Launcher::Exec { words } => {
                let mut words = words.clone();
                words.extend(script::as_words(nonce, hash, directory));
                (words, false)
            }
        };
        let program = words.remove(0);
        Self {
            program: program.into(),
            arguments: words.into_iter().map(OsString::from).collect(),
            nonce: Some(nonce.to_owned()),
            is_ssh,
        }
    }

    /// The program is on the node already; no shell is needed there.
    fn installed(node: &NodeSpec, path: &str, patience: Duration) -> Self {
        let (mut words, is_ssh) = match &node.launcher {
            Launcher::Local => return Self::local(Path::new(path)),
            Launcher::Ssh(target) => {
                let mut words = ssh(target, patience);
                words.push(format!("exec {} agent", script::quoted(path)));
                (words, true)
            }
            Launcher::Exec { words } => {
                let mut words = words.clone();
                words.extend([path.to_owned(), "agent".to_owned()]);
                (words, false)
            }
        };
        let program = words.remove(0);
        Self {
            program: program.into(),
            arguments: words.into_iter().map(OsString::from).collect(),
            nonce: None,
            is_ssh,
        }
    }
}

/// `ssh` up to the host. Options given here are the ones that a session of ours cannot do without:
/// everything else is as the user's own configuration says.
fn ssh(target: &SshTarget, patience: Duration) -> Vec<String> {
    let mut words = vec!["ssh".to_owned()];
    if let Some(config) = &target.config {
        words.extend(["-F".to_owned(), config.clone()]);
    }
    if let Some(user) = &target.user {
        words.extend(["-l".to_owned(), user.clone()]);
    }
    if let Some(port) = target.port {
        words.extend(["-p".to_owned(), port.to_string()]);
    }
    words.push("-T".to_owned());
    let host_keys = if target.accept_new_host_keys {
        "StrictHostKeyChecking=accept-new"
    } else {
        "StrictHostKeyChecking=yes"
    };
    for option in [
        // Never a question: nobody is there to answer.
        "BatchMode=yes",
        host_keys,
        // Less than the whole, so that ssh tells what it waited for before it is given up.
        &format!("ConnectTimeout={}", (patience.as_secs() * 3 / 4).max(1)),
        // The session has its own heartbeat; this only ends a client whose peer is gone for good.
        "ServerAliveInterval=15",
        "ServerAliveCountMax=8",
        // What the user forwards in his own sessions has no place in this one, and may fail it.
        "ClearAllForwardings=yes",
        "ForwardAgent=no",
        "ForwardX11=no",
        "RemoteCommand=none",
        "LogLevel=ERROR",
    ] {
        words.extend(["-o".to_owned(), option.to_owned()]);
    }
    words.extend(["--".to_owned(), target.host.clone()]);
    words
}
