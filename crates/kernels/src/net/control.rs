//! The conversation with rank 0: what came, who has left, who is to blame.
//!
//! Every rank but rank 0 has one connection to rank 0. A thread reads all of a rank's connections
//! and so notices at once when a peer dies, even while the rank is deep in its work. Rank 0 passes
//! on who is to blame; each rank then closes its data connections, which wakes whoever waits for
//! them. So all ranks end with the same cause, and not with its consequences.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::{How, Verdict};
use super::frame::{Frame, Frames, Kind};
use super::judge::choose;
use super::links::Links;

/// How often the reading thread looks around without being woken.
const LOOK: Duration = Duration::from_millis(100);

/// Ranks that wait for one another fall silent one after another, and one that gives up closes its
/// connections. So long after the first complaint the one to blame is chosen among all that were
/// complained of.
const COMPLAINTS_FOR: Duration = Duration::from_millis(700);

/// How long a rank waits at the end for the other side to close too, so that its last words are
/// not lost with the connection.
const LINGER: Duration = Duration::from_secs(1);

/// This rank's end of the conversation.
pub(super) struct Control {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

struct Shared {
    rank: u32,
    /// Writing ends by rank: all others at rank 0, rank 0 elsewhere.
    writers: BTreeMap<u32, Mutex<TcpStream>>,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    inbox: BTreeMap<u32, VecDeque<Frame>>,
    verdict: Option<Verdict>,
    /// There is a verdict, or is about to be.
    settled: bool,
    /// Who complained of whom, and since when there are complaints.
    complaints: Vec<(u32, Verdict)>,
    first_complaint: Option<Instant>,
    left: BTreeSet<u32>,
    closed: BTreeSet<u32>,
    leaving: bool,
    links: Vec<Weak<Links>>,
}

impl Control {
    /// Takes over the connections, each with what was read of it already.
    pub(super) fn start(rank: u32, peers: Vec<(u32, TcpStream, Frames)>) -> io::Result<Self> {
        let mut writers = BTreeMap::new();
        for (peer, stream, _) in &peers {
            writers.insert(*peer, Mutex::new(stream.try_clone()?));
        }
        let shared = Arc::new(Shared {
            rank,
            writers,
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let reading = Arc::clone(&shared);
        let reader = std::thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || read_all(&reading, peers))?;
        Ok(Self {
            shared,
            reader: Some(reader),
        })
    }

    /// Sends a message to `peer`.
    pub(super) fn send(&self, peer: u32, kind: Kind, body: Vec<u8>) -> io::Result<()> {
        self.shared.send(peer, &Frame { kind, body })
    }

    /// The next message of `peer`, or who is to blame that there is none. `None` when the time is
    /// over.
    pub(super) fn receive(&self, peer: u32, until: Instant) -> Option<Result<Frame, Verdict>> {
        self.shared.wait(until, |state| {
            if let Some(verdict) = &state.verdict {
                return Some(Err(verdict.clone()));
            }
            state.inbox.get_mut(&peer)?.pop_front().map(Ok)
        })
    }

    /// Who is to blame, if that is known before the time is over.
    pub(super) fn verdict(&self, until: Instant) -> Option<Verdict> {
        self.shared.wait(until, |state| state.verdict.clone())
    }

    /// Has these connections closed as soon as somebody is to blame.
    pub(super) fn watch(&self, links: &Arc<Links>) {
        let mut state = self.shared.lock();
        state.links.retain(|links| links.strong_count() > 0);
        state.links.push(Arc::downgrade(links));
        if state.verdict.is_some() {
            links.shut();
        }
    }

    /// Tells all ranks who is to blame, unless they know. What holds in the end is returned: what
    /// rank 0 says, as far as it can be had.
    pub(super) fn blame(&self, verdict: Verdict) -> Verdict {
        if self.shared.rank == 0 {
            self.shared.accuse(0, verdict.clone());
        } else if self.shared.lock().verdict.is_none() {
            let frame = Frame {
                kind: Kind::Blame,
                body: verdict.encode(),
            };
            // If rank 0 cannot be told, it is gone, and then everybody notices.
            let _told = self.shared.send(0, &frame);
        }
        let settled = self.verdict(Instant::now() + COMPLAINTS_FOR * 3);
        settled.unwrap_or_else(|| {
            self.shared.settle(&verdict);
            self.verdict(Instant::now()).unwrap_or(verdict)
        })
    }

    /// Says that this rank is done, and waits until rank 0 knows it of all.
    pub(super) fn leave(self, until: Instant) -> Result<(), Option<Verdict>> {
        let peers: Vec<u32> = self.shared.writers.keys().copied().collect();
        let bye = Frame {
            kind: Kind::Leave,
            body: Vec::new(),
        };
        let tell = || {
            for peer in &peers {
                // Whoever cannot be told any more is missed below, or has left.
                let _told = self.shared.send(*peer, &bye);
            }
        };
        if self.shared.rank != 0 {
            tell();
        }
        let all_left = self.shared.wait(until, |state| {
            if peers.iter().all(|peer| state.left.contains(peer)) {
                state.leaving = true;
                return Some(Ok(()));
            }
            state.verdict.clone().map(|verdict| Err(Some(verdict)))
        });
        let result = all_left.unwrap_or(Err(None));
        if self.shared.rank == 0 && result.is_ok() {
            tell();
        }
        result
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        {
            let mut state = self.shared.lock();
            state.leaving = true;
            shut_links(&mut state);
        }
        for writer in self.shared.writers.values() {
            // A peer that is gone needs no end of the stream.
            let _shut = lock(writer).shutdown(Shutdown::Write);
        }
        let peers = self.shared.writers.len();
        let _closed = self.shared.wait(Instant::now() + LINGER, |state| {
            (state.closed.len() == peers).then_some(())
        });
        for writer in self.shared.writers.values() {
            let _shut = lock(writer).shutdown(Shutdown::Both);
        }
        if let Some(reader) = self.reader.take() {
            // It ends when all connections have; a panic in it has done its harm already.
            let _joined = reader.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn wait<T>(&self, until: Instant, mut ready: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if let Some(value) = ready(&mut state) {
                return Some(value);
            }
            let left = until.checked_duration_since(Instant::now())?;
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn send(&self, peer: u32, frame: &Frame) -> io::Result<()> {
        let writer = self.writers.get(&peer);
        let writer = writer.ok_or(io::ErrorKind::NotConnected)?;
        lock(writer).write_all(&frame.encode())
    }

    /// Rank 0 hears that somebody is to blame. Who says it of himself is believed at once; whatever
    /// one rank says of another is judged after a while, see [`choose`].
    fn accuse(&self, accuser: u32, verdict: Verdict) {
        if matches!(verdict.how, How::Said(_)) {
            self.settle(&verdict);
            return;
        }
        let mut state = self.lock();
        state.first_complaint.get_or_insert_with(Instant::now);
        state.complaints.push((accuser, verdict));
    }

    /// Makes it known to everybody, unless somebody else is to blame already.
    fn settle(&self, verdict: &Verdict) {
        {
            let mut state = self.lock();
            if state.settled || state.leaving {
                return;
            }
            state.settled = true;
        }
        // The others hear it before this rank acts on it, and so before they see it go.
        if self.rank == 0 {
            let frame = Frame {
                kind: Kind::Blame,
                body: verdict.encode(),
            };
            for peer in self.writers.keys() {
                // The one to blame is often gone.
                let _told = self.send(*peer, &frame);
            }
        }
        let mut state = self.lock();
        state.verdict = Some(verdict.clone());
        shut_links(&mut state);
        self.changed.notify_all();
    }

    fn deliver(&self, peer: u32, frame: Frame) {
        if frame.kind == Kind::Blame {
            match Verdict::decode(&frame.body) {
                Some(verdict) if self.rank == 0 => self.accuse(peer, verdict),
                Some(verdict) => self.settle(&verdict),
                None => self.ended(peer),
            }
            return;
        }
        let mut state = self.lock();
        if frame.kind == Kind::Leave {
            state.left.insert(peer);
        } else {
            state.inbox.entry(peer).or_default().push_back(frame);
        }
        self.changed.notify_all();
    }

    /// The connection to `peer` is at its end.
    fn ended(&self, peer: u32) {
        let in_order = {
            let mut state = self.lock();
            state.closed.insert(peer);
            self.changed.notify_all();
            state.left.contains(&peer)
        };
        if !in_order {
            self.settle(&Verdict::new(peer, How::Closed));
        }
    }

    /// Judges complaints when their time has come.
    fn judge(&self) {
        let chosen = {
            let state = self.lock();
            match state.first_complaint {
                Some(since) if since.elapsed() >= COMPLAINTS_FOR => choose(&state.complaints),
                _ => None,
            }
        };
        if let Some(verdict) = chosen {
            self.settle(&verdict);
        }
    }
}

fn shut_links(state: &mut State) {
    for links in state.links.drain(..).filter_map(|links| links.upgrade()) {
        links.shut();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads from all peers until the last connection has ended.
fn read_all(shared: &Shared, mut peers: Vec<(u32, TcpStream, Frames)>) {
    let mut buffer = vec![0; 1 << 16];
    // What came together with the first message of a connection waits already.
    peers.retain_mut(|(peer, _, frames)| deliver_all(shared, *peer, frames));
    while !peers.is_empty() {
        shared.judge();
        let mut sources: Vec<PollFd<'_>> = peers
            .iter()
            .map(|(_, stream, _)| PollFd::new(stream, PollFlags::IN))
            .collect();
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: i64::from(LOOK.subsec_nanos()),
        };
        // Only an interruption is expected here, and it is a reason to look again as any other.
        let ready = poll(&mut sources, Some(&timeout)).unwrap_or(0);
        if ready == 0 {
            continue;
        }
        let mut awake = sources
            .iter()
            .map(|source| !source.revents().is_empty())
            .collect::<Vec<bool>>()
            .into_iter();
        peers.retain_mut(|(peer, stream, frames)| {
            if !awake.next().unwrap_or(false) {
                return true;
            }
            match stream.read(&mut buffer) {
                Ok(count) if count > 0 => {
                    frames.push(&buffer[..count]);
                    deliver_all(shared, *peer, frames)
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => true,
                Ok(_) | Err(_) => {
                    shared.ended(*peer);
                    false
                }
            }
        });
    }
}

/// False if what came is no message and the connection is of no use any more.
fn deliver_all(shared: &Shared, peer: u32, frames: &mut Frames) -> bool {
    loop {
        match frames.pop() {
            Ok(Some(frame)) => shared.deliver(peer, frame),
            Ok(None) => return true,
            Err(error) => {
                shared.settle(&Verdict::new(peer, How::Broken(error.to_string())));
                shared.ended(peer);
                return false;
            }
        }
    }
}
