//! Prepare image: found, fetched or built.

use std::collections::BTreeMap;

use flagperf_container as container;
use flagperf_container::{Invocation, Labels, Refusal};
use flagperf_model::{
    BuildPolicy, ContainerPlan, EngineKind, ImageBuild, ImageSource, OWN_PROGRAM, ProcessSpec,
    StepKind,
};
use flagperf_wire::{TaskDirectory, ToAgent, UndoId};

use crate::active::Active;
use crate::desk::{Answer, Command, Desk};
use crate::steps::{Means, StepError};
use crate::trees::Trees;

/// How long a question to an engine may take, in seconds.
pub(crate) const QUESTION_S: f64 = 60.0;

/// How long fetching an image may take, in seconds.
const PULL_S: f64 = 7200.0;

/// How long building one, or an install script, may take, in seconds.
const BUILD_S: f64 = 7200.0;

/// How long making an image of a container may take, in seconds.
const COMMIT_S: f64 = 1800.0;

/// Lines of a build's output that are told when it fails.
const TAIL: usize = 15;

/// What the image of a run is made ready with.
pub(super) struct Preparing<'a> {
    pub(super) plan: &'a ContainerPlan,
    /// Name of the run's container on this node; other names are made from it.
    pub(super) name: String,
    pub(super) labels: Labels,
    pub(super) trees: &'a Trees,
    /// True if another node builds the image for this one.
    pub(super) waits: bool,
}

/// What became of the image on a node.
pub(super) enum Prepared {
    /// It is there; the text tells how.
    There(String),
    /// Another node is to send it; the text tells why.
    Lacks(&'static str),
}

/// Makes the image ready.
pub(super) async fn prepare(
    engine: EngineKind,
    node: &mut Active,
    means: &Means,
    preparing: &Preparing<'_>,
) -> Result<Prepared, StepError> {
    let plan = preparing.plan;
    let image = &plan.image;
    let desk = &mut node.desk(means);
    match &plan.source {
        ImageSource::Present => {
            look(desk, engine, image).await??;
            Ok(Prepared::There(format!("{engine} has {image}")))
        }
        ImageSource::Pulled => {
            let pull = container::pull(engine, image);
            let answer = desk.run(logged(&pull, PULL_S)).await?;
            check(&pull, &answer, PULL_S)?;
            Ok(Prepared::There(format!("{engine} fetched {image}")))
        }
        ImageSource::Built(build) => {
            let found = look(desk, engine, image).await?;
            let why = match (&found, build.policy) {
                (Ok(_), BuildPolicy::Never) => {
                    return Ok(Prepared::There(format!("{engine} has {image}")));
                }
                (Err(missing), BuildPolicy::Never) => return Err(missing.clone()),
                (_, BuildPolicy::Always) => "as asked",
                (Ok(Some(content)), BuildPolicy::Auto) if *content == build.content => {
                    return Ok(Prepared::There(format!(
                        "{engine} has {image}, made of the same directory"
                    )));
                }
                (Ok(_), BuildPolicy::Auto) => "its directory has changed",
                (Err(_), BuildPolicy::Auto) => "it was not there",
            };
            if preparing.waits {
                return Ok(Prepared::Lacks(why));
            }
            let context = node
                .tree(preparing.trees, &build.directory, None)
                .map_err(StepError::plain)?;
            let directory = TaskDirectory::Tree(context);
            make(&mut node.desk(means), engine, build, preparing, directory).await?;
            Ok(Prepared::There(format!("{engine} built {image}: {why}")))
        }
    }
}

/// What is known of an image that was looked for: what it was made of, or that it is not there.
type Found = Result<Option<String>, StepError>;

async fn look(desk: &mut Desk<'_>, engine: EngineKind, image: &str) -> Result<Found, StepError> {
    let inspect = container::inspect_image(engine, image);
    let answer = desk
        .run(Command::question(inspect.argv(), QUESTION_S))
        .await?;
    if !answer.is_good() {
        let refusal = container::refusal(&inspect, &answer.status(QUESTION_S), &answer.output);
        return Ok(Err(StepError::refused(refusal)));
    }
    let found =
        container::image(&answer.output).map_err(|error| StepError::plain(error.to_string()))?;
    Ok(Ok(found.content))
}

/// The engine that the plan names, or the first that works.
pub(super) async fn find_engine(
    desk: &mut Desk<'_>,
    named: Option<EngineKind>,
) -> Result<EngineKind, StepError> {
    let mut tried = Vec::new();
    let candidates = named.map_or_else(|| EngineKind::ALL.to_vec(), |engine| vec![engine]);
    for engine in candidates {
        let version = container::version(engine);
        let answer = desk
            .run(Command::question(version.argv(), QUESTION_S))
            .await?;
        if answer.is_good() {
            return Ok(engine);
        }
        let refusal = (!answer.is_missing())
            .then(|| container::refusal(&version, &answer.status(QUESTION_S), &answer.output));
        tried.push((engine, refusal));
    }
    Err(StepError::refused(container::unusable(&tried)))
}

/// Builds the image, and completes it with the install script where there is one.
async fn make(
    desk: &mut Desk<'_>,
    engine: EngineKind,
    build: &ImageBuild,
    preparing: &Preparing<'_>,
    context: TaskDirectory,
) -> Result<(), StepError> {
    let image = &preparing.plan.image;
    let (task, directory) = desk.prepare(context).await?;
    let labels = Labels {
        content: Some(build.content.clone()),
        ..preparing.labels.clone()
    };
    let first = match build.install {
        None => image.clone(),
        // Only what is complete gets the name.
        Some(_) => labels.on_the_way(&preparing.name),
    };
    let building = container::build(engine, &first, &labels);
    let answer = desk.run_prepared(task, logged(&building, BUILD_S)).await?;
    if !answer.is_good() {
        return Err(build_failed(&building, &answer));
    }
    let Some(script) = &build.install else {
        return Ok(());
    };
    let container = format!("{}-build", preparing.name);
    undo(
        desk,
        UndoId(0),
        Some(&container::remove_image(engine, &first)),
    );
    let remove = removal(engine, &container, &labels.run);
    desk.session.send(ToAgent::AtEnd {
        undo: UndoId(1),
        process: Some(process(removal_when_made(engine, &container, &labels.run))),
    });
    let result = install(
        desk, engine, &first, &container, &directory, script, &labels, image,
    )
    .await;
    // Whatever became of it, nothing of the way stays. An interrupted node does this when it leaves.
    if !matches!(&result, Err(error) if error.is_interrupt()) {
        desk.run(Command::question(remove, QUESTION_S)).await?;
        let away = container::remove_image(engine, &first).argv();
        desk.run(Command::question(away, QUESTION_S)).await?;
        undo(desk, UndoId(1), None);
        undo(desk, UndoId(0), None);
    }
    result
}

#[expect(
    clippy::too_many_arguments,
    reason = "the names of what stands on the way from one image to the other"
)]
async fn install(
    desk: &mut Desk<'_>,
    engine: EngineKind,
    first: &str,
    name: &str,
    directory: &str,
    script: &str,
    labels: &Labels,
    image: &str,
) -> Result<(), StepError> {
    let inspect = container::inspect_image(engine, first);
    let answer = desk
        .run(Command::question(inspect.argv(), QUESTION_S))
        .await?;
    check(&inspect, &answer, QUESTION_S)?;
    let made =
        container::image(&answer.output).map_err(|error| StepError::plain(error.to_string()))?;
    let running = container::install(engine, name, first, directory, script, labels);
    let answer = desk.run(logged(&running, BUILD_S)).await?;
    if !answer.is_good() {
        let mut error = StepError::plain(format!(
            "the install script `{script}` failed ({})",
            answer.status(BUILD_S)
        ));
        error.hint = container::refusal(&running, "", &answer.output).hint;
        error.tail = container::last_words(&answer.output, TAIL);
        return Err(error);
    }
    let commit = container::commit(engine, name, image, &made.entrypoint, &made.command, labels);
    let answer = desk.run(logged(&commit, COMMIT_S)).await?;
    check(&commit, &answer, COMMIT_S)
}

