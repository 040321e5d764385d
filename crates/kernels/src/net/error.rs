//! Why ranks on different nodes cannot work together.

use std::io;

/// What ended the work of the ranks. A rank is named by its node, so that the text says where to
/// look.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NetError {
    /// A rank's process or machine is gone.
    #[error("{who} closed its connection during {stage}")]
    Closed {
        /// The node and its rank.
        who: String,
        /// What was being done.
        stage: String,
    },
    /// Nothing came from a rank, or nothing could be sent to it.
    #[error("{who} did not answer within {seconds} s during {stage}")]
    Silent {
        /// The node and its rank.
        who: String,
        /// How long it was waited for.
        seconds: u64,
        /// What was being done.
        stage: String,
    },
    /// Nothing that was sent to a rank arrives there, as its machine's silence shows.
    #[error("{who} did not acknowledge within {seconds} s what was sent to it during {stage}")]
    Unheard {
        /// The node and its rank.
        who: String,
        /// How long it was waited for.
        seconds: u64,
        /// What was being done.
        stage: String,
    },
    /// A rank said why it failed.
    #[error("{who} failed: {message}")]
    Failed {
        /// The node and its rank.
        who: String,
        /// What it said.
        message: String,
    },
    /// A connection ended for another reason than its peer.
    #[error("the connection to {who} broke during {stage}: {reason}")]
    Broken {
        /// The node and its rank.
        who: String,
        /// What was being done.
        stage: String,
        /// The system's reason.
        reason: String,
    },
    /// A rank said something that does not belong here.
    #[error("{who} sent what was not expected during {stage}: {problem}")]
    Protocol {
        /// The node and its rank.
        who: String,
        /// What was being done.
        stage: String,
        /// What was wrong with it.
        problem: String,
    },
    /// Ranks did not come to the meeting.
    #[error("{who} did not come to port {port} within {seconds} s")]
    Missing {
        /// The nodes and their ranks.
        who: String,
        /// Where the ranks meet.
        port: u16,
        /// How long they were waited for.
        seconds: u64,
    },
    /// The place of the meeting cannot be reached.
    #[error("{who} was not reached at {address} within {seconds} s: {reason}")]
    Unreachable {
        /// The node and its rank.
        who: String,
        /// Address and port.
        address: String,
        /// How long it was tried.
        seconds: u64,
        /// Why the last attempt failed.
        reason: String,
    },
    /// A port cannot be opened.
    #[error("port {port} cannot be listened on")]
    Listen {
        /// The port; 0 for any.
        port: u16,
        /// Why not.
        source: io::Error,
    },
    /// The operating system refused something.
    #[error("{action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: io::Error,
    },
}

/// What made a rank's work end, told from rank to rank without names or stages, which each rank
/// knows for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// Its connection ended.
    Closed,
    /// It did not answer for so many seconds.
    Silent(u64),
    /// Its machine has not acknowledged for so many seconds what was sent there.
    Unheard(u64),
    /// It said so itself.
    Said(String),
    /// The connection to it broke for this reason.
    Broken(String),
}

/// Who is to blame, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) culprit: u32,
    pub(super) how: How,
}

/// Longest reason passed on, in bytes.
const LONGEST_REASON: usize = 2000;

impl Verdict {
    pub(super) fn new(culprit: u32, how: How) -> Self {
        Self { culprit, how }
    }

    /// The error that an operation on the connection to `peer` ended with.
    pub(super) fn of(peer: u32, error: &io::Error, patience_s: u64) -> Self {
        let how = match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected => How::Closed,
            // What a blocking socket says when its timeout is over.
            io::ErrorKind::WouldBlock => How::Silent(patience_s),
            _ => How::Broken(error.to_string()),
        };
        Self::new(peer, how)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let (tag, number, text) = match &self.how {
            How::Closed => (0, 0, ""),
            How::Silent(seconds) => (1, *seconds, ""),
            How::Unheard(seconds) => (4, *seconds, ""),
            How::Said(text) => (2, 0, text.as_str()),
            How::Broken(text) => (3, 0, text.as_str()),
        };
        let mut body = Vec::new();
        body.extend(self.culprit.to_le_bytes());
        body.push(tag);
        body.extend(u64::to_le_bytes(number));
        body.extend(text.bytes().take(LONGEST_REASON));
        body
    }

    /// `None` if that is no verdict.
    pub(super) fn decode(body: &[u8]) -> Option<Self> {
        let (culprit, rest) = body.split_first_chunk()?;
        let (tag, rest) = rest.split_first()?;
        let (number, text) = rest.split_first_chunk()?;
        let text = || {
            let text = text.get(..LONGEST_REASON).unwrap_or(text);
            // It comes from another machine and ends up on a terminal.
            String::from_utf8_lossy(text).replace(char::is_control, " ")
        };
        let how = match tag {
            0 => How::Closed,
            1 => How::Silent(u64::from_le_bytes(*number)),
            2 => How::Said(text()),
            3 => How::Broken(text()),
            4 => How::Unheard(u64::from_le_bytes(*number)),
            _ => return None,
        };
        Some(Self::new(u32::from_le_bytes(*culprit), how))
    }

    /// As an error, with the culprit's name and what was being done.
    pub(super) fn error(&self, who: String, stage: &str) -> NetError {
        let stage = stage.to_owned();
        match &self.how {
            How::Closed => NetError::Closed { who, stage },
            How::Silent(seconds) => NetError::Silent {
                who,
                seconds: *seconds,
                stage,
            },
            How::Unheard(seconds) => NetError::Unheard {
                who,
                seconds: *seconds,
                stage,
            },
            How::Said(message) => NetError::Failed {
                who,
                message: message.clone(),
            },
            How::Broken(reason) => NetError::Broken {
                who,
                stage,
                reason: reason.clone(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn verdicts_travel() {
        for how in [
            How::Closed,
            How::Silent(30),
            How::Unheard(3),
            How::Said("wrong sum: element 3".to_owned()),
            How::Broken("No route to host".to_owned()),
        ] {
            let verdict = Verdict::new(7, how);
            assert_eq!(Verdict::decode(&verdict.encode()), Some(verdict));
        }
        let steering = Verdict::new(0, How::Said("a\u{1b}[2Jb".to_owned()));
        let read = Verdict::decode(&steering.encode()).unwrap();
        assert_eq!(read.how, How::Said("a [2Jb".to_owned()));
    }

    #[test]
    fn a_timeout_is_silence_and_an_end_is_an_end() {
        let of = |kind: io::ErrorKind| Verdict::of(1, &kind.into(), 30).how;
        assert_eq!(of(io::ErrorKind::UnexpectedEof), How::Closed);
        assert_eq!(of(io::ErrorKind::ConnectionReset), How::Closed);
        assert_eq!(of(io::ErrorKind::WouldBlock), How::Silent(30));
        assert_eq!(
            of(io::ErrorKind::HostUnreachable),
            How::Broken("host unreachable".to_owned())
        );
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body: Vec<u8>) {
            let _verdict = Verdict::decode(&body);
        }
    }
}
