//! Run directories that are damaged: the report shows what is there and says what is missing.

use std::fs;
use std::path::Path;

use crate::support::{Place, flagperf, ran};

fn finished_run() -> Place {
    let place = Place::new();
    place.case("mine", "echo '[FlagPerf Result]Rank 0 nothing=41.5 GB/s'");
    let ran = place.run(&["mine", "--interval", "50ms"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    place
}

fn report(run: &Path, format: &str) -> crate::support::Ran {
    ran(
        flagperf(&["report", run.to_str().unwrap(), "--format", format])
            .output()
            .unwrap(),
    )
}

fn every_format(run: &Path, expected: &str) {
    for format in ["terminal", "html", "markdown", "json"] {
        let ran = report(run, format);
        assert_eq!(ran.code, Some(0), "{format}: {}", ran.stderr);
        assert!(ran.stdout.contains("41.5"), "{format}: the number is lost");
        assert!(
            ran.stdout.contains(expected),
            "{format}: {expected} is not told"
        );
    }
    let csv = report(run, "csv");
    assert_eq!(csv.code, Some(0));
    assert!(csv.stdout.contains("41.5"));
    assert!(csv.stderr.contains(expected), "{}", csv.stderr);
}

#[test]
fn a_damaged_run_json_is_rebuilt_from_the_events() {
    let place = finished_run();
    let run = place.run_directory();
    let text = fs::read_to_string(run.join("run.json")).unwrap();
    fs::write(run.join("run.json"), &text[..text.len() / 2]).unwrap();
    every_format(&run, "run.json");
}

#[test]
fn a_missing_run_json_is_rebuilt_from_the_events() {
    let place = finished_run();
    let run = place.run_directory();
    fs::remove_file(run.join("run.json")).unwrap();
    every_format(&run, "run.json");
}

#[test]
fn events_cut_in_the_middle_of_a_line_are_told() {
    let place = finished_run();
    let run = place.run_directory();
    let bytes = fs::read(run.join("events.jsonl")).unwrap();
    fs::write(run.join("events.jsonl"), &bytes[..bytes.len() - 20]).unwrap();
    every_format(&run, "events.jsonl");
}

#[test]
fn lost_samples_are_told() {
    let place = finished_run();
    let run = place.run_directory();
    let samples = run.join("mine/localhost_noderank0/samples.fps");
    let bytes = fs::read(&samples).unwrap();
    fs::write(&samples, &bytes[..bytes.len() - 10]).unwrap();
    every_format(&run, "samples of mine");
}

#[test]
fn a_directory_that_is_no_run_is_refused() {
    let place = Place::new();
    let ran = report(&place.path("nothing"), "terminal");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr.contains("there is no run directory"),
        "{}",
        ran.stderr
    );
    place.case("mine", "true");
    let ran = report(&place.path("cases"), "terminal");
    assert_eq!(ran.code, Some(2));
    assert!(ran.stderr.contains("run.json"), "{}", ran.stderr);
}

#[test]
fn a_report_goes_to_a_file() {
    let place = finished_run();
    let run = place.run_directory();
    let page = place.path("page.html");
    let ran = ran(
        flagperf(&["report", run.to_str().unwrap(), "--format", "html", "-o"])
            .arg(&page)
            .output()
            .unwrap(),
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    let html = fs::read_to_string(&page).unwrap();
    assert!(html.starts_with("<!DOCTYPE html>"));
    for outside in ["http://", "https://", "src=\"//", "@import"] {
        let shown: Vec<&str> = html
            .lines()
            .filter(|line| line.contains(outside) && !line.contains("www.w3.org"))
            .collect();
        assert!(shown.is_empty(), "the page reaches outside: {shown:?}");
    }
    let ran = ran_to(&run, "/nowhere/page.html");
    assert_eq!(ran.code, Some(2));
    assert!(
        ran.stderr
            .contains("the report cannot be written to `/nowhere/page.html`"),
        "{}",
        ran.stderr
    );
}

fn ran_to(run: &Path, file: &str) -> crate::support::Ran {
    ran(flagperf(&["report", run.to_str().unwrap(), "-o", file])
        .output()
        .unwrap())
}
