//! Container mode: what is made on every node before a group of rounds, and taken away after it.
//!
//! ```text
//! prepare image ──► start container ──► configure container ──► cases ──► stop container
//! ```
//!
//! The engine's commands are run by the agent of the node. The container's first process is an agent of its own,
//! whose session runs through the node's: it is a node like any other to the cases, and what ends a session ends
//! the container. Each step is taken on all nodes together. The sessions of the nodes stay from group to group.

mod container;
pub(crate) mod image;
mod send;

use std::future::Future;

use flagperf_container::Labels;
use flagperf_model::{
    ContainerPlan, EngineKind, EventKind, ImageSource, Plan, StepKind, StepOutcome,
};
use flagperf_transport::{Terms, now};
use flagperf_wire::ToAgent;
use tokio::sync::watch;

use crate::active::Active;
use crate::desk::NoAnswer;
use crate::node::Node;
use crate::steps::{Means, Member, StepError, Steps, Taken, next};
use crate::trees::Trees;
use container::Running;
use image::{Prepared, Preparing};

/// What is asked of container mode.
pub(crate) struct Request<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) container: &'a ContainerPlan,
    /// The number of the group of rounds.
    pub(crate) group: u32,
    pub(crate) trees: &'a Trees,
    /// True if other nodes go on when one cannot.
    pub(crate) tolerant: bool,
}

/// A node below its container.
pub(crate) struct Host {
    pub(crate) active: Active,
    engine: Option<EngineKind>,
    running: Option<Running>,
    /// True if another node builds the image for this one.
    waits: bool,
    /// Why another node is to send it the image, if so.
    lacks_image: Option<&'static str>,
    /// The node that the container is, until it is handed over.
    inner: Option<Active>,
    failed: Option<(StepKind, StepError)>,
}

impl Host {
    pub(crate) fn new(active: Active) -> Self {
        Self {
            active,
            engine: None,
            running: None,
            waits: false,
            lacks_image: None,
            inner: None,
            failed: None,
        }
    }

    /// The step that failed, unless it was the user who wanted to stop.
    pub(crate) fn failure(&self) -> Option<(StepKind, &StepError)> {
        let (step, error) = self.failed.as_ref()?;
        (!error.is_interrupt()).then_some((*step, error))
    }

    fn is_well(&self) -> bool {
        self.failed.is_none() && self.active.lost.is_none()
    }
}

/// Those of the nodes that a step is taken on.
fn members<'h>(hosts: impl Iterator<Item = &'h mut Host>) -> Vec<Member<'h, Host>> {
    let members = hosts.map(|host| Member {
        name: host.active.name().clone(),
        rank: host.active.node.rank,
        what: host,
    });
    members.collect()
}

/// Makes the containers on all nodes that are not lost, and gives them as nodes: none of them if any could not be
/// made, unless the others are to go on without it. [`leave`] must follow.
pub(crate) async fn enter(
    request: &Request<'_>,
    hosts: &mut [Host],
    steps: &mut Steps<'_>,
) -> Vec<Active> {
    for step in [
        StepKind::PrepareImage,
        StepKind::StartContainer,
        StepKind::ConfigureContainer,
    ] {
        if step == StepKind::ConfigureContainer && request.container.setup.is_empty() {
            continue;
        }
        // One node builds for the others.
        let builds_once =
            matches!(&request.container.source, ImageSource::Built(build) if build.once);
        let builder = hosts.iter().position(Host::is_well);
        for (place, host) in hosts.iter_mut().enumerate() {
            host.waits = builds_once && builder.is_some_and(|builder| builder != place);
        }
        take(step, request, hosts, steps).await;
        if step == StepKind::PrepareImage {
            send_image(request, hosts, steps).await;
        }
        let is_off = steps.interrupted > 0
            || !hosts.iter().any(Host::is_well)
            || (!request.tolerant && hosts.iter().any(|host| host.failed.is_some()));
        if is_off {
            break;
        }
    }
    let all_well = hosts.iter().all(|host| host.failed.is_none());
    let go_on = steps.interrupted == 0 && (all_well || request.tolerant);
    let mut inner = Vec::new();
    for host in hosts {
        // One that is not handed over is told to leave when its container is.
        if go_on && host.failed.is_none() {
            inner.extend(host.inner.take());
        }
    }
    inner
}

/// Takes the containers away.
pub(crate) async fn leave(request: &Request<'_>, hosts: &mut [Host], steps: &mut Steps<'_>) {
    take(StepKind::StopContainer, request, hosts, steps).await;
}

/// Takes a step on all nodes that have not failed, or, to take away what was made, on those that had a part in it.
async fn take(step: StepKind, request: &Request<'_>, hosts: &mut [Host], steps: &mut Steps<'_>) {
    let concerned = |host: &Host| step == StepKind::StopContainer || host.is_well();
    let places: Vec<usize> = (0..hosts.len())
        .filter(|place| concerned(&hosts[*place]))
        .collect();
    let concerned = hosts.iter_mut().filter(|host| concerned(host));
    let taken = steps
        .take(
            step,
            !request.tolerant,
            members(concerned),
            async |host, means| one(step, request, host, means).await,
        )
        .await;
    for (place, taken) in places.into_iter().zip(taken) {
        let host = &mut hosts[place];
        let Err(error) = taken else { continue };
        // That of a container is another matter: its node may do for the next.
        if step != StepKind::ConfigureContainer && error.is_loss() && host.active.lost.is_none() {
            host.active.lost = Some(error.reason.clone());
            if !std::mem::replace(&mut host.active.told_lost, true) {
                steps.tell(EventKind::NodeLost {
                    node: host.active.name().clone(),
                    reason: error.reason.clone(),
                });
            }
        }
        host.failed.get_or_insert((step, error));
    }
}

