//! Bringing the nodes of a run up, and what to do about those that do not come.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flagperf_config::Inventory;
use flagperf_engine::{BringUp, Node};
use flagperf_model::{BadNode, ChipWatch, fold};
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
    chips: Arc<ChipWatch>,
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
        chips,
        max_parallel: inventory.max_parallel,
        version: VERSION,
        home: std::env::home_dir(),
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

/// All nodes that cannot take part, and why. Nodes with the same reason share a line, and what helps
/// against several reasons is said once, with the nodes that it is about.
pub(super) fn failure(bad: &[BadNode], of: usize) -> Failure {
    let failure = Failure::new(Exit::BadNodes, told(bad, of));
    if bad.len() == of {
        return failure;
    }
    failure
        .hint("--continue-on-bad-nodes runs the cases that need one node on the others".to_owned())
}

fn told(bad: &[BadNode], of: usize) -> String {
    let mut lines = vec![format!(
        "{} of {of} {} cannot take part; nothing was started",
        bad.len(),
        if of == 1 { "node" } else { "nodes" }
    )];
    for (hint, members) in alike(bad.iter(), |node| node.hint.as_deref()) {
        let reasons = alike(members.iter().copied(), |node| node.reason.as_str());
        let several = reasons.len() > 1;
        for (reason, nodes) in reasons {
            let names = names(&nodes);
            lines.push(format!("  {}: {reason}", names.bold()));
        }
        lines.extend(hint.map(|hint| {
            if several {
                format!("    {}: {hint}", names(&members))
            } else {
                format!("    {hint}")
            }
        }));
    }
    lines.join("\n")
}

/// Nodes of which the same is to be said, in the order in which that comes up first.
fn alike<'a, T: PartialEq>(
    nodes: impl Iterator<Item = &'a BadNode>,
    what: impl Fn(&'a BadNode) -> T,
) -> Vec<(T, Vec<&'a BadNode>)> {
    let mut groups: Vec<(T, Vec<&BadNode>)> = Vec::new();
    for node in nodes {
        let said = what(node);
        match groups.iter_mut().find(|(known, _)| *known == said) {
            Some((_, members)) => members.push(node),
            None => groups.push((said, vec![node])),
        }
    }
    groups
}

fn names(nodes: &[&BadNode]) -> String {
    let names: Vec<_> = nodes.iter().map(|node| node.node.clone()).collect();
    fold(&names)
}

#[cfg(test)]
mod tests {
    use flagperf_model::NodeName;

    use super::*;

    #[test]
    fn nodes_with_the_same_trouble_share_a_line_and_hints_name_theirs() {
        let bad = |node: &str, reason: &str, hint: Option<&str>| BadNode {
            node: NodeName::new(node).unwrap(),
            reason: reason.to_owned(),
            hint: hint.map(str::to_owned),
        };
        let slow = Some("check the load");
        let text = told(
            &[
                bad("n1", "no shell", slow),
                bad("n2", "no shell", slow),
                bad("n3", "no agent", slow),
                bad("n4", "wrong key", Some("remove the old one")),
                bad("n5", "gone", None),
            ],
            64,
        );
        let plain = anstream::adapter::strip_str(&text).to_string();
        let lines = [
            "5 of 64 nodes cannot take part; nothing was started",
            "  n[1-2]: no shell",
            "  n3: no agent",
            "    n[1-3]: check the load",
            "  n4: wrong key",
            "    remove the old one",
            "  n5: gone",
        ];
        assert_eq!(plain, lines.join("\n"));
        let one = told(&[bad("n1", "gone", None)], 1);
        assert!(one.starts_with("1 of 1 node cannot"), "{one}");
    }
}
