//! What went wrong on the way to a node, in words that say what to do.

/// Why a channel gave no agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened.
    pub reason: String,
    /// What can be done about it.
    pub hint: Option<String>,
}

impl Trouble {
    pub(crate) fn new(reason: impl Into<String>, hint: &str) -> Self {
        Self {
            reason: reason.into(),
            hint: Some(hint.to_owned()),
        }
    }

    pub(crate) fn plain(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hint: None,
        }
    }
}

/// What the OpenSSH client says, and what it means. The first text that occurs decides; the texts are
/// those of OpenSSH 7 to 10.
const SSH: &[(&str, &str)] = &[
    (
        "REMOTE HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one that is known: either it was installed anew (then remove the old key with `ssh-keygen -R`) or this is another machine",
    ),
    (
        "Host key verification failed",
        "its host key is not known: connect once with ssh and compare it, or give --accept-new-host-keys",
    ),
    (
        "Permission denied",
        "it refuses the login: check the user, and that a key of yours is in its authorized_keys and in your agent (no password is ever asked for)",
    ),
    (
        "Too many authentication failures",
        "your agent offers too many keys: name one with IdentityFile and IdentitiesOnly in ~/.ssh/config",
    ),
    (
        "Could not resolve hostname",
        "its name is not known here: check the spelling, or give an address in flagperf.toml or a HostName in ~/.ssh/config",
    ),
    (
        "Connection refused",
        "nothing listens on that port: check that sshd runs there, and the port",
    ),
    (
        "No route to host",
        "check that it is switched on and its network",
    ),
    (
        "Network is unreachable",
        "check the network of this machine",
    ),
    (
        "timed out",
        "it does not answer: check that it is switched on, its network, and firewalls between",
    ),
    (
        "kex_exchange_identification",
        "its sshd closed the connection at once; it may refuse so many at a time: raise MaxStartups there, or lower max_parallel in flagperf.toml",
    ),
    (
        "Connection reset",
        "its sshd closed the connection; it may refuse so many at a time: raise MaxStartups there, or lower max_parallel in flagperf.toml",
    ),
    (
        "Bad owner or permissions",
        "mend the permissions of your OpenSSH configuration",
    ),
    (
        "Bad configuration option",
        "mend your OpenSSH configuration",
    ),
];

/// What the words of a launcher's command mean.
pub(crate) fn of_launcher(is_ssh: bool, status: &str, words: &str) -> Trouble {
    let said = last_lines(words);
    if is_ssh && let Some((text, hint)) = SSH.iter().find(|(text, _)| words.contains(text)) {
        // The line with the text tells more than the warning around it.
        let line = words
            .lines()
            .find(|line| line.contains(text))
            .unwrap_or(&said);
        return Trouble::new(line.trim().trim_matches('@').trim().to_owned(), hint);
    }
    if said.is_empty() {
        return Trouble::plain(format!(
            "its launcher ended before an agent answered ({status})"
        ));
    }
    let reason = format!("its launcher ended before an agent answered ({status}): {said}");
    if words.contains("not available") {
        return Trouble::new(
            reason,
            "the user's login shell there allows no commands: use another user",
        );
    }
    if ["executable file not found", "no such file", "not found"]
        .iter()
        .any(|text| words.to_lowercase().contains(text))
    {
        return Trouble::new(
            reason,
            "if there is no `sh` in the container, put the program into its image and give its path as `program` in flagperf.toml",
        );
    }
    Trouble::plain(reason)
}

/// The last lines of what somebody said, in one.
fn last_lines(words: &str) -> String {
    let lines: Vec<&str> = words
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    last.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_understood() {
        let trouble = of_launcher(
            true,
            "exit status: 255",
            "root@n1: Permission denied (publickey).\r\n",
        );
        assert_eq!(trouble.reason, "root@n1: Permission denied (publickey).");
        assert!(trouble.hint.unwrap().contains("authorized_keys"));
        let trouble = of_launcher(
            true,
            "exit status: 255",
            "@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\nHost key verification failed.\n",
        );
        assert_eq!(
            trouble.reason,
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"
        );
        assert!(trouble.hint.unwrap().contains("ssh-keygen -R"));
    }

    #[test]
    fn a_container_without_a_shell_is_understood() {
        let trouble = of_launcher(
            false,
            "exit status: 127",
            "OCI runtime exec failed: exec: \"sh\": executable file not found in $PATH\n",
        );
        assert!(trouble.hint.unwrap().contains("`program` in flagperf.toml"));
    }
}
