//! A whole run: its cases one after another.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use flagperf_model::{
    Cause, Event, EventKind, Launcher, NodeName, NodeScope, Outcome, Plan, PlannedCase, Stage,
    Timestamp,
};
use flagperf_transport::{Events, Session, SessionEvent, now};
use flagperf_wire::{FromAgent, ToAgent, TreeId};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;

use crate::alias;
use crate::case_run::CaseRun;
use crate::emission::{Consumer, Emission};
use crate::environment::{self, Entered};
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

/// What a run is to do, beside its plan.
#[derive(Debug)]
pub struct RunRequest<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Which of the plan's rounds to run, by place.
    pub rounds: &'a [usize],
    /// Case directories, packed as `flagperf-archive` does, by their path on the controller.
    pub trees: &'a BTreeMap<String, Arc<[u8]>>,
    /// True if cases that do not span their nodes go on when a node is lost.
    pub tolerant: bool,
}

/// A node while the run lasts.
pub(crate) struct ActiveNode {
    pub(crate) name: NodeName,
    /// Its place in the plan.
    pub(crate) place: usize,
    /// True if it is this machine, where case directories are used as they are.
    pub(crate) is_local: bool,
    pub(crate) session: Session,
    /// Why it is lost, if it is.
    pub(crate) lost: Option<String>,
    /// Directories that it has a copy of.
    pub(crate) trees: BTreeSet<TreeId>,
}

/// What the loop waits for.
pub(crate) enum Incoming {
    Agent(usize, SessionEvent),
    Interrupt,
}

/// Everything a run shares between its cases.
pub(crate) struct Context<'a> {
    pub(crate) request: &'a RunRequest<'a>,
    pub(crate) nodes: Vec<ActiveNode>,
    /// Their places in `nodes`, by name.
    pub(crate) places: HashMap<NodeName, usize>,
    pub(crate) incoming: UnboundedReceiver<Incoming>,
    pub(crate) consumer: &'a mut dyn Consumer,
    pub(crate) interrupts: u32,
    pub(crate) next_task: u32,
    failures: Option<Failures>,
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
                Incoming::Agent(node, SessionEvent::Closed { reason, .. }) => {
                    self.lose(node, reason);
                }
                // Files that were given up still take up the window until they are taken.
                Incoming::Agent(node, SessionEvent::Message(FromAgent::Files { bytes, .. })) => {
                    let bytes = bytes.len() as u64;
                    self.nodes[node].session.send(ToAgent::Credit { bytes });
                }
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
        if self.nodes[node].lost.is_some() {
            return;
        }
        self.nodes[node].lost = Some(reason.clone());
        // It may still be there, only not do what it should.
        self.nodes[node].session.send(ToAgent::Shutdown);
        self.tell(EventKind::NodeLost { node: name, reason });
    }
}

/// Runs a plan on the nodes it names, in their order, and closes them. In container mode it makes their
/// containers first and takes them away afterwards. Each item from `interrupts` asks to stop: the first in order,
/// the second at once.
pub async fn run(
    request: &RunRequest<'_>,
    nodes: Vec<Node>,
    interrupts: UnboundedReceiver<()>,
    consumer: &mut dyn Consumer,
) -> Totals {
    let began = now();
    let interrupts = counted(interrupts);
    let totals = match request.plan.environment.container() {
        None => {
            let start = Start::default();
            cases(request, nodes, start, interrupts, consumer).await
        }
        Some(container) => {
            let wanted = environment::Request {
                plan: request.plan,
                container,
                trees: request.trees,
                tolerant: request.tolerant,
            };
            let entered = environment::enter(&wanted, nodes, interrupts.clone(), consumer).await;
            let start = Start {
                next_task: entered.next_task,
                interrupts: entered.interrupts,
                failures: Failures::of(&entered),
            };
            for node in &entered.nodes {
                consumer.take(&Emission::Series {
                    node: &node.spec.name,
                    series: &node.series,
                    chips: &node.facts.chips,
                    chip_series: &node.chip_series,
                    absent: &node.absent,
                });
            }
            let totals = cases(request, entered.nodes, start, interrupts.clone(), consumer).await;
            let hosts = entered.hosts;
            environment::leave(&wanted, hosts, interrupts, totals.interrupts, consumer).await;
            totals
        }
    };
    let ended = Event {
        at: now(),
        what: EventKind::RunEnded {
            passed: totals.passed,
            failed: totals.failed,
            unsupported: totals.unsupported,
            seconds: now().seconds_since(began),
        },
    };
    consumer.take(&Emission::Event(&ended));
    totals
}

/// How often the user has asked to stop.
fn counted(mut interrupts: UnboundedReceiver<()>) -> watch::Receiver<u32> {
    let (count, counted) = watch::channel(0);
    tokio::spawn(async move {
        while interrupts.recv().await.is_some() {
            count.send_modify(|count| *count += 1);
        }
    });
    counted
}

