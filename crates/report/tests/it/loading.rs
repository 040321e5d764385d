//! From a run directory to the input of the reports.

use std::fs;
use std::path::Path;

use flagperf_model::RunRecord;
use flagperf_report::{RunData, TerminalOptions, html, json, load, markdown, terminal};
use flagperf_store::LoadedRun;

use crate::fixture::{Size, run};

fn load_from(directory: &Path, record: RunRecord) -> RunData {
    load(LoadedRun {
        directory: directory.to_owned(),
        record,
        events: Vec::new(),
        missing: vec!["events.jsonl is missing".to_owned()],
    })
}

#[test]
fn samples_that_cannot_be_read_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let mut record = run(Size::SMALL).record;
    for result in &mut record.results {
        result.monitor_cost.clear();
    }
    // Where the samples of the last case should lie there is a directory.
    let last = record.results.last().unwrap();
    fs::create_dir_all(
        directory
            .path()
            .join(&last.directories[0])
            .join("samples.fps"),
    )
    .unwrap();
    let data = load_from(directory.path(), record);
    assert_eq!(data.missing[0], "events.jsonl is missing");
    assert!(data.missing.iter().skip(1).all(|line| {
        line.starts_with("samples of interconnect-MPI_intraserver, round 1, on node0: ")
    }));
    // Cases whose monitors took no samples have none to miss.
    assert_eq!(data.missing.len(), 2);
}

#[test]
fn samples_that_were_taken_and_are_gone_are_told_in_every_format() {
    let directory = tempfile::tempdir().unwrap();
    let record = run(Size::SMALL).record;
    let monitored = record
        .results
        .iter()
        .filter(|result| result.monitor_cost.iter().any(|(_, cost)| cost.samples > 0))
        .count();
    let data = load_from(directory.path(), record);
    assert_eq!(data.missing.len(), 1 + monitored);
    let told = "samples of computation-FP32, round 1, on node0: there are none, although the monitors took 40";
    assert!(
        data.missing.iter().any(|line| line == told),
        "{:?}",
        data.missing
    );
    let wide = TerminalOptions {
        width: 200,
        ..TerminalOptions::default()
    };
    for text in [terminal(&data, &wide), html(&data), json(&data)] {
        assert!(text.contains(told), "{text}");
    }
    assert!(markdown(&data).contains("although the monitors took 40"));
}
