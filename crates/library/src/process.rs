//! The processes of one round of a case: argument vector, environment, directory, cores.

use std::collections::BTreeMap;

use flagperf_model::{CaseSpec, Entry, NodeTask, ParamValue, ProcessSpec};

use crate::PlanRequest;

/// The tasks of a round on all nodes. `layouts` has the cores of each rank, node by node.
pub(crate) fn tasks(
    request: &PlanRequest<'_>,
    spec: &CaseSpec,
    params: &BTreeMap<String, ParamValue>,
    round: u32,
    layouts: &[Vec<Vec<u32>>],
) -> Vec<NodeTask> {
    let world: usize = layouts.iter().map(Vec::len).sum();
    let directory = request.library.directory(spec.name.as_str());
    let directory = directory.map(|path| path.to_string_lossy().into_owned());
    let argv = argv(request, spec, params, directory.as_deref());
    let mut rank = 0;
    let nodes = request.nodes.iter().zip(layouts).enumerate();
    nodes
        .map(|(node_rank, ((node, _), layout))| {
            let processes = layout.iter().enumerate().map(|(local, cpus)| {
                let mut env = common_env(request, spec, params, round);
                let mut set = |name: &str, value: usize| {
                    env.insert(name.to_owned(), value.to_string());
                };
                set("RANK", rank as usize);
                set("WORLD_SIZE", world);
                set("LOCAL_RANK", local);
                set("LOCAL_WORLD_SIZE", layout.len());
                set("NODE_RANK", node_rank);
                let process = ProcessSpec {
                    rank,
                    argv: argv.clone(),
                    env,
                    cwd: directory.clone(),
                    cpus: cpus.clone(),
                };
                rank += 1;
                process
            });
            let processes = processes.collect();
            let round_part = if request.rounds > 1 {
                format!("round{round}/")
            } else {
                String::new()
            };
            NodeTask {
                node: node.clone(),
                node_rank: node_rank as u32,
                directory: format!("{}/{round_part}{node}_noderank{node_rank}", spec.name),
                log: "benchmark.log.txt".to_owned(),
                processes,
            }
        })
        .collect()
}

fn common_env(
    request: &PlanRequest<'_>,
    spec: &CaseSpec,
    params: &BTreeMap<String, ParamValue>,
    round: u32,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([
        ("FLAGPERF_RUN".to_owned(), request.run.to_string()),
        ("FLAGPERF_CASE".to_owned(), spec.name.to_string()),
        ("FLAGPERF_ROUND".to_owned(), round.to_string()),
    ]);
    if let Entry::Argv(_) = spec.entry {
        env.insert(
            "FLAGPERF_DURATION".to_owned(),
            request.duration_s.to_string(),
        );
        for (name, value) in params {
            let variable = format!("FLAGPERF_PARAM_{}", name.to_ascii_uppercase());
            env.insert(variable, value.to_string());
        }
    }
    env
}

fn argv(
    request: &PlanRequest<'_>,
    spec: &CaseSpec,
    params: &BTreeMap<String, ParamValue>,
    directory: Option<&str>,
) -> Vec<String> {
    match &spec.entry {
        Entry::Kernel(kernel) => {
            let mut argv: Vec<String> = [request.agent_program, "case", kernel, "--duration"]
                .map(str::to_owned)
                .into();
            argv.push(request.duration_s.to_string());
            for (name, value) in params {
                argv.extend(["--param".to_owned(), format!("{name}={value}")]);
            }
            argv
        }
        Entry::Argv(template) => {
            let mut argv: Vec<String> = template
                .iter()
                .map(|argument| substitute(argument, params))
                .collect();
            // Where a relative program is looked for when a process also changes its directory is
            // up to the system; the full path leaves no doubt.
            if let (Some(program), Some(directory)) = (argv.first_mut(), directory)
                && program.contains('/')
                && !program.starts_with('/')
            {
                let relative = program.strip_prefix("./").unwrap_or(program);
                *program = format!("{directory}/{relative}");
            }
            argv
        }
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
