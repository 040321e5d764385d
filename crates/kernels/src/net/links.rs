//! Handles of data connections, for ending all of them at once.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::ioctl::{Getter, Opcode, ioctl};

/// The opcodes of Linux' `sockios.h` for what a socket has taken and the peer has not acknowledged, and
/// for what of that has not been sent yet, in bytes.
const SIOCOUTQ: Opcode = 0x5411;
const SIOCOUTQNSD: Opcode = 0x894b;

/// Whether something that was sent has not been acknowledged, which takes no longer than a round
/// trip while the other machine and the way there are well. A peer that is merely slow to read
/// keeps things from being sent.
pub(super) fn unacknowledged(stream: &TcpStream) -> bool {
    // SAFETY: both opcodes write one int, and do nothing else.
    let (held, unsent) = unsafe {
        (
            ioctl(stream, Getter::<SIOCOUTQ, i32>::new()),
            ioctl(stream, Getter::<SIOCOUTQNSD, i32>::new()),
        )
    };
    // The end of a stream counts as one.
    matches!((held, unsent), (Ok(held), Ok(unsent)) if held - unsent > 1)
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    #[test]
    fn a_peer_that_does_not_read_acknowledges_nevertheless() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut other = listener.accept().unwrap().0;
        one.set_write_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        while one.write(&[1; 1 << 12]).is_ok() {}
        let begin = Instant::now();
        while unacknowledged(&one) {
            assert!(begin.elapsed() < Duration::from_secs(5));
        }
        // All of the other direction arrives and is acknowledged, the end as well.
        other.write_all(&[2; 100]).unwrap();
        one.read_exact(&mut [0; 100]).unwrap();
        other.shutdown(Shutdown::Write).unwrap();
        assert!(!unacknowledged(&other));
    }
}
