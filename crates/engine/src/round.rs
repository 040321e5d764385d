//! A round of a case from the decision whether it is run to its end.

use std::collections::HashMap;

use flagperf_model::{
    Cause, EventKind, NodeName, NodeScope, NodeTask, Outcome, PlannedCase, SetupCommand, Stage,
    StepKind, Timestamp,
};
use flagperf_transport::now;
use flagperf_wire::TaskDirectory;

use crate::active::{Active, Done};
use crate::case_run::CaseRun;
use crate::context::Context;
use crate::desk::Command;
use crate::emission::Emission;
use crate::setup;
use crate::steps::{Means, Member, StepError, Taken};
use crate::trees::Trees;

/// How long dropping the page cache may take, in seconds: what is in it and not on the disk yet is written first.
const DROPPING_S: f64 = 30.0;

pub(crate) async fn one_round(
    context: &mut Context<'_>,
    index: usize,
    case: &PlannedCase,
) -> Outcome {
    context.catch_up();
    if let Some((outcome, tail)) = obstacle(context, case) {
        return ended(context, case, outcome, now(), tail);
    }
    let started = now();
    context.consumer.take(&Emission::CaseBegins(case));
    context.tell_at(
        started,
        EventKind::CaseStarted {
            case: case.name().clone(),
            round: case.round,
            index: index as u32 + 1,
            expected_s: case.expected_s,
        },
    );
    for (node, lacks) in &case.left_out {
        context.tell(EventKind::Warning {
            message: format!("{} is not run on {node}: {lacks}", case.name()),
        });
    }
    let unready = match make_ready(context, case).await {
        Ok(unready) => unready,
        Err((outcome, tail)) => return ended(context, case, outcome, started, tail),
    };
    drop_caches(context, case).await;
    if context.interrupted > 0 {
        return ended(context, case, Outcome::Aborted, started, Vec::new());
    }
    context.listen();
    let outcome = CaseRun::new(context, case, started, unready)
        .await_end()
        .await;
    context.listen_no_more().await;
    outcome
}

/// Why a round is not run, if it is not, and the last lines that go with it.
fn obstacle(context: &Context<'_>, case: &PlannedCase) -> Option<(Outcome, Vec<String>)> {
    let spans = case.spec.nodes == NodeScope::All;
    let is_strict = spans || !context.request.tolerant;
    let lost = context.nodes.iter().filter(|node| node.lost.is_some());
    let lost = lost.count();
    let stops = lost + context.gone > 0 && (is_strict || lost == context.nodes.len());
    let broken = context
        .failures
        .as_ref()
        .filter(|failures| failures.all || is_strict);
    let outcome = if context.interrupted > 0 {
        Outcome::NotRun
    } else if let Some(failures) = broken {
        return Some((failures.outcome.clone(), failures.tail.clone()));
    } else if stops {
        Outcome::NotRun
    } else if let Some(feature) = case.unsupported.clone() {
        Outcome::Unsupported { feature }
    } else if let Some(reason) = case.skipped.clone() {
        Outcome::Skipped { reason }
    } else {
        return None;
    };
    Some((outcome, Vec::new()))
}

/// Tells the end of a round whose processes were not started.
fn ended(
    context: &mut Context<'_>,
    case: &PlannedCase,
    outcome: Outcome,
    started: Timestamp,
    tail: Vec<String>,
) -> Outcome {
    let ended = now();
    context.tell_at(
        ended,
        EventKind::CaseEnded {
            case: case.name().clone(),
            round: case.round,
            outcome: outcome.clone(),
            seconds: ended.seconds_since(started),
            tail,
        },
    );
    outcome
}

/// A node on which what makes a case ready has failed, while others go on.
pub(crate) struct Unready {
    pub(crate) node: NodeName,
    pub(crate) reason: String,
    pub(crate) tail: Vec<String>,
}

/// What runs on each node, by its name.
type Tasks<'p> = HashMap<&'p NodeName, &'p NodeTask>;

