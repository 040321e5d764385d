//! The examples in `docs/formats.md` are true, and none is missing.

use std::collections::BTreeSet;

use flagperf_model::{CaseRecord, Event, EventKind, RECORD_PREFIX};
use serde_json::Value;

fn fenced(language: &str) -> Vec<&'static str> {
    let text = include_str!("../../../../docs/formats.md");
    text.split("```")
        .filter_map(|part| part.strip_prefix(language)?.strip_prefix('\n'))
        .flat_map(str::lines)
        .collect()
}

/// The words that a JSON Schema of an enum allows.
fn variants(schema: &schemars::Schema) -> BTreeSet<String> {
    let one_of = schema.as_value()["oneOf"].as_array().unwrap().iter();
    one_of
        .flat_map(|variant| variant["properties"].as_object().unwrap().keys().cloned())
        .collect()
}

fn key(value: &Value) -> String {
    value.as_object().unwrap().keys().next().unwrap().clone()
}

#[test]
fn every_kind_of_event_has_an_example_that_reads() {
    let mut seen = BTreeSet::new();
    for line in fenced("jsonl") {
        let event: Event = serde_json::from_str(line).unwrap();
        // Written again, it is the same line: no field is missing in the example or misspelt.
        assert_eq!(serde_json::to_string(&event).unwrap(), line);
        seen.insert(key(&serde_json::to_value(&event.what).unwrap()));
    }
    assert_eq!(seen, variants(&schemars::schema_for!(EventKind)));
}

#[test]
fn every_kind_of_record_has_an_example_that_reads() {
    let mut seen = BTreeSet::new();
    for line in fenced("records") {
        let json = line.strip_prefix(RECORD_PREFIX).unwrap();
        let record: CaseRecord = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), json);
        seen.insert(key(&serde_json::to_value(&record).unwrap()));
    }
    assert_eq!(seen, variants(&schemars::schema_for!(CaseRecord)));
}
