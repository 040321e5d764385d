//! Bringing the nodes of a run up, and what to do about those that do not come.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flagperf_config::Inventory;
use flagperf_engine::{BringUp, Node};
use flagperf_model::BadNode;
use flagperf_transport::Programs;
use flagperf_wire::Timing;
use owo_colors::OwoColorize;
use tokio::sync::mpsc::UnboundedReceiver;

use super::VERSION;
use crate::exit::{Exit, Failure};

/// What became of the nodes.
pub(super) enum BroughtUp {
    /// These are up, and these are not.
    Done(Vec<Node>, Vec<BadNode>),
    /// The user asked to stop first.
    Interrupted,
}

/// Brings all nodes up together.
pub(super) async fn bring_up(
    inventory: &Inventory,
    own: &Path,
    interrupts: &mut UnboundedReceiver<()>,
) -> Result<BroughtUp, Failure> {
    let hash = flagperf_transport::own_hash().map_err(Failure::internal)?;
    let timing = inventory.timing;
    let bring_up = BringUp {
        programs: Arc::new(Programs::new(own.to_owned(), hash)),
        secret: secret().map_err(Failure::internal)?,
        timing: Timing {
            heartbeat_s: timing.heartbeat.as_secs_f64(),
            silent_s: timing.silent.as_secs_f64(),
            lost_s: timing.lost.as_secs_f64(),
        },
        patience: timing.connect.max(Duration::from_millis(1)),
        max_parallel: inventory.max_parallel,
        version: VERSION,
    };
    let connecting = flagperf_engine::connect_all(&inventory.nodes, own, &bring_up);
    let results = tokio::select! {
        results = connecting => results,
        _ = interrupts.recv() => return Ok(BroughtUp::Interrupted),
    };
    let mut nodes = Vec::new();
    let mut bad = Vec::new();
    for result in results {
        match result {
            Ok(node) => nodes.push(node),
            Err(node) => bad.push(node),
        }
    }
    Ok(BroughtUp::Done(nodes, bad))
}

/// A word that a program printing into the channel cannot guess.
fn secret() -> std::io::Result<String> {
    let mut random = [0; 8];
    rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    Ok(format!("{:016x}x", u64::from_le_bytes(random)))
}

/// All nodes that cannot take part, each with its reason; what helps against several is said once.
pub(super) fn failure(bad: &[BadNode], of: usize) -> Failure {
    let count = bad.len();
    let nodes = if of == 1 { "node" } else { "nodes" };
    let mut text = format!("{count} of {of} {nodes} cannot take part; nothing was started");
    let mut groups: Vec<(Option<&str>, Vec<&BadNode>)> = Vec::new();
    for node in bad {
        let hint = node.hint.as_deref();
        match groups.iter_mut().find(|(known, _)| *known == hint) {
            Some((_, members)) => members.push(node),
            None => groups.push((hint, vec![node])),
        }
    }
    for (hint, members) in groups {
        for node in members {
            text.push_str(&format_args!("\n  {}: {}", node.node.bold(), node.reason).to_string());
        }
        if let Some(hint) = hint {
            text.push_str(&format_args!("\n    {hint}").to_string());
        }
    }
    Failure::new(Exit::BadNodes, text)
        .hint("--continue-on-bad-nodes runs the cases that need one node on the others".to_owned())
}
