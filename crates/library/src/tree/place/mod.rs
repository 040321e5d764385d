//! The processes of a case on given nodes. Nothing is read here, so that a case can be planned again wherever
//! its record is.

mod base;
mod training;

use std::collections::BTreeMap;

use flagperf_model::{
    NodeName, NodeScope, NodeSpec, NodeTask, PlannedCase, ProcessSpec, TreeCase, TreeProgram,
};

use self::training::Told;
use super::copy::{sees_root, tell_hosts};
use crate::ground::Ground;

/// What runs on a node.
struct Started {
    log: String,
    rank_logs: BTreeMap<u32, String>,
    processes: Vec<ProcessSpec>,
}

/// A node that a case runs on.
struct Spot<'a> {
    tree: &'a TreeCase,
    /// The host names or addresses of the nodes that the case spans.
    hosts: &'a [&'a str],
    /// Its place among those.
    rank: usize,
    /// Its place in the list of all nodes of the run.
    place: usize,
    /// Where ranks meet.
    master: (&'a str, u16),
    /// What every process is told.
    env: BTreeMap<String, String>,
}

/// Fills in where a round runs and with which processes, or why it does not.
pub(crate) fn place(ground: &Ground<'_>, case: &mut PlannedCase, tree: &TreeCase) {
    case.tasks = Vec::new();
    case.left_out = Vec::new();
    case.unsupported = None;
    case.skipped = None;
    let all_hosts: Vec<&str> = ground.nodes.iter().map(|node| host(&node.spec)).collect();
    let mut copy = tree.copy.clone();
    tell_hosts(&mut copy, &all_hosts);
    let directory = if sees_root(&tree.program) {
        above(&tree.suite_directory).to_owned()
    } else {
        tree.suite_directory.clone()
    };
    let spans = case.spec.nodes == NodeScope::All;
    let wanted = if spans {
        tree.nnodes as usize
    } else {
        ground.nodes.len()
    };
    if let Some(reason) = obstacle(ground, spans, wanted) {
        case.skipped = Some(reason);
        return;
    }
    for (place, planned) in ground.nodes.iter().enumerate().take(wanted) {
        let node = &planned.spec;
        if planned.facts.is_none() {
            continue;
        }
        let own = [host(node)];
        let (hosts, rank, master) = if spans {
            (&all_hosts[..wanted], place, ground.master)
        } else {
            (&own[..], 0, (own[0], ground.master.1))
        };
        let spot = Spot {
            tree,
            hosts,
            rank,
            place,
            master,
            env: common_env(ground, case, node),
        };
        let started = spot.start();
        let round = if case.rounds > 1 {
            format!("round{}/", case.round)
        } else {
            String::new()
        };
        case.tasks.push(NodeTask {
            node: node.name.clone(),
            node_rank: place as u32,
            directory: format!("{}/{round}{}_noderank{place}", case.spec.name, node.name),
            log: started.log,
            rank_logs: started.rank_logs,
            processes: started.processes,
            case_directory: Some(directory.clone()),
            copy: Some(copy.clone()),
        });
    }
}

/// Why the case cannot be run on these nodes.
fn obstacle(ground: &Ground<'_>, spans: bool, wanted: usize) -> Option<String> {
    if wanted > ground.nodes.len() {
        return Some(format!(
            "it spans {wanted} nodes, and the run has {}",
            ground.nodes.len()
        ));
    }
    let missing: Vec<&NodeName> = ground
        .nodes
        .iter()
        .take(wanted)
        .filter(|node| node.facts.is_none())
        .map(|node| &node.spec.name)
        .collect();
    let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
    match (spans, missing.len()) {
        (_, 0) => None,
        (true, 1) => Some(format!("it needs the node {}, which is missing", names[0])),
        (true, _) => Some(format!(
            "it needs the nodes {}, which are missing",
            names.join(", ")
        )),
        (false, lacking) if lacking == wanted => Some("every node is missing".to_owned()),
        (false, _) => None,
    }
}

/// The name or address at which other nodes reach a node.
fn host(node: &NodeSpec) -> &str {
    node.address.as_deref().unwrap_or(node.name.as_str())
}

fn above(directory: &str) -> &str {
    directory
        .rsplit_once('/')
        .map_or(directory, |(above, _)| above)
}

/// What a run tells every process, and over that what the user set for the node. Cases of the classic
/// libraries know nothing of it.
fn common_env(
    ground: &Ground<'_>,
    case: &PlannedCase,
    node: &NodeSpec,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("FLAGPERF_RUN".to_owned(), ground.run.to_string()),
        ("FLAGPERF_CASE".to_owned(), case.spec.name.to_string()),
        ("FLAGPERF_ROUND".to_owned(), case.round.to_string()),
        ("FLAGPERF_NODE".to_owned(), node.name.to_string()),
    ]);
    if let flagperf_model::Entry::Tree(tree) = &case.spec.entry {
        env.extend(tree.env.clone());
    }
    env.extend(node.env.clone());
    env
}

impl Spot<'_> {
    fn start(&self) -> Started {
        match &self.tree.program {
            TreeProgram::Benchmark => self.benchmark(),
            TreeProgram::Toolkit => self.toolkit(),
            TreeProgram::Operation {
                format,
                spec_tflops,
                library,
                device,
            } => self.operation(format, spec_tflops, library, *device),
            TreeProgram::Inference {
                data_directory,
                log_level,
            } => self.inference(data_directory, log_level),
            TreeProgram::Training {
                start,
                config_file,
                data_directory,
                visible_devices,
                hosts_ports,
                ..
            } => self.training(&Told {
                start: *start,
                config_file,
                data: data_directory,
                visible_devices: visible_devices.as_deref(),
                hosts_ports,
            }),
            TreeProgram::InContainer => self.alone("in_container"),
            TreeProgram::InCluster => self.alone("in_cluster"),
        }
    }

    /// One process on the node.
    fn single(
        &self,
        log: impl Into<String>,
        env: BTreeMap<String, String>,
        (argv, cwd): (Vec<String>, Option<String>),
    ) -> Started {
        Started {
            log: log.into(),
            rank_logs: BTreeMap::new(),
            processes: vec![ProcessSpec {
                rank: self.rank as u32,
                argv,
                env,
                cwd,
                cpus: Vec::new(),
            }],
        }
    }
}

/// The words of an argument vector.
fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).into()
}
