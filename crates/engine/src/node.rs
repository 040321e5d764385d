//! The nodes of a run: bringing them up together, each with its own bounded attempt.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flagperf_model::{
    Absent, BadNode, ChipWatch, ClockOffset, Launcher, MachineFacts, NodeSpec, ProgramSource,
    SeriesDecl,
};
use flagperf_transport::{
    Events, Launch, Programs, Session, SessionEvent, Terms, leaves_cipher_open,
};
use flagperf_wire::{FromAgent, Timing, ToAgent, output_window};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Where the machine's configuration lies.
const SYSTEM: &str = "/etc";

/// A node that is ready.
#[derive(Debug)]
pub struct Node {
    /// How it was reached.
    pub spec: NodeSpec,
    /// Its place in the list of nodes.
    pub rank: u32,
    /// What it is.
    pub facts: MachineFacts,
    /// The series its monitors record.
    pub series: Vec<SeriesDecl>,
    /// The series of its chips.
    pub chip_series: Vec<SeriesDecl>,
    /// The series it does not have, and why.
    pub absent: Vec<Absent>,
    /// The address at which others most likely reach it, as it sees itself.
    pub address: Option<String>,
    /// A TCP port that nobody listened on when it came up.
    pub free_port: Option<u16>,
    /// What tells its place from any other; absent where the system does not say.
    pub(crate) place: Option<String>,
    /// How its session is held; a session through it is held in the same way.
    pub(crate) terms: Option<Terms>,
    pub(crate) session: Session,
    pub(crate) events: Events,
}

impl Node {
    /// Its clock against the controller's.
    pub fn clock(&self) -> ClockOffset {
        self.session.clock()
    }

    /// What its login shell printed before the agent began; empty if it kept still.
    pub fn noise(&self) -> &str {
        self.session.noise()
    }
}

/// How nodes are brought up.
#[derive(Debug, Clone)]
pub struct BringUp {
    /// The program, for this machine and for others.
    pub programs: Arc<Programs>,
    /// A word that nobody can guess, made of letters and digits.
    pub secret: String,
    /// Heartbeats and silence.
    pub timing: Timing,
    /// What one node has to come up.
    pub patience: Duration,
    /// The chips that agents look for. What that takes is not counted as patience.
    pub chips: Arc<ChipWatch>,
    /// How many are brought up at a time.
    pub max_parallel: usize,
    /// The version that agents must have.
    pub version: &'static str,
    /// The user's home directory, where ssh's configuration lies.
    pub home: Option<PathBuf>,
}

/// Brings all nodes up in parallel, in one attempt each. The result is in the order of the list.
pub async fn connect_all(
    nodes: &[NodeSpec],
    own: &Path,
    bring_up: &BringUp,
) -> Vec<Result<Node, BadNode>> {
    let gate = Arc::new(Semaphore::new(bring_up.max_parallel.max(1)));
    let window = output_window(nodes.len());
    let hash = bring_up.programs.own_hash_hex();
    // Nodes share a configuration, which is read once.
    let mut ciphers = BTreeMap::new();
    let mut attempts = JoinSet::new();
    for (place, spec) in nodes.iter().cloned().enumerate() {
        let nonce = format!("{}{place}", bring_up.secret);
        let open = match &spec.launcher {
            Launcher::Ssh(target) => {
                *ciphers
                    .entry(target.config.clone())
                    .or_insert_with_key(|config| {
                        leaves_cipher_open(
                            config.as_deref().map(Path::new),
                            bring_up.home.as_deref(),
                            Path::new(SYSTEM),
                        )
                    })
            }
            Launcher::Local | Launcher::Exec { .. } => false,
        };
        let launch = Launch::new(&spec, own, &hash, &nonce, bring_up.patience, open);
        let terms = Terms {
            timing: bring_up.timing,
            patience: bring_up.patience,
            window,
            pack: spec.launcher != Launcher::Local,
            scratch: match &spec.program {
                ProgramSource::PlacedIn(directory) => Some(directory.clone()),
                ProgramSource::Placed | ProgramSource::Installed(_) => None,
            },
            chips: Arc::clone(&bring_up.chips),
            version: bring_up.version,
        };
        let programs = Arc::clone(&bring_up.programs);
        let gate = Arc::clone(&gate);
        attempts.spawn(async move {
            // The gate is never closed.
            let turn = gate.acquire().await;
            let result = connect(spec, place as u32, &launch, &programs, &terms).await;
            drop(turn);
            (place, result)
        });
    }
    let mut results: Vec<Option<Result<Node, BadNode>>> = nodes.iter().map(|_| None).collect();
    while let Some(joined) = attempts.join_next().await {
        if let Ok((place, result)) = joined {
            results[place] = Some(result);
        }
    }
    results
        .into_iter()
        .zip(nodes)
        .map(|(result, spec)| {
            result.unwrap_or_else(|| {
                Err(bad(spec, "bringing it up failed inside this program", None))
            })
        })
        .collect()
}

