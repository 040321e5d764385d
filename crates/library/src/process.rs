//! The processes of one round of a case: argument vector, environment, directory, cores.

use std::collections::BTreeMap;

use flagperf_model::{
    Entry, NodeScope, NodeTask, OWN_PROGRAM, ParamValue, PlannedCase, ProcessSpec,
};

use crate::ground::Ground;

/// The tasks of a round. `layouts` has, node by node, its place in the list and the cores of each
/// rank on it.
pub(crate) fn tasks(
    ground: &Ground<'_>,
    case: &PlannedCase,
    layouts: &[(usize, Vec<Vec<u32>>)],
) -> Vec<NodeTask> {
    let spec = &case.spec;
    let spans = spec.nodes == NodeScope::All;
    let whole_world: usize = layouts.iter().map(|(_, ranks)| ranks.len()).sum();
    let names: Vec<&str> = layouts
        .iter()
        .map(|(place, _)| ground.nodes[*place].spec.name.as_str())
        .collect();
    let names = names.join(",");
    let argv = argv(ground, case);
    let mut next_rank = 0;
    let nodes = layouts.iter().enumerate();
    nodes
        .map(|(group_rank, (place, layout))| {
            let node = &ground.nodes[*place].spec;
            if !spans {
                next_rank = 0;
            }
            let processes = layout.iter().enumerate().map(|(local, cpus)| {
                let mut env = common_env(ground, case);
                env.extend(node.env.clone());
                let mut set = |name: &str, value: String| {
                    env.insert(name.to_owned(), value);
                };
                let rank = next_rank;
                next_rank += 1;
                set("RANK", rank.to_string());
                set("LOCAL_RANK", local.to_string());
                set("LOCAL_WORLD_SIZE", layout.len().to_string());
                set("FLAGPERF_NODE", node.name.to_string());
                // A case that does not span its nodes sees a world of one node, its own.
                let (world, node_rank, nodes, names, master) = if spans {
                    (
                        whole_world,
                        group_rank,
                        layouts.len(),
                        &*names,
                        ground.master.0,
                    )
                } else {
                    (layout.len(), 0, 1, node.name.as_str(), "127.0.0.1")
                };
                set("WORLD_SIZE", world.to_string());
                set("NODE_RANK", node_rank.to_string());
                set("NNODES", nodes.to_string());
                set("FLAGPERF_NODES", names.to_owned());
                set("MASTER_ADDR", master.to_owned());
                set("MASTER_PORT", ground.master.1.to_string());
                ProcessSpec {
                    rank,
                    argv: argv.clone(),
                    env,
                    cwd: None,
                    cpus: cpus.clone(),
                }
            });
            let processes = processes.collect();
            let round_part = if case.rounds > 1 {
                format!("round{}/", case.round)
            } else {
                String::new()
            };
            NodeTask {
                node: node.name.clone(),
                node_rank: *place as u32,
                directory: format!("{}/{round_part}{}_noderank{place}", spec.name, node.name),
                log: "benchmark.log.txt".to_owned(),
                rank_logs: BTreeMap::new(),
                processes,
                case_directory: case.directory.clone(),
                copy: None,
            }
        })
        .collect()
}

fn common_env(ground: &Ground<'_>, case: &PlannedCase) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("FLAGPERF_RUN".to_owned(), ground.run.to_string()),
        ("FLAGPERF_CASE".to_owned(), case.spec.name.to_string()),
        ("FLAGPERF_ROUND".to_owned(), case.round.to_string()),
    ]);
    if let Entry::Argv(_) = case.spec.entry {
        env.insert(
            "FLAGPERF_DURATION".to_owned(),
            ground.duration_s.to_string(),
        );
        for (name, value) in &case.params {
            let variable = format!("FLAGPERF_PARAM_{}", name.to_ascii_uppercase());
            env.insert(variable, value.to_string());
        }
    }
    env
}

fn argv(ground: &Ground<'_>, case: &PlannedCase) -> Vec<String> {
    match &case.spec.entry {
        Entry::Kernel(kernel) => {
            let mut argv: Vec<String> = [OWN_PROGRAM, "case", kernel, "--duration"]
                .map(str::to_owned)
                .into();
            argv.push(ground.duration_s.to_string());
            for (name, value) in &case.params {
                argv.extend(["--param".to_owned(), format!("{name}={value}")]);
            }
            argv
        }
        Entry::Argv(template) => template
            .iter()
            .map(|argument| substitute(argument, &case.params))
            .collect(),
        // Those have another contract and are planned apart.
        Entry::Tree(_) => Vec::new(),
    }
}

/// Puts values in the place of `{param.NAME}`, in one pass: a value that looks like a placeholder
/// stays as it is.
fn substitute(argument: &str, params: &BTreeMap<String, ParamValue>) -> String {
    let mut out = String::new();
    let mut rest = argument;
    while let Some(at) = rest.find("{param.") {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        let name = from["{param.".len()..].split_once('}');
        let value = name.and_then(|(name, after)| Some((params.get(name)?, after)));
        if let Some((value, after)) = value {
            out.push_str(&value.to_string());
            rest = after;
        } else {
            out.push_str("{param.");
            rest = &from["{param.".len()..];
        }
    }
    out.push_str(rest);
    out
}
