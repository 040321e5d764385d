//! A relay between a rank and rank 0 that spoils what it carries.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// What a relay does to the connections that carry data.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spoil {
    /// Changes one byte of what the caller sends on this of the parallel connections.
    Byte { stream: u16, at: usize },
    /// Changes every fourth byte of what the caller sends on it.
    EveryFloat { stream: u16 },
    /// Carries so much a second, in each direction of each connection.
    Throttle { bytes_per_s: f64 },
    /// Holds what has come back for so long once in so many times, as TCP does where packets are
    /// lost.
    Stutter { every: u32, pause: Duration },
    /// Holds the first data on each connection for so long.
    Stumble { pause: Duration },
}

/// Ends when dropped.
pub(crate) struct Relay {
    port: u16,
    stop: Arc<AtomicBool>,
}

impl Relay {
    /// A relay to `target` on loopback.
    pub(crate) fn start(target: u16, spoil: Spoil) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            for caller in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                thread::spawn(move || carry(caller.unwrap(), target, spoil));
            }
        });
        Self { port, stop }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _woken = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Bytes of a hello before the token; purpose and stream stand at these places.
const FIXED: usize = 27;
const PURPOSE: usize = 8;
const STREAM: usize = 23;

fn carry(mut caller: TcpStream, target: u16, spoil: Spoil) {
    // Rank 0 may not listen yet, and then the caller tries again.
    let Ok(mut callee) = TcpStream::connect(("127.0.0.1", target)) else {
        return;
    };
    for stream in [&caller, &callee] {
        stream.set_nodelay(true).unwrap();
    }
    let mut hello = vec![0; FIXED];
    if caller.read_exact(&mut hello).is_err() {
        return;
    }
    let token = usize::from(u16::from_le_bytes([hello[FIXED - 2], hello[FIXED - 1]]));
    hello.resize(FIXED + token, 0);
    caller.read_exact(&mut hello[FIXED..]).unwrap();
    callee.write_all(&hello).unwrap();
    let link =
        (hello[PURPOSE] == 1).then(|| u16::from_le_bytes([hello[STREAM], hello[STREAM + 1]]));
    let back = (callee.try_clone().unwrap(), caller.try_clone().unwrap());
    let other = thread::spawn(move || pump(back.0, back.1, link, spoil, false));
    pump(caller, callee, link, spoil, true);
    other.join().unwrap();
}

fn pump(mut from: TcpStream, mut to: TcpStream, link: Option<u16>, spoil: Spoil, forth: bool) {
    let mut buffer = vec![0; 16 << 10];
    let mut carried = 0;
    let mut times = 0;
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        let bytes = &mut buffer[..count];
        match (spoil, link) {
            (Spoil::Byte { stream, at }, Some(link))
                if forth && link == stream && (carried..carried + count).contains(&at) =>
            {
                bytes[at - carried] ^= 0x10;
            }
            (Spoil::EveryFloat { stream }, Some(link)) if forth && link == stream => {
                for (i, byte) in bytes.iter_mut().enumerate() {
                    if (carried + i) % 4 == 2 {
                        *byte ^= 0x10;
                    }
                }
            }
            (Spoil::Throttle { bytes_per_s }, Some(_)) => {
                thread::sleep(Duration::from_secs_f64(count as f64 / bytes_per_s));
            }
            (Spoil::Stumble { pause }, Some(link)) if forth && link > 0 && carried == 0 => {
                thread::sleep(pause);
            }
            (Spoil::Stutter { every, pause }, Some(_)) if !forth => {
                times += 1;
                if times % every == 0 {
                    thread::sleep(pause);
                }
            }
            _ => {}
        }
        carried += count;
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _shut = to.shutdown(Shutdown::Write);
    let _shut = from.shutdown(Shutdown::Read);
}
