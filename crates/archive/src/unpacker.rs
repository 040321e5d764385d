//! Unpacking a stream that arrives piece by piece.

use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use crate::{Unpacked, unpack};

/// Pieces that may wait. Whoever brings more waits for the disk, and so memory stays flat.
const WAITING: usize = 16;

/// Unpacks on a thread of its own.
#[derive(Debug)]
pub struct Unpacker {
    pieces: SyncSender<Vec<u8>>,
    thread: JoinHandle<io::Result<Unpacked>>,
}

impl Unpacker {
    /// Unpacks into a directory, as [`unpack`] does.
    pub fn start(into: PathBuf) -> Self {
        let (pieces, arriving) = sync_channel(WAITING);
        let thread = thread::spawn(move || {
            let mut pieces = Pieces {
                arriving,
                current: io::Cursor::default(),
            };
            let unpacked = unpack(&mut pieces, &into);
            // Whatever stands behind the end, or behind damage, is of no use, but its sender must not wait.
            while pieces.arriving.recv().is_ok() {}
            unpacked
        });
        Self { pieces, thread }
    }

    /// The next piece.
    pub fn push(&mut self, piece: Vec<u8>) {
        // A thread that is gone is told of at the end.
        let _ = self.pieces.send(piece);
    }

    /// What was unpacked.
    ///
    /// # Errors
    ///
    /// See [`unpack`].
    pub fn finish(self) -> io::Result<Unpacked> {
        drop(self.pieces);
        self.thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("unpacking panicked")))
    }
}

/// Pieces as one stream.
struct Pieces {
    arriving: Receiver<Vec<u8>>,
    current: io::Cursor<Vec<u8>>,
}

impl Read for Pieces {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.current.read(to)?;
            if count > 0 || to.is_empty() {
                return Ok(count);
            }
            match self.arriving.recv() {
                Ok(piece) => self.current = io::Cursor::new(piece),
                Err(_) => return Ok(0),
            }
        }
    }
}