fn tasks(case: &PlannedCase) -> Tasks<'_> {
    case.tasks.iter().map(|task| (&task.node, task)).collect()
}

/// Runs the commands that make a case ready on all its nodes together. Gives those on which that failed if the others
/// go on, or else the end of the round.
async fn make_ready(
    context: &mut Context<'_>,
    case: &PlannedCase,
) -> Result<Vec<Unready>, (Outcome, Vec<String>)> {
    if case.setup.is_empty() {
        return Ok(Vec::new());
    }
    let trees = context.request.trees;
    let tasks = tasks(case);
    let mut nodes = std::mem::take(&mut context.nodes);
    let mut concerned = Vec::new();
    let mut is_done = true;
    for node in there(&mut nodes, &tasks) {
        let due = due(node, case, &tasks, trees);
        is_done &= due.as_ref().is_ok_and(Vec::is_empty);
        concerned.push((node, due));
    }
    if is_done {
        context.nodes = nodes;
        return Ok(Vec::new());
    }
    let names: Vec<NodeName> = concerned
        .iter()
        .map(|(node, _)| node.name().clone())
        .collect();
    let members = concerned.iter_mut().map(|due| Member {
        name: due.0.name().clone(),
        rank: due.0.node.rank,
        what: due,
    });
    let members = members.collect();
    let mut steps = context.steps();
    let taken = steps
        .take(StepKind::PrepareCase, false, members, async |due, means| {
            let (node, due) = due;
            run_setup(node, due, &means).await
        })
        .await;
    context.interrupted = steps.interrupted;
    drop(concerned);
    context.nodes = nodes;
    let mut failed = Vec::new();
    for (node, taken) in names.into_iter().zip(taken) {
        let Err(error) = taken else { continue };
        if error.is_loss()
            && let Some(place) = context.places.get(&node).copied()
        {
            context.lose(place, error.reason.clone());
        }
        failed.push((node, error));
    }
    if context.interrupted > 0 {
        return Err((Outcome::Aborted, Vec::new()));
    }
    let is_strict = case.spec.nodes == NodeScope::All || !context.request.tolerant;
    let all = failed.len() == case.tasks.len();
    let Some((node, first)) = failed.first() else {
        return Ok(Vec::new());
    };
    if !is_strict && !all {
        let unready = failed.into_iter().map(|(node, error)| Unready {
            node,
            reason: error.reason,
            tail: error.tail,
        });
        return Ok(unready.collect());
    }
    let outcome = if first.is_loss() {
        Outcome::Lost {
            node: node.clone(),
            reason: first.reason.clone(),
        }
    } else {
        Outcome::Failed {
            node: node.clone(),
            stage: Stage::Launch,
            cause: Cause::Environment {
                step: StepKind::PrepareCase,
                reason: first.reason.clone(),
            },
            also: failed[1..].iter().map(|(node, _)| node.clone()).collect(),
        }
    };
    Err((outcome, first.tail.clone()))
}

/// Those of the nodes that the case runs on and that are not lost.
fn there<'n>(
    nodes: impl IntoIterator<Item = &'n mut Active>,
    tasks: &Tasks<'_>,
) -> impl Iterator<Item = &'n mut Active> {
    nodes
        .into_iter()
        .filter(|node| node.lost.is_none() && tasks.contains_key(node.name()))
}

fn members<'n>(nodes: impl Iterator<Item = &'n mut Active>) -> Vec<Member<'n, Active>> {
    let members = nodes.map(|node| Member {
        name: node.name().clone(),
        rank: node.node.rank,
        what: node,
    });
    members.collect()
}

/// Commands that are to be run, each with what is remembered when it went well.
type Due<'p> = Result<Vec<(&'p SetupCommand, Done)>, String>;