fn build_failed(invocation: &Invocation, answer: &Answer) -> StepError {
    let status = answer.status(BUILD_S);
    let Refusal { reason, hint } = container::refusal(invocation, &status, &answer.output);
    match container::failing_step(&answer.output) {
        None => StepError {
            tail: container::last_words(&answer.output, TAIL),
            ..StepError::refused(Refusal { reason, hint })
        },
        Some(step) => StepError {
            reason: format!("the build failed at step {step} ({status})"),
            hint,
            tail: container::last_words(&answer.output, TAIL),
            stop: None,
        },
    }
}

fn undo(desk: &Desk<'_>, undo: UndoId, invocation: Option<&Invocation>) {
    desk.session.send(ToAgent::AtEnd {
        undo,
        process: invocation.map(|invocation| process(invocation.argv())),
    });
}

/// As [`removal`], for a container whose engine may still be about to make it.
pub(super) fn removal_when_made(engine: EngineKind, container: &str, run: &str) -> Vec<String> {
    let mut argv = removal(engine, container, run);
    argv.push("--awaited".to_owned());
    argv
}

/// What removes a container if it is one of this run: this program itself, which looks at its labels first.
pub(crate) fn removal(engine: EngineKind, container: &str, run: &str) -> Vec<String> {
    [
        OWN_PROGRAM,
        "remove-container",
        engine.command(),
        container,
        run,
    ]
    .map(str::to_owned)
    .to_vec()
}

pub(super) fn process(argv: Vec<String>) -> ProcessSpec {
    ProcessSpec {
        rank: 0,
        argv,
        env: BTreeMap::new(),
        cwd: None,
        cpus: Vec::new(),
    }
}

/// A command whose output goes to the step's log.
fn logged(invocation: &Invocation, timeout_s: f64) -> Command {
    Command {
        argv: invocation.argv(),
        env: BTreeMap::new(),
        timeout_s,
        step: Some(StepKind::PrepareImage),
    }
}

fn check(invocation: &Invocation, answer: &Answer, timeout_s: f64) -> Result<(), StepError> {
    if answer.is_good() {
        return Ok(());
    }
    let refusal = container::refusal(invocation, &answer.status(timeout_s), &answer.output);
    Err(StepError::refused(refusal))
}