/// Sends the image from the node that built it to those that lack it, one after the other: they share the way to
/// this machine.
async fn send_image(request: &Request<'_>, hosts: &mut [Host], steps: &mut Steps<'_>) {
    let image = &request.container.image;
    let from = hosts
        .iter()
        .position(|host| host.is_well() && host.lacks_image.is_none());
    for place in 0..hosts.len() {
        let Some(why) = hosts[place].lacks_image.take() else {
            continue;
        };
        let began = now();
        let result = match from {
            _ if steps.interrupted > 0 => Err(NoAnswer::Interrupted.into()),
            // Nothing can come of it any more.
            Some(_) if !request.tolerant && hosts.iter().any(|host| host.failed.is_some()) => {
                Err(StepError {
                    reason: "not sent, because another node failed".to_owned(),
                    ..NoAnswer::Interrupted.into()
                })
            }
            None => Err(StepError::plain("the node that builds the image could not")),
            Some(from) => {
                let channels = (hosts[from].active.channel(), hosts[place].active.channel());
                tokio::select! {
                    sent = send::send(&hosts[from], &hosts[place], image, channels) => sent,
                    count = next(&mut steps.interrupts, steps.interrupted) => {
                        steps.interrupted = count;
                        steps.tell(EventKind::Interrupted { count });
                        Err(NoAnswer::Interrupted.into())
                    }
                }
            }
        };
        let outcome = match &result {
            Ok(()) => StepOutcome::Done {
                what: format!(
                    "got {image} from {}: {why}",
                    hosts[from.unwrap_or(place)].active.name()
                ),
            },
            Err(error) => error.clone().into_outcome(),
        };
        let host = &mut hosts[place];
        steps.tell(EventKind::StepEnded {
            step: StepKind::PrepareImage,
            group: steps.group,
            node: host.active.name().clone(),
            outcome,
            seconds: now().seconds_since(began),
            printed: false,
        });
        host.failed = result.err().map(|error| (StepKind::PrepareImage, error));
    }
}

/// One step on one node.
async fn one(step: StepKind, request: &Request<'_>, host: &mut Host, means: Means) -> Taken {
    let plan = request.container;
    let run = request.plan.run.as_str();
    let rank = host.active.node.rank.to_string();
    let name = flagperf_container::name(run, &rank, request.group);
    let introduction = host.active.node.session.introduction();
    let labels = Labels {
        run: run.to_owned(),
        owner: plan.owner.clone(),
        agent: Some((introduction.pid, introduction.started)),
        content: None,
    };
    match step {
        StepKind::PrepareImage => {
            let engine = image::find_engine(&mut host.active.desk(&means), plan.engine).await?;
            host.engine = Some(engine);
            let preparing = Preparing {
                plan,
                name,
                labels,
                trees: request.trees,
                waits: host.waits,
            };
            Ok(
                match image::prepare(engine, &mut host.active, &means, &preparing).await? {
                    Prepared::There(what) => Some(what),
                    Prepared::Lacks(why) => {
                        host.lacks_image = Some(why);
                        None
                    }
                },
            )
        }
        StepKind::StartContainer => {
            let terms = Terms {
                scratch: None,
                // Its files may be seen where those of its node are.
                name: format!("{}c{}", host.active.node.terms.name, request.group),
                // The container is made for the node's chips, and its image may lack their tool.
                chips: std::sync::Arc::new(
                    host.active
                        .node
                        .terms
                        .chips
                        .where_known(&host.active.node.facts.chips),
                ),
                ..host.active.node.terms.clone()
            };
            let starting = container::start(host, request, name.clone(), labels, &terms);
            let (mut node, interrupted) = until_stopped(starting, means.stop).await?;
            // The chips are there, whether the container can tell of them or not.
            if node.facts.chips.is_empty() {
                node.facts.chips.clone_from(&host.active.node.facts.chips);
            }
            host.inner = Some(Active::new(node, false));
            if interrupted {
                return Err(NoAnswer::Interrupted.into());
            }
            Ok(Some(name))
        }
        StepKind::ConfigureContainer => {
            let Some(inner) = &mut host.inner else {
                return Err(StepError::plain("there is no container"));
            };
            container::configure(inner, &means, plan, request.trees)
                .await
                .map(Some)
        }
        StepKind::PrepareCase => Ok(None),
        StepKind::StopContainer => {
            if let Some(inner) = host.inner.take() {
                inner.send(ToAgent::Shutdown);
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
            // What befell it was told: nobody hears any more how it ends.
            let is_heard = !host.active.told_lost;
            container::stop(running, keep, is_heard, &mut host.active, &means)
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
        () = container::starting(&mut stop) => None,
    };
    match started {
        Some(node) => Ok((node, true)),
        None => Err(NoAnswer::Interrupted.into()),
    }
}
