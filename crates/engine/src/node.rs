//! A node of a run: its session and what it said of itself.

use std::time::Duration;

use flagperf_model::{Absent, MachineFacts, NodeName, SeriesDecl};
use flagperf_transport::{Events, Launch, OpenError, Session, SessionEvent};
use flagperf_wire::{FromAgent, Timing, ToAgent};
use tokio::time::timeout;

/// How long a node may take for each step of coming up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A node that is ready.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub name: NodeName,
    /// What it is.
    pub facts: MachineFacts,
    /// The series its monitors record.
    pub series: Vec<SeriesDecl>,
    /// The series it does not have, and why.
    pub absent: Vec<Absent>,
    pub(crate) session: Session,
    pub(crate) events: Events,
}

impl Node {
    /// Ends the session and waits until the agent has left, at most `patience`.
    pub async fn close(self, patience: Duration) {
        close(&self.session, self.events, patience).await;
    }
}

pub(crate) async fn close(session: &Session, mut events: Events, patience: Duration) {
    session.send(ToAgent::Shutdown);
    let ended = async {
        while let Some(event) = events.next().await {
            if matches!(event, SessionEvent::Closed(_)) {
                break;
            }
        }
    };
    // An agent that does not leave in time is ended by its channel's end.
    let _ = timeout(patience, ended).await;
}

/// Why a node did not come up.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No session.
    #[error("node {node}: no session with its agent")]
    Open {
        /// The node.
        node: NodeName,
        /// Why.
        #[source]
        source: OpenError,
    },
    /// The agent did not say what the machine is.
    #[error("node {node}: its agent did not answer: {reason}")]
    Facts {
        /// The node.
        node: NodeName,
        /// What is known.
        reason: String,
    },
}

/// Brings a node up: opens a session and asks what the machine is.
///
/// # Errors
///
/// See [`ConnectError`].
pub async fn connect(
    name: NodeName,
    launch: &Launch,
    build: [u8; 32],
    timing: Timing,
) -> Result<Node, ConnectError> {
    let (session, mut events) = match Session::open(launch, build, timing, PATIENCE).await {
        Ok(pair) => pair,
        Err(source) => return Err(ConnectError::Open { node: name, source }),
    };
    session.send(ToAgent::Facts);
    let answer = timeout(PATIENCE, async {
        loop {
            match events.next().await {
                Some(SessionEvent::Message(FromAgent::Facts {
                    facts,
                    series,
                    absent,
                })) => return Ok((facts, series, absent)),
                Some(SessionEvent::Closed(reason)) => return Err(reason),
                Some(SessionEvent::Message(_) | SessionEvent::Silent(_) | SessionEvent::Back) => {}
                None => return Err("its channel is closed".to_owned()),
            }
        }
    })
    .await
    .unwrap_or_else(|_| Err(format!("no facts within {} s", PATIENCE.as_secs())));
    match answer {
        Ok((facts, series, absent)) => Ok(Node {
            name,
            facts: *facts,
            series,
            absent,
            session,
            events,
        }),
        Err(reason) => Err(ConnectError::Facts { node: name, reason }),
    }
}
