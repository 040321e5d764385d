//! Container mode: what is made on every node before the first case, and taken away after the last.
//!
//! ```text
//! prepare image ──► start container ──► configure container ──► cases ──► stop container
//! ```
//!
//! The engine's commands are run by the agent of the node. The container's first process is an agent of its own,
//! whose session runs through the node's: it is a node like any other to the cases, and what ends a session ends
//! the container. Each step is taken on all nodes together.

mod container;
pub(crate) mod desk;
pub(crate) mod image;
mod send;
mod steps;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use flagperf_container::{Labels, Refusal};
use flagperf_model::{ChipFacts, ContainerPlan, EngineKind, NodeSpec, Plan, StepKind, StepOutcome};
use flagperf_transport::{Events, Session, Terms};
use flagperf_wire::ToAgent;
use tokio::sync::{mpsc, watch};

use crate::emission::Consumer;
use crate::node::Node;
use container::Running;
use desk::{Desk, NoAnswer, Told};
use image::{Prepared, Preparing};
use steps::Steps;

/// Names of the directories of setup commands among those sent in a session: cases count theirs from 1.
const SETUP_TREES: u32 = 1 << 30;

/// How long an agent may take to leave.
const LEAVING: Duration = Duration::from_secs(5);

/// What is asked of container mode.
pub(crate) struct Request<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) container: &'a ContainerPlan,
    pub(crate) trees: &'a BTreeMap<String, Arc<[u8]>>,
    /// True if other nodes go on when one cannot.
    pub(crate) tolerant: bool,
}

/// A node below its container.
pub(crate) struct Host {
    spec: Arc<NodeSpec>,
    rank: u32,
    session: Session,
    events: Events,
    chips: Vec<ChipFacts>,
    terms: Terms,
    next_task: u32,
    engine: Option<EngineKind>,
    running: Option<Running>,
    /// Why another node is to send it the image, if so.
    lacks_image: Option<&'static str>,
    /// The node that the container is, until it is handed over.
    inner: Option<Node>,
    /// Tasks that its session has had.
    inner_tasks: u32,
    failed: Option<(StepKind, StepError)>,
}

/// Why a step failed.
#[derive(Debug, Clone)]
pub(crate) struct StepError {
    pub(crate) reason: String,
    hint: Option<String>,
    pub(crate) tail: Vec<String>,
    stop: Option<NoAnswer>,
}

impl StepError {
    fn plain(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hint: None,
            tail: Vec::new(),
            stop: None,
        }
    }

    fn refused(refusal: Refusal) -> Self {
        Self {
            hint: refusal.hint,
            ..Self::plain(refusal.reason)
        }
    }

    fn into_outcome(self) -> StepOutcome {
        StepOutcome::Failed {
            reason: self.reason,
            hint: self.hint,
            tail: self.tail,
        }
    }

    fn is_interrupt(&self) -> bool {
        matches!(self.stop, Some(NoAnswer::Interrupted))
    }
}

/// What came of it.
pub(crate) struct Entered {
    /// The containers, as nodes.
    pub(crate) nodes: Vec<Node>,
    /// The nodes below them.
    pub(crate) hosts: Vec<Host>,
    /// The first number that a task of a case may have.
    pub(crate) next_task: u32,
    /// How often the user asked to stop meanwhile.
    pub(crate) interrupts: u32,
}

impl Entered {
    /// The step that failed first, by the order of the nodes, and on which nodes.
    pub(crate) fn failures(&self) -> Vec<(&NodeSpec, StepKind, &StepError)> {
        let failed = self.hosts.iter().filter_map(|host| {
            let (step, error) = host.failed.as_ref()?;
            (!error.is_interrupt()).then_some((&*host.spec, *step, error))
        });
        failed.collect()
    }
}

/// Makes the containers.
pub(crate) async fn enter(
    request: &Request<'_>,
    nodes: Vec<Node>,
    interrupts: watch::Receiver<u32>,
    consumer: &mut dyn Consumer,
) -> Entered {
    let mut hosts: Vec<Host> = nodes.into_iter().filter_map(host).collect();
    let mut steps = Steps {
        consumer,
        interrupts,
        interrupted: 0,
    };
    for step in [
        StepKind::PrepareImage,
        StepKind::StartContainer,
        StepKind::ConfigureContainer,
    ] {
        if step == StepKind::ConfigureContainer && request.container.setup.is_empty() {
            continue;
        }
        steps.take(step, request, &mut hosts).await;
        if step == StepKind::PrepareImage {
            steps.send_image(&request.container.image, &mut hosts).await;
        }
        let is_off = steps.interrupted > 0
            || hosts.iter().all(|host| host.failed.is_some())
            || (!request.tolerant && hosts.iter().any(|host| host.failed.is_some()));
        if is_off {
            break;
        }
    }
    let all_well = !hosts.iter().any(|host| host.failed.is_some());
    let interrupts = steps.interrupted;
    let go_on = interrupts == 0 && (all_well || request.tolerant);
    let next_task = hosts.iter().map(|host| host.inner_tasks).max().unwrap_or(0) + 1;
    let mut inner = Vec::new();
    for host in &mut hosts {
        // One that is not handed over is told to leave when its container is.
        if go_on && host.failed.is_none() {
            inner.extend(host.inner.take());
        }
    }
    Entered {
        nodes: inner,
        hosts,
        next_task,
        interrupts,
    }
}

