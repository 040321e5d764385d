//! What went wrong on the way to a node, in words that say what to do.

use std::process::ExitStatus;

use crate::launch::Way;

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

/// So ssh begins if the stream ends before the other side has said what it is.
const CLOSED_AT_ONCE: &str = "kex_exchange_identification";

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
        // What stands in the brackets are the ways to log in that were tried.
        "Permission denied (",
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
        CLOSED_AT_ONCE,
        "its sshd closed the connection at once; it may refuse so many at a time: raise MaxStartups there, or lower max_parallel in flagperf.toml; or a ProxyCommand gave no connection",
    ),
    (
        "Connection reset",
        "its sshd closed the connection; it may refuse so many at a time: raise MaxStartups there, or lower max_parallel in flagperf.toml",
    ),
    (
        "Can't open user config file",
        "check the path: --ssh-config, or `config` under [ssh] in flagperf.toml",
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

/// What comes out of an `ssh` that failed by itself.
const SSH_FAILED: i32 = 255;

/// What may keep a launcher of the user's from bringing up an agent.
pub const EXEC_HINT: &str = "does the launcher pass standard input on (`-i` of docker and kubectl), and the words behind it unchanged?";

/// How a launcher ended before an agent answered.
#[derive(Debug)]
pub(crate) struct Ended<'w> {
    pub(crate) way: Way,
    /// Absent if it closed its output and did not end.
    pub(crate) status: Option<ExitStatus>,
    /// Its standard error.
    pub(crate) words: &'w str,
    /// What else it printed.
    pub(crate) printed: &'w str,
    /// True if the user says that the program is on the node.
    pub(crate) installed: bool,
    /// True if the program was asked for, and nothing came after that.
    pub(crate) asked: bool,
    /// True if an agent had answered.
    pub(crate) answered: bool,
}

/// What that means.
pub(crate) fn of_launcher(ended: &Ended<'_>) -> Trouble {
    let Ended {
        way,
        words,
        printed,
        ..
    } = *ended;
    let code = ended.status.and_then(|status| status.code());
    // A command's own words may contain any of these texts.
    if way == Way::Ssh
        && code == Some(SSH_FAILED)
        && let Some((text, hint)) = SSH.iter().find(|(text, _)| words.contains(text))
    {
        // An sshd that closes the connection says nothing before; a command on the way to it does.
        if *text == CLOSED_AT_ONCE && !words.trim_start().starts_with(text) {
            let hint = "the ProxyCommand or ProxyJump before it gave no connection: try it by hand";
            return Trouble::new(last_lines(words), hint);
        }
        // The line with the text tells more than the warning around it.
        let line = words
            .lines()
            .find(|line| line.contains(text))
            .unwrap_or(words);
        return Trouble::new(line.trim().trim_matches('@').trim().to_owned(), hint);
    }
    let status = ended
        .status
        .map_or_else(|| "it closed its output".to_owned(), |s| s.to_string());
    let said = said(words, printed);
    let when = if ended.answered {
        ""
    } else {
        " before an agent answered"
    };
    let reason = format!("its launcher ended{when} ({status}){said}");
    let all = format!("{words}\n{printed}").to_lowercase();
    let has = |text: &str| all.contains(text);
    let hint = if has("please login as") || has("please log in as") {
        "log in as the user that it names: `user` in flagperf.toml, or User in ~/.ssh/config"
    } else if has("account is currently not available") {
        "the user's login shell there allows no commands: use another user"
    } else {
        match (way, code) {
            (Way::Exec, _) if ended.asked => EXEC_HINT,
            (Way::Exec, Some(126 | 127)) if ended.installed => NOT_INSTALLED,
            (Way::Exec, Some(126 | 127)) => NO_SHELL,
            // So say those that run containers, whatever status comes through.
            (Way::Exec, _) if has("executable file not found") => NO_SHELL,
            (Way::Exec, Some(0)) => EXEC_HINT,
            (Way::Ssh, Some(code)) if code != SSH_FAILED => {
                "its login ends before a command is run: look at the start-up files of that user's shell and at ForceCommand in sshd_config; `ssh` with `true` behind the node's name must end with 0"
            }
            _ => return Trouble::plain(reason),
        }
    };
    Trouble::new(reason, hint)
}

const NO_SHELL: &str = "if there is no `sh` in the container, put the program into its image and give its path as `program` in flagperf.toml";

/// The path of `program` may be right all the same.
pub(crate) const NOT_INSTALLED: &str = "copy the file of this version there; if it is there, the image has no glibc, of which the program needs 2.17 or newer (Alpine and others with musl have none)";

/// Why the program, whole and at its place, does not tell its hash: exit status and what it said.
pub(crate) fn of_placed(text: &str) -> Trouble {
    let (status, words) = text.split_once(' ').unwrap_or((text, ""));
    let reason = if words.is_empty() {
        format!("the program arrived and cannot be run there (exit status {status})")
    } else {
        format!("the program arrived and cannot be run there: {words}")
    };
    let lower = words.to_lowercase();
    if words.len() == 64 && words.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Trouble::new(
            "the program arrived damaged",
            "check that the launcher passes standard input on byte by byte, and the disk of the node",
        );
    }
    let hint = if words.contains("GLIBC_") {
        "its glibc is older than this build needs: `scripts/release` builds for glibc 2.17 and newer"
    } else if lower.contains("not found") || lower.contains("no such file") {
        "the image has no glibc, of which the program needs 2.17 or newer (Alpine and others with musl have none): use another image"
    } else if lower.contains("exec format error") {
        "its processor is not what `uname -m` says there"
    } else {
        return Trouble::plain(reason);
    };
    Trouble::new(reason, hint)
}

