//! What a case prints, whatever it prints: no panic, bounded memory, and the same result however
//! the output is cut.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use flagperf_library::{Collected, Collector, Library, Summary, parse_record, parse_result_line};
use flagperf_model::{Limits, NodeName, NodeTask, PlannedCase, ProcessSpec};
use libfuzzer_sys::fuzz_target;

static CASE: LazyLock<PlannedCase> = LazyLock::new(|| {
    let library = Library::builtin().expect("the built-in cases are valid");
    let spec = library.get("main_memory-bandwidth");
    PlannedCase {
        spec: spec.expect("it is a built-in case").clone(),
        round: 1,
        rounds: 1,
        directory: None,
        params: BTreeMap::new(),
        limits: Limits {
            timeout_s: 1.0,
            stall_s: 1.0,
            grace_s: 1.0,
        },
        expected_s: None,
        unsupported: None,
        skipped: None,
        left_out: Vec::new(),
        named: true,
        tasks: vec![NodeTask {
            node: NodeName::new("node").expect("it is a valid name"),
            node_rank: 0,
            directory: "d".to_owned(),
            log: "l".to_owned(),
            case_directory: None,
            processes: vec![ProcessSpec {
                rank: 0,
                argv: vec!["true".to_owned()],
                env: BTreeMap::new(),
                cwd: None,
                cpus: Vec::new(),
            }],
        }],
    }
});

fn collect(node: &NodeName, chunks: &[&[u8]]) -> (Vec<Collected>, Summary) {
    let mut collector = Collector::new(&CASE);
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend(collector.feed(node, 0, chunk));
    }
    let (last, summary) = collector.finish();
    all.extend(last.into_iter().map(|(_, one)| one));
    (all, summary)
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        let _record = parse_record(line);
        for result in parse_result_line(line) {
            assert!(!result.metric.is_empty());
            assert!(result.value.is_none_or(f64::is_finite));
        }
    }
    let node = NodeName::new("node").expect("it is a valid name");
    let middle = data.len() / 2;
    let whole = collect(&node, &[data]);
    let cut = collect(&node, &[&data[..middle], &data[middle..]]);
    assert_eq!(whole, cut);
});