fn host(node: Node) -> Option<Host> {
    Some(Host {
        spec: Arc::new(node.spec),
        rank: node.rank,
        session: node.session,
        events: node.events,
        chips: node.facts.chips,
        terms: node.terms?,
        next_task: 1,
        engine: None,
        running: None,
        lacks_image: None,
        inner: None,
        inner_tasks: 0,
        failed: None,
    })
}

/// Takes the containers away and ends the sessions with the nodes.
pub(crate) async fn leave(
    request: &Request<'_>,
    mut hosts: Vec<Host>,
    interrupts: watch::Receiver<u32>,
    interrupted: u32,
    consumer: &mut dyn Consumer,
) {
    let mut steps = Steps {
        consumer,
        interrupts,
        interrupted,
    };
    steps
        .take(StepKind::StopContainer, request, &mut hosts)
        .await;
    for host in &hosts {
        host.session.send(ToAgent::Shutdown);
    }
    let deadline = tokio::time::Instant::now() + LEAVING;
    for mut host in hosts {
        let closed = async { while host.events.next().await.is_some() {} };
        let _ = tokio::time::timeout_at(deadline, closed).await;
    }
}

/// One step on one node. Tells what was done, if anything was to be done.
async fn one(
    step: StepKind,
    request: &Request<'_>,
    host: &mut Host,
    log: mpsc::Sender<Told>,
    stop: watch::Receiver<u32>,
    waits: bool,
    interrupts: watch::Receiver<u32>,
) -> Result<Option<String>, StepError> {
    let plan = request.container;
    let run = request.plan.run.as_str();
    let name = format!("flagperf-{run}-{}", host.rank);
    let introduction = host.session.introduction();
    let labels = Labels {
        run: run.to_owned(),
        owner: plan.owner.clone(),
        agent: Some((introduction.pid, introduction.started)),
        content: None,
    };
    match step {
        StepKind::PrepareImage => {
            let preparing = Preparing {
                plan,
                name,
                labels,
                trees: request.trees,
                waits,
            };
            let engine =
                image::find_engine(&mut host.desk(log.clone(), stop.clone()), plan.engine).await?;
            host.engine = Some(engine);
            let mut desk = host.desk(log, stop);
            Ok(match image::prepare(engine, &mut desk, &preparing).await? {
                Prepared::There(what) => Some(what),
                Prepared::Lacks(why) => {
                    host.lacks_image = Some(why);
                    None
                }
            })
        }
        StepKind::StartContainer => {
            let terms = Terms {
                scratch: None,
                // The container is made for the node's chips, and its image may lack their tool.
                chips: Arc::new(host.terms.chips.where_known(&host.chips)),
                ..host.terms.clone()
            };
            let starting = container::start(host, plan, name.clone(), labels, &terms);
            let (mut node, interrupted) = until_stopped(starting, stop).await?;
            // The chips are there, whether the container can tell of them or not.
            if node.facts.chips.is_empty() {
                node.facts.chips.clone_from(&host.chips);
            }
            host.inner = Some(node);
            if interrupted {
                return Err(NoAnswer::Interrupted.into());
            }
            Ok(Some(name))
        }
        StepKind::ConfigureContainer => {
            let Some(node) = &mut host.inner else {
                return Err(StepError::plain("there is no container"));
            };
            let mut desk = Desk {
                session: &node.session,
                events: &mut node.events,
                next_task: &mut host.inner_tasks,
                place: host.rank as usize,
                log,
                stop,
            };
            container::configure(&mut desk, plan, request.trees)
                .await
                .map(Some)
        }
        StepKind::StopContainer => {
            if let Some(node) = host.inner.take() {
                node.session.send(ToAgent::Shutdown);
            }
            let Some(running) = host.running.take() else {
                return Ok(None);
            };
            // What could not be made ready is worth looking into most of all.
            let is_there = match &host.failed {
                None => true,
                Some((step, error)) => {
                    *step == StepKind::ConfigureContainer && !error.is_interrupt()
                }
            };
            let keep = plan.keep && is_there;
            container::stop(running, keep, interrupts, &mut host.desk(log, stop))
                .await
                .map(Some)
        }
    }
}

/// Waits for a container to start. A user who wants to stop gets it first, unless it takes long: what has started
/// ends in order, and what its engine is about to make cannot be told from what it will not.
async fn until_stopped(
    starting: impl Future<Output = Result<Node, StepError>>,
    mut stop: watch::Receiver<u32>,
) -> Result<(Node, bool), StepError> {
    tokio::pin!(starting);
    tokio::select! {
        node = &mut starting => return Ok((node?, false)),
        _ = stop.wait_for(|count| *count > 0) => {}
    }
    let started = tokio::select! {
        node = &mut starting => node.ok(),
        () = container::patience(&mut stop) => None,
    };
    match started {
        Some(node) => Ok((node, true)),
        None => Err(NoAnswer::Interrupted.into()),
    }
}

impl Host {
    fn desk(&mut self, log: mpsc::Sender<Told>, stop: watch::Receiver<u32>) -> Desk<'_> {
        Desk {
            session: &self.session,
            events: &mut self.events,
            next_task: &mut self.next_task,
            place: self.rank as usize,
            log,
            stop,
        }
    }
}
