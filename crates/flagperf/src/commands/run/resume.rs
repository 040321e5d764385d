//! `flagperf run --resume RUN`: what has not passed of an earlier run is run again, with the same plan and
//! in the same directory. Nothing of the record changes before a round can run.

use std::path::{Path, PathBuf};

use flagperf_config::Inventory;
use flagperf_engine::{Node, RunRequest, Trees, now};
use flagperf_model::{EventKind, NodeName, Plan, RunRecord};
use flagperf_store::Recorder;

use super::bring_up::{self, BroughtUp};
use super::{
    LEAVING, RESULTS, VERSION, conclude, inventory, meeting, nothing_started, packing, printer,
    secrets, signals, tell, tell_of_nodes, tells, vendor,
};
use crate::cli::RunArgs;
use crate::commands::consumers::Listeners;
use crate::exit::{Exit, Failure};
use crate::output::{hint, print};

pub(super) async fn resume(args: &RunArgs, run: &Path) -> Result<Exit, Failure> {
    let mut interrupts = signals::listen().map_err(Failure::internal)?;
    let earlier = Recorder::reopen(&directory(args, run)).map_err(Failure::usage)?;
    let directory = earlier.directory().to_owned();
    let rounds = earlier.record().remaining();
    if rounds.is_empty() {
        return nothing_left(earlier.record());
    }
    let mut plan = earlier.record().plan.clone();
    secrets::take_anew(args, &mut plan)?;
    let inventory = inventory::of_plan(&args.nodes, &plan)?;
    let vendor = earlier.record().plan.monitor.vendor.as_deref();
    let chips = vendor::watch(&vendor::profiles(args.vendor_directory.as_deref())?, vendor)?;
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let (nodes, bad) = match bring_up::bring_up(
        &inventory,
        &program,
        chips,
        &mut interrupts,
        tells(args),
    )
    .await?
    {
        BroughtUp::Done(nodes, bad) => (nodes, bad),
        BroughtUp::Interrupted => return Ok(nothing_started()),
    };
    if !bad.is_empty() && (!args.continue_on_bad_nodes || nodes.is_empty()) {
        flagperf_engine::close_all(nodes, LEAVING).await;
        return Err(bring_up::failure(&bad, inventory.nodes.len()));
    }
    let prepared = match replanned(plan, &rounds, &inventory, &nodes).await {
        Ok((plan, trees, words)) => earlier
            .resume(plan.clone())
            .map_err(Failure::usage)
            .map(|recorder| (plan, trees, words, recorder)),
        Err(failure) => Err(failure),
    };
    let (plan, trees, words, recorder) = match prepared {
        Ok(prepared) => prepared,
        Err(failure) => {
            flagperf_engine::close_all(nodes, LEAVING).await;
            return Err(failure);
        }
    };
    let mut listeners = Listeners {
        recorder,
        printer: printer(args, &plan),
    };
    let resumed = EventKind::RunResumed {
        version: VERSION.to_owned(),
        passed: (plan.cases.len() - rounds.len()) as u32,
        cases: rounds.len() as u32,
    };
    tell(&mut listeners, now(), resumed);
    for message in words {
        tell(&mut listeners, now(), EventKind::Warning { message });
    }
    tell_of_nodes(&mut listeners, &nodes, bad);
    let request = RunRequest {
        plan: &plan,
        rounds: &rounds,
        trees: &trees,
        tolerant: args.continue_on_bad_nodes,
    };
    let totals = flagperf_engine::run(&request, nodes, interrupts, &mut listeners).await;
    Ok(conclude(args, listeners, totals, &directory))
}

/// The plan with what is left of it laid out on the nodes that are there now, the directories it needs,
/// and what is to be said about these.
async fn replanned(
    mut plan: Plan,
    rounds: &[usize],
    inventory: &Inventory,
    nodes: &[Node],
) -> Result<(Plan, Trees, Vec<String>), Failure> {
    let (address, port) = meeting::meeting_point(inventory, nodes).await?;
    let facts = |name: &NodeName| {
        let node = nodes.iter().find(|node| node.spec.name == *name)?;
        Some(node.facts.clone())
    };
    flagperf_library::replan(&mut plan, rounds, facts, (&address, port)).map_err(Failure::usage)?;
    let mut trees = Trees::default();
    let copied = packing::pack(&plan, rounds, &mut trees)?;
    let words = packing::warnings(&copied).collect();
    drop(copied);
    Ok((plan, trees, words))
}

/// Everything has passed; on nodes that were missing, nothing has.
fn nothing_left(record: &RunRecord) -> Result<Exit, Failure> {
    print("nothing is left to run: every round has passed\n").map_err(Failure::internal)?;
    let missing: Vec<&str> = record
        .nodes
        .iter()
        .filter(|node| node.facts.is_none())
        .map(|node| node.name.as_str())
        .collect();
    if !missing.is_empty() {
        hint(&format!(
            "without {}; what passed without a node is not run again, so measure it in a run of its own",
            missing.join(", ")
        ));
    }
    Ok(Exit::Success)
}

/// The run's directory: as given, or by its name among the results.
fn directory(args: &RunArgs, run: &Path) -> PathBuf {
    let results = args.results.as_deref().unwrap_or(Path::new(RESULTS));
    let named = results.join(run);
    if !run.exists() && named.exists() {
        named
    } else {
        run.to_owned()
    }
}
