//! Commands that are asked for something before a run: each has a bound, for what it runs is the user's.

use std::fmt;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use flagperf_model::SshTarget;

use crate::exit::Failure;

/// How long `--nodes-command` may take.
const NODES_COMMAND: Duration = Duration::from_secs(30);

/// How long ssh may take to tell what it would do: it reads files, and runs what `Match exec` names.
const SSH_SETTINGS: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug)]
enum Unanswered {
    Start(std::io::Error),
    /// It runs on, or something that it started holds its output open.
    Late(Duration),
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => write!(f, "it cannot be started: {error}"),
            Self::Late(bound) => write!(
                f,
                "it had not ended after {bound:?}, with everything that writes to its output; it was ended"
            ),
        }
    }
}

/// What a command prints within a bound. It is killed after that, and when this is dropped. What it
/// had started is then an orphan of this program, which ends those before it leaves.
async fn answer(command: Command, bound: Duration) -> Result<Output, Unanswered> {
    let child = tokio::process::Command::from(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(Unanswered::Start)?;
    match tokio::time::timeout(bound, child.wait_with_output()).await {
        Ok(output) => output.map_err(Unanswered::Start),
        Err(_) => Err(Unanswered::Late(bound)),
    }
}

/// What a command of the user's prints. It is a shell command line, given as such.
pub(super) async fn output_of(line: &str) -> Result<String, Failure> {
    let failed = |why: String| Failure::usage(format!("--nodes-command `{line}`: {why}"));
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line]);
    let output = answer(command, NODES_COMMAND)
        .await
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        let said = match words.trim() {
            "" => String::new(),
            words => format!("; it said: {words}"),
        };
        return Err(failed(format!("{}{said}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("its output is not UTF-8".to_owned()))
}

/// Whom ssh would call, and how.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SshSettings {
    /// Under what name or address.
    pub(super) host: String,
    /// As which user, at which port, through what.
    way: Vec<String>,
}

impl SshSettings {
    fn of(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let mut lines = text.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(' '))
        };
        let way = ["user", "port", "proxycommand", "proxyjump"];
        Some(Self {
            host: value("hostname")?.trim().to_owned(),
            way: way
                .map(|key| value(key).unwrap_or_default().to_owned())
                .into(),
        })
    }
}

/// What the user's configuration of ssh makes of a target; absent if ssh does not tell.
pub(super) async fn ssh_settings(target: &SshTarget) -> Result<Option<SshSettings>, Failure> {
    settings_in(&target.host, target.config.as_deref()).await
}

/// True if the user's configuration of ssh says anything about a target that would lead elsewhere than
/// its name does.
pub(super) async fn is_alias(target: &SshTarget) -> Result<bool, Failure> {
    let told = ssh_settings(target).await?;
    Ok(told != settings_in(&target.host, Some("none")).await?)
}

async fn settings_in(host: &str, config: Option<&str>) -> Result<Option<SshSettings>, Failure> {
    let mut command = Command::new("ssh");
    if let Some(config) = config {
        command.args(["-F", config]);
    }
    command.args(["-G", "--", host]);
    match answer(command, SSH_SETTINGS).await {
        Ok(output) => Ok(SshSettings::of(&String::from_utf8_lossy(&output.stdout))),
        // A machine without ssh has no aliases.
        Err(Unanswered::Start(_)) => Ok(None),
        Err(error @ Unanswered::Late(_)) => {
            Err(Failure::usage(format!("`ssh -G {host}`: {error}"))
                .hint("a command behind `Match exec` in the configuration of ssh may hang"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(line: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", line]);
        command
    }

    #[tokio::test]
    async fn a_command_has_its_bound_and_is_ended() {
        let place = tempfile::tempdir().unwrap();
        let pid = place.path().join("pid");
        let line = format!("echo $$ >{}; exec sleep 95", pid.display());
        let bound = Duration::from_millis(500);
        let began = std::time::Instant::now();
        let error = answer(shell(&line), bound).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains("had not ended after 500ms"), "{text}");
        assert!(began.elapsed() < Duration::from_secs(5));
        let pid = std::fs::read_to_string(pid).unwrap();
        let gone = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
            stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z "))
        };
        for _ in 0..100 {
            if gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(gone());
    }

    #[tokio::test]
    async fn what_holds_the_output_open_does_not_make_it_wait_for_ever() {
        let line = "sleep 1 & echo done";
        let bound = Duration::from_millis(300);
        let error = answer(shell(line), bound).await.unwrap_err();
        assert!(matches!(error, Unanswered::Late(_)), "{error:?}");
        let output = answer(shell("echo one; echo two >&2"), Duration::from_secs(20));
        assert_eq!(output.await.unwrap().stdout, b"one\n");
    }

    #[test]
    fn settings_are_read_from_what_ssh_prints() {
        let text = "host x\nuser bench\nhostname 10.0.0.3\nport 2222\nproxyjump login\n";
        let settings = SshSettings::of(text).unwrap();
        assert_eq!(settings.host, "10.0.0.3");
        assert_eq!(settings.way, ["bench", "2222", "", "login"]);
        assert_eq!(SshSettings::of("ssh: what?"), None);
    }
}
