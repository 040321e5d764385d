//! Handles of data connections, for ending all of them at once.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

/// The data connections of one piece of work.
#[derive(Debug)]
pub(super) struct Links {
    handles: Vec<TcpStream>,
    shut: AtomicBool,
}

impl Links {
    /// Handles of these connections.
    pub(super) fn of<'a>(streams: impl IntoIterator<Item = &'a TcpStream>) -> io::Result<Self> {
        let handles: io::Result<_> = streams.into_iter().map(TcpStream::try_clone).collect();
        Ok(Self {
            handles: handles?,
            shut: AtomicBool::new(false),
        })
    }

    /// Ends them, which wakes everybody who waits for one. True if that is news: what fails
    /// afterwards fails because of it.
    pub(super) fn shut(&self) -> bool {
        if self.shut.swap(true, Ordering::AcqRel) {
            return false;
        }
        for stream in &self.handles {
            // One that has ended already needs nothing.
            let _shut = stream.shutdown(Shutdown::Both);
        }
        true
    }
}
