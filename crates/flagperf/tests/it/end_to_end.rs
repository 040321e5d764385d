//! The built-in cases, small and short, through the whole path.

use std::fs;

use crate::support::{Place, flagperf, ran, read};

/// Sizes at which every built-in case takes a moment.
const SMALL: &[&str] = &[
    "--duration",
    "300ms",
    "--interval",
    "20ms",
    "--param",
    "m=256",
    "--param",
    "n=256",
    "--param",
    "k=256",
    "--param",
    "bytes=16MiB",
];

#[test]
fn every_built_in_case_measures_this_machine() {
    let place = Place::new();
    let ran_all = place.run(SMALL);
    assert_eq!(
        ran_all.code,
        Some(0),
        "{}{}",
        ran_all.stdout,
        ran_all.stderr
    );
    let record = place.record();
    let results = record["results"].as_array().unwrap();
    assert_eq!(results.len(), 11);
    for result in results {
        let case = result["case"].as_str().unwrap();
        if result["outcome"]["unsupported"].is_object() {
            continue;
        }
        assert_eq!(result["outcome"], "passed", "{case}");
        let primary = &result["measurements"][0][1];
        assert!(primary["value"].as_f64().unwrap() > 0.0, "{case}");
        assert!(
            primary["verification"]["checked"].is_string(),
            "{case}: {primary}"
        );
        let window = &result["window"];
        assert!(window["end"].as_i64() > window["begin"].as_i64(), "{case}");
        let lines = result["result_lines"].as_array().unwrap();
        assert!(!lines.is_empty(), "{case} printed no classic line");
        let cost = &result["monitor_cost"][0][1];
        assert!(cost["samples"].as_u64().unwrap() >= 2, "{case}: {cost}");
    }
    assert_files(&place);
    assert_reports(&place);
}

fn assert_files(place: &Place) {
    let run = place.run_directory();
    for file in [
        "run.json",
        "events.jsonl",
        "flagperf_run.log",
        "detail_result.json",
        "report.html",
    ] {
        assert!(run.join(file).is_file(), "{file}");
    }
    let node = run.join("main_memory-bandwidth/localhost_noderank0");
    for file in [
        "benchmark.log.txt",
        "samples.fps",
        "result.json",
        "cpu_monitor.log",
        "mem_monitor.log",
    ] {
        assert!(node.join(file).is_file(), "{file}");
    }
    let output = read(&node.join("benchmark.log.txt"));
    assert!(
        output.contains("[FlagPerf Result]Rank 0's main_memory-bandwidth="),
        "{output}"
    );
    let detail: serde_json::Value =
        serde_json::from_str(&read(&run.join("detail_result.json"))).unwrap();
    assert!(detail["computation-FP64"]["localhost"]["flagperf"].is_array());
    // Nothing but the run directory is left behind.
    let names: Vec<_> = fs::read_dir(&run)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("part") || name.contains("reserve") || name.contains("tmp"))
        .collect();
    assert!(names.is_empty(), "{names:?}");
}

fn assert_reports(place: &Place) {
    let run = place.run_directory();
    let run = run.to_str().unwrap();
    for (format, texts) in [
        (
            "terminal",
            &[
                "computation-FP64",
                "main_memory-bandwidth",
                "TFLOPS",
                "GB/s",
            ][..],
        ),
        (
            "html",
            &[
                "<!DOCTYPE html>",
                "computation-FP64",
                "<svg",
                "prefers-color-scheme",
            ],
        ),
        ("markdown", &["computation-FP64", "| "]),
        ("json", &["\"flagperf.report/1\"", "computation-FP64"]),
        ("csv", &["computation-FP64", "TFLOPS"]),
    ] {
        let ran = ran(flagperf(&["report", run, "--format", format])
            .output()
            .unwrap());
        assert_eq!(ran.code, Some(0), "{format}: {}", ran.stderr);
        for text in texts {
            assert!(ran.stdout.contains(text), "{format}: no {text}");
        }
    }
}

#[test]
fn a_bad_size_is_a_failed_case_with_its_reason() {
    let place = Place::new();
    let ran = place.run(&[
        "interconnect-P2P_intraserver",
        "--param",
        "bytes=900TB",
        "--duration",
        "200ms",
    ]);
    assert!(
        matches!(ran.code, Some(1 | 2)),
        "{:?} {}",
        ran.code,
        ran.stderr
    );
    assert!(
        ran.stderr.contains("bytes") || ran.stdout.contains("bytes"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
}

#[test]
fn runs_that_start_at_once_share_a_results_directory() {
    let place = Place::new();
    place.case("quick", "sleep 0.5; echo '[FlagPerf Result]Rank 0 x=1.0'");
    let runs: Vec<_> = (0..6).map(|_| place.start(&["quick"])).collect();
    for run in runs {
        let ended = run.end(60.0);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(place.path("results")).unwrap() {
        let run = entry.unwrap();
        let name = run.file_name().into_string().unwrap();
        let text = read(&run.path().join("run.json"));
        let record: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(record["run"], name);
        assert_eq!(record["state"], "finished");
        assert_eq!(record["results"].as_array().unwrap().len(), 1);
        assert_eq!(record["results"][0]["outcome"], "passed");
        let log = read(
            &run.path()
                .join("quick/localhost_noderank0/benchmark.log.txt"),
        );
        assert_eq!(log.lines().count(), 1, "{log}");
        names.push(name);
    }
    assert_eq!(names.len(), 6, "{names:?}");
}
