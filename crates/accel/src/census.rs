//! From the first answer of a status tool to the chips of a node and their series, and from later answers to rows
//! of samples.

use std::collections::BTreeMap;

use flagperf_model::{Absent, ChipFacts, SeriesDecl};

use crate::{ChipReading, Quantity, Value};

/// Most chips of a node; a tool that tells of more is not understood.
const MOST: usize = 1024;

/// The name under which all series of chips are missing together.
const ALL_SERIES: &str = "chip";

/// The chips of a node, and where in a row of samples the values of each stand.
#[derive(Debug, Clone, PartialEq)]
pub struct Census {
    /// The chips, in the order of the tool.
    pub chips: Vec<ChipFacts>,
    /// What the values of a row are.
    pub series: Vec<SeriesDecl>,
    /// What is not told of chips, and why.
    pub absent: Vec<Absent>,
    /// The chips as they were first told of.
    known: Vec<ChipReading>,
    /// Chip and quantity of each value of a row.
    places: Vec<(usize, Quantity)>,
}

/// Makes the census from what a vendor's tool told at first, one reading a chip; `tool` is its name. Where it told
/// of a chip twice the later counts. `None` if it told of none, or of more than a node can have.
///
/// A quantity that the tool says a chip does not have, or does not speak of, gets no series. One that could not
/// be read this time does: it may be read the next.
pub fn census(vendor: &str, tool: &str, readings: &[ChipReading]) -> Option<Census> {
    let mut known: Vec<ChipReading> = Vec::new();
    for reading in readings {
        match known.iter().position(|one| one.is_of_same_chip(reading)) {
            Some(place) => known[place] = reading.clone(),
            None if known.len() == MOST => return None,
            None => known.push(reading.clone()),
        }
    }
    if known.is_empty() {
        return None;
    }
    let labels = labels(&known);
    let mut places = Vec::new();
    let mut series = Vec::new();
    let mut absent = Vec::new();
    for quantity in Quantity::SERIES {
        // Chips without it by the reason.
        let mut without: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (place, (chip, label)) in known.iter().zip(&labels).enumerate() {
            let reason = match chip.value(quantity) {
                Value::Number(_) | Value::Unreadable(_) => {
                    places.push((place, quantity));
                    series.push(quantity.series(label));
                    continue;
                }
                Value::Unsupported(word) => format!("{tool} says {word}"),
                Value::Untold => format!("{tool} does not tell it"),
            };
            without.entry(reason).or_default().push(label);
        }
        for (reason, chips) in without {
            let reason = match chips.len() {
                all if all == known.len() => reason,
                1 => format!("chip {}: {reason}", chips[0]),
                _ => format!("chips {}: {reason}", chips.join(", ")),
            };
            absent.push(Absent {
                name: quantity.series_name().to_owned(),
                reason,
            });
        }
    }
    let chips = known.iter().zip(&labels).map(|(chip, label)| ChipFacts {
        vendor: vendor.to_owned(),
        label: label.clone(),
        name: chip.name.clone(),
        uuid: chip.uuid.clone(),
        bus: chip.bus.clone(),
        memory_bytes: chip.number(Quantity::MemoryTotal).map(|bytes| bytes as u64),
        driver: chip.driver.clone(),
    });
    Some(Census {
        chips: chips.collect(),
        series,
        absent,
        known,
        places,
    })
}

/// The tool's own numbers where they tell the chips apart, else places in its list.
fn labels(known: &[ChipReading]) -> Vec<String> {
    let mut numbers: Vec<Option<u32>> = known.iter().map(|chip| chip.index).collect();
    numbers.sort_unstable();
    numbers.dedup();
    let are_apart = numbers.len() == known.len() && !numbers.contains(&None);
    let label = |(place, chip): (usize, &ChipReading)| match chip.index {
        Some(index) if are_apart => index.to_string(),
        _ => place.to_string(),
    };
    known.iter().enumerate().map(label).collect()
}

impl Census {
    /// A row of samples: for each series the stored number, `None` for a gap. A chip that is not spoken of has
    /// gaps; one that was not there at first is passed over.
    pub fn row(&self, readings: &[ChipReading]) -> Vec<Option<i64>> {
        let of_chip: Vec<Option<&ChipReading>> = self
            .known
            .iter()
            .map(|chip| readings.iter().rfind(|one| one.is_of_same_chip(chip)))
            .collect();
        let stored = |&(chip, quantity): &(usize, Quantity)| {
            let value = of_chip.get(chip).copied().flatten()?.number(quantity)?;
            Some((value / quantity.resolution()).round() as i64)
        };
        self.places.iter().map(stored).collect()
    }

    /// True if one of these readings is of each chip: nothing is missing from the tool's answer.
    pub fn is_complete(&self, readings: &[ChipReading]) -> bool {
        self.known
            .iter()
            .all(|chip| readings.iter().any(|one| one.is_of_same_chip(chip)))
    }

    /// What is said where no chip can be sampled.
    pub fn nothing(reason: impl Into<String>) -> Absent {
        Absent {
            name: ALL_SERIES.to_owned(),
            reason: reason.into(),
        }
    }
}
