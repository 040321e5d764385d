//! From a node to the command that brings up its agent. A launcher is two things only: an argument
//! vector and a stream.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
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
    /// What it goes through.
    pub(crate) way: Way,
    /// Where the user says that the program is already.
    pub(crate) installed: Option<String>,
}

/// What a command goes through, which decides what its failures mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing: it is a child on this machine.
    Local,
    /// The OpenSSH client and a login shell.
    Ssh,
    /// A command of the user's.
    Exec,
}

impl Launch {
    /// An agent on this machine: `program agent` as a child.
    pub fn local(program: &Path) -> Self {
        Self {
            program: program.into(),
            arguments: vec!["agent".into()],
            nonce: None,
            way: Way::Local,
            installed: None,
        }
    }

    /// The command for a node. `own` is this program's file, `hash` its content hash in hexadecimal
    /// digits, `nonce` a word that nobody can guess, and `patience` what the node has to come up.
    pub fn new(node: &NodeSpec, own: &Path, hash: &str, nonce: &str, patience: Duration) -> Self {
        let directory = match &node.program {
            ProgramSource::Installed(path) => {
                return Self::installed(node, path, nonce, patience);
            }
            ProgramSource::Placed => "",
            ProgramSource::PlacedIn(directory) => directory,
        };
        let (mut words, way) = match &node.launcher {
            Launcher::Local => return Self::local(own),
            Launcher::Ssh(target) => {
                let mut words = ssh(target, patience);
                words.push(script::for_login_shell(nonce, hash, directory));
                (words, Way::Ssh)
            }
            Launcher::Exec { words } => {
                let mut words = words.clone();
                words.extend(script::as_words(nonce, hash, directory));
                (words, Way::Exec)
            }
        };
        let program = words.remove(0);
        Self {
            program: program.into(),
            arguments: words.into_iter().map(OsString::from).collect(),
            nonce: Some(nonce.to_owned()),
            way,
            installed: None,
        }
    }

    /// The program is on the node already; no shell is needed there but the one that ssh starts.
    fn installed(node: &NodeSpec, path: &str, nonce: &str, patience: Duration) -> Self {
        let (mut words, way) = match &node.launcher {
            Launcher::Local => {
                return Self {
                    installed: Some(path.to_owned()),
                    ..Self::local(Path::new(path))
                };
            }
            Launcher::Ssh(target) => {
                let mut words = ssh(target, patience);
                words.push(script::for_installed(nonce, path));
                (words, Way::Ssh)
            }
            Launcher::Exec { words } => {
                let mut words = words.clone();
                words.extend([path.to_owned(), "agent".to_owned()]);
                (words, Way::Exec)
            }
        };
        let program = words.remove(0);
        Self {
            program: program.into(),
            arguments: words.into_iter().map(OsString::from).collect(),
            nonce: (way == Way::Ssh).then(|| nonce.to_owned()),
            way,
            installed: Some(path.to_owned()),
        }
    }

    /// The same, except that a copy of the program that is found has to prove itself first and is
    /// replaced if it cannot. Absent where nothing is placed.
    pub(crate) fn anew(&self) -> Option<Self> {
        if self.nonce.is_none() || self.installed.is_some() {
            return None;
        }
        let mut launch = self.clone();
        match (launch.way, launch.arguments.last_mut()) {
            (Way::Ssh, Some(text)) => {
                text.push(" ");
                text.push(script::ANEW);
            }
            _ => launch.arguments.push(script::ANEW.into()),
        }
        Some(launch)
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
        // A master connection of the user's may be used, but none of ours may become one: it would end
        // with this run, or be killed and leave its socket behind.
        "ControlMaster=no",
        "LogLevel=ERROR",
    ] {
        words.extend(["-o".to_owned(), option.to_owned()]);
    }
    if knows_session_type() {
        for option in SESSION_TYPE {
            words.extend(["-o".to_owned(), option.to_owned()]);
        }
    }
    words.extend(["--".to_owned(), target.host.clone()]);
    words
}

/// Against settings of the user's that leave a session without its streams. OpenSSH has had them as
/// options since 8.7, and refuses to start with one that it does not know.
const SESSION_TYPE: [&str; 3] = [
    "StdinNull=no",
    "SessionType=default",
    "ForkAfterAuthentication=no",
];

/// True if this machine's ssh knows [`SESSION_TYPE`]. It is asked once.
fn knows_session_type() -> bool {
    static KNOWS: OnceLock<bool> = OnceLock::new();
    *KNOWS.get_or_init(|| {
        Command::new("ssh")
            .arg("-V")
            .stdin(Stdio::null())
            .output()
            .ok()
            .and_then(|output| version_of(&String::from_utf8_lossy(&output.stderr)))
            .is_some_and(|version| version >= (8, 7))
    })
}

/// The version in a text such as `OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19`.
fn version_of(text: &str) -> Option<(u32, u32)> {
    let (_, version) = text.split_once("OpenSSH_")?;
    let mut numbers = version.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse().ok();
    Some((next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_ssh_is_read() {
        for (text, version) in [
            (
                "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19",
                Some((9, 2)),
            ),
            ("OpenSSH_8.7p1, OpenSSL 3.0.1", Some((8, 7))),
            ("OpenSSH_10.0, LibreSSL 4", Some((10, 0))),
            ("OpenSSH_for_Windows", None),
            ("dropbear", None),
        ] {
            assert_eq!(version_of(text), version, "{text}");
        }
    }
}
