//! Unpacking what comes in pieces, on a thread of its own.

use std::io::{self, Read};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::unpack::unpack_with;
use crate::{Links, UnpackError, Unpacked};

/// Pieces that wait between the one who brings them and the disk.
const WAITING: usize = 16;

/// Unpacks a stream that arrives piece by piece.
#[derive(Debug)]
pub struct Unpacker {
    pieces: SyncSender<Vec<u8>>,
    thread: JoinHandle<Result<Unpacked, UnpackError>>,
}

impl Unpacker {
    /// Begins to unpack into an existing directory, as [`unpack`](crate::unpack()) does.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn new(into: &Path, links: Links) -> io::Result<Self> {
        let (pieces, receiver) = sync_channel(WAITING);
        let into = into.to_owned();
        let thread = std::thread::Builder::new()
            .name("unpack".to_owned())
            .spawn(move || unpack_with(Pieces::new(receiver), &into, links))?;
        Ok(Self { pieces, thread })
    }

    /// Takes the next piece of the stream. Waits while 16 pieces are still to be written.
    pub fn push(&mut self, piece: Vec<u8>) {
        // If nobody takes it, the stream was damaged before, and `finish` tells about it.
        let _ = self.pieces.send(piece);
    }

    /// Waits until everything is written. A stream that has no good end is among the problems.
    pub fn finish(self) -> Unpacked {
        drop(self.pieces);
        match self.thread.join() {
            Ok(Ok(unpacked)) => unpacked,
            Ok(Err(error)) => {
                let mut text = error.to_string();
                if let Some(source) = std::error::Error::source(&error) {
                    text.push_str(": ");
                    text.push_str(&source.to_string());
                }
                let mut unpacked = match error {
                    UnpackError::Damaged { arrived, .. } => arrived,
                    UnpackError::Directory { .. } => Unpacked::default(),
                };
                unpacked.problems.push(text);
                unpacked
            }
            Err(_) => Unpacked {
                problems: vec!["unpacking ended by a programming error".to_owned()],
                ..Unpacked::default()
            },
        }
    }
}

/// The pieces as one stream.
struct Pieces {
    receiver: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl Pieces {
    fn new(receiver: Receiver<Vec<u8>>) -> Self {
        Self {
            receiver,
            piece: Vec::new(),
            at: 0,
        }
    }
}

impl Read for Pieces {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            let Ok(piece) = self.receiver.recv() else {
                return Ok(0);
            };
            self.piece = piece;
            self.at = 0;
        }
        let count = into.len().min(self.piece.len() - self.at);
        into[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
