//! A whole run: its cases one after another.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flagperf_model::{Event, EventKind, Outcome, Plan, PlannedCase, Timestamp};
use flagperf_transport::{Events, Session, SessionEvent};
use flagperf_wire::ToAgent;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::case_run::CaseRun;
use crate::emission::{Consumer, Emission};
use crate::node::Node;

/// How long an agent may take to leave when the run is over.
const LEAVING: Duration = Duration::from_secs(5);

/// The same when the user asked a second time to stop.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How a run came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Rounds that passed.
    pub passed: u32,
    /// Rounds that failed in whatever way, or never had their turn.
    pub failed: u32,
    /// Rounds that the machine cannot run, and that were not asked for by name.
    pub unsupported: u32,
    /// How many times the user asked to stop.
    pub interrupts: u32,
}

/// A node while the run lasts.
pub(crate) struct ActiveNode {
    pub(crate) name: flagperf_model::NodeName,
    pub(crate) session: Session,
    /// Why it is lost, if it is.
    pub(crate) lost: Option<String>,
}

/// What the loop waits for.
pub(crate) enum Incoming {
    Agent(usize, SessionEvent),
    Interrupt,
}

/// Everything a run shares between its cases.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) nodes: Vec<ActiveNode>,
    pub(crate) incoming: UnboundedReceiver<Incoming>,
    pub(crate) consumer: &'a mut dyn Consumer,
    pub(crate) interrupts: u32,
    pub(crate) next_task: u32,
}

impl Context<'_> {
    pub(crate) fn tell(&mut self, what: EventKind) {
        self.tell_at(now(), what);
    }

    pub(crate) fn tell_at(&mut self, at: Timestamp, what: EventKind) {
        self.consumer.take(&Emission::Event(&Event { at, what }));
    }

    pub(crate) fn interrupted(&mut self) {
        self.interrupts += 1;
        let count = self.interrupts;
        self.tell(EventKind::Interrupted { count });
    }

    /// Takes in what came while no case ran.
    pub(crate) fn catch_up(&mut self) {
        while let Ok(incoming) = self.incoming.try_recv() {
            match incoming {
                Incoming::Interrupt => self.interrupted(),
                Incoming::Agent(node, SessionEvent::Closed(reason)) => self.lose(node, reason),
                // Silence matters to a case, and late words about one that is over to nobody.
                Incoming::Agent(..) => {}
            }
        }
    }

    /// True when the user asked to stop at once.
    pub(crate) fn is_urgent(&self) -> bool {
        self.interrupts > 1
    }

    pub(crate) fn lose(&mut self, node: usize, reason: String) {
        let name = self.nodes[node].name.clone();
        self.nodes[node].lost = Some(reason.clone());
        self.tell(EventKind::NodeLost { node: name, reason });
    }
}

/// The controller's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |duration| duration.as_nanos() as i64))
}

/// Runs a plan on the nodes it names, in their order, and closes them. Each item from `interrupts` asks
/// to stop: the first in order, the second at once.
pub async fn run(
    plan: &Plan,
    nodes: Vec<Node>,
    mut interrupts: UnboundedReceiver<()>,
    consumer: &mut dyn Consumer,
) -> Totals {
    let began = now();
    let (merged, incoming) = unbounded_channel();
    let mut active = Vec::with_capacity(nodes.len());
    let mut forwarders = Vec::with_capacity(nodes.len());
    let mut ready = Vec::with_capacity(nodes.len());
    for (place, node) in nodes.into_iter().enumerate() {
        ready.push(EventKind::NodeReady {
            node: node.name.clone(),
            facts: Box::new(node.facts),
        });
        let merged = merged.clone();
        let mut events: Events = node.events;
        forwarders.push(tokio::spawn(async move {
            while let Some(event) = events.next().await {
                if merged.send(Incoming::Agent(place, event)).is_err() {
                    return;
                }
            }
        }));
        active.push(ActiveNode {
            name: node.name,
            session: node.session,
            lost: None,
        });
    }
    tokio::spawn(async move {
        while interrupts.recv().await.is_some() {
            if merged.send(Incoming::Interrupt).is_err() {
                return;
            }
        }
    });
    let mut context = Context {
        plan,
        nodes: active,
        incoming,
        consumer,
        interrupts: 0,
        next_task: 1,
    };
    for event in ready {
        context.tell(event);
    }
    let mut totals = Totals::default();
    for (index, case) in plan.cases.iter().enumerate() {
        match one_round(&mut context, index, case).await {
            Outcome::Passed => totals.passed += 1,
            Outcome::Unsupported { .. } if !case.named => totals.unsupported += 1,
            _ => totals.failed += 1,
        }
    }
    context.catch_up();
    totals.interrupts = context.interrupts;
    let patience = if context.is_urgent() {
        AT_ONCE
    } else {
        LEAVING
    };
    leave(context.nodes, forwarders, patience).await;
    let ended = Event {
        at: now(),
        what: EventKind::RunEnded {
            passed: totals.passed,
            failed: totals.failed,
            unsupported: totals.unsupported,
            seconds: now().seconds_since(began),
        },
    };
    context.consumer.take(&Emission::Event(&ended));
    totals
}

/// Tells all agents to leave, and waits for them together.
async fn leave(
    nodes: Vec<ActiveNode>,
    forwarders: Vec<tokio::task::JoinHandle<()>>,
    patience: Duration,
) {
    for node in &nodes {
        node.session.send(ToAgent::Shutdown);
    }
    let all_left = async {
        for forwarder in forwarders {
            // A forwarder ends with its session's last event.
            drop(forwarder.await);
        }
    };
    drop(tokio::time::timeout(patience, all_left).await);
}

async fn one_round(context: &mut Context<'_>, index: usize, case: &PlannedCase) -> Outcome {
    context.catch_up();
    let outcome = if context.interrupts > 0 || context.nodes.iter().any(|node| node.lost.is_some())
    {
        Outcome::NotRun
    } else if let Some(feature) = case.unsupported.clone() {
        Outcome::Unsupported { feature }
    } else {
        return CaseRun::new(context, index, case).await_end().await;
    };
    context.tell(EventKind::CaseEnded {
        case: case.name().clone(),
        round: case.round,
        outcome: outcome.clone(),
        seconds: 0.0,
        tail: Vec::new(),
    });
    outcome
}
