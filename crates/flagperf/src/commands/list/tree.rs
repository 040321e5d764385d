//! The cases of a FlagPerf tree: cases × vendors × chips.

use std::collections::BTreeSet;
use std::fmt::Write;

use comfy_table::{ContentArrangement, Table, presets};
use flagperf_library::{Adaptation, Configuration, SuiteTree, TreeCatalogue, TreeEntry};
use flagperf_model::Suite;

/// What stands where a vendor has nothing.
const NOTHING: &str = "–";

/// What a vendor has that is not adapted to its chips one by one.
const ALL_CHIPS: &str = "yes";

/// A table for each kind of case of a suite. `wanted` tells which cases.
pub(super) fn describe(
    tree: &SuiteTree,
    catalogue: &TreeCatalogue,
    wanted: impl Fn(&str) -> bool,
    width: Option<u16>,
) -> String {
    let mut text = String::new();
    let entries: Vec<&TreeEntry> = catalogue
        .entries
        .iter()
        .filter(|entry| wanted(&entry.case))
        .collect();
    let mut rest = &entries[..];
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|e| e.kind == first.kind).count();
        let (same, others) = rest.split_at(count);
        rest = others;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "suite {}, {}: {}",
            tree.name(),
            first.kind,
            counted(count, "case")
        );
        let _ = writeln!(text, "{}\n", table(tree.suite, same, width));
    }
    let adaptations: usize = entries
        .iter()
        .flat_map(|entry| &entry.adaptations)
        .map(places)
        .sum();
    let _ = writeln!(
        text,
        "{}, {}",
        counted(entries.len(), "case"),
        counted(adaptations, "adaptation")
    );
    text
}

fn counted(count: usize, what: &str) -> String {
    let ending = if count == 1 { "" } else { "s" };
    format!("{count} {what}{ending}")
}

/// For how many chips, or sizes, a case is adapted.
fn places(adaptation: &Adaptation) -> usize {
    adaptation
        .chips
        .len()
        .max(adaptation.configurations.len())
        .max(1)
}

/// A row for each case and a column for each vendor; in suite training, whose configurations are many, a row for each
/// case and vendor.
fn table(suite: Suite, entries: &[&TreeEntry], width: Option<u16>) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    if let Some(width) = width {
        table.set_width(width);
    }
    if suite == Suite::Training {
        table.set_header(["case", "vendor", "configurations (chip x nodes x ranks)"]);
        for entry in entries {
            for adaptation in &entry.adaptations {
                let sizes: Vec<String> = adaptation.configurations.iter().map(size).collect();
                let sizes = if sizes.is_empty() {
                    NOTHING.to_owned()
                } else {
                    sizes.join(", ")
                };
                table.add_row([entry.case.clone(), adaptation.vendor.clone(), sizes]);
            }
        }
        return table;
    }
    let vendors: BTreeSet<&str> = entries
        .iter()
        .flat_map(|entry| &entry.adaptations)
        .map(|adaptation| adaptation.vendor.as_str())
        .collect();
    let header = std::iter::once("case").chain(vendors.iter().copied());
    table.set_header(header);
    for entry in entries {
        let cells = vendors.iter().map(|vendor| {
            let found = entry.adaptations.iter().find(|a| a.vendor == **vendor);
            match found {
                None => NOTHING.to_owned(),
                Some(adaptation) if adaptation.chips.is_empty() => ALL_CHIPS.to_owned(),
                Some(adaptation) => adaptation.chips.join(", "),
            }
        });
        table.add_row(std::iter::once(entry.case.clone()).chain(cells));
    }
    table
}

fn size(configuration: &Configuration) -> String {
    format!(
        "{}x{}x{}",
        configuration.hardware, configuration.nnodes, configuration.nproc
    )
}
