//! From a node to the command that brings up its agent. A launcher is two things only: an argument
//! vector and a stream.

use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use flagperf_model::{Launcher, NodeSpec, ProgramSource, SshTarget};

use crate::{cipher, script};

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
    /// digits, `nonce` a word that nobody can guess, `patience` what the node has to come up, and
    /// `open` tells that the user has said nothing about ssh's ciphers.
    pub fn new(
        node: &NodeSpec,
        own: &Path,
        hash: &str,
        nonce: &str,
        patience: Duration,
        open: bool,
    ) -> Self {
        let directory = match &node.program {
            ProgramSource::Installed(path) => {
                return Self::installed(node, path, nonce, patience, open);
            }
            ProgramSource::Placed => "",
            ProgramSource::PlacedIn(directory) => directory,
        };
        let (mut words, way) = match &node.launcher {
            Launcher::Local => return Self::local(own),
            Launcher::Ssh(target) => {
                let mut words = ssh(target, patience, open);
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
    fn installed(node: &NodeSpec, path: &str, nonce: &str, patience: Duration, open: bool) -> Self {
        let (mut words, way) = match &node.launcher {
            Launcher::Local => {
                return Self {
                    installed: Some(path.to_owned()),
                    ..Self::local(Path::new(path))
                };
            }
            Launcher::Ssh(target) => {
                let mut words = ssh(target, patience, open);
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
fn ssh(target: &SshTarget, patience: Duration, open: bool) -> Vec<String> {
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
    let client = client();
    if client.is_at_least(SESSION_TYPE_SINCE) {
        for option in SESSION_TYPE {
            words.extend(["-o".to_owned(), option.to_owned()]);
        }
    }
    if open && client.has_aes && client.is_at_least(FIRST_CIPHER_SINCE) && cipher::has_aes() {
        words.extend(["-o".to_owned(), cipher::AES_FIRST.to_owned()]);
    }
    words.extend(["--".to_owned(), target.host.clone()]);
    words
}

/// Against settings of the user's that leave a session without its streams.
const SESSION_TYPE: [&str; 3] = [
    "StdinNull=no",
    "SessionType=default",
    "ForkAfterAuthentication=no",
];

/// OpenSSH refuses to start with an option that it does not know; it knows [`SESSION_TYPE`] since this version.
const SESSION_TYPE_SINCE: (u32, u32) = (8, 7);

/// `^` before a list of ciphers puts them first since this version.
const FIRST_CIPHER_SINCE: (u32, u32) = (8, 1);

/// This machine's ssh.
#[derive(Debug, Default, PartialEq, Eq)]
struct Client {
    version: Option<(u32, u32)>,
    /// True if it is built with a library that has AES-GCM.
    has_aes: bool,
}

/// Asked once.
fn client() -> &'static Client {
    static CLIENT: OnceLock<Client> = OnceLock::new();
    CLIENT.get_or_init(|| {
        Command::new("ssh")
            .arg("-V")
            .stdin(Stdio::null())
            .output()
            .map(|output| Client::read(&String::from_utf8_lossy(&output.stderr)))
            .unwrap_or_default()
    })
}

impl Client {
    /// From a text such as `OpenSSH_9.2p1 Debian-2, OpenSSL 3.0.19`.
    fn read(text: &str) -> Self {
        let version = text.split_once("OpenSSH_").and_then(|(_, version)| {
            let mut numbers = version.split(|c: char| !c.is_ascii_digit());
            let mut next = || numbers.next()?.parse().ok();
            Some((next()?, next()?))
        });
        Self {
            version,
            has_aes: [", OpenSSL ", ", LibreSSL "]
                .iter()
                .any(|library| text.contains(library)),
        }
    }

    fn is_at_least(&self, version: (u32, u32)) -> bool {
        self.version.is_some_and(|own| own >= version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ciphers_are_ordered_only_where_the_user_left_them_open() {
        let target = SshTarget {
            host: "node1".to_owned(),
            user: None,
            port: None,
            config: None,
            accept_new_host_keys: false,
        };
        let orders = |open| {
            ssh(&target, Duration::from_secs(9), open)
                .windows(2)
                .any(|words| words == ["-o", cipher::AES_FIRST])
        };
        assert!(!orders(false));
        let able = client().has_aes && client().is_at_least((8, 1)) && cipher::has_aes();
        assert_eq!(orders(true), able);
    }

    #[test]
    fn what_ssh_says_of_itself_is_read() {
        for (text, version, has_aes) in [
            (
                "OpenSSH_9.2p1 Debian-2+deb12u10, OpenSSL 3.0.19",
                Some((9, 2)),
                true,
            ),
            ("OpenSSH_8.7p1, OpenSSL 3.0.1", Some((8, 7)), true),
            ("OpenSSH_10.0, LibreSSL 4", Some((10, 0)), true),
            ("OpenSSH_9.9p1, without OpenSSL", Some((9, 9)), false),
            ("OpenSSH_for_Windows", None, false),
            ("dropbear", None, false),
        ] {
            assert_eq!(Client::read(text), Client { version, has_aes }, "{text}");
        }
        assert!(!Client::default().is_at_least((0, 0)));
    }
}
