//! Chips: their samples in a file of their own, and the classic files made of them.

use std::fs;

use flagperf_model::{
    ChipFacts, EventKind, Outcome, SampleBlock, Scope, SeriesDecl, SeriesKind, Timestamp, Unit,
};
use flagperf_store::read_run;
use serde_json::{Value, json};

use crate::support::{begin, case, end_case, event, node, passing_case, planned, samples, second};

fn decl(name: &str, chip: &str, unit: Unit, resolution: f64) -> SeriesDecl {
    SeriesDecl {
        name: format!("chip.{name}"),
        instance: Some(chip.to_owned()),
        unit,
        kind: SeriesKind::Gauge,
        scope: Scope::Chip,
        resolution,
    }
}

/// Two chips, of which the second does not tell its power.
fn chip_series() -> Vec<SeriesDecl> {
    vec![
        decl("power", "0", Unit::WATTS, 0.01),
        decl("temperature", "0", Unit::CELSIUS, 0.1),
        decl("temperature", "1", Unit::CELSIUS, 0.1),
        decl("memory_used", "0", Unit::BYTES, 1.0),
        decl("memory_used", "1", Unit::BYTES, 1.0),
        decl("utilization", "0", Unit::PERCENT, 0.1),
    ]
}

fn chips() -> Vec<ChipFacts> {
    let chip = |label: &str| ChipFacts {
        vendor: "nvidia".into(),
        label: label.into(),
        name: Some("NVIDIA H100 PCIe".into()),
        memory_bytes: Some(81559 << 20),
        ..ChipFacts::default()
    };
    vec![chip("0"), chip("1")]
}

/// Half a second after each second; the first chip gets warmer by a degree each.
fn chip_samples(from: i64, count: i64) -> SampleBlock {
    let ticks = from..from + count;
    let half = |n| Timestamp(second(n).0 + 500_000_000);
    let each = |value: fn(i64) -> i64| ticks.clone().map(|n| Some(value(n))).collect();
    SampleBlock {
        times: ticks.clone().map(half).collect(),
        columns: vec![
            each(|n| 6_525 + 100 * n),
            each(|n| 310 + 10 * n),
            each(|_| 295),
            each(|_| 10 << 20),
            each(|_| (20 << 20) + 1),
            each(|_| 1_000),
        ],
    }
}

/// A moment at which the tool kept silent.
fn silence(at: i64) -> SampleBlock {
    SampleBlock {
        times: vec![Timestamp(second(at).0 + 500_000_000)],
        columns: vec![vec![None]; 6],
    }
}

#[test]
fn samples_of_chips_have_moments_of_their_own_and_make_the_classic_files() {
    let results = tempfile::tempdir().unwrap();
    let mut recorder = begin(results.path(), vec![planned("computation-FP64", 1, 1)], 1);
    recorder.node_chips(&node(), &chips(), chip_series());
    let directory = recorder.directory().to_owned();
    // From the second to the twelfth second; measured from the fifth to the tenth.
    recorder.chip_samples(0, &chip_samples(2, 1));
    passing_case_with_chips(&mut recorder);
    assert_eq!(recorder.finish(flagperf_model::RunState::Finished), [""; 0]);

    let run = read_run(&directory).unwrap();
    let result = &run.record.results[0];
    let read = run.chip_samples(result, 0).unwrap().unwrap();
    assert_eq!((read.damage, &read.series), (None, &chip_series()));
    assert_eq!(read.block.times.len(), 10);
    // Those of the machine are as if there were no chips.
    let machine = run.samples(result, 0).unwrap().unwrap();
    assert_eq!(machine.block, samples(2, 10));
    assert_eq!(run.record.nodes[0].chip_series, chip_series());
    assert_eq!(run.record.nodes[0].facts.as_ref().unwrap().chips, chips());

    let task = directory.join("computation-FP64/127.0.0.1_noderank0");
    let log = fs::read_to_string(task.join("nvidia_monitor.log")).unwrap();
    let blocks: Vec<&str> = log.split("\n\n").collect();
    assert_eq!(
        blocks.len(),
        10,
        "nine samples, and what is after the last: {log}"
    );
    let first: Vec<&str> = blocks[0].lines().collect();
    assert_eq!(
        first[1..],
        ["33C 67W 10MiB 81559MiB 100%", "30C N/A 20MiB 81559MiB N/A"]
    );
    assert_eq!(blocks[9], "");

    // Of the window alone, without the moment of silence, in the numbers of the log.
    let detail: Value =
        serde_json::from_slice(&fs::read(directory.join("detail_result.json")).unwrap()).unwrap();
    let vendor = &detail["computation-FP64"]["127.0.0.1"]["vendor"];
    assert_eq!(
        vendor,
        &json!({
            "temp": {"0": [36.0, 37.0, 39.0, 40.0], "1": [30.0, 30.0, 30.0, 30.0]},
            "power": {"0": [70.0, 71.0, 73.0, 74.0]},
            "mem": {"0": [10.0, 10.0, 10.0, 10.0], "1": [20.0, 20.0, 20.0, 20.0]},
            "max_mem": 81559.0,
        })
    );
    let log = fs::read_to_string(directory.join("flagperf_run.log")).unwrap();
    for line in [
        "[flagperf,0]  2.2) AI-chip POWER:\n",
        "[flagperf,0]    RANK 0's AVERAGE: 72.0 Watts, MAX: 74.0 Watts, STD DEVIATION: 1.58 Watts\n",
        "[flagperf,0]    RANK 1's AVERAGE: 30.0 °C, MAX: 30.0 °C, STD DEVIATION: 0.0 °C\n",
        "[flagperf,0]    RANK 1's AVERAGE: 0.025 %, MAX: 0.025 %, STD DEVIATION: 0.0 %\n",
    ] {
        assert!(log.contains(line), "{line}{log}");
    }
    // A chip whose power nobody knows has no power of 0.
    assert!(!log.contains("RANK 1's AVERAGE: 0.0 Watts"), "{log}");
}