/// What was said on either stream, as the end of a sentence; empty if nothing.
pub(crate) fn said(words: &str, printed: &str) -> String {
    let mut text = String::new();
    for (verb, what) in [
        ("said", last_lines(words)),
        ("printed", last_lines(printed)),
    ] {
        if !what.is_empty() {
            text.push_str(if text.is_empty() { "; it " } else { ", and " });
            text.push_str(verb);
            text.push_str(": ");
            text.push_str(&what);
        }
    }
    text
}

/// Characters of a line that are told: one of more is a script or data, which nobody reads here.
const LONGEST_LINE: usize = 200;

/// The last lines of what somebody said, in one.
fn last_lines(words: &str) -> String {
    let lines: Vec<&str> = words
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    let told: Vec<String> = last.iter().map(|line| shortened(line)).collect();
    told.join("; ")
}

fn shortened(line: &str) -> String {
    match line.char_indices().nth(LONGEST_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn ended<'w>(way: Way, code: i32, words: &'w str, printed: &'w str) -> Trouble {
        of_launcher(&Ended {
            way,
            status: Some(ExitStatus::from_raw(code << 8)),
            words,
            printed,
            installed: false,
            asked: false,
            answered: false,
        })
    }

    fn hint(trouble: &Trouble) -> &str {
        trouble.hint.as_deref().unwrap_or_default()
    }

    #[test]
    fn ssh_is_understood() {
        let words = "root@n1: Permission denied (publickey).\r\n";
        let trouble = ended(Way::Ssh, 255, words, "");
        assert_eq!(trouble.reason, "root@n1: Permission denied (publickey).");
        assert!(hint(&trouble).contains("authorized_keys"));
        let words = "@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@\nHost key verification failed.\n";
        let trouble = ended(Way::Ssh, 255, words, "");
        assert_eq!(
            trouble.reason,
            "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"
        );
        assert!(hint(&trouble).contains("ssh-keygen -R"));
        let words = "/bin/sh: 1: nc: not found\nkex_exchange_identification: Connection closed by remote host\r\n";
        let trouble = ended(Way::Ssh, 255, words, "");
        assert!(hint(&trouble).contains("ProxyCommand"), "{trouble:?}");
        assert!(trouble.reason.contains("nc: not found"), "{trouble:?}");
        let words = "Can't open user config file /nope: No such file or directory\n";
        let trouble = ended(Way::Ssh, 255, words, "");
        assert!(hint(&trouble).contains("--ssh-config"), "{trouble:?}");
    }

    #[test]
    fn what_a_login_says_is_not_taken_for_the_words_of_ssh() {
        for (code, words) in [
            (7, "Permission denied (publickey)."),
            (127, "bash: line 1: exec: zsh: not found"),
            (1, "Connection refused"),
        ] {
            let trouble = ended(Way::Ssh, code, words, "");
            assert!(trouble.reason.contains(words), "{trouble:?}");
            assert!(trouble.reason.contains(&code.to_string()), "{trouble:?}");
            assert!(hint(&trouble).contains("start-up files"), "{trouble:?}");
        }
    }

    #[test]
    fn what_a_login_prints_is_told() {
        let printed = "Please login as the user \"ubuntu\" rather than the user \"root\".";
        let trouble = ended(Way::Ssh, 142, "", printed);
        assert!(trouble.reason.ends_with(printed), "{trouble:?}");
        assert!(hint(&trouble).contains("`user`"), "{trouble:?}");
        let trouble = ended(Way::Ssh, 1, "", "This account is currently not available.");
        assert!(hint(&trouble).contains("another user"), "{trouble:?}");
    }

    #[test]
    fn a_container_without_a_shell_is_understood() {
        let words = "OCI runtime exec failed: exec: \"sh\": executable file not found in $PATH\n";
        for code in [1, 126, 127] {
            let trouble = ended(Way::Exec, code, words, "");
            assert!(hint(&trouble).contains("`program` in flagperf.toml"));
        }
        let trouble = ended(Way::Exec, 1, "Error: No such container: web\nnot found", "");
        assert_eq!(trouble.hint, None, "{trouble:?}");
    }

    #[test]
    fn a_program_that_cannot_run_is_understood() {
        let trouble = of_placed("127 sh: /root/.cache/flagperf/.x.new: not found");
        assert!(hint(&trouble).contains("musl"), "{trouble:?}");
        let trouble = of_placed("1 x: /lib/libc.so.6: version `GLIBC_2.34' not found");
        assert!(hint(&trouble).contains("scripts/release"), "{trouble:?}");
        let trouble = of_placed(&format!("0 {}", "5".repeat(64)));
        assert!(trouble.reason.contains("damaged"), "{trouble:?}");
        assert!(of_placed("139").reason.contains("139"));
    }
}
