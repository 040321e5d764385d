//! Whether built-in measurements can have as many threads as somebody wants.

use flagperf_model::{CaseName, CaseSpec, Entry, NodeName, ParamValue};

use crate::layout::{lacking, ranks_on};
use crate::{CaseParams, ParamError, PlanError, PlanRequest};

/// The parameter that every built-in measurement understands as the threads of a rank. What a
/// program of the user's own means by it is its own affair.
const THREADS: &str = "threads";

/// A parameter that asks for more threads than the smallest rank has cores is an error: a built-in
/// measurement pins one thread to a core and would fail. Cases with the same number of cores share
/// an error.
pub(crate) fn check_threads(
    request: &PlanRequest<'_>,
    specs: &[&CaseSpec],
    params: &CaseParams,
) -> Vec<PlanError> {
    let mut refused: Vec<(i64, Smallest<'_>, Vec<CaseName>)> = Vec::new();
    for spec in specs {
        let value = params.get(&spec.name).and_then(|of| of.get(THREADS));
        let (Entry::Kernel(_), Some(ParamValue::Integer(threads))) = (&spec.entry, value) else {
            continue;
        };
        let Some(smallest) = smallest_rank(request, spec) else {
            continue;
        };
        if usize::try_from(*threads).is_ok_and(|threads| threads <= smallest.cores) {
            continue;
        }
        let same = refused
            .iter_mut()
            .find(|(given, rank, _)| given == threads && *rank == smallest);
        match same {
            Some((_, _, of)) => of.push(spec.name.clone()),
            None => refused.push((*threads, smallest, vec![spec.name.clone()])),
        }
    }
    let error = |(given, rank, of): (i64, Smallest<'_>, Vec<CaseName>)| {
        let Smallest { cores, node } = rank;
        let place = if request.nodes.len() == 1 {
            String::new()
        } else {
            format!(" on node {node}")
        };
        PlanError::Param(ParamError::Value {
            name: THREADS.to_owned(),
            of,
            reason: format!("`{given}` is more than a rank has cores{place}"),
            expected: format!("at most {cores}, the number of cores of its smallest rank"),
        })
    };
    refused.into_iter().map(error).collect()
}

/// The rank with the fewest cores.
#[derive(Debug, PartialEq, Eq)]
struct Smallest<'a> {
    cores: usize,
    node: &'a NodeName,
}

/// Nodes that cannot run the case, and ranks that are not pinned, say nothing.
fn smallest_rank<'a>(request: &'a PlanRequest<'_>, spec: &CaseSpec) -> Option<Smallest<'a>> {
    request
        .present()
        .filter(|(_, _, facts)| lacking(spec, &facts.cpu).is_none())
        .flat_map(|(_, node, facts)| {
            let ranks = ranks_on(spec, &facts.cpu).unwrap_or_default();
            ranks.into_iter().map(move |cpus| Smallest {
                cores: cpus.len(),
                node: &node.name,
            })
        })
        .filter(|rank| rank.cores > 0)
        .min_by_key(|rank| rank.cores)
}
