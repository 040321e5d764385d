//! Frames: `length (u32 LE) | crc32 of the payload (u32 LE) | payload (postcard)`.
//!
//! The length bounds what a reader allocates, the checksum finds a stream that something on the
//! way has added to: a login banner, a proxy's message, a truncating `exec`.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Largest payload accepted, in bytes. The largest message is the facts of a machine with
/// thousands of processors, some hundred kilobytes.
pub const MAX_FRAME: usize = 4 << 20;

const HEADER: usize = 8;

/// Why a message could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The message is larger than [`MAX_FRAME`].
    #[error("a message of {0} bytes is larger than a frame may be ({MAX_FRAME} bytes)")]
    TooLong(usize),
    /// The serialiser refused.
    #[error("a message could not be serialised")]
    Serialise(#[source] postcard::Error),
}

/// Why bytes are not a stream of frames. The stream is of no use after any of these.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FrameError {
    /// A length beyond [`MAX_FRAME`]: most likely text of another program in the stream.
    #[error(
        "a frame of {length} bytes was announced, more than the {MAX_FRAME} allowed; the stream begins with {seen}: is something else printing there?"
    )]
    TooLong {
        /// The length announced.
        length: usize,
        /// The first bytes, printable.
        seen: String,
    },
    /// The payload is not what was sent.
    #[error(
        "a frame of {length} bytes arrived damaged (checksum {found:08x}, announced {announced:08x})"
    )]
    Checksum {
        /// Its length.
        length: usize,
        /// The checksum in its header.
        announced: u32,
        /// The checksum of what arrived.
        found: u32,
    },
    /// The payload is no message: the other end is another version.
    #[error("a frame holds no message of this version: {0}")]
    Message(String),
}

/// One message as a frame.
pub fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, EncodeError> {
    let mut frame =
        postcard::to_extend(message, vec![0; HEADER]).map_err(EncodeError::Serialise)?;
    let length = frame.len() - HEADER;
    if length > MAX_FRAME {
        return Err(EncodeError::TooLong(length));
    }
    let checksum = crc32fast::hash(&frame[HEADER..]);
    frame[..4].copy_from_slice(&(length as u32).to_le_bytes());
    frame[4..HEADER].copy_from_slice(&checksum.to_le_bytes());
    Ok(frame)
}

