//! Start container, configure it, stop it.

use std::time::Duration;

use flagperf_container as container;
use flagperf_container::Labels;
use flagperf_model::{ContainerPlan, EngineKind, ProcessSpec, StepKind};
use flagperf_transport::{Farewell, Terms, ThroughError};
use flagperf_wire::{TaskDirectory, ToAgent, UndoId};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::image::{process, removal, removal_when_made};
use super::{Host, Request};
use crate::active::Active;
use crate::desk::Command;
use crate::node::{Node, facts_of, looking};
use crate::setup;
use crate::steps::{Means, StepError};
use crate::trees::Trees;

/// What is undone when the node's agent leaves without being told, less the number of the group.
const CONTAINER: u32 = 2;

/// How long a container may take to start when nobody wants it any more.
const STARTING: Duration = Duration::from_secs(15);

/// How long one may take to end and go when its agent has left: where nobody hurries, where the user asked to stop, and
/// where he asked twice. An engine that does not answer is not waited for; the container ends without it, and it
/// removes the container when it goes on.
const GOING: [Duration; 3] = [
    Duration::from_secs(15),
    Duration::from_secs(8),
    Duration::from_secs(1),
];

/// How long an engine may take to remove one, in seconds, in the same cases.
const REMOVING_S: [f64; 3] = [20.0, 7.0, 5.0];

/// A container of the run.
pub(super) struct Running {
    pub(super) engine: EngineKind,
    pub(super) name: String,
    run: String,
    /// What removes it when its node's agent leaves.
    undo: UndoId,
    /// How the engine's client ended, once it has: the container is gone then.
    farewell: Option<oneshot::Receiver<Option<Farewell>>>,
    /// True if the engine's client ended before there was an agent in the container.
    refused: bool,
    /// True if it does not end with its agent's session.
    stays: bool,
}

/// Starts the container and brings up the agent in it.
pub(super) async fn start(
    host: &mut Host,
    request: &Request<'_>,
    name: String,
    labels: Labels,
    terms: &Terms,
) -> Result<Node, StepError> {
    let plan = request.container;
    let undo = UndoId(CONTAINER + request.group);
    let engine = host.engine.unwrap_or(EngineKind::Docker);
    let program = host.active.node.session.introduction().program.clone();
    if program.contains(':') {
        return Err(StepError::plain(format!(
            "the program lies at `{program}` there, and engines take the `:` in it for the end of the path"
        )));
    }
    let run = container::run(
        engine,
        &name,
        &plan.image,
        &program,
        &plan.options,
        &labels,
        plan.keep,
    );
    if !plan.keep {
        host.active.send(ToAgent::AtEnd {
            undo,
            process: Some(process(removal_when_made(engine, &name, &labels.run))),
        });
    }
    host.running = Some(Running {
        engine,
        name,
        run: labels.run,
        undo,
        farewell: None,
        refused: false,
        stays: plan.keep,
    });
    let channel = host.active.channel();
    let session = &host.active.node.session;
    let opened = session
        .open_through(
            channel,
            ProcessSpec {
                env: container::client_env(&plan.options),
                ..process(run.argv())
            },
            terms,
        )
        .await;
    let through = match opened {
        Ok(through) => through,
        Err(error) => {
            if let Some(running) = &mut host.running {
                running.refused = matches!(
                    error,
                    ThroughError::Ended {
                        farewell: Some(_),
                        ..
                    }
                );
            }
            return Err(refused(&run, error));
        }
    };
    if let Some(running) = &mut host.running {
        running.farewell = Some(through.farewell);
    }
    facts_of(
        host.active.node.spec.clone(),
        host.active.node.rank,
        through.session,
        through.events,
        terms,
        terms.patience + looking(terms),
    )
    .await
    .map_err(|bad| StepError::plain(bad.reason))
}

fn refused(run: &container::Invocation, error: ThroughError) -> StepError {
    match error {
        ThroughError::Ended {
            farewell: Some(farewell),
            ..
        } => {
            let status = farewell.status();
            StepError::refused(container::refusal(run, &status, &farewell.words))
        }
        other => StepError::plain(other.to_string()),
    }
}

