//! Start container, configure it, stop it.

use std::time::Duration;

use flagperf_container as container;
use flagperf_container::Labels;
use flagperf_model::{ContainerPlan, EngineKind, ProcessSpec, StepKind};
use flagperf_transport::{Farewell, Terms, ThroughError};
use flagperf_wire::{TaskDirectory, ToAgent, UndoId};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::image::{process, removal, removal_when_made};
use super::{Host, Request};
use crate::active::Active;
use crate::desk::Command;
use crate::node::{Node, facts_of};
use crate::setup;
use crate::steps::{Means, StepError};
use crate::trees::Trees;

/// What is undone when the node's agent leaves without being told, less the number of the group.
const CONTAINER: u32 = 2;

/// How long a container may take to start when nobody wants it any more, and to end and go when its agent has left.
const GOING: Duration = Duration::from_secs(15);

/// The same when the user asked a second time to stop.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long an engine may take to remove one, in seconds.
const REMOVING_S: f64 = 30.0;

/// The same when the user asked a second time to stop, in seconds.
const REMOVING_AT_ONCE_S: f64 = 5.0;

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
        terms.patience,
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

/// Returns when an engine had its time to start a container, or to see one off; soon after the user asked a second
/// time to stop.
pub(super) async fn patience(interrupts: &mut watch::Receiver<u32>) {
    let hurried = async {
        if interrupts.wait_for(|count| *count > 1).await.is_err() {
            std::future::pending::<()>().await;
        }
        sleep(AT_ONCE).await;
    };
    tokio::select! {
        () = hurried => {}
        () = sleep(GOING) => {}
    }
}

/// Sees a container off whose agent was told to leave, or removes it. Tells what was done.
pub(super) async fn stop(
    running: Running,
    keep: bool,
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
        Some(farewell) => tokio::select! {
            farewell = farewell => farewell.ok().flatten(),
            () = patience(&mut interrupts) => None,
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
        let limit = if *interrupts.borrow() > 1 {
            REMOVING_AT_ONCE_S
        } else {
            REMOVING_S
        };
        let question = Command::question(remove, limit);
        let answer = node.desk(means).run(question).await?;
        if !answer.is_good() {
            let words = match answer.output.trim() {
                "" => String::new(),
                words => format!(": {words}"),
            };
            return Err(StepError::plain(format!(
                "`{}` could not be removed ({}){words}",
                running.name,
                answer.status(limit),
            )));
        }
    }
    node.send(ToAgent::AtEnd {
        undo: running.undo,
        process: None,
    });
    Ok("gone".to_owned())
}
