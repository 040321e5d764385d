//! What can befall a status tool while a case runs, and that it harms no case.

use std::fs;
use std::path::Path;

use flagperf_testkit::StandInSmi;

use super::{
    Going, HASTY, PATIENCE, assert_nothing_left, chip_samples, command, has_sleeper, loaded, place,
    series,
};
use crate::support::{Place, ran, signal, within};

#[test]
fn a_tool_that_blocks_leaves_a_gap_and_nothing_else() {
    let place = place();
    let smi = StandInSmi::new(1);
    let going = Going::start(&place, &smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    smi.behave("block");
    within(PATIENCE, "it blocks", || {
        has_sleeper(Path::new("/proc"), smi.directory())
    });
    smi.behave("ok");
    // It is given up and started again, and goes on.
    going.await_calls(3);
    going.await_samples(6);
    let run = going.end();
    let samples = chip_samples(&run);
    let (power, gaps) = series(&samples, "chip.power", "0");
    assert!(gaps >= 4 && power.len() >= 6, "{gaps} gaps, {power:?}");
    let column = &samples.block.columns[0];
    let first = column.iter().position(Option::is_some).unwrap();
    let last = column.iter().rposition(Option::is_some).unwrap();
    assert!(column[first..last].contains(&None), "{column:?}");
    let cost = run.record.results[0].monitor_cost[0].1;
    assert_eq!(cost.chip_gaps as usize, gaps);
    let warnings = run.record.warnings.join("\n");
    assert!(
        warnings.contains(
            "nvidia-smi had said nothing for 2 s and was ended; the series of chips have a gap"
        ),
        "{warnings}"
    );
    // What it had started went with it, and counts for nobody's stray.
    assert!(!warnings.contains("left processes behind"), "{warnings}");
    // The machine was sampled all the time.
    let machine = run.samples(&run.record.results[0], 0).unwrap().unwrap();
    let steps = machine.block.times.windows(2);
    let longest = steps
        .map(|pair| pair[1].seconds_since(pair[0]))
        .fold(0.0, f64::max);
    assert!(longest < 1.2, "{longest}");
}

#[test]
fn a_tool_that_is_killed_is_started_again() {
    let place = place();
    let smi = StandInSmi::new(1);
    let going = Going::start(&place, &smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    signal(smi.calls()[1].0, "KILL");
    going.await_calls(3);
    going.await_samples(6);
    let run = going.end();
    let (power, gaps) = series(&chip_samples(&run), "chip.power", "0");
    assert!(power.len() >= 4 && gaps >= 1, "{gaps} gaps, {power:?}");
    let warnings = run.record.warnings.join("\n");
    assert!(
        warnings.contains("nvidia-smi was ended by signal 9; the series of chips have a gap"),
        "{warnings}"
    );
    assert!(!warnings.contains("left processes behind"), "{warnings}");
}

#[test]
fn a_tool_that_holds_back_what_it_prints_is_not_believed() {
    let place = place();
    let smi = StandInSmi::new(1);
    smi.behave("buffered");
    let going = Going::start(&place, &smi, &[]);
    // It is found out, and asked for each sample since.
    within(PATIENCE, "it is asked for each sample", || {
        let calls = smi.calls();
        let for_each = calls
            .iter()
            .filter(|(_, words)| !words.contains("--loop-ms"));
        calls.len() > 6 && for_each.count() > 5
    });
    let run = going.end();
    let samples = chip_samples(&run);
    let known: Vec<_> = samples
        .block
        .times
        .iter()
        .zip(&samples.block.columns[0])
        .filter(|(_, value)| value.is_some())
        .collect();
    assert!(known.len() >= 3, "{known:?}");
    // None of a bundle was taken: what is read together has one moment. Two that were asked for one by one may come
    // close on a machine that is busy elsewhere.
    for pair in known.windows(2) {
        assert!(pair[1].0.seconds_since(*pair[0].0) >= 0.005, "{known:?}");
    }
}

#[test]
fn a_tool_that_prints_nonsense_harms_nobody() {
    let place = place();
    let smi = StandInSmi::new(1);
    let going = Going::start(&place, &smi, &[]);
    going.await_calls(2);
    going.await_samples(6);
    smi.behave("garbage");
    going.await_calls(3);
    let run = going.end();
    let (power, gaps) = series(&chip_samples(&run), "chip.power", "0");
    let warnings = run.record.warnings.join("\n");
    assert!(
        warnings.contains("nvidia-smi had printed nothing that can be read for 2 s and was ended"),
        "{warnings}"
    );
    assert!(gaps > 0 && power.iter().all(|watts| (watts - 100.5).abs() < 1e-9));
}

/// The tool's work is not the case's: a case that does nothing is found out beside it.
#[test]
fn a_case_that_hangs_beside_a_busy_tool_has_stalled() {
    let place = Place::new();
    place.case("wait", "sleep 120");
    fs::create_dir_all(place.path("vendors")).unwrap();
    fs::write(place.path("vendors/nvidia.toml"), HASTY).unwrap();
    let smi = StandInSmi::new(8);
    smi.behave("busy");
    let ran = ran(command(&place, &smi, &["--stall", "5s"]).output().unwrap());
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert_nothing_left(&smi);
    assert!(
        place.outcome()["stalled"].is_object(),
        "{}",
        place.outcome()
    );
    let cost = loaded(&place).record.results[0].monitor_cost[0].1;
    assert!(cost.tool_cpu_s > 0.02, "{cost:?}");
}

/// Whatever befalls the controller, nothing stays on the node.
#[test]
fn no_tool_outlives_a_controller_that_is_killed() {
    for signal_name in ["KILL", "INT"] {
        let place = place();
        let smi = StandInSmi::new(1);
        let mut going = Going::start(&place, &smi, &[]);
        going.await_calls(2);
        smi.behave("block");
        within(PATIENCE, "it blocks", || {
            has_sleeper(Path::new("/proc"), smi.directory())
        });
        signal(going.child.id(), signal_name);
        going.child.wait().unwrap();
        assert_nothing_left(&smi);
    }
}
