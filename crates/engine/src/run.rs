//! A whole run: its rounds one after another, group by group.

use std::collections::BTreeSet;
use std::time::Duration;

use flagperf_model::{
    Cause, ContainerPlan, Event, EventKind, Group, Launcher, NodeScope, Outcome, Plan, Stage,
};
use flagperf_transport::now;
use flagperf_wire::ToAgent;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::active::Active;
use crate::alias;
use crate::context::{Context, Failures};
use crate::emission::{Consumer, Emission};
use crate::environment::{self, Host};
use crate::node::Node;
use crate::round::one_round;
use crate::steps::Steps;
use crate::trees::Trees;

/// How long an agent may take to leave when it is needed no more.
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
    /// Rounds that were not started because a node that they need was missing.
    pub skipped: u32,
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
    /// What the nodes need of the controller's directories.
    pub trees: &'a Trees,
    /// True if cases that do not span their nodes go on when a node is lost.
    pub tolerant: bool,
}

/// Runs a plan on the nodes it names, in their order, and closes them. For each group of rounds that run in a
/// container it makes that first and takes it away afterwards. Each item from `interrupts` asks to stop: the first in
/// order, the second at once.
pub async fn run(
    request: &RunRequest<'_>,
    nodes: Vec<Node>,
    interrupts: UnboundedReceiver<()>,
    consumer: &mut dyn Consumer,
) -> Totals {
    let began = now();
    let mut run = Run {
        request,
        consumer,
        interrupts: counted(interrupts),
        interrupted: 0,
        told_alike: BTreeSet::new(),
        totals: Totals::default(),
    };
    let mut hosts = nodes
        .into_iter()
        .map(|node| {
            let is_local = node.spec.launcher == Launcher::Local;
            Active::new(node, is_local)
        })
        .collect();
    let groups = request.plan.groups(request.rounds);
    for (place, group) in groups.iter().enumerate() {
        hosts = run.group(group, place == 0, hosts).await;
    }
    let makes_containers = groups.iter().any(|group| group.container.is_some());
    // An agent has more to do where it takes away a container.
    let patience = if run.interrupted > 1 && !makes_containers {
        AT_ONCE
    } else {
        LEAVING
    };
    leave(hosts, patience).await;
    let totals = Totals {
        interrupts: run.interrupted,
        ..run.totals
    };
    let ended = Event {
        at: now(),
        what: EventKind::RunEnded {
            passed: totals.passed,
            failed: totals.failed,
            skipped: totals.skipped,
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

/// What groups share.
struct Run<'a> {
    request: &'a RunRequest<'a>,
    consumer: &'a mut dyn Consumer,
    /// How often the user has asked to stop.
    interrupts: watch::Receiver<u32>,
    /// How much of that has been told.
    interrupted: u32,
    /// Machines under two names that have been told.
    told_alike: BTreeSet<String>,
    totals: Totals,
}

impl Run<'_> {
    /// Runs a group. Gives the nodes back, and may be called again with them.
    async fn group(
        &mut self,
        group: &Group<'_>,
        is_first: bool,
        mut hosts: Vec<Active>,
    ) -> Vec<Active> {
        for host in &mut hosts {
            self.look_after(host);
        }
        match group.container {
            None => {
                self.tell_ready(&hosts, !is_first);
                let (hosts, _) = self.rounds(group, hosts, &mut [], 0, None).await;
                hosts
            }
            Some(container) => self.inside(group, container, hosts).await,
        }
    }

    /// Takes in what came from a node between groups: it may be lost.
    fn look_after(&mut self, host: &mut Active) {
        if host.lost.is_none()
            && let Some(reason) = host.catch_up()
        {
            host.lost = Some(reason.clone());
            if !host.told_lost {
                self.tell(EventKind::NodeLost {
                    node: host.name().clone(),
                    reason,
                });
            }
        }
        // What befell a container of it is over with the group.
        host.told_lost = host.lost.is_some();
    }

    /// Runs a group in containers.
    async fn inside(
        &mut self,
        group: &Group<'_>,
        container: &ContainerPlan,
        hosts: Vec<Active>,
    ) -> Vec<Active> {
        let wanted = environment::Request {
            plan: self.request.plan,
            container,
            group: group.number,
            trees: self.request.trees,
            tolerant: self.request.tolerant,
        };
        let gone = hosts.iter().filter(|host| host.lost.is_some()).count();
        let is_worth_it = gone < hosts.len() && self.any_can_run(group, gone);
        let mut below: Vec<Host> = hosts.into_iter().map(Host::new).collect();
        let mut nodes = Vec::new();
        if is_worth_it {
            let mut steps = self.steps(group.number);
            nodes = environment::enter(&wanted, &mut below, &mut steps).await;
            self.interrupted = steps.interrupted;
            self.tell_ready(&nodes, true);
        }
        let failures = failures(&below, nodes.is_empty());
        let (nodes, urgent) = self.rounds(group, nodes, &mut below, gone, failures).await;
        if is_worth_it {
            for node in nodes.iter().filter(|node| node.lost.is_some()) {
                let mut hosts = below.iter_mut().map(|host| &mut host.active);
                if let Some(host) = hosts.find(|host| host.place() == node.place()) {
                    host.told_lost = true;
                }
            }
            // A container that stays keeps its channel: nothing tells that its agent has heard.
            let patience = if urgent || container.keep {
                AT_ONCE
            } else {
                LEAVING
            };
            leave(nodes, patience).await;
            let mut steps = self.steps(group.number);
            environment::leave(&wanted, &mut below, &mut steps).await;
            self.interrupted = steps.interrupted;
        }
        below.into_iter().map(|host| host.active).collect()
    }

    /// True if it is of any use to make containers for these rounds.
    fn any_can_run(&self, group: &Group<'_>, gone: usize) -> bool {
        let cases = group
            .rounds
            .iter()
            .map(|&place| &self.request.plan.cases[place]);
        let mut able = cases.filter(|case| {
            let spans = case.spec.nodes == NodeScope::All;
            case.runs() && (gone == 0 || (self.request.tolerant && !spans))
        });
        *self.interrupts.borrow() == 0 && able.next().is_some()
    }

    /// Runs the rounds of a group on these nodes. Gives the nodes back, and tells whether the user asked to stop at
    /// once.
    async fn rounds(
        &mut self,
        group: &Group<'_>,
        nodes: Vec<Active>,
        below: &mut [Host],
        gone: usize,
        failures: Option<Failures>,
    ) -> (Vec<Active>, bool) {
        let mut context = Context::new(
            self.request,
            group.number,
            nodes,
            below,
            &mut *self.consumer,
            self.interrupts.clone(),
            self.interrupted,
        );
        context.gone = gone;
        context.failures = failures;
        for &index in &group.rounds {
            let case = &self.request.plan.cases[index];
            match one_round(&mut context, index, case).await {
                Outcome::Passed => self.totals.passed += 1,
                Outcome::Unsupported { .. } if !case.named => self.totals.unsupported += 1,
                Outcome::Skipped { .. } => self.totals.skipped += 1,
                _ => self.totals.failed += 1,
            }
        }
        context.catch_up();
        let urgent = context.is_urgent();
        self.interrupted = context.interrupted;
        (context.nodes, urgent)
    }

    /// Tells of nodes on which rounds are about to run. `series` is true if their monitors may record others than what
    /// is known of them.
    fn tell_ready(&mut self, nodes: &[Active], series: bool) {
        let there = || nodes.iter().filter(|node| node.lost.is_none());
        for active in there() {
            let node = &active.node;
            if series {
                self.consumer.take(&Emission::Series {
                    node: active.name(),
                    series: &node.series,
                    chips: &node.facts.chips,
                    chip_series: &node.chip_series,
                    absent: &node.absent,
                });
            }
            self.tell(EventKind::NodeReady {
                node: active.name().clone(),
                clock: node.clock(),
                facts: Box::new(node.facts.clone()),
                here: node.spec.launcher == Launcher::Local,
            });
        }
        for message in alias::warnings(there().map(|active| &active.node)) {
            if self.told_alike.insert(message.clone()) {
                self.tell(EventKind::Warning { message });
            }
        }
    }

    fn steps(&mut self, group: u32) -> Steps<'_> {
        Steps {
            consumer: &mut *self.consumer,
            group,
            interrupts: self.interrupts.clone(),
            interrupted: self.interrupted,
        }
    }

    fn tell(&mut self, what: EventKind) {
        self.consumer
            .take(&Emission::Event(&Event { at: now(), what }));
    }
}

/// The step that failed first, by the order of the nodes, as the end of a case.
fn failures(hosts: &[Host], all: bool) -> Option<Failures> {
    let mut failed = hosts
        .iter()
        .filter_map(|host| Some((host.active.name(), host.failure()?)));
    let (node, (step, error)) = failed.next()?;
    Some(Failures {
        outcome: Outcome::Failed {
            node: node.clone(),
            stage: Stage::Launch,
            cause: Cause::Environment {
                step,
                reason: error.reason.clone(),
            },
            also: failed.map(|(node, _)| node.clone()).collect(),
        },
        tail: error.tail.clone(),
        all,
    })
}

/// Tells all agents to leave, and waits for them together.
async fn leave(nodes: Vec<Active>, patience: Duration) {
    for node in &nodes {
        node.send(ToAgent::Shutdown);
    }
    let deadline = Instant::now() + patience;
    for mut node in nodes {
        let closed = async { while node.node.events.next().await.is_some() {} };
        let _ = tokio::time::timeout_at(deadline, closed).await;
    }
}
