//! `flagperf run --resume RUN`: what has not passed of an earlier run is run again, with the same plan and
//! in the same directory.

use std::path::{Path, PathBuf};

use flagperf_engine::{RunRequest, now};
use flagperf_model::{BadNode, EventKind};
use flagperf_store::Recorder;

use super::bring_up::{self, BroughtUp};
use super::{LEAVING, VERSION, conclude, inventory, printer, signals, tell, tell_of_nodes, trees};
use crate::cli::RunArgs;
use crate::commands::consumers::Listeners;
use crate::exit::{Exit, Failure};
use crate::output::{print, warn};

pub(super) async fn resume(args: &RunArgs, run: &Path) -> Result<Exit, Failure> {
    let mut interrupts = signals::listen().map_err(Failure::internal)?;
    let recorder = Recorder::reopen(&directory(args, run)).map_err(Failure::usage)?;
    let directory = recorder.directory().to_owned();
    let plan = recorder.record().plan.clone();
    let rounds = recorder.remaining();
    if rounds.is_empty() {
        return print("nothing is left to run: every round has passed\n")
            .map(|()| Exit::Success)
            .map_err(Failure::internal);
    }
    // Nodes that were missing when the plan was made have no part in it.
    let missing: Vec<BadNode> = recorder
        .record()
        .nodes
        .iter()
        .filter(|node| node.facts.is_none())
        .filter_map(|node| node.bad.clone())
        .collect();
    let mut inventory = inventory::of_plan(&args.nodes, &plan)?;
    inventory
        .nodes
        .retain(|node| missing.iter().all(|bad| bad.node != node.name));
    let trees = trees(&plan)?;
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let (mut nodes, bad) = match bring_up::bring_up(&inventory, &program, &mut interrupts).await? {
        BroughtUp::Done(nodes, bad) => (nodes, bad),
        BroughtUp::Interrupted => {
            warn("interrupted before anything was started");
            return Ok(Exit::Interrupted);
        }
    };
    if !bad.is_empty() {
        flagperf_engine::close_all(nodes, LEAVING).await;
        return Err(bring_up::failure(&bad, inventory.nodes.len()));
    }
    for node in &mut nodes {
        let place = plan
            .nodes
            .iter()
            .position(|spec| spec.name == node.spec.name);
        node.rank = place.unwrap_or_default() as u32;
    }
    let mut listeners = Listeners {
        recorder,
        printer: printer(args),
    };
    let resumed = EventKind::RunResumed {
        version: VERSION.to_owned(),
        passed: (plan.cases.len() - rounds.len()) as u32,
        cases: rounds.len() as u32,
    };
    tell(&mut listeners, now(), resumed);
    tell_of_nodes(&mut listeners, &nodes, Vec::new());
    let request = RunRequest {
        plan: &plan,
        rounds: &rounds,
        trees: &trees,
        tolerant: !missing.is_empty(),
    };
    let totals = flagperf_engine::run(&request, nodes, interrupts, &mut listeners).await;
    Ok(conclude(args, listeners, totals, &directory))
}

/// The run's directory: as given, or by its name among the results.
fn directory(args: &RunArgs, run: &Path) -> PathBuf {
    let named = args.results.join(run);
    if !run.exists() && named.exists() {
        named
    } else {
        run.to_owned()
    }
}
