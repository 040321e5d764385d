//! From a run directory that was read to the input of the reports.

use std::error::Error;

use flagperf_store::LoadedRun;

use crate::{CaseSamples, RunData};

/// Adds the samples to a record that was read. Samples that are gone, or cannot be read, or only in
/// part, are told among what is missing; the rest of the report does not suffer from it.
pub fn load(loaded: LoadedRun) -> RunData {
    let mut missing = loaded.missing.clone();
    let mut samples = Vec::new();
    for (result_index, result) in loaded.record.results.iter().enumerate() {
        for node in &loaded.record.nodes {
            let place = || format!("{}, round {}, on {}", result.case, result.round, node.name);
            match loaded.samples(result, node.rank) {
                Ok(None) => {
                    let taken = result
                        .monitor_cost
                        .iter()
                        .filter(|(name, _)| *name == node.name)
                        .fold(0u64, |sum, (_, cost)| sum.saturating_add(cost.samples));
                    if taken > 0 {
                        missing.push(format!(
                            "samples of {}: there are none, although the monitors took {taken}",
                            place()
                        ));
                    }
                }
                Ok(Some(found)) => {
                    missing.extend(
                        found
                            .damage
                            .map(|damage| format!("samples of {}: {damage}", place())),
                    );
                    samples.push(CaseSamples {
                        result_index,
                        node: node.name.to_string(),
                        decls: found.series,
                        block: found.block,
                    });
                }
                Err(error) => missing.push(format!("samples of {}: {}", place(), chain(&error))),
            }
        }
    }
    RunData {
        record: loaded.record,
        missing,
        samples,
    }
}

/// An error with its causes, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
