//! One direction of one connection: a thread's share of the messages between two ranks.
//!
//! A message is cut into as many parts as there are connections. Each word of a part depends on the
//! sender, the connection and the place; once in a page stands the number of the message as well,
//! which the sender writes and the receiver compares for every message.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;

use super::crew::WorkError;
use crate::pattern::{STAMP_EVERY, content, stamp};

/// Words are this much apart between two connections: more than a part has, and little enough that
/// the words of all connections differ from those of another rank.
const STREAM_WORDS: usize = 1 << 34;

/// Messages that are sent one after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// Number of the first one.
    pub(super) first: u64,
    /// How many.
    pub(super) count: u32,
    /// Bytes of each, whole pages of 4096.
    pub(super) bytes: usize,
}

/// What a receiving thread is to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Task {
    /// Receive messages, and compare a word of each page.
    Receive(Batch),
    /// Compare every word of the message that came last.
    CheckLast,
}

/// Which connection of how many, and where it leads.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    /// The rank that sends.
    pub(super) sender: u32,
    /// The rank at the other end.
    pub(super) peer: u32,
    /// The name of the sending rank, for messages.
    pub(super) name: String,
    /// Which connection.
    pub(super) index: u16,
    /// How many there are.
    pub(super) streams: u16,
}

impl Lane {
    /// Bytes of this connection's part of a message.
    fn share(&self, bytes: usize) -> usize {
        let pages = bytes / STAMP_EVERY;
        let cut = |index: u16| pages * usize::from(index) / usize::from(self.streams);
        (cut(self.index + 1) - cut(self.index)) * STAMP_EVERY
    }

    fn word(&self, i: usize) -> u64 {
        content(self.sender, usize::from(self.index) * STREAM_WORDS + i)
    }

    fn stamp(&self, number: u64, at: usize) -> u64 {
        stamp(
            self.sender,
            number,
            usize::from(self.index) * STREAM_WORDS + at,
        )
    }

    fn wrong(&self, number: u64, at: usize) -> WorkError {
        WorkError::Wrong(format!(
            "message {number} of {} arrived damaged at byte {at} of connection {}",
            self.name, self.index
        ))
    }
}

/// The sending side.
pub(super) struct Outgoing {
    lane: Lane,
    stream: TcpStream,
    part: Vec<u8>,
}

impl Outgoing {
    pub(super) fn new(lane: Lane, stream: TcpStream) -> Self {
        Self {
            lane,
            stream,
            part: Vec::new(),
        }
    }

    /// Makes room for messages of so many bytes, so that this is no part of a measurement.
    fn grow(&mut self, share: usize) {
        let lane = &self.lane;
        let words = self.part.len() / 8..share / 8;
        self.part
            .extend(words.flat_map(|i| lane.word(i).to_le_bytes()));
    }

    /// Sends this connection's part of each message.
    pub(super) fn send(&mut self, batch: Batch) -> Result<(), WorkError> {
        let share = self.lane.share(batch.bytes);
        self.grow(share);
        for number in batch.first..batch.first + u64::from(batch.count) {
            for (page, bytes) in self.part[..share].chunks_mut(STAMP_EVERY).enumerate() {
                let stamp = self.lane.stamp(number, page * STAMP_EVERY);
                bytes[..8].copy_from_slice(&stamp.to_le_bytes());
            }
            self.stream
                .write_all(&self.part[..share])
                .map_err(|error| WorkError::Io(self.lane.peer, error))?;
        }
        Ok(())
    }
}

/// The receiving side.
pub(super) struct Incoming {
    lane: Lane,
    stream: TcpStream,
    part: Vec<u8>,
    /// Number and share of the message that came last.
    last: Option<(u64, usize)>,
}

impl Incoming {
    pub(super) fn new(lane: Lane, stream: TcpStream) -> Self {
        Self {
            lane,
            stream,
            part: Vec::new(),
            last: None,
        }
    }

    pub(super) fn work(&mut self, task: Task) -> Result<(), WorkError> {
        match task {
            Task::Receive(batch) => self.receive(batch),
            Task::CheckLast => self.check_last(),
        }
    }

