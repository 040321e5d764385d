//! Start container, configure it, stop it.

use std::time::Duration;

use flagperf_container as container;
use flagperf_container::Labels;
use flagperf_model::{ContainerPlan, EngineKind, NodeSpec, ProcessSpec, StepKind};
use flagperf_transport::{Farewell, Terms, ThroughError};
use flagperf_wire::{ChannelId, TaskDirectory, ToAgent, TreeId, UndoId};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::desk::{Command, Desk};
use super::image::{process, removal, removal_when_made};
use super::{Host, StepError};
use crate::node::{Node, facts_of, looking};

/// The first channel of a session leads into the container.
const INTO: ChannelId = ChannelId(0);

/// What is undone when the node's agent leaves without being told.
const CONTAINER: UndoId = UndoId(2);

/// How long a container may take to start when nobody wants it any more, and to end and go when its agent has left.
const GOING: Duration = Duration::from_secs(15);

/// The same when the user asked a second time to stop.
const AT_ONCE: Duration = Duration::from_secs(1);

/// How long an engine may take to remove one, in seconds.
const REMOVING_S: f64 = 30.0;

/// The same when the user asked a second time to stop, in seconds.
const REMOVING_AT_ONCE_S: f64 = 5.0;

/// Lines of a command's output that are told when it fails.
const TAIL: usize = 15;

/// A container of the run.
pub(super) struct Running {
    pub(super) engine: EngineKind,
    pub(super) name: String,
    run: String,
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
    plan: &ContainerPlan,
    name: String,
    labels: Labels,
    terms: &Terms,
) -> Result<Node, StepError> {
    let engine = host.engine.unwrap_or(EngineKind::Docker);
    let program = host.session.introduction().program.clone();
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
        host.session.send(ToAgent::AtEnd {
            undo: CONTAINER,
            process: Some(process(removal_when_made(engine, &name, &labels.run))),
        });
    }
    host.running = Some(Running {
        engine,
        name,
        run: labels.run,
        farewell: None,
        refused: false,
        stays: plan.keep,
    });
    let opened = host
        .session
        .open_through(
            INTO,
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
    let spec = NodeSpec::clone(&host.spec);
    facts_of(
        spec,
        host.rank,
        through.session,
        through.events,
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
    desk: &mut Desk<'_>,
    plan: &ContainerPlan,
    trees: &std::collections::BTreeMap<String, std::sync::Arc<[u8]>>,
) -> Result<String, StepError> {
    const STEP: StepKind = StepKind::ConfigureContainer;
    let mut sent: Vec<&String> = Vec::new();
    for command in &plan.setup {
        let directory = match &command.directory {
            None => TaskDirectory::Any,
            Some(path) => {
                let place = sent
                    .iter()
                    .position(|known| *known == path)
                    .unwrap_or_else(|| {
                        let packed = trees.get(path).cloned().unwrap_or_default();
                        sent.push(path);
                        desk.session
                            .put(TreeId(super::SETUP_TREES + sent.len() as u32 - 1), packed);
                        sent.len() - 1
                    });
                TaskDirectory::Tree(TreeId(super::SETUP_TREES + place as u32))
            }
        };
        let words = command.argv.join(" ");
        let heading = format!("$ {words}\n").into_bytes();
        let _ = desk.log.send((desk.place, STEP, heading)).await;
        let (task, _) = desk.prepare(directory).await?;
        let timeout_s = f64::from(command.timeout_s);
        let answer = desk
            .run_prepared(
                task,
                Command {
                    argv: command.argv.clone(),
                    env: command.env.clone(),
                    timeout_s,
                    step: Some(STEP),
                },
            )
            .await?;
        if !answer.is_good() {
            let mut error =
                StepError::plain(format!("`{words}` failed ({})", answer.status(timeout_s)));
            let lines: Vec<&str> = answer.output.lines().collect();
            let last = &lines[lines.len().saturating_sub(TAIL)..];
            error.tail = last.iter().map(|line| (*line).to_owned()).collect();
            return Err(error);
        }
    }
    Ok(match plan.setup.len() {
        1 => "1 command".to_owned(),
        count => format!("{count} commands"),
    })
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
    mut interrupts: watch::Receiver<u32>,
    desk: &mut Desk<'_>,
) -> Result<String, StepError> {
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
        let answer = desk.run(Command::question(remove, limit)).await?;
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
    desk.session.send(ToAgent::AtEnd {
        undo: CONTAINER,
        process: None,
    });
    Ok("gone".to_owned())
}
