//! Calling another rank: names, attempts, the answer.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::error::NetError;
use super::hello::Hello;

/// Answers a hello that was right.
pub(super) const WELCOME: [u8; 8] = *b"fpwelcom";

/// Longest single attempt to connect.
const ATTEMPT: Duration = Duration::from_secs(2);

/// Pause between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// How long the one who listens has for its answer. It answers at once, unless it is a stranger.
const ANSWER: Duration = Duration::from_secs(5);

/// Sets what every connection between ranks has: small messages leave at once, and no wait is
/// without end.
pub(super) fn prepare(stream: &TcpStream, patience: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(patience))
}

/// Connects and says hello; the answer is awaited by [`confirm`].
pub(super) fn call(
    address: SocketAddr,
    hello: &Hello,
    patience: Duration,
) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, patience)?;
    // Where nobody listens, a machine can call itself by chance and believe that it was answered.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    prepare(&stream, patience)?;
    stream.write_all(&hello.encode())?;
    Ok(stream)
}

/// Waits for the answer to a hello.
pub(super) fn confirm(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = [0; WELCOME.len()];
    stream.read_exact(&mut answer)?;
    if answer == WELCOME {
        Ok(())
    } else {
        Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no rank of this run",
        ))
    }
}

/// Calls rank 0 until it answers.
pub(super) fn call_master(
    who: &str,
    host: &str,
    port: u16,
    hello: &Hello,
    patience: Duration,
) -> Result<TcpStream, NetError> {
    let until = Instant::now() + patience;
    let unreachable = |reason: String| NetError::Unreachable {
        who: who.to_owned(),
        address: format!("{host} port {port}"),
        seconds: patience.as_secs(),
        reason,
    };
    let mut reason = "no time was left for an attempt".to_owned();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(unreachable(reason));
        }
        match resolve(host, port, left) {
            Err(error) => reason = error.to_string(),
            Ok(addresses) => {
                for address in addresses {
                    let left = until.saturating_duration_since(Instant::now());
                    let attempt = left.min(ATTEMPT).max(Duration::from_millis(1));
                    match try_master(address, hello, attempt) {
                        Ok(stream) => {
                            prepare(&stream, patience).map_err(|e| unreachable(e.to_string()))?;
                            return Ok(stream);
                        }
                        Err(error) => reason = error.to_string(),
                    }
                }
            }
        }
        std::thread::sleep(PAUSE.min(until.saturating_duration_since(Instant::now())));
    }
}

fn try_master(address: SocketAddr, hello: &Hello, attempt: Duration) -> io::Result<TcpStream> {
    let mut stream = call(address, hello, attempt)?;
    stream.set_read_timeout(Some(ANSWER))?;
    confirm(&mut stream)?;
    Ok(stream)
}

/// The addresses of a host, IP addresses as they are and names through the system, which has no
/// bound of its own on that; so it is asked on a thread that may be left behind.
fn resolve(host: &str, port: u16, longest: Duration) -> io::Result<Vec<SocketAddr>> {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (answer, answered) = mpsc::channel();
    let name = bare.to_owned();
    std::thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(move || {
            let found = (name.as_str(), port).to_socket_addrs();
            // If nobody waits any more, the answer is of no use.
            let _sent = answer.send(found.map(Iterator::collect));
        })?;
    answered
        .recv_timeout(longest)
        .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "its name was not resolved"))?
}

#[cfg(test)]
mod tests {
    use super::super::hello::Purpose;
    use super::*;
    use std::net::TcpListener;

    fn hello() -> Hello {
        Hello {
            rank: 1,
            world: 2,
            purpose: Purpose::Join { port: 1 },
            token: b"run".to_vec(),
        }
    }

    #[test]
    fn addresses_need_no_name_service() {
        let long = Duration::from_secs(5);
        for (host, expected) in [
            ("127.0.0.7", "127.0.0.7:5"),
            ("::1", "[::1]:5"),
            ("[::1]", "[::1]:5"),
        ] {
            let expected: SocketAddr = expected.parse().unwrap();
            assert_eq!(resolve(host, 5, long).unwrap(), [expected]);
        }
        assert!(!resolve("localhost", 5, long).unwrap().is_empty());
    }

    #[test]
    fn nobody_and_a_stranger_are_not_rank_0() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let stranger = std::thread::spawn(move || {
            // Answers each caller with something else, until the caller has given up.
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(b"SSH-2.0-x\r\n").unwrap();
            }
        });
        let short = Duration::from_millis(80);
        let error = call_master("node a (rank 0)", "127.0.0.1", port, &hello(), short);
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with(&format!(
                "node a (rank 0) was not reached at 127.0.0.1 port {port} within 0 s: "
            )),
            "{error}"
        );
        // Lets the stranger's second turn pass, if the caller had no time for it.
        let _called = TcpStream::connect(("127.0.0.1", port));
        stranger.join().unwrap();
        let error = call_master("node a (rank 0)", "127.0.0.1", port, &hello(), short);
        assert!(error.unwrap_err().to_string().contains("refused"));
    }
}
