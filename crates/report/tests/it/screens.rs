//! The terminal summary.

use flagperf_report::{TerminalOptions, terminal};

use crate::fixture::{Size, run};

fn options(width: usize, colour: bool) -> TerminalOptions {
    TerminalOptions {
        width,
        colour,
        location: Some("results/run20261123144616-a1b2c3".to_owned()),
        ..TerminalOptions::default()
    }
}

#[test]
fn eighty_columns() {
    insta::assert_snapshot!(terminal(&run(Size::SMALL), &options(80, false)));
}

#[test]
fn thirty_six_columns() {
    insta::assert_snapshot!(terminal(&run(Size::SMALL), &options(36, false)));
}

#[test]
fn colour_changes_nothing_but_colour() {
    let run = run(Size::SMALL);
    for width in [36, 80, 120] {
        let coloured = terminal(&run, &options(width, true));
        assert!(coloured.contains("\u{1b}["));
        let mut plain = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once("\u{1b}[") {
            plain.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        plain.push_str(rest);
        let trim =
            |text: &str| -> Vec<String> { text.lines().map(|l| l.trim_end().to_owned()).collect() };
        assert_eq!(trim(&plain), trim(&terminal(&run, &options(width, false))));
    }
}

#[test]
fn lines_fit_at_every_width() {
    let mut run = run(Size::SMALL);
    for result in &mut run.record.results {
        // The lines of a program are shown as they are.
        result.tail.clear();
        result.directories.clear();
    }
    for width in 36..200 {
        for line in terminal(&run, &options(width, false)).lines() {
            let fits = line.chars().count() <= width || line.starts_with("record: ");
            assert!(fits, "{width}: {line}");
        }
    }
}

#[test]
fn decimal_points_stand_below_each_other() {
    let text = terminal(&run(Size::SMALL), &options(80, false));
    let points: Vec<usize> = text
        .lines()
        .filter(|line| {
            line.contains(" GB/s") || line.contains(" TFLOPS") || line.contains(" GiB  ")
        })
        .map(|line| line.chars().position(|c| c == '.').unwrap())
        .collect();
    assert!(points.len() > 10);
    assert!(points.iter().all(|p| *p == points[0]), "{text}");
}

#[test]
fn several_nodes_are_told_apart() {
    let mut data = run(Size::SMALL);
    let other = flagperf_model::NodeName::new("node1").unwrap();
    let mut spec = data.record.plan.nodes[0].clone();
    spec.name = other.clone();
    data.record.plan.nodes.push(spec);
    let mut second = data.record.nodes[0].clone();
    second.name = other.clone();
    second.facts = None;
    data.record.nodes.push(second);
    let result = data
        .record
        .results
        .iter_mut()
        .find(|result| result.case.as_str() == "main_memory-capacity")
        .unwrap();
    let mut twin = result.measurements[0].clone();
    twin.0 = other;
    twin.1.value = 30.0;
    result.measurements.push(twin);
    let text = terminal(&data, &options(80, false));
    let start = text.find("main_memory-capacity").unwrap();
    let rows: Vec<&str> = text[start..].lines().take(3).collect();
    assert!(rows[0].ends_with(" passed"), "{text}");
    assert!(
        rows[1].starts_with("  node0 rank 0 numa0 ") && rows[1].contains(" 61."),
        "{text}"
    );
    assert!(
        rows[2].starts_with("  node1 rank 0 numa0 ") && rows[2].contains(" 30.00"),
        "{text}"
    );
    assert!(text.contains("node1: did not answer"));
}

#[test]
fn the_path_of_the_output_is_whole_at_every_width() {
    let mut data = run(Size::SMALL);
    let file = "my results/run20261123144616-a1b2c3/interconnect-MPI_intraserver/node0_noderank0/benchmark.log.txt";
    let with_space = |width| TerminalOptions {
        location: Some("my results/run20261123144616-a1b2c3/".to_owned()),
        ..options(width, false)
    };
    for width in [10, 36, 80, 118] {
        let text = terminal(&data, &with_space(width));
        let expected = format!("\n  all of its output:\n    {file}\n");
        assert!(text.contains(&expected), "{text}");
    }
    let text = terminal(&data, &with_space(120));
    assert!(
        text.contains(&format!("\n  all of its output: {file}\n")),
        "{text}"
    );
    // Without a plan nothing tells the name of the file.
    data.record.plan.cases.clear();
    let text = terminal(&data, &with_space(120));
    let directory = file.strip_suffix("/benchmark.log.txt").unwrap();
    assert!(
        text.contains(&format!("\n  all of its output: {directory}\n")),
        "{text}"
    );
}