    fn receive(&mut self, batch: Batch) -> Result<(), WorkError> {
        let share = self.lane.share(batch.bytes);
        if self.part.len() < share {
            self.part.resize(share, 0);
        }
        for number in batch.first..batch.first + u64::from(batch.count) {
            self.stream
                .read_exact(&mut self.part[..share])
                .map_err(|error| WorkError::Io(self.lane.peer, error))?;
            self.last = Some((number, share));
            for at in (0..share).step_by(STAMP_EVERY) {
                if self.part[at..at + 8] != self.lane.stamp(number, at).to_le_bytes() {
                    return Err(self.lane.wrong(number, at));
                }
            }
        }
        Ok(())
    }

    fn check_last(&self) -> Result<(), WorkError> {
        let Some((number, share)) = self.last else {
            return Ok(());
        };
        let expected = |word: usize| match word * 8 {
            at if at.is_multiple_of(STAMP_EVERY) => self.lane.stamp(number, at),
            _ => self.lane.word(word),
        };
        let words: Range<usize> = 0..share / 8;
        let wrong = words
            .zip(self.part.chunks_exact(8))
            .find(|(word, bytes)| **bytes != expected(*word).to_le_bytes());
        wrong.map_or(Ok(()), |(word, _)| Err(self.lane.wrong(number, word * 8)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::TcpListener;

    fn lane(index: u16, streams: u16) -> Lane {
        Lane {
            sender: 1,
            peer: 1,
            name: "node b (rank 1)".to_owned(),
            index,
            streams,
        }
    }

    /// Both sides of a connection; what is written to one comes out of the other.
    fn sides() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    const BATCH: Batch = Batch {
        first: 7,
        count: 3,
        bytes: 6 * STAMP_EVERY,
    };

    #[test]
    fn messages_arrive_and_grow() {
        let (one, other) = sides();
        let mut out = Outgoing::new(lane(1, 2), one);
        let mut into = Incoming::new(lane(1, 2), other);
        into.work(Task::CheckLast).unwrap();
        for batch in [
            BATCH,
            Batch {
                bytes: 4096,
                ..BATCH
            },
            Batch {
                bytes: 40_960,
                ..BATCH
            },
        ] {
            out.send(batch).unwrap();
            into.work(Task::Receive(batch)).unwrap();
            into.work(Task::CheckLast).unwrap();
        }
    }

    #[test]
    fn damage_is_found() {
        for (byte, found_by_sample) in [(STAMP_EVERY, true), (STAMP_EVERY + 9, false)] {
            let (one, other) = sides();
            let (mut relay, end) = sides();
            Outgoing::new(lane(0, 1), one).send(BATCH).unwrap();
            let mut bytes = vec![0; 3 * BATCH.bytes];
            let mut other = other;
            other.read_exact(&mut bytes).unwrap();
            bytes[2 * BATCH.bytes + byte] ^= 1;
            relay.write_all(&bytes).unwrap();
            let mut into = Incoming::new(lane(0, 1), end);
            let sampled = into.work(Task::Receive(BATCH));
            assert_eq!(sampled.is_err(), found_by_sample);
            let Err(WorkError::Wrong(text)) = sampled.and_then(|()| into.work(Task::CheckLast))
            else {
                panic!("the damage at byte {byte} was not found");
            };
            let at = byte / 8 * 8;
            assert_eq!(
                text,
                format!(
                    "message 9 of node b (rank 1) arrived damaged at byte {at} of connection 0"
                )
            );
        }
    }

    #[test]
    fn a_message_that_comes_twice_or_from_another_connection_is_found() {
        for (index, first) in [(0, 8), (1, 7)] {
            let (one, other) = sides();
            let batch = Batch {
                first,
                count: 1,
                ..BATCH
            };
            Outgoing::new(lane(index, 2), one).send(batch).unwrap();
            let into =
                Incoming::new(lane(0, 2), other).work(Task::Receive(Batch { first: 7, ..batch }));
            assert!(matches!(into, Err(WorkError::Wrong(_))));
        }
    }

    proptest! {
        #[test]
        fn parts_make_up_the_message(pages in 0usize..3000, streams in 1u16..=64) {
            let bytes = pages * STAMP_EVERY;
            let parts: Vec<usize> = (0..streams).map(|i| lane(i, streams).share(bytes)).collect();
            prop_assert_eq!(parts.iter().sum::<usize>(), bytes);
            let spread = parts.iter().max().unwrap() - parts.iter().min().unwrap();
            prop_assert!(spread <= STAMP_EVERY);
        }
    }
}
