//! The port at which a rank can be called, and the sorting of strangers from ranks.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::NetError;
use super::hello::{Hello, HelloState, LONGEST_HELLO};

/// A caller that has not said its hello after this time is a stranger.
const HELLO_PATIENCE: Duration = Duration::from_secs(5);

/// Most callers that may be about to say their hello; of more, the oldest goes.
const MOST_PENDING: usize = 512;

/// How long a port is tried that another socket holds. A rank that calls itself by chance, because
/// nobody listens yet, holds it for a moment.
const BUSY_PATIENCE: Duration = Duration::from_secs(3);

/// An open port.
pub(super) struct Listener {
    sockets: Vec<TcpListener>,
    port: u16,
    pending: VecDeque<Pending>,
}

/// A caller that said hello.
pub(super) struct Caller {
    pub(super) hello: Hello,
    pub(super) stream: TcpStream,
    pub(super) address: IpAddr,
}

struct Pending {
    stream: TcpStream,
    address: IpAddr,
    since: Instant,
    bytes: Vec<u8>,
}

impl Listener {
    /// Listens at `port` of every address of this machine, of both versions of IP; at any free
    /// port if that is 0.
    pub(super) fn open(port: u16, patience: Duration) -> Result<Self, NetError> {
        let until = Instant::now() + patience.min(BUSY_PATIENCE);
        let sockets = loop {
            match bind(port) {
                Err(error)
                    if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until =>
                {
                    std::thread::sleep(Duration::from_millis(50));
                }
                result => break result,
            }
        };
        let listen = |source| NetError::Listen { port, source };
        let sockets = sockets.map_err(listen)?;
        for socket in &sockets {
            socket.set_nonblocking(true).map_err(listen)?;
        }
        let port = match sockets.first() {
            Some(socket) => socket.local_addr().map_err(listen)?.port(),
            None => port,
        };
        Ok(Self {
            sockets,
            port,
            pending: VecDeque::new(),
        })
    }

    /// The port.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The next caller with a whole hello, whatever it says; `None` if there was none until then.
    pub(super) fn next(&mut self, until: Instant) -> Result<Option<Caller>, NetError> {
        loop {
            self.accept();
            if let Some(caller) = self.hear() {
                return Ok(Some(caller));
            }
            let now = Instant::now();
            if now >= until {
                return Ok(None);
            }
            self.wait(until - now)?;
        }
    }

    fn accept(&mut self) {
        for socket in &self.sockets {
            // A caller that hung up again, or no room for a file at the moment: both pass.
            while let Ok((stream, address)) = socket.accept() {
                if stream.set_nonblocking(true).is_err() {
                    continue;
                }
                if self.pending.len() == MOST_PENDING {
                    self.pending.pop_front();
                }
                self.pending.push_back(Pending {
                    stream,
                    address: address.ip().to_canonical(),
                    since: Instant::now(),
                    bytes: Vec::new(),
                });
            }
        }
    }

    /// Reads on from every caller, and lets the strangers go.
    fn hear(&mut self) -> Option<Caller> {
        for _ in 0..self.pending.len() {
            let mut caller = self.pending.pop_front()?;
            match caller.hear() {
                HelloState::Partial if caller.since.elapsed() < HELLO_PATIENCE => {
                    self.pending.push_back(caller);
                }
                HelloState::Partial | HelloState::Foreign => {}
                HelloState::Whole(hello) => {
                    if caller.stream.set_nonblocking(false).is_ok() {
                        return Some(Caller {
                            hello,
                            stream: caller.stream,
                            address: caller.address,
                        });
                    }
                }
            }
        }
        None
    }