/// The commands of a case that have not gone well on this node before.
fn due<'p>(node: &mut Active, case: &'p PlannedCase, tasks: &Tasks<'_>, trees: &Trees) -> Due<'p> {
    let task = tasks.get(node.name()).copied();
    let mut due = Vec::new();
    for command in &case.setup {
        let directory = match &command.directory {
            Some(path) => node.directory_of_setup(trees, path),
            None => place(node, task, trees),
        };
        let done = Done {
            argv: command.argv.clone(),
            env: command.env.clone(),
            directory: directory?,
        };
        if !node.done.contains(&done) {
            due.push((command, done));
        }
    }
    Ok(due)
}

/// Where the processes of a task run.
fn place(
    node: &mut Active,
    task: Option<&NodeTask>,
    trees: &Trees,
) -> Result<TaskDirectory, String> {
    let path = task.and_then(|task| task.case_directory.as_deref());
    node.directory(trees, path, task.and_then(|task| task.copy.as_ref()))
}

/// Runs what is due on one node.
async fn run_setup(node: &mut Active, due: &Due<'_>, means: &Means) -> Taken {
    let due = due.as_ref().map_err(StepError::plain)?;
    for (command, done) in due {
        let (step, directory) = (StepKind::PrepareCase, done.directory.clone());
        setup::run(node, means, step, command, directory).await?;
        node.done.push(done.clone());
    }
    Ok((!due.is_empty()).then(|| setup::count(due.len())))
}

/// Drops the page cache of every machine that the case runs on: below a container, that is its node's affair. Why it
/// could not be done is told once.
async fn drop_caches(context: &mut Context<'_>, case: &PlannedCase) {
    if !case.drop_caches || context.interrupted > 0 {
        return;
    }
    let trees = context.request.trees;
    let tasks = tasks(case);
    let below = std::mem::take(&mut context.below);
    let mut nodes = std::mem::take(&mut context.nodes);
    let mut steps = context.steps();
    // What the case needs there comes first, or it would be in the cache again. If it does not come, the case tells.
    steps
        .quietly(members(there(&mut nodes, &tasks)), async |node, means| {
            let task = tasks.get(node.name()).copied();
            let directory = place(node, task, trees).map_err(StepError::plain)?;
            node.desk(&means).prepare(directory).await?;
            Ok(None)
        })
        .await;
    let machines = if below.is_empty() {
        members(there(&mut nodes, &tasks))
    } else {
        let hosts = below.iter_mut().map(|host| &mut host.active);
        members(there(hosts, &tasks))
    };
    let names: Vec<NodeName> = machines.iter().map(|member| member.name.clone()).collect();
    let taken = steps
        .quietly(machines, async |node, means| drop_on(node, &means).await)
        .await;
    context.interrupted = steps.interrupted;
    context.nodes = nodes;
    context.below = below;
    if context.interrupted > 0 {
        return;
    }
    // Nodes with the same reason share a warning.
    let mut kept: Vec<(String, Vec<NodeName>)> = Vec::new();
    for (node, taken) in names.into_iter().zip(taken) {
        let Some(reason) = taken.err().map(|error| error.reason) else {
            continue;
        };
        match kept.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, nodes)) => nodes.push(node),
            None => kept.push((reason, vec![node])),
        }
    }
    for (reason, nodes) in kept {
        let message = format!(
            "the page cache of {} was not dropped before the case, which may find there what others have read: {reason}",
            flagperf_model::fold(&nodes)
        );
        if !context.kept_caches.contains(&message) {
            context.kept_caches.push(message.clone());
            context.tell(EventKind::Warning { message });
        }
    }
}

async fn drop_on(node: &mut Active, means: &Means) -> Taken {
    let argv = [flagperf_model::OWN_PROGRAM, "drop-caches"].map(str::to_owned);
    let command = Command::question(argv.to_vec(), DROPPING_S);
    let answer = node.desk(means).run(command).await?;
    if answer.is_good() {
        return Ok(None);
    }
    let words = answer.output.trim();
    Err(StepError::plain(match words.lines().last() {
        Some(last) if !last.is_empty() => last.to_owned(),
        _ => answer.status(DROPPING_S),
    }))
}
