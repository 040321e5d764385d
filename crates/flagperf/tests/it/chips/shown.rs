//! Chips that are there: their series in the record, in reports and in the classic files.

use flagperf_testkit::StandInSmi;
use serde_json::Value;

use super::{Going, absences, chip_samples, place, sampled, series};
use crate::support::{Place, flagperf, ran, read};

#[test]
fn chips_are_found_sampled_and_shown() {
    let place = place();
    let smi = StandInSmi::new(2);
    let run = sampled(&place, &smi);
    let record = place.record();
    let chips = record["nodes"][0]["facts"]["chips"].as_array().unwrap();
    assert_eq!(chips.len(), 2);
    assert_eq!(chips[1]["vendor"], "nvidia");
    assert_eq!(chips[1]["label"], "1");
    assert_eq!(chips[1]["uuid"], "GPU-1111-test");
    assert_eq!(chips[1]["memory_bytes"], 81559u64 << 20);
    assert_eq!(absences(&record), []);

    let samples = chip_samples(&run);
    assert_eq!(samples.series, run.record.nodes[0].chip_series);
    assert_eq!(samples.series.len(), 14);
    let (power, _) = series(&samples, "chip.power", "1");
    assert!(power.len() >= 3, "{power:?}");
    assert!(
        power.iter().all(|watts| (watts - 200.5).abs() < 1e-9),
        "{power:?}"
    );
    let (used, _) = series(&samples, "chip.memory_used", "0");
    assert!(used.iter().all(|bytes| *bytes == 1000.0 * 1_048_576.0));
    let times = &samples.block.times;
    assert!(times.windows(2).all(|pair| pair[0] <= pair[1]));
    // They lie in the time of the case, on the controller's line of time.
    let result = &run.record.results[0];
    let inside = |at| {
        result.started.plus_nanos(-1_000_000_000) <= at
            && at <= result.ended.plus_nanos(1_000_000_000)
    };
    assert!(times.iter().all(|at| inside(*at)));

    // One process for looking, and one that goes on.
    let calls = smi.calls();
    assert!(
        !calls[0].1.contains("--loop-ms") && calls[1].1.ends_with("--loop-ms=250"),
        "{calls:?}"
    );
    let cost = result.monitor_cost[0].1;
    assert_eq!(cost.chip_samples as usize, power.len());
    assert!(cost.tool_cpu_s < cost.wall_s, "{cost:?}");

    assert_classic_files(&place);
    assert_reports(&place);
}

fn assert_reports(place: &Place) {
    let directory = place.run_directory();
    let report = |format: &str| {
        let mut report = flagperf(&["report", directory.to_str().unwrap(), "--format", format]);
        let ran = ran(report.output().unwrap());
        assert_eq!(ran.code, Some(0), "{}", ran.stderr);
        ran.stdout
    };
    let json: Value = serde_json::from_str(&report("json")).unwrap();
    let all = json["results"][0]["monitors"][0]["series"]
        .as_array()
        .unwrap();
    let shown = all
        .iter()
        .find(|one| one["name"] == "chip.power" && one["instance"] == "0")
        .unwrap();
    assert_eq!(
        (&shown["scope"], &shown["unit"]),
        (&"chip".into(), &"W".into())
    );
    assert_eq!(shown["statistics"]["mean"], 100.5);
    let markdown = report("markdown");
    assert!(
        markdown.contains("2 × NVIDIA H100 PCIe with 79.6 GiB, driver 550.54.15"),
        "{markdown}"
    );
    assert!(markdown.contains("| chip.power 1 | 200.5 |"), "{markdown}");
    let html = report("html");
    assert!(html.contains("2 × NVIDIA H100 PCIe") && html.contains("chip.temperature"));
    assert!(report("terminal").contains("the chips' status tool used "));
}

fn assert_classic_files(place: &Place) {
    let directory = place.run_directory();
    let host = "localhost";
    let log = read(&directory.join(format!("wait/{host}_noderank0/nvidia_monitor.log")));
    let blocks: Vec<&str> = log.split_terminator("\n\n").collect();
    assert!(blocks.len() >= 3, "{log}");
    for block in blocks {
        let lines: Vec<&str> = block.lines().collect();
        assert_eq!(lines.len(), 3, "{block}");
        // 2026-11-23-11:40:06
        assert_eq!(
            (lines[0].len(), lines[0].matches('-').count()),
            (19, 3),
            "{block}"
        );
        assert_eq!(lines[1], "30C 101W 1000MiB 81559MiB 0%");
        assert_eq!(lines[2], "31C 201W 2000MiB 81559MiB 10%");
    }
    let detail: Value = serde_json::from_str(&read(&directory.join("detail_result.json"))).unwrap();
    let vendor = &detail["wait"][host]["vendor"];
    assert_eq!(vendor["temp"]["1"][0], 31.0);
    assert_eq!(vendor["power"]["0"][0], 101.0);
    assert_eq!(vendor["mem"]["1"][0], 2000.0);
    assert_eq!(vendor["max_mem"], 81559.0);
    let log = read(&directory.join("flagperf_run.log"));
    for line in [
        "]    RANK 0's AVERAGE: 101.0 Watts, MAX: 101.0 Watts, STD DEVIATION: 0.0 Watts\n",
        "]    RANK 1's AVERAGE: 31.0 °C, MAX: 31.0 °C, STD DEVIATION: 0.0 °C\n",
        "]    RANK 1's AVERAGE: 2.452 %, MAX: 2.452 %, STD DEVIATION: 0.0 %\n",
    ] {
        assert!(log.contains(line), "{line}{log}");
    }
}

#[test]
fn a_cut_up_chip_lacks_what_it_lacks() {
    let place = place();
    let smi = StandInSmi::new(1);
    smi.behave("mig");
    sampled(&place, &smi);
    let record = place.record();
    assert_eq!(
        absences(&record),
        [(
            "chip.utilization".to_owned(),
            "nvidia-smi says [N/A]".to_owned()
        )]
    );
    let log = read(
        &place
            .run_directory()
            .join("wait/localhost_noderank0/nvidia_monitor.log"),
    );
    assert!(log.contains("30C 101W 1000MiB 81559MiB N/A\n"), "{log}");
}

#[test]
fn a_chip_that_drops_out_has_gaps_and_the_others_keep_their_places() {
    let place = place();
    let smi = StandInSmi::new(3);
    let going = Going::start(&place, &smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    smi.behave("lost");
    going.await_samples(8);
    let run = going.end();
    let samples = chip_samples(&run);
    let (whole, _) = series(&samples, "chip.power", "2");
    assert!(
        whole.iter().all(|watts| (watts - 300.5).abs() < 1e-9),
        "{whole:?}"
    );
    let (partly, gaps) = series(&samples, "chip.power", "1");
    assert!(!partly.is_empty() && gaps > 1, "{gaps} {partly:?}");
    assert!(partly.len() < whole.len());
    let log = read(
        &place
            .run_directory()
            .join("wait/localhost_noderank0/nvidia_monitor.log"),
    );
    assert!(log.contains("\nN/A N/A N/A 81559MiB N/A\n"), "{log}");
}
