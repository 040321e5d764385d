//! Chips in every form of the report.

use flagperf_model::{
    ChipFacts, MonitorCost, SampleBlock, Scope, SeriesDecl, SeriesKind, Timestamp, Unit,
};
use flagperf_report::{ChipSamples, RunData, TerminalOptions, html, json, markdown, terminal};

use crate::fixture::many::many;
use crate::fixture::{Size, run};

/// Gives every node so many chips, sampled half as often as the machine and at other moments. Chip 0 is twice as warm
/// as the others, and of the last there is no power for a while.
fn with_chips(mut data: RunData, chips: usize) -> RunData {
    let decl = |name: &str, chip: usize, unit, resolution| SeriesDecl {
        name: format!("chip.{name}"),
        instance: Some(chip.to_string()),
        unit,
        kind: SeriesKind::Gauge,
        scope: Scope::Chip,
        resolution,
    };
    let power = (0..chips).map(|chip| decl("power", chip, Unit::WATTS, 0.01));
    let temperature = (0..chips).map(|chip| decl("temperature", chip, Unit::CELSIUS, 0.1));
    let decls: Vec<SeriesDecl> = power.chain(temperature).collect();
    for samples in &mut data.samples {
        let moved = |at: &Timestamp| at.plus_nanos(70_000_000);
        let times: Vec<Timestamp> = samples.block.times.iter().step_by(2).map(moved).collect();
        let column = |place: usize| {
            let value = |tick: usize| match (place < chips, place % chips) {
                (true, chip) if chip + 1 == chips && tick % 3 == 1 => None,
                (true, chip) => Some(30_000 + 100 * (chip + tick) as i64),
                (false, 0) => Some(800 + tick as i64 % 2),
                (false, _) => Some(400 + tick as i64 % 2),
            };
            (0..times.len()).map(value).collect()
        };
        let columns = (0..2 * chips).map(column).collect();
        samples.chips = ChipSamples {
            decls: decls.clone(),
            block: SampleBlock { times, columns },
        };
    }
    let facts = (0..chips).map(|chip| ChipFacts {
        vendor: "nvidia".into(),
        label: chip.to_string(),
        name: Some("NVIDIA H100 80GB HBM3".into()),
        memory_bytes: Some(81559 << 20),
        driver: Some("550.54.15".into()),
        ..ChipFacts::default()
    });
    let facts: Vec<ChipFacts> = facts.collect();
    for node in &mut data.record.nodes {
        node.chip_series.clone_from(&decls);
        if let Some(own) = &mut node.facts {
            own.chips.clone_from(&facts);
        }
    }
    for result in &mut data.record.results {
        for (_, cost) in &mut result.monitor_cost {
            *cost = MonitorCost {
                tool_cpu_s: cost.wall_s * 0.013,
                chip_samples: 20,
                chip_gaps: 3,
                ..*cost
            };
        }
    }
    data
}

#[test]
fn chips_stand_in_every_form() {
    let plain = html(&run(Size::SMALL));
    let data = with_chips(run(Size::SMALL), 2);
    let page = html(&data);
    // Four more pictures a case, in a group of their own that comes first.
    let more = page.matches("<figure").count() - plain.matches("<figure").count();
    assert_eq!(more, 4 * data.samples.len());
    assert!(page.contains(r#"aria-label="Chips""#) && !plain.contains(r#"aria-label="Chips""#));
    assert!(page.find(r#"aria-label="Chips""#) < page.find(r#"aria-label="CPU""#));
    let words = "2 × NVIDIA H100 80GB HBM3 with 79.6 GiB, driver 550.54.15";
    for text in [
        &page,
        &markdown(&data),
        &terminal(
            &data,
            &TerminalOptions {
                width: 200,
                ..TerminalOptions::default()
            },
        ),
    ] {
        assert!(text.contains(words), "{text}");
        assert!(
            text.contains("; the chips' status tool used 1.30 %;"),
            "{text}"
        );
    }
    assert!(!plain.contains("status tool"));
    let markdown = markdown(&data);
    assert!(
        markdown.contains("| chip.power 1 |") && markdown.contains("| chip.temperature 0 | 80."),
        "{markdown}"
    );
    let json: serde_json::Value = serde_json::from_str(&json(&data)).unwrap();
    let node = &json["nodes"][0]["facts"]["chips"][1];
    assert_eq!(
        (&node["label"], &node["vendor"]),
        (&"1".into(), &"nvidia".into())
    );
    let series = json["results"][0]["monitors"][0]["series"]
        .as_array()
        .unwrap();
    let power = series
        .iter()
        .find(|one| one["name"] == "chip.power" && one["instance"] == "0")
        .unwrap();
    assert_eq!(
        (&power["scope"], &power["unit"]),
        (&"chip".into(), &"W".into())
    );
    let mean = power["statistics"]["mean"].as_f64().unwrap();
    assert!((300.0..330.0).contains(&mean), "{mean}");
    // Gaps do not count.
    let other = series
        .iter()
        .find(|one| one["name"] == "chip.power" && one["instance"] == "1")
        .unwrap();
    assert!(other["statistics"]["n"].as_u64() < power["statistics"]["n"].as_u64());
}

#[test]
fn many_chips_share_a_picture() {
    let few = with_chips(run(Size::SMALL), 8);
    let page = html(&few);
    assert!(!page.contains("chip.power of 8 instances"));
    let many = with_chips(run(Size::SMALL), 16);
    let page = html(&many);
    assert!(
        page.contains("chip.power of 16 instances over time, 0 at the top to 15 at the bottom")
    );
}

#[test]
fn chips_of_many_nodes_stand_beside_each_other() {
    let data = with_chips(many(16), 4);
    let page = html(&data);
    assert!(page.contains("chip.power"));
    let markdown = markdown(&data);
    assert!(
        markdown.contains("| chip.temperature 0 | 80.0"),
        "{markdown}"
    );
    assert!(markdown.contains("4 × NVIDIA H100 80GB HBM3"));
}

/// Samples of chips alone still make pictures.
#[test]
fn samples_of_the_machine_may_be_missing() {
    let mut data = with_chips(run(Size::SMALL), 1);
    for samples in &mut data.samples {
        samples.decls.clear();
        samples.block = SampleBlock::default();
    }
    let page = html(&data);
    assert!(page.contains("chip.power") && !page.contains("Too few samples"));
}
