//! The relay that delays, by itself: it needs no rights.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flagperf_testkit::script;

use crate::support::timed;

const MEBIBYTE: usize = 1 << 20;

/// A relay, ended with the test.
struct Relay {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Relay {
    fn to(target: u16, milliseconds: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let delay = dir.path().join("delay");
        std::fs::write(&delay, format!("{milliseconds}\n")).unwrap();
        let mut process = Command::new("/usr/bin/python3")
            .args(["-I", "-S"])
            .arg(script().with_file_name("testbed.d").join("relay.py"))
            .args(["127.0.0.1", "127.0.0.1"])
            .arg(target.to_string())
            .arg(delay)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        assert_eq!(words[0], process.id().to_string());
        Self {
            port: words[3].parse().unwrap(),
            process,
            _dir: dir,
        }
    }
}

/// Both ends of a connection that is delayed by so much each way.
fn connection(milliseconds: u32) -> (TcpStream, TcpStream, Relay) {
    let target = TcpListener::bind("127.0.0.1:0").unwrap();
    let relay = Relay::to(target.local_addr().unwrap().port(), milliseconds);
    let near = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
    let (far, _) = target.accept().unwrap();
    (near, far, relay)
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn each_way_takes_the_delay_and_no_more() {
    let (mut near, mut far, _relay) = connection(100);
    for _ in 0..3 {
        let ((), took) = timed(|| {
            near.write_all(b"ping").unwrap();
            far.read_exact(&mut [0; 4]).unwrap();
        });
        assert!((0.1..0.3).contains(&took.as_secs_f64()), "{took:?} there");
        let ((), took) = timed(|| {
            far.write_all(b"pong").unwrap();
            near.read_exact(&mut [0; 4]).unwrap();
        });
        assert!((0.1..0.3).contains(&took.as_secs_f64()), "{took:?} back");
    }
}

#[test]
fn what_is_on_its_way_does_not_wait_for_what_went_before() {
    let (mut near, mut far, _relay) = connection(100);
    let sender = std::thread::spawn(move || {
        let chunk: Vec<u8> = (0..MEBIBYTE).map(|index| (index % 251) as u8).collect();
        for _ in 0..128 {
            near.write_all(&chunk).unwrap();
        }
        near.shutdown(std::net::Shutdown::Write).unwrap();
        // The end of one direction is not the end of the other.
        let mut answer = String::new();
        near.read_to_string(&mut answer).unwrap();
        answer
    });
    let start = Instant::now();
    let mut received = Vec::with_capacity(128 * MEBIBYTE);
    far.read_to_end(&mut received).unwrap();
    let took = start.elapsed();
    assert_eq!(received.len(), 128 * MEBIBYTE);
    assert!(received.chunks(MEBIBYTE).all(|chunk| {
        chunk
            .iter()
            .enumerate()
            .all(|(index, byte)| *byte == (index % 251) as u8)
    }));
    // With one window of 256 KiB at a time it would be fifty seconds.
    assert!(took < Duration::from_secs(10), "128 MiB took {took:?}");
    far.write_all(b"all there").unwrap();
    drop(far);
    assert_eq!(sender.join().unwrap(), "all there");
}

#[test]
fn a_connection_that_cannot_be_made_is_closed() {
    // A port on which nothing listens any more.
    let port = {
        let gone = TcpListener::bind("127.0.0.1:0").unwrap();
        gone.local_addr().unwrap().port()
    };
    let relay = Relay::to(port, 10);
    let mut near = TcpStream::connect(("127.0.0.1", relay.port)).unwrap();
    near.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert_eq!(near.read(&mut [0; 1]).unwrap(), 0);
}
