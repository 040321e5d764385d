//! All ranks, seen from one of them: what they decide, tell and open together.
//!
//! Each rank keeps its connection to rank 0 from the meeting for decisions and reports. Ranks connect to one another as
//! their work needs it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::control::Control;
use super::dial::{WELCOME, call, confirm, prepare};
use super::error::{How, NetError, Verdict};
use super::frame::Kind;
use super::hello::{Hello, LONGEST_TOKEN, Purpose};
use super::links::Links;
use super::listener::Listener;
use super::meeting::{join, receive_all};
use crate::driver::Cluster;

/// How often a wait for a call looks whether somebody is to blame.
const LOOK: Duration = Duration::from_millis(100);

/// How long a call that was refused waits for word of whose fault it is.
const WORD: Duration = Duration::from_secs(1);

/// Names of the ranks, for messages.
#[derive(Debug, Clone)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// The nodes' names, by rank.
    pub(super) fn new(nodes: Vec<String>) -> Self {
        Self(nodes)
    }

    /// Name of the node of a rank.
    pub(super) fn node(&self, rank: u32) -> &str {
        self.0.get(rank as usize).map_or("?", String::as_str)
    }

    /// Node and rank.
    pub(super) fn who(&self, rank: u32) -> String {
        format!("node {} (rank {rank})", self.node(rank))
    }
}

/// All ranks, seen from one of them.
pub(super) struct Mesh {
    rank: u32,
    world: u32,
    names: Names,
    token: Vec<u8>,
    patience: Duration,
    control: Control,
    listener: Listener,
    addresses: Vec<SocketAddr>,
    stage: String,
    /// How long the present stage takes by itself.
    expected: Duration,
}

impl Mesh {
    /// Meets the other ranks; returns when all are there.
    pub(super) fn meet(cluster: &Cluster, patience: Duration) -> Result<Self, NetError> {
        let names = Names::new(cluster.nodes.clone());
        let token: Vec<u8> = cluster.token.bytes().take(LONGEST_TOKEN).collect();
        let (listener, control, addresses) = if cluster.rank == 0 {
            receive_all(cluster, &names, &token, patience)?
        } else {
            join(cluster, &names, &token, patience)?
        };
        Ok(Self {
            rank: cluster.rank,
            world: cluster.world,
            names,
            token,
            patience,
            control,
            listener,
            addresses,
            stage: "the meeting".to_owned(),
            expected: Duration::ZERO,
        })
    }

    /// This rank.
    pub(super) fn rank(&self) -> u32 {
        self.rank
    }

    /// Number of ranks.
    pub(super) fn world(&self) -> u32 {
        self.world
    }

    /// The ranks' names.
    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// Begins a stage that takes about so long; its name stands in errors behind "during".
    pub(super) fn enter(&mut self, stage: impl Into<String>, expected: Duration) {
        self.stage = stage.into();
        self.expected = expected;
    }

    /// What rank 0 says, everywhere.
    pub(super) fn agree(&mut self, word: u64) -> Result<u64, NetError> {
        if self.rank == 0 {
            for peer in 1..self.world {
                self.send(peer, Kind::Decision, word.to_le_bytes().to_vec())?;
            }
            return Ok(word);
        }
        let body = self.receive(0, Kind::Decision)?;
        let word = body.try_into().map(u64::from_le_bytes);
        word.map_err(|_| self.protocol(0, "a decision of another size"))
    }

    /// Brings what each rank has to rank 0, which gets all by rank; the others get `None`.
    pub(super) fn gather(&mut self, body: Vec<u8>) -> Result<Option<Vec<Vec<u8>>>, NetError> {
        if self.rank != 0 {
            self.send(0, Kind::Report, body)?;
            return Ok(None);
        }
        let mut all = vec![body];
        for peer in 1..self.world {
            all.push(self.receive(peer, Kind::Report)?);
        }
        Ok(Some(all))
    }

    /// Waits for all ranks.
    pub(super) fn barrier(&mut self) -> Result<(), NetError> {
        self.gather(Vec::new())?;
        self.agree(0)?;
        Ok(())
    }

    /// Opens `count` connections to `peer`, which has to [`accept`](Self::accept) them.
    pub(super) fn dial(&self, peer: u32, tag: u32, count: u16) -> Result<Dialled, NetError> {
        let address = self.addresses[peer as usize];
        let dialled = (0..count).map(|stream| {
            let purpose = Purpose::Link { tag, stream };
            call(address, &self.hello(purpose), self.patience)
        });
        match dialled.collect() {
            Ok(streams) => Ok(Dialled { peer, streams }),
            Err(error) => Err(self.broken_call(peer, address, &error)),
        }
    }

    /// Waits until the peer has accepted the connections.
    pub(super) fn confirm(&self, mut dialled: Dialled) -> Result<Vec<TcpStream>, NetError> {
        let confirmed: io::Result<()> = dialled.streams.iter_mut().try_for_each(confirm);
        match confirmed {
            Ok(()) => Ok(dialled.streams),
            Err(error) => Err(self.broken(dialled.peer, &error)),
        }
    }

