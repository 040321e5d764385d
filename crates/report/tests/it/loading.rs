//! From a run directory to the input of the reports.

use std::fs;

use flagperf_report::load;
use flagperf_store::LoadedRun;

use crate::fixture::{Size, run};

#[test]
fn samples_that_cannot_be_read_are_told_and_absent_ones_are_not() {
    let directory = tempfile::tempdir().unwrap();
    let record = run(Size::SMALL).record;
    // Where the samples of the last case should lie there is a directory.
    let last = record.results.last().unwrap();
    fs::create_dir_all(
        directory
            .path()
            .join(&last.directories[0])
            .join("samples.fps"),
    )
    .unwrap();
    let data = load(LoadedRun {
        directory: directory.path().to_owned(),
        record,
        events: Vec::new(),
        missing: vec!["events.jsonl is missing".to_owned()],
    });
    assert_eq!(data.missing[0], "events.jsonl is missing");
    assert!(data.missing.iter().skip(1).all(|line| {
        line.starts_with("samples of interconnect-MPI_intraserver, round 1, on node0: ")
    }));
    assert_eq!(data.missing.len(), 2);
}
