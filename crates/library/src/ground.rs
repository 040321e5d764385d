//! The nodes under a round of a case: on which of them it can run, and with which processes.

use flagperf_model::{
    CaseSpec, Entry, MachineFacts, NodeName, NodeScope, NodeSpec, Plan, PlannedCase, RunId,
};

use crate::PlanNode;
use crate::case_file::spans_nodes;
use crate::layout::{lacking, ranks_on};
use crate::process::tasks;

/// What the processes of a round depend on beside its case.
pub(crate) struct Ground<'a> {
    pub(crate) run: &'a RunId,
    /// All nodes by rank, those that are missing included.
    pub(crate) nodes: &'a [PlanNode],
    pub(crate) duration_s: f64,
    pub(crate) master: (&'a str, u16),
}

/// The nodes that are there: place in the list, node, facts.
pub(crate) fn present(
    nodes: &[PlanNode],
) -> impl Iterator<Item = (usize, &NodeSpec, &MachineFacts)> {
    nodes
        .iter()
        .enumerate()
        .filter_map(|(rank, node)| Some((rank, &node.spec, node.facts.as_ref()?)))
}

/// Why rounds of an earlier plan cannot be planned again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "its record does not tell for how long cases measure, a program older than this one wrote it; start a new run"
)]
pub struct ReplanError;

/// Plans rounds of an earlier plan again, for the nodes that are there now: a node that was missing
/// gets its part, one that is missing loses it, and ranks meet at another place. On the same nodes
/// nothing else changes.
///
/// `rounds` are places in the plan; `facts` tells what a node is, and is absent for one that is missing;
/// `master` is as in [`crate::PlanRequest`].
///
/// # Errors
///
/// The plan comes from a program that did not yet record all that is needed.
pub fn replan(
    plan: &mut Plan,
    rounds: &[usize],
    facts: impl Fn(&NodeName) -> Option<MachineFacts>,
    master: (&str, u16),
) -> Result<(), ReplanError> {
    // Cases of trees last as long as they last.
    let all_of_trees = rounds.iter().all(|&place| {
        let case = plan.cases.get(place);
        case.is_none_or(|case| matches!(case.spec.entry, Entry::Tree(_)))
    });
    let duration_s = match plan.duration_s {
        Some(duration_s) => duration_s,
        None if all_of_trees => 0.0,
        None => return Err(ReplanError),
    };
    let nodes: Vec<PlanNode> = plan
        .nodes
        .iter()
        .map(|spec| PlanNode {
            spec: spec.clone(),
            facts: facts(&spec.name),
        })
        .collect();
    let ground = Ground {
        run: &plan.run,
        nodes: &nodes,
        duration_s,
        master,
    };
    for &place in rounds {
        if let Some(case) = plan.cases.get_mut(place) {
            ground.place(case);
        }
    }
    Ok(())
}

impl Ground<'_> {
    /// Fills in where a round runs and with which processes, or why it does not.
    pub(crate) fn place(&self, case: &mut PlannedCase) {
        if let Entry::Tree(tree) = &case.spec.entry {
            let tree = tree.clone();
            crate::tree::place(self, case, &tree);
            return;
        }
        let mut layouts = Vec::new();
        let mut left_out = Vec::new();
        for (rank, node, facts) in present(self.nodes) {
            let ranks = match lacking(&case.spec, &facts.cpu) {
                Some(features) => Err(features),
                None => ranks_on(&case.spec, &facts.cpu),
            };
            match ranks {
                Ok(ranks) => layouts.push((rank, ranks)),
                Err(lacks) => left_out.push((node.name.clone(), lacks)),
            }
        }
        (case.unsupported, case.skipped) = obstacles(self, &case.spec, &left_out, layouts.len());
        let runs = case.unsupported.is_none() && case.skipped.is_none();
        case.tasks = if runs {
            tasks(self, case, &layouts)
        } else {
            Vec::new()
        };
        case.left_out = if runs { left_out } else { Vec::new() };
    }
}

/// Why a case cannot be run at all: because of what its nodes are, or because one is missing.
fn obstacles(
    ground: &Ground<'_>,
    spec: &CaseSpec,
    left_out: &[(NodeName, String)],
    able: usize,
) -> (Option<String>, Option<String>) {
    let spans = spec.nodes == NodeScope::All;
    // A measurement between nodes has nothing to measure on one.
    if spans_nodes(&spec.entry) && ground.nodes.len() < 2 {
        return (Some("at least 2 nodes".to_owned()), None);
    }
    if !left_out.is_empty() && (spans || able == 0) {
        let same = left_out.iter().all(|(_, lacks)| *lacks == left_out[0].1);
        let text = if same && left_out.len() == ground.nodes.len() {
            left_out[0].1.clone()
        } else {
            let each: Vec<String> = left_out
                .iter()
                .map(|(node, lacks)| format!("{lacks} on node {node}"))
                .collect();
            each.join("; ")
        };
        return (Some(text), None);
    }
    let missing: Vec<&str> = ground
        .nodes
        .iter()
        .filter(|node| node.facts.is_none())
        .map(|node| node.spec.name.as_str())
        .collect();
    if spans && !missing.is_empty() {
        return (
            None,
            Some(format!(
                "it spans all nodes, and {} missing: {}",
                if missing.len() == 1 {
                    "one is"
                } else {
                    "some are"
                },
                missing.join(", ")
            )),
        );
    }
    (None, None)
}
