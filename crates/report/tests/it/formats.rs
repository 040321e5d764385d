//! JSON, CSV and Markdown: shapes that other programs rely on.

use std::collections::BTreeSet;

use flagperf_model::{Outcome, Timestamp, Window};
use flagperf_report::{REPORT_SCHEMA, csv, json, markdown};
use serde_json::Value;

use crate::fixture::{Size, run};

/// Every path of keys, with the types found there.
fn shape(value: &Value, path: &str, out: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                shape(value, &format!("{path}.{name}"), out);
            }
        }
        Value::Array(items) => {
            for item in items {
                shape(item, &format!("{path}[]"), out);
            }
        }
        Value::Null => drop(out.insert(format!("{path}: null"))),
        Value::Bool(_) => drop(out.insert(format!("{path}: bool"))),
        Value::Number(_) => drop(out.insert(format!("{path}: number"))),
        Value::String(_) => drop(out.insert(format!("{path}: text"))),
    }
}

#[test]
fn the_shape_of_json_is_stable() {
    let value: Value = serde_json::from_str(&json(&run(Size::SMALL))).unwrap();
    let mut paths = BTreeSet::new();
    shape(&value, "", &mut paths);
    insta::assert_snapshot!(paths.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn json_says_what_was_measured() {
    let data = run(Size::SMALL);
    let value: Value = serde_json::from_str(&json(&data)).unwrap();
    assert_eq!(value["schema"], REPORT_SCHEMA);
    let results = value["results"].as_array().unwrap();
    assert_eq!(results.len(), data.record.results.len());
    for (shown, result) in results.iter().zip(&data.record.results) {
        assert_eq!(shown["case"], result.case.as_str());
        let numbers = shown["measurements"].as_array().unwrap();
        assert_eq!(numbers.len(), result.measurements.len());
        for (number, (_, m)) in numbers.iter().zip(&result.measurements) {
            assert_eq!(number["value"], m.value);
            assert_eq!(number["unit"], m.unit.as_str());
        }
        assert_eq!(
            shown.get("reason").is_none(),
            result.outcome == Outcome::Passed
        );
    }
    // The made-up machine is 98 % busy on 8 threads inside the window, a quarter of it outside.
    let busy = &results[0]["monitors"][0]["series"][0];
    assert_eq!(busy["name"], "cpu.busy");
    assert_eq!(busy["unit"], "s/s");
    let mean = busy["statistics"]["mean"].as_f64().unwrap();
    assert!((7.7..=8.0).contains(&mean), "{mean}");
}

#[test]
fn a_window_without_samples_has_no_statistics() {
    let mut data = run(Size::SMALL);
    let end = Timestamp(data.record.results[0].ended.0 + 5_000_000_000);
    data.record.results[0].window = Some(Window {
        begin: end,
        end: end.plus_nanos(1_000_000),
    });
    let value: Value = serde_json::from_str(&json(&data)).unwrap();
    let series = value["results"][0]["monitors"][0]["series"]
        .as_array()
        .unwrap();
    assert!(series.len() > 30);
    assert!(series.iter().all(|s| s["statistics"].is_null()));
    assert!(markdown(&data).contains("no sample in the window"));
}

#[test]
fn csv_has_one_row_a_measurement() {
    let data = run(Size::SMALL);
    let text = csv(&data);
    let expected: usize = data
        .record
        .results
        .iter()
        .map(|result| result.measurements.len().max(1))
        .sum();
    assert_eq!(
        text.split("\r\n").count(),
        expected + 2,
        "a header, and nothing after the last"
    );
    let mut rows: Vec<&str> = text.split("\r\n").collect();
    let mut place = 0;
    rows.retain(|row| {
        place += 1;
        place <= 3 || row.contains("not supported") || row.contains("SIGBUS")
    });
    insta::assert_snapshot!(rows.join("\n"));
}

#[test]
fn markdown_up_to_the_monitors() {
    let text = markdown(&run(Size::SMALL));
    let end = text.find("<details>").unwrap();
    insta::assert_snapshot!(&text[..end]);
    assert_eq!(
        text.matches("<details>").count(),
        text.matches("</details>").count()
    );
}

#[test]
fn few_repetitions_have_no_interval() {
    let mut data = run(Size::SMALL);
    let (_, m) = &mut data.record.results[3].measurements[0];
    m.repetitions.truncate(5);
    m.spread = flagperf_model::Spread::of(&m.repetitions);
    let text = markdown(&data);
    let row = |name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .unwrap()
            .to_owned()
    };
    assert!(row("| computation-FP32 |").contains(" % |  | passed |"));
    assert!(row("| computation-BF16 |").contains(" to "));
}