    /// Takes the `count` connections that `peer` dials, in their order.
    pub(super) fn accept(
        &mut self,
        peer: u32,
        tag: u32,
        count: u16,
    ) -> Result<Vec<TcpStream>, NetError> {
        let until = Instant::now() + self.patience;
        let mut found: BTreeMap<u16, TcpStream> = BTreeMap::new();
        while found.len() < usize::from(count) {
            if let Some(error) = self.known() {
                return Err(error);
            }
            if Instant::now() >= until {
                let how = How::Silent(self.patience.as_secs());
                return Err(self.accuse(Verdict::new(peer, how)));
            }
            let Some(mut caller) = self.listener.next(until.min(Instant::now() + LOOK))? else {
                continue;
            };
            let Purpose::Link { tag: of, stream } = caller.hello.purpose else {
                continue;
            };
            let ours = caller.hello.token == self.token && caller.hello.rank == peer;
            if ours && of == tag && stream < count {
                let welcomed = prepare(&caller.stream, self.patience)
                    .and_then(|()| caller.stream.write_all(&WELCOME));
                welcomed.map_err(|error| self.broken(peer, &error))?;
                found.insert(stream, caller.stream);
            }
        }
        Ok(found.into_values().collect())
    }

    /// Has these connections closed as soon as some rank fails.
    pub(super) fn watch<'a>(
        &self,
        streams: impl IntoIterator<Item = &'a TcpStream>,
    ) -> Result<Arc<Links>, NetError> {
        let links = Links::of(streams).map_err(|source| NetError::System {
            action: "a connection cannot be watched",
            source,
        })?;
        let links = Arc::new(links);
        self.control.watch(&links);
        Ok(links)
    }

    /// Why the work of all has ended, if it has.
    pub(super) fn known(&self) -> Option<NetError> {
        let verdict = self.control.verdict(Instant::now());
        verdict.map(|verdict| self.error(&verdict))
    }

    /// The error of a connection to `peer`, or its cause if that lies elsewhere.
    pub(super) fn broken(&self, peer: u32, error: &io::Error) -> NetError {
        let own = Verdict::of(peer, error, self.patience.as_secs());
        self.accuse(own)
    }

    /// The error of a `peer` to whose machine nothing comes through, or its cause if that lies
    /// elsewhere.
    pub(super) fn unheard(&self, peer: u32) -> NetError {
        self.accuse(Verdict::new(peer, How::Unheard(self.patience.as_secs())))
    }

    /// Tells the others that this rank fails, and leaves.
    pub(super) fn fail(self, message: &str) {
        // Where somebody else is to blame, everybody knows already.
        if self.control.verdict(Instant::now()).is_none() {
            let said = How::Said(message.to_owned());
            self.control.blame(Verdict::new(self.rank, said));
        }
    }

    /// Leaves in good order, once all do.
    pub(super) fn leave(self) -> Result<(), NetError> {
        let until = self.deadline();
        let seconds = self.patience.as_secs();
        let (names, stage) = (self.names, self.stage);
        self.control.leave(until).map_err(|verdict| {
            let verdict = verdict.unwrap_or(Verdict::new(0, How::Silent(seconds)));
            verdict.error(names.who(verdict.culprit), &stage)
        })
    }

    fn hello(&self, purpose: Purpose) -> Hello {
        Hello {
            rank: self.rank,
            world: self.world,
            purpose,
            token: self.token.clone(),
        }
    }

    /// When a wait for a message ends. The data connections have had their own patience by then,
    /// and rank 0 has less than the others, so that whoever is blamed is the right one.
    fn deadline(&self) -> Instant {
        let patience = self.patience * if self.rank == 0 { 2 } else { 3 };
        Instant::now() + self.expected + patience
    }

    fn send(&self, peer: u32, kind: Kind, body: Vec<u8>) -> Result<(), NetError> {
        let sent = self.control.send(peer, kind, body);
        sent.map_err(|error| self.broken(peer, &error))
    }

    fn receive(&self, peer: u32, kind: Kind) -> Result<Vec<u8>, NetError> {
        let begin = Instant::now();
        match self.control.receive(peer, self.deadline()) {
            Some(Ok(frame)) if frame.kind == kind => Ok(frame.body),
            Some(Ok(frame)) => {
                Err(self.protocol(peer, &format!("{:?} instead of {kind:?}", frame.kind)))
            }
            Some(Err(verdict)) => Err(self.error(&verdict)),
            None => {
                let how = How::Silent(begin.elapsed().as_secs());
                Err(self.accuse(Verdict::new(peer, how)))
            }
        }
    }

    /// The error of a peer that said what does not belong here.
    pub(super) fn protocol(&self, peer: u32, problem: &str) -> NetError {
        NetError::Protocol {
            who: self.names.who(peer),
            stage: self.stage.clone(),
            problem: problem.to_owned(),
        }
    }

    /// Blames somebody, unless somebody else is to blame already.
    fn accuse(&self, own: Verdict) -> NetError {
        let known = self.control.verdict(Instant::now());
        self.error(&known.unwrap_or_else(|| self.control.blame(own)))
    }

    fn error(&self, verdict: &Verdict) -> NetError {
        verdict.error(self.names.who(verdict.culprit), &self.stage)
    }

    fn broken_call(&self, peer: u32, address: SocketAddr, error: &io::Error) -> NetError {
        if let Some(verdict) = self.control.verdict(Instant::now() + WORD) {
            return self.error(&verdict);
        }
        NetError::Unreachable {
            who: self.names.who(peer),
            address: address.to_string(),
            seconds: self.patience.as_secs(),
            reason: error.to_string(),
        }
    }
}

/// Connections that were opened and not yet accepted.
pub(super) struct Dialled {
    peer: u32,
    streams: Vec<TcpStream>,
}