/// What came before the cases.
struct Start {
    /// The first number that a task may have.
    next_task: u32,
    /// How often the user had asked to stop.
    interrupts: u32,
    failures: Option<Failures>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            next_task: 1,
            interrupts: 0,
            failures: None,
        }
    }
}

/// Nodes whose container could not be made ready.
pub(crate) struct Failures {
    outcome: Outcome,
    tail: Vec<String>,
    /// True if no node has a container.
    all: bool,
}

impl Failures {
    fn of(entered: &Entered) -> Option<Self> {
        let failures = entered.failures();
        let ((node, step, error), others) = failures.split_first()?;
        Some(Self {
            outcome: Outcome::Failed {
                node: node.name.clone(),
                stage: Stage::Launch,
                cause: Cause::Environment {
                    step: *step,
                    reason: error.reason.clone(),
                },
                also: others
                    .iter()
                    .map(|(node, _, _)| node.name.clone())
                    .collect(),
            },
            tail: error.tail.clone(),
            all: entered.nodes.is_empty(),
        })
    }
}

/// Runs the cases on nodes that are ready, and closes them.
async fn cases(
    request: &RunRequest<'_>,
    nodes: Vec<Node>,
    start: Start,
    mut interrupts: watch::Receiver<u32>,
    consumer: &mut dyn Consumer,
) -> Totals {
    let (merged, incoming) = unbounded_channel();
    let mut active = Vec::with_capacity(nodes.len());
    let mut forwarders = Vec::with_capacity(nodes.len());
    let mut ready = Vec::with_capacity(nodes.len());
    let same = alias::warnings(&nodes);
    for (place, node) in nodes.into_iter().enumerate() {
        ready.push(EventKind::NodeReady {
            node: node.spec.name.clone(),
            clock: node.clock(),
            facts: Box::new(node.facts),
            here: node.spec.launcher == Launcher::Local,
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
            name: node.spec.name,
            place: node.rank as usize,
            is_local: node.spec.launcher == Launcher::Local
                && request.plan.environment.container().is_none(),
            session: node.session,
            lost: None,
            trees: BTreeSet::new(),
        });
    }
    let mut heard = start.interrupts;
    tokio::spawn(async move {
        loop {
            while heard < *interrupts.borrow_and_update() {
                heard += 1;
                if merged.send(Incoming::Interrupt).is_err() {
                    return;
                }
            }
            if interrupts.changed().await.is_err() {
                return;
            }
        }
    });
    let mut context = Context {
        request,
        places: active
            .iter()
            .enumerate()
            .map(|(place, node)| (node.name.clone(), place))
            .collect(),
        nodes: active,
        incoming,
        consumer,
        interrupts: start.interrupts,
        next_task: start.next_task,
        failures: start.failures,
    };
    for event in ready.into_iter().chain(same) {
        context.tell(event);
    }
    let mut totals = Totals::default();
    for &index in request.rounds {
        let case = &request.plan.cases[index];
        match one_round(&mut context, index, case).await {
            Outcome::Passed => totals.passed += 1,
            Outcome::Unsupported { .. } if !case.named => totals.unsupported += 1,
            _ => totals.failed += 1,
        }
    }
    context.catch_up();
    totals.interrupts = context.interrupts;
    // A container that stays keeps its channel: nothing tells that its agent has heard.
    let stays = request
        .plan
        .environment
        .container()
        .is_some_and(|plan| plan.keep);
    let patience = if context.is_urgent() || stays {
        AT_ONCE
    } else {
        LEAVING
    };
    leave(context.nodes, forwarders, patience).await;
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
    let spans = case.spec.nodes == NodeScope::All;
    let lost = context
        .nodes
        .iter()
        .filter(|node| node.lost.is_some())
        .count();
    let stops = lost > 0 && (spans || !context.request.tolerant || lost == context.nodes.len());
    let broken = context
        .failures
        .as_ref()
        .filter(|failures| failures.all || spans || !context.request.tolerant)
        .map(|failures| (failures.outcome.clone(), failures.tail.clone()));
    let mut tail = Vec::new();
    let outcome = if context.interrupts > 0 {
        Outcome::NotRun
    } else if let Some((outcome, last_lines)) = broken {
        tail = last_lines;
        outcome
    } else if stops {
        Outcome::NotRun
    } else if let Some(feature) = case.unsupported.clone() {
        Outcome::Unsupported { feature }
    } else if let Some(reason) = case.skipped.clone() {
        Outcome::Skipped { reason }
    } else {
        return CaseRun::new(context, index, case).await_end().await;
    };
    context.tell(EventKind::CaseEnded {
        case: case.name().clone(),
        round: case.round,
        outcome: outcome.clone(),
        seconds: 0.0,
        tail,
    });
    outcome
}
