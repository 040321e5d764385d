//! A run on many nodes: what they have in common, and who stands out, at a glance; every number of
//! every node where programs read it.

use flagperf_report::{TerminalOptions, csv, html, json, markdown, terminal};

use crate::fixture::many::{FAILED, SLOW, many, name};
use crate::pages::{assert_no_table_scrolls, tags};

fn summary(nodes: usize, width: usize) -> String {
    let options = TerminalOptions {
        width,
        location: Some("results/run20261123144616-a1b2c3".to_owned()),
        ..TerminalOptions::default()
    };
    terminal(&many(nodes), &options)
}

#[test]
fn sixty_four_nodes_in_eighty_columns() {
    insta::assert_snapshot!(summary(64, 80));
}

#[test]
fn a_summary_is_no_longer_for_more_nodes() {
    let lines = |nodes| summary(nodes, 100).lines().count();
    assert!(lines(64) <= 50, "{}", summary(64, 100));
    assert_eq!(lines(256), lines(64));
}

#[test]
fn few_nodes_have_a_line_each() {
    let text = summary(4, 80);
    for place in 0..4 {
        for rank in 0..2 {
            let label = format!("  {} rank {rank} numa{rank} ", name(place));
            assert!(text.contains(&label), "{label}: {text}");
        }
    }
    assert!(!text.contains("over "), "{text}");
    let text = summary(5, 80);
    assert!(!text.contains("  node01 rank 1 "), "{text}");
    assert!(text.contains("  over 10 ranks on 5 nodes "), "{text}");
}

#[test]
fn lines_fit_at_every_width() {
    let mut data = many(64);
    for result in &mut data.record.results {
        // The lines of a program, and paths, are shown as they are.
        result.tail.clear();
        result.directories.clear();
    }
    for width in 36..160 {
        let options = TerminalOptions {
            width,
            ..TerminalOptions::default()
        };
        for line in terminal(&data, &options).lines() {
            assert!(line.chars().count() <= width, "{width}: {line}");
        }
    }
}

#[test]
fn several_rounds_are_summed_up_each() {
    let mut data = many(64);
    let mut second = data.record.results[0].clone();
    second.round = 2;
    for (_, m) in &mut second.measurements {
        m.value *= 2.0;
    }
    data.record.results.insert(1, second);
    let text = terminal(&data, &TerminalOptions::default());
    let number = |label: &str| -> f64 {
        let line = text.lines().find(|line| line.starts_with(label)).unwrap();
        line[label.len()..]
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap()
    };
    let (first, second) = (number("  round 1"), number("  round 2"));
    assert!((second / first - 2.0).abs() < 1e-3, "{text}");
    assert!(
        (number("computation-FP32") / first - 1.5).abs() < 1e-3,
        "{text}"
    );
}

#[test]
fn the_page_names_who_stands_out_and_has_every_node() {
    let data = many(64);
    let page = html(&data);
    let tags = tags(&page);
    let figures = tags.iter().filter(|tag| *tag == "figure").count();
    let one = data.samples[0].decls.iter();
    let one = one
        .filter(|decl| decl.name != "cpu.busy" || decl.instance.is_none())
        .count()
        + 1;
    assert_eq!(
        figures,
        3 * one,
        "a picture for each series of each case, whatever the nodes"
    );
    let slow = name(SLOW);
    assert!(
        page.contains(&format!("<b>outlying</b> {slow} (20.")),
        "among the numbers"
    );
    assert!(
        page.contains(&format!("<b>outlying</b> {slow} (50.")),
        "among the series"
    );
    assert!(
        !page.contains("and 67 more"),
        "idle cores are no strangers among the cores"
    );
    let table = page.split_once("<table class=\"sort\">").unwrap().1;
    let table = table.split_once("</table>").unwrap().0;
    for place in 0..64 {
        assert!(table.contains(&format!(">{}</th>", name(place))), "{place}");
    }
    assert_eq!(table.matches("class=\"far\"").count(), 1);
    assert!(
        page.contains(" on node03</p>"),
        "whose last lines these are"
    );
    assert!(page.contains("65 nodes, 1 not there"));
    assert!(page.contains("<li>node65 cannot take part: connection refused</li>"));
    assert_no_table_scrolls(&page);
}

#[test]
fn a_node_without_a_number_is_in_the_table() {
    let mut data = many(64);
    let gone = name(FAILED[0]);
    let result = &mut data.record.results[0];
    result.measurements.retain(|(node, _)| *node != gone);
    let page = html(&data);
    let row = format!("{gone}</th><td class=\"n bad\" colspan=\"3\">✕ no number");
    assert!(page.contains(&row));
    assert!(page.contains("63 of 64 nodes"));
    assert!(terminal(&data, &TerminalOptions::default()).contains("over 63 of 64 nodes"));
}

#[test]
fn a_page_of_many_nodes_stays_small() {
    for (nodes, limit) in [(64, 400_000), (256, 400_000)] {
        let page = html(&many(nodes));
        assert!(page.len() < limit, "{nodes} nodes: {} bytes", page.len());
    }
}

#[test]
fn markdown_does_not_grow_with_the_nodes() {
    let (some, more) = (markdown(&many(64)), markdown(&many(256)));
    assert!(some.len() < 65_536, "{}", some.len());
    assert!(
        more.len() < some.len() + 1000,
        "{} {}",
        some.len(),
        more.len()
    );
    assert!(some.contains(name(SLOW).as_str()));
}

#[test]
fn programs_read_every_number_of_every_node() {
    let data = many(64);
    let table = csv(&data);
    let tree: serde_json::Value = serde_json::from_str(&json(&data)).unwrap();
    let results = tree["results"].as_array().unwrap();
    let measured: Vec<&serde_json::Value> = results
        .iter()
        .flat_map(|result| result["measurements"].as_array().unwrap())
        .collect();
    for place in 0..64 {
        let node = name(place);
        let rows = table
            .lines()
            // The case that failed there has a line of its own.
            .filter(|line| line.contains(node.as_str()) && !line.contains("interconnect"))
            .count();
        // Two metrics of one rank, and four of two.
        assert_eq!(rows, 2 + 8, "{node}");
        let own = measured.iter().filter(|m| m["node"] == node.as_str());
        assert_eq!(own.count(), 2 + 8, "{node}");
    }
}