/// As the other passing case, with a sample of the chips after each of the machine but one.
fn passing_case_with_chips(recorder: &mut flagperf_store::Recorder) {
    let planned = planned("computation-FP64", 1, 1);
    // Samples that come before a case is open belong to none.
    recorder.chip_samples(0, &chip_samples(1, 1));
    crate::support::start_case(recorder, &planned, 2);
    for tick in 2..12 {
        recorder.samples(0, &samples(tick, 1));
        if tick == 7 {
            recorder.chip_samples(0, &silence(tick));
        } else {
            recorder.chip_samples(0, &chip_samples(tick, 1));
        }
        for (at, phase) in [
            (5, flagperf_model::Phase::Measure),
            (10, flagperf_model::Phase::Verify),
        ] {
            if tick == at {
                recorder.event(&event(
                    at,
                    EventKind::Phase {
                        case: case("computation-FP64"),
                        node: node(),
                        rank: 0,
                        phase,
                    },
                ));
            }
        }
    }
    end_case(recorder, &planned, 12, Outcome::Passed);
    recorder.event(&event(
        13,
        EventKind::RunEnded {
            passed: 1,
            failed: 0,
            unsupported: 0,
            skipped: 0,
            seconds: 13.0,
        },
    ));
}

#[test]
fn series_of_chips_come_back_from_the_files_of_the_tasks() {
    let results = tempfile::tempdir().unwrap();
    let mut recorder = begin(results.path(), vec![planned("computation-FP64", 1, 1)], 1);
    recorder.node_chips(&node(), &[], chip_series());
    let directory = recorder.directory().to_owned();
    passing_case_with_chips(&mut recorder);
    drop(recorder);
    fs::remove_file(directory.join("run.json")).unwrap();
    let run = read_run(&directory).unwrap();
    assert_eq!(run.record.nodes[0].chip_series, chip_series());
    let read = run
        .chip_samples(&run.record.results[0], 0)
        .unwrap()
        .unwrap();
    assert_eq!(read.block.times.len(), 10);
    // Nobody knows the vendor any more when the chips are not known.
    let task = directory.join("computation-FP64/127.0.0.1_noderank0");
    let log = fs::read_to_string(task.join("chip_monitor.log")).unwrap();
    assert!(
        log.contains("33C 67W 10MiB N/A 100%\n30C N/A 20MiB N/A N/A\n"),
        "{log}"
    );
}

/// Runs without chips have none of their files.
#[test]
fn without_chips_nothing_is_different() {
    let results = tempfile::tempdir().unwrap();
    let mut recorder = begin(results.path(), vec![planned("computation-FP64", 1, 1)], 1);
    let directory = recorder.directory().to_owned();
    passing_case(&mut recorder, &planned("computation-FP64", 1, 1), 2);
    drop(recorder);
    let task = directory.join("computation-FP64/127.0.0.1_noderank0");
    let names: Vec<String> = fs::read_dir(task)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("chip") || name.starts_with("nvidia"))
        .collect();
    assert_eq!(names, [""; 0]);
    let detail: Value =
        serde_json::from_slice(&fs::read(directory.join("detail_result.json")).unwrap()).unwrap();
    let vendor = &detail["computation-FP64"]["127.0.0.1"]["vendor"];
    assert_eq!(
        vendor,
        &json!({"temp": {}, "power": {}, "mem": {}, "max_mem": null})
    );
    let run = read_run(&directory).unwrap();
    assert_eq!(run.chip_samples(&run.record.results[0], 0).unwrap(), None);
}
