//! From a run directory that was read to the input of the reports.

use std::error::Error;

use flagperf_model::MonitorCost;
use flagperf_store::{LoadedRun, Samples, SamplesError};

use crate::{CaseSamples, ChipSamples, RunData};

/// Adds the samples to a record that was read. Samples that are gone, or cannot be read, or only in
/// part, are told among what is missing; the rest of the report does not suffer from it.
pub fn load(loaded: LoadedRun) -> RunData {
    let mut missing = loaded.missing.clone();
    let mut samples = Vec::new();
    for (result_index, result) in loaded.record.results.iter().enumerate() {
        for node in &loaded.record.nodes {
            let place = || format!("{}, round {}, on {}", result.case, result.round, node.name);
            let taken = |count: fn(&MonitorCost) -> u64| {
                let costs = result.monitor_cost.iter();
                let own = costs.filter(|(name, _)| *name == node.name);
                own.fold(0u64, |sum, (_, cost)| sum.saturating_add(count(cost)))
            };
            let mut take = |what: &str,
                            found: Result<Option<Samples>, SamplesError>,
                            taken: u64| {
                match found {
                    Ok(None) => {
                        if taken > 0 {
                            missing.push(format!(
                                "{what} of {}: there are none, although the monitors took {taken}",
                                place()
                            ));
                        }
                        None
                    }
                    Ok(Some(found)) => {
                        let damage = found.damage.as_ref();
                        missing.extend(
                            damage.map(|damage| format!("{what} of {}: {damage}", place())),
                        );
                        Some(found)
                    }
                    Err(error) => {
                        missing.push(format!("{what} of {}: {}", place(), chain(&error)));
                        None
                    }
                }
            };
            let machine = loaded.samples(result, node.rank);
            let machine = take("samples", machine, taken(|cost| cost.samples));
            let chips = loaded.chip_samples(result, node.rank);
            let chips = take("samples of chips", chips, taken(|cost| cost.chip_samples));
            if machine.is_none() && chips.is_none() {
                continue;
            }
            let (machine, chips) = (machine.unwrap_or_default(), chips.unwrap_or_default());
            samples.push(CaseSamples {
                result_index,
                node: node.name.to_string(),
                decls: machine.series,
                block: machine.block,
                chips: ChipSamples {
                    decls: chips.series,
                    block: chips.block,
                },
            });
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