fn bad(spec: &NodeSpec, reason: impl Into<String>, hint: Option<String>) -> BadNode {
    BadNode {
        node: spec.name.clone(),
        reason: reason.into(),
        hint,
    }
}

/// Brings one node up: opens a session and asks what the machine is.
async fn connect(
    spec: NodeSpec,
    rank: u32,
    launch: &Launch,
    programs: &Programs,
    terms: &Terms,
) -> Result<Node, BadNode> {
    let deadline = tokio::time::Instant::now() + terms.patience;
    let (session, events) = match Session::open(launch, programs, terms).await {
        Ok(pair) => pair,
        Err(error) => {
            let hint = error.hint();
            let mut text = error.to_string();
            if let Some(cause) = std::error::Error::source(&error) {
                text = format!("{text}: {cause}");
            }
            return Err(bad(&spec, text, hint));
        }
    };
    let left = deadline.saturating_duration_since(tokio::time::Instant::now());
    facts_of(spec, rank, session, events, left + looking(terms))
        .await
        .map(|mut node| {
            node.terms = Some(terms.clone());
            node
        })
}

/// What an agent may take to look for chips before it tells what the machine is.
pub(crate) fn looking(terms: &Terms) -> Duration {
    Duration::from_nanos(terms.chips.patience_ns())
}

/// Hears from an agent that has come up what the machine is.
pub(crate) async fn facts_of(
    spec: NodeSpec,
    rank: u32,
    session: Session,
    mut events: Events,
    patience: Duration,
) -> Result<Node, BadNode> {
    let answer = async {
        loop {
            match events.next().await {
                Some(SessionEvent::Message(FromAgent::Facts {
                    facts,
                    series,
                    chip_series,
                    absent,
                    address,
                    free_port,
                    place,
                })) => {
                    let told = (facts, series, chip_series, absent);
                    return Ok((told, address, free_port, place));
                }
                Some(SessionEvent::Closed { reason, .. }) => {
                    let hint = matches!(spec.launcher, Launcher::Exec { .. })
                        .then(|| flagperf_transport::EXEC_HINT.to_owned());
                    return Err((
                        format!("its agent ended before it had answered: {reason}"),
                        hint,
                    ));
                }
                Some(SessionEvent::Message(_) | SessionEvent::Silent(_) | SessionEvent::Back) => {}
                None => return Err(("its channel is closed".to_owned(), None)),
            }
        }
    };
    let answer = timeout(patience, answer).await.unwrap_or_else(|_| {
        let seconds = patience.as_secs_f64();
        let reason = format!("its agent had not told what the machine is within {seconds:.0} s");
        Err((reason, None))
    });
    match answer {
        Ok(((facts, series, chip_series, absent), address, free_port, place)) => Ok(Node {
            spec,
            rank,
            facts: *facts,
            series,
            chip_series,
            absent,
            address,
            free_port,
            place,
            session,
            events,
            terms: None,
        }),
        Err((reason, hint)) => Err(bad(&spec, reason, hint)),
    }
}

/// Ends the sessions of nodes that are not needed after all, and waits until their agents have left, at
/// most `patience`.
pub async fn close_all(nodes: Vec<Node>, patience: Duration) {
    let mut leaving = JoinSet::new();
    for mut node in nodes {
        node.session.send(ToAgent::Shutdown);
        leaving.spawn(async move {
            while let Some(event) = node.events.next().await {
                if matches!(event, SessionEvent::Closed { .. }) {
                    break;
                }
            }
        });
    }
    // An agent that does not leave in time is ended by its channel's end.
    let all = async { while leaving.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(patience, all).await;
}
