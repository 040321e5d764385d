//! Placing the program on a node, over the stream that then becomes its agent's.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{ChildStdin, ChildStdout};

use crate::program::{ProgramFile, Programs, hex, own_size};
use crate::script::marker;
use crate::trouble::{Trouble, of_placed};

/// A login shell that prints more than this before the script's first line is not waited for, in bytes.
const MOST_NOISE: usize = 256 << 10;

/// A line of the script is never longer, in bytes.
const LONGEST_LINE: usize = 8 << 10;

/// How a node came to its agent.
#[derive(Debug, Default)]
pub(crate) struct Started {
    /// Bytes that belong to the agent's stream already.
    pub(crate) rest: Vec<u8>,
    /// The hash that the agent must show.
    pub(crate) hash: [u8; 32],
    /// The size that the agent's program must have, in bytes; absent if that is not known.
    pub(crate) size: Option<u64>,
    /// What a login shell printed before.
    pub(crate) noise: String,
    /// Where the program lies on the node.
    pub(crate) path: String,
    /// True if it lay there before, so that nobody has looked whether it is whole.
    pub(crate) found: bool,
}

/// What ended it.
#[derive(Debug)]
pub(crate) enum Failed {
    /// The script said so, or something else did.
    Trouble(Trouble),
    /// The stream ended, which the launcher's own words explain. True if the script had asked for the
    /// program.
    Ended(bool),
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Follows the script until the agent takes over. What is printed besides stays in `lines`.
pub(crate) async fn follow(
    stdin: &mut ChildStdin,
    stdout: &mut ChildStdout,
    lines: &mut Lines,
    programs: &Programs,
) -> Result<Started, Failed> {
    let mut started = Started {
        hash: programs.own_hash(),
        size: own_size().ok(),
        found: true,
        ..Started::default()
    };
    let mut file: Option<std::sync::Arc<ProgramFile>> = None;
    let mut bad = Vec::new();
    loop {
        let Some(line) = lines.next(stdout).await? else {
            return Err(Failed::Ended(file.is_some()));
        };
        let (word, text) = line.split_once(' ').unwrap_or((&line, ""));
        match word {
            "START" => {
                started.path = text.to_owned();
                started.rest = std::mem::take(&mut lines.buffer);
                started.noise = lines.printed();
                return Ok(started);
            }
            "NEED" => {
                let needed = programs.file(text).map_err(|error| {
                    let hint =
                        "put the program for that architecture there; `scripts/release` builds it";
                    Trouble::new(chain(&error), hint)
                })?;
                let answer = format!("{} {}\n", hex(&needed.hash), needed.bytes.len());
                started.hash = needed.hash;
                started.size = Some(needed.bytes.len() as u64);
                send(stdin, answer.as_bytes()).await;
                file = Some(needed);
            }
            "SEND" => {
                if let Some(file) = &file {
                    started.found = false;
                    send(stdin, &file.bytes).await;
                }
            }
            "BAD" => bad.push(text.to_owned()),
            "MISSING" => {
                return Err(Failed::Trouble(Trouble::new(
                    format!("`{text}` is missing there, which is needed to place the program"),
                    "install it (it is in coreutils and in busybox), or put the program there yourself and give its path as `program` in flagperf.toml",
                )));
            }
            "NORUN" => return Err(of_placed(text).into()),
            "FAIL" => {
                return Err(Failed::Trouble(Trouble::new(
                    format!("the program could not be placed: {text}"),
                    "make room there, or name another directory as `directory` in flagperf.toml",
                )));
            }
            "NOPLACE" => {
                return Err(Failed::Trouble(Trouble::new(
                    format!("there is no directory for the program: {}", bad.join("; ")),
                    "name one that can be written and from which programs can be run as `directory` in flagperf.toml",
                )));
            }
            _ => {
                return Err(Failed::Trouble(Trouble::plain(format!(
                    "its shell answered with {line:?}"
                ))));
            }
        }
    }
}

async fn send(stdin: &mut ChildStdin, bytes: &[u8]) {
    // When nobody reads any more, what the script said last tells why.
    if stdin.write_all(bytes).await.is_ok() {
        let _ = stdin.flush().await;
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The lines of the script among what else is printed.
#[derive(Debug)]
pub(crate) struct Lines {
    marker: Vec<u8>,
    buffer: Vec<u8>,
    noise: Vec<u8>,
}

impl Lines {
    /// Of the script that was given this word.
    pub(crate) fn of(nonce: &str) -> Self {
        Self {
            marker: marker(nonce).into_bytes(),
            buffer: vec![b'\n'],
            noise: Vec::new(),
        }
    }

    /// What else was printed so far.
    pub(crate) fn printed(&self) -> String {
        let printed = [&self.noise[..], &self.buffer[..]].concat();
        String::from_utf8_lossy(&printed).trim().to_owned()
    }

    /// The next line; absent at the end of the stream.
    async fn next(&mut self, stdout: &mut ChildStdout) -> Result<Option<String>, Trouble> {
        loop {
            if let Some(line) = self.take()? {
                return Ok(Some(line));
            }
            let read = stdout.read_buf(&mut self.buffer).await;
            if !matches!(read, Ok(1..)) {
                return Ok(None);
            }
        }
    }

    /// A line, if one is whole. What stands before its marker is put aside.
    fn take(&mut self) -> Result<Option<String>, Trouble> {
        let at = self
            .buffer
            .windows(self.marker.len())
            .position(|window| window == self.marker);
        let Some(at) = at else {
            // A marker may have arrived in part.
            let keep = self.marker.len().min(self.buffer.len());
            let noise = self.buffer.len() - keep;
            self.noise.extend(self.buffer.drain(..noise));
            if self.noise.len() > MOST_NOISE {
                let seen = String::from_utf8_lossy(&self.noise[..80]);
                return Err(Trouble::new(
                    format!("its login shell prints without end; it begins with {seen:?}"),
                    "let the start-up files of that shell print nothing where there is no terminal",
                ));
            }
            return Ok(None);
        };
        self.noise.extend(self.buffer.drain(..at));
        let text = &self.buffer[self.marker.len()..];
        match text.iter().position(|byte| *byte == b'\n') {
            // The script does not print this; a terminal adds it, and changes the agent's bytes as well.
            Some(end) if text[..end].ends_with(b"\r") => Err(Trouble::new(
                "there is a terminal between here and the node, through which no program can speak",
                "let the launcher open none: no `-t` or `--tty`, and no `--pty`",
            )),
            Some(end) => {
                let line = String::from_utf8_lossy(&text[..end]).trim_end().to_owned();
                self.buffer.drain(..=self.marker.len() + end);
                Ok(Some(line))
            }
            None if text.len() > LONGEST_LINE => {
                Err(Trouble::plain("its shell answered with an endless line"))
            }
            None => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Lines {
        let mut lines = Lines::of("abc");
        lines.buffer.extend(text.bytes());
        lines
    }

    #[test]
    fn a_banner_is_put_aside_and_the_agents_bytes_stay() {
        let mut lines =
            lines("Welcome!\nflagperf:xyz:START no\n\nflagperf:abc:START /a b\n\x01\x02");
        assert_eq!(lines.take().unwrap().unwrap(), "START /a b");
        assert_eq!(lines.buffer, b"\x01\x02");
        assert_eq!(
            String::from_utf8_lossy(&lines.noise).trim(),
            "Welcome!\nflagperf:xyz:START no"
        );
    }

    #[test]
    fn a_marker_that_arrives_in_pieces_is_found() {
        let mut lines = lines("");
        for byte in "noise\nflagperf:abc:NEED x86_64\n".bytes() {
            lines.buffer.push(byte);
            if let Some(line) = lines.take().unwrap() {
                assert_eq!(line, "NEED x86_64");
                return;
            }
        }
        panic!("no line was found");
    }

    #[test]
    fn what_is_printed_before_the_end_is_kept() {
        let mut lines = lines("Please login as the user \"ubuntu\"\nrather than \"root\".\n\n");
        assert_eq!(lines.take().unwrap(), None);
        assert_eq!(
            lines.printed(),
            "Please login as the user \"ubuntu\"\nrather than \"root\"."
        );
    }

    #[test]
    fn a_terminal_in_between_is_noticed() {
        let mut lines = lines("\r\nflagperf:abc:NEED x86_64\r\n");
        let trouble = lines.take().unwrap_err();
        assert!(trouble.reason.contains("terminal"), "{trouble:?}");
    }

    #[test]
    fn endless_noise_is_refused() {
        let mut lines = lines(&"x".repeat(MOST_NOISE * 2));
        let trouble = lines.take().unwrap_err();
        assert!(
            trouble
                .reason
                .starts_with("its login shell prints without end; it begins with")
        );
    }
}