/// Runs the commands that make the container ready.
pub(super) async fn configure(
    node: &mut Active,
    means: &Means,
    plan: &ContainerPlan,
    trees: &Trees,
) -> Result<String, StepError> {
    for command in &plan.setup {
        let directory = match &command.directory {
            None => TaskDirectory::Any,
            Some(path) => node
                .directory_of_setup(trees, path)
                .map_err(StepError::plain)?,
        };
        setup::run(
            node,
            means,
            StepKind::ConfigureContainer,
            command,
            directory,
        )
        .await?;
    }
    Ok(setup::count(plan.setup.len()))
}

/// What holds when the user has asked so often to stop.
fn when_asked<T: Copy>(of: [T; 3], asked: u32) -> T {
    let [usual, once, twice] = of;
    match asked {
        0 => usual,
        1 => once,
        _ => twice,
    }
}

/// Returns when an engine had its time to start a container that nobody wants.
pub(super) async fn starting(asked: &mut watch::Receiver<u32>) {
    patience([STARTING, STARTING, when_asked(GOING, 2)], asked).await;
}

/// Returns when it has taken as long as it may, which is less when the user asks to stop.
async fn patience(bounds: [Duration; 3], asked: &mut watch::Receiver<u32>) {
    let mut end = Instant::now() + when_asked(bounds, *asked.borrow_and_update());
    loop {
        tokio::select! {
            () = sleep_until(end) => return,
            Ok(()) = asked.changed() => {
                let hurried = when_asked(bounds, *asked.borrow_and_update());
                end = end.min(Instant::now() + hurried);
            }
        }
    }
}

/// Sees a container off whose agent was told to leave, or removes it. `is_heard` is false if its session is over
/// already. Tells what was done.
pub(super) async fn stop(
    running: Running,
    keep: bool,
    is_heard: bool,
    node: &mut Active,
    means: &Means,
) -> Result<String, StepError> {
    let mut interrupts = means.interrupts.clone();
    if keep {
        let enter = container::enter(running.engine, &running.name)
            .argv()
            .join(" ");
        return Ok(format!("left running: {enter}"));
    }
    let was_cut_off = running.farewell.is_none() && !running.refused;
    let farewell = match running.farewell.filter(|_| !running.stays) {
        None => None,
        Some(mut farewell) if !is_heard => farewell.try_recv().ok().flatten(),
        Some(farewell) => tokio::select! {
            farewell = farewell => farewell.ok().flatten(),
            () = patience(GOING, &mut interrupts) => None,
        },
    };
    // An engine's client that ended in order has waited until the container was gone.
    if farewell.is_none_or(|farewell| !farewell.is_orderly()) {
        let remove = if was_cut_off {
            removal_when_made
        } else {
            removal
        };
        let remove = remove(running.engine, &running.name, &running.run);
        let limit = when_asked(REMOVING_S, *interrupts.borrow());
        let question = Command::question(remove, limit);
        let answer = node.desk(means).run(question).await?;
        if !answer.is_good() {
            let words = match answer.output.trim() {
                "" => String::new(),
                words => format!(": {words}"),
            };
            // Asked once more when its agent leaves, the engine would not answer either.
            forget(node, running.undo);
            let remove = container::remove_container(running.engine, &running.name).argv();
            let reason = format!(
                "`{}` could not be removed ({}){words}",
                running.name,
                answer.status(limit),
            );
            return Err(StepError {
                hint: Some(format!(
                    "it ends without its engine, which removes it once it answers; if not, `flagperf clean` does, or `{}` there",
                    remove.join(" ")
                )),
                ..StepError::plain(reason)
            });
        }
    }
    forget(node, running.undo);
    Ok("gone".to_owned())
}

/// What was to be undone when the node's agent leaves need not be.
fn forget(node: &Active, undo: UndoId) {
    node.send(ToAgent::AtEnd {
        undo,
        process: None,
    });
}