/// Takes bytes as they come and gives messages as they are complete.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Adds bytes that arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, `None` until it has arrived whole.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let pending = &self.buffer[self.start..];
        let Some((header, rest)) = pending.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, c0, c1, c2, c3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        let announced = u32::from_le_bytes([c0, c1, c2, c3]);
        if length > MAX_FRAME {
            let seen = format!(
                "{:?}",
                String::from_utf8_lossy(&pending[..pending.len().min(80)])
            );
            return Err(FrameError::TooLong { length, seen });
        }
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        let found = crc32fast::hash(payload);
        if found != announced {
            return Err(FrameError::Checksum {
                length,
                announced,
                found,
            });
        }
        let message = match postcard::take_from_bytes::<T>(payload) {
            Ok((message, [])) => message,
            Ok((_, rest)) => {
                return Err(FrameError::Message(format!(
                    "{} bytes too many",
                    rest.len()
                )));
            }
            Err(error) => return Err(FrameError::Message(error.to_string())),
        };
        self.start += HEADER + length;
        Ok(Some(message))
    }

    /// True if the bytes so far end in the middle of a frame.
    pub fn is_torn(&self) -> bool {
        self.start < self.buffer.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FromAgent, TaskId, ToAgent, TreeId};
    use flagperf_model::{ChipWatch, Limits, ProcessSpec, StatusTool};
    use proptest::prelude::*;

    fn process() -> impl Strategy<Value = ProcessSpec> {
        (
            any::<u32>(),
            prop::collection::vec(".*", 0..4),
            prop::collection::btree_map("[A-Z]{1,8}", ".*", 0..4),
            prop::option::of(".*"),
            prop::collection::vec(any::<u32>(), 0..8),
        )
            .prop_map(|(rank, argv, env, cwd, cpus)| ProcessSpec {
                rank,
                argv,
                env,
                cwd,
                cpus,
            })
    }

    fn tool() -> impl Strategy<Value = StatusTool> {
        let texts = || prop::collection::vec(".*", 0..3);
        (texts(), texts(), texts(), texts(), any::<u64>()).prop_map(
            |(command, fields, repeat, search, interval_ns)| StatusTool {
                vendor: "acme".into(),
                command,
                fields,
                repeat,
                search,
                env: std::collections::BTreeMap::new(),
                reader: "acme-smi".into(),
                interval_ns,
                timeout_ns: 1,
                start_timeout_ns: 2,
            },
        )
    }

    fn hello(chips: ChipWatch) -> ToAgent {
        ToAgent::Hello {
            name: "a1".to_owned(),
            timing: crate::Timing::default(),
            window: 1,
            pack: false,
            scratch: None,
            chips,
        }
    }

    fn request() -> impl Strategy<Value = ToAgent> {
        prop_oneof![
            any::<u64>().prop_map(|id| ToAgent::Ping { id }),
            (
                any::<u32>(),
                prop::collection::vec(any::<u8>(), 0..99),
                any::<bool>()
            )
                .prop_map(|(tree, bytes, last)| ToAgent::Put {
                    tree: TreeId(tree),
                    bytes: bytes.into(),
                    last,
                }),
            Just(ToAgent::Shutdown),
            any::<u64>().prop_map(|bytes| ToAgent::Credit { bytes }),
            any::<u64>().prop_map(|interval_ns| ToAgent::MonitorStart { interval_ns }),
            (any::<bool>(), prop::collection::vec(tool(), 0..3))
                .prop_map(|(asked, tools)| hello(ChipWatch { asked, tools })),
            (any::<u32>(), prop::collection::vec(process(), 0..3)).prop_map(|(id, processes)| {
                ToAgent::Run {
                    task: TaskId(id),
                    processes,
                    limits: Limits {
                        timeout_s: 1.5,
                        stall_s: 2.0,
                        grace_s: 0.25,
                    },
                    start_at: u64::from(id),
                }
            }),
        ]
    }

    proptest! {
        #[test]
        fn what_is_sent_arrives_however_it_is_cut(
            sent in prop::collection::vec(request(), 0..6),
            cut in 1usize..40,
        ) {
            let stream: Vec<u8> = sent.iter().flat_map(|m| encode(m).unwrap()).collect();
            let mut decoder = Decoder::default();
            let mut arrived = Vec::new();
            for piece in stream.chunks(cut) {
                decoder.push(piece);
                while let Some(message) = decoder.take::<ToAgent>().unwrap() {
                    arrived.push(message);
                }
            }
            prop_assert!(!decoder.is_torn());
            prop_assert_eq!(arrived, sent);
        }

        #[test]
        fn a_flipped_bit_is_never_taken_for_a_message(message in request(), at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut frame = encode(&message).unwrap();
            let at = at.index(frame.len());
            frame[at] ^= 1 << bit;
            let mut decoder = Decoder::default();
            decoder.push(&frame);
            // A damaged length may ask for bytes that never come; everything else is an error.
            match decoder.take::<ToAgent>() {
                Ok(None) => prop_assert!(at < 4),
                Ok(Some(other)) => prop_assert!(false, "{other:?}"),
                Err(_) => {}
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some(_)) = decoder.take::<FromAgent>() {}
        }
    }

    #[test]
    fn a_login_banner_in_the_stream_is_named() {
        let mut decoder = Decoder::default();
        decoder.push(b"Welcome to node17!\n");
        let error = decoder.take::<FromAgent>().unwrap_err().to_string();
        assert!(error.contains("Welcome to node17!"), "{error}");
        assert!(
            error.contains("is something else printing there?"),
            "{error}"
        );
    }

    #[test]
    fn a_message_of_another_version_is_an_error() {
        let mut decoder = Decoder::default();
        decoder.push(&encode(&(200u8, 3u64)).unwrap());
        let error = decoder.take::<ToAgent>().unwrap_err().to_string();
        assert!(
            error.starts_with("a frame holds no message of this version"),
            "{error}"
        );
    }

    #[test]
    fn a_message_too_large_is_refused_by_the_sender() {
        let message = ToAgent::Run {
            task: TaskId(1),
            processes: vec![ProcessSpec {
                rank: 0,
                argv: vec!["x".repeat(MAX_FRAME)],
                env: std::collections::BTreeMap::new(),
                cwd: None,
                cpus: vec![],
            }],
            limits: Limits {
                timeout_s: 1.0,
                stall_s: 1.0,
                grace_s: 1.0,
            },
            start_at: 0,
        };
        assert!(
            encode(&message)
                .unwrap_err()
                .to_string()
                .contains("larger than a frame may be")
        );
    }
}
