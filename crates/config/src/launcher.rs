//! The ways to reach a node, by name.

use std::fmt;
use std::str::FromStr;

use flagperf_text::{nearest, quoted, shown};

/// A way to reach a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LauncherKind {
    /// It is the machine of the controller.
    Local,
    /// The system's OpenSSH client.
    Ssh,
    /// A command that passes the words behind it on.
    Exec,
}

/// A text that names no launcher.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no launcher; {hint}")]
pub struct LauncherError {
    name: String,
    hint: String,
}

impl LauncherKind {
    /// Every launcher with its name.
    pub(crate) const ALL: [(&str, Self); 3] = [
        ("local", Self::Local),
        ("ssh", Self::Ssh),
        ("exec", Self::Exec),
    ];

    /// Its name, as settings and the command line spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ssh => "ssh",
            Self::Exec => "exec",
        }
    }
}

impl fmt::Display for LauncherKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for LauncherKind {
    type Err = LauncherError;
    fn from_str(text: &str) -> Result<Self, LauncherError> {
        let names = || Self::ALL.iter().map(|(name, _)| *name);
        Self::ALL
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, kind)| *kind)
            .ok_or_else(|| LauncherError {
                name: shown(text),
                hint: match nearest(text, names()) {
                    Some(close) => format!("did you mean `{close}`?"),
                    None => format!("the launchers are {}", quoted(names())),
                },
            })
    }
}