    fn wait(&self, longest: Duration) -> Result<(), NetError> {
        let listening = self.sockets.iter().map(|s| PollFd::new(s, PollFlags::IN));
        let pending = self.pending.iter();
        let mut sources: Vec<PollFd<'_>> = listening
            .chain(pending.map(|caller| PollFd::new(&caller.stream, PollFlags::IN)))
            .collect();
        // Short enough to let a silent stranger go in time, and to try again after a shortage.
        let longest = longest.min(Duration::from_millis(200));
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(longest.subsec_nanos()),
        };
        match poll(&mut sources, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(NetError::System {
                action: "calls cannot be waited for",
                source: errno.into(),
            }),
        }
    }
}

impl Pending {
    /// Reads what has come.
    fn hear(&mut self) -> HelloState {
        let mut buffer = [0; LONGEST_HELLO + 1];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return HelloState::Foreign,
                Ok(count) => self.bytes.extend(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Hello::read(&self.bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return HelloState::Foreign,
            }
            if self.bytes.len() > LONGEST_HELLO {
                return HelloState::Foreign;
            }
        }
    }
}

/// One socket for both versions of IP where the system allows it, else one for each that it has.
fn bind(port: u16) -> io::Result<Vec<TcpListener>> {
    let listen = |ip: IpAddr, port| TcpListener::bind(SocketAddr::new(ip, port));
    let four = Ipv4Addr::UNSPECIFIED.into();
    match listen(Ipv6Addr::UNSPECIFIED.into(), port) {
        Ok(six) => {
            let port = six.local_addr()?.port();
            let mut sockets = vec![six];
            // Refused where the first socket answers for version 4 as well, which is the rule.
            sockets.extend(listen(four, port));
            Ok(sockets)
        }
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(error),
        // A machine without version 6.
        Err(_) => Ok(vec![listen(four, port)?]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::hello::Purpose;
    use super::*;
    use std::io::Write;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    fn hello(rank: u32) -> Hello {
        Hello {
            rank,
            world: 2,
            purpose: Purpose::Join { port: 1 },
            token: b"run".to_vec(),
        }
    }

    #[test]
    fn ranks_are_told_from_strangers_on_both_versions_of_ip() {
        let mut listener = Listener::open(0, Duration::ZERO).unwrap();
        let port = listener.port();
        let call = || TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _silent = call();
        drop(call());
        let mut web = call();
        web.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut slow = call();
        let bytes = hello(1).encode();
        slow.write_all(&bytes[..9]).unwrap();
        assert!(
            listener
                .next(Instant::now() + Duration::from_millis(30))
                .unwrap()
                .is_none()
        );
        slow.write_all(&bytes[9..]).unwrap();
        let caller = listener.next(soon()).unwrap().unwrap();
        assert_eq!((caller.hello, caller.address), (hello(1), call_address()));
        // The connection of the one with the foreign first bytes has been closed.
        web.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        assert!(matches!(web.read(&mut [0; 1]), Ok(0) | Err(_)));
        if let Ok(mut six) = TcpStream::connect(("::1", port)) {
            six.write_all(&hello(3).encode()).unwrap();
            assert_eq!(listener.next(soon()).unwrap().unwrap().hello, hello(3));
        }
    }

    fn call_address() -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    #[test]
    fn many_strangers_do_not_keep_a_rank_out() {
        let mut listener = Listener::open(0, Duration::ZERO).unwrap();
        let port = listener.port();
        let strangers: Vec<TcpStream> = (0..100)
            .map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap())
            .collect();
        let mut rank = TcpStream::connect(("127.0.0.1", port)).unwrap();
        rank.write_all(&hello(1).encode()).unwrap();
        assert_eq!(listener.next(soon()).unwrap().unwrap().hello, hello(1));
        drop(strangers);
    }

    #[test]
    fn a_port_that_is_taken_is_an_error() {
        let first = Listener::open(0, Duration::ZERO).unwrap();
        let second = Listener::open(first.port(), Duration::from_millis(60));
        let error = second.err().unwrap().to_string();
        assert_eq!(
            error,
            format!("port {} cannot be listened on", first.port())
        );
    }
}
