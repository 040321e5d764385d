//! What a case prints, whatever it prints and in whichever dialect it is read: no panic, bounded
//! memory, only finite numbers, and the same result however the output is cut.

#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use flagperf_library::{
    BaseProgram, Collected, Collector, Dialect, Library, Peaks, Summary, TrainingStyle,
    parse_record, parse_result_line,
};
use flagperf_model::{Limits, NodeName, NodeTask, PlannedCase, ProcessSpec};
use libfuzzer_sys::fuzz_target;

static CASE: LazyLock<PlannedCase> = LazyLock::new(|| {
    let library = Library::builtin().expect("the built-in cases are valid");
    let spec = library.get("main_memory-bandwidth");
    PlannedCase {
        container: None,
        drop_caches: false,
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
        setup: Vec::new(),
        remarks: Vec::new(),
        tasks: vec![NodeTask {
            node: NodeName::new("node").expect("it is a valid name"),
            node_rank: 0,
            directory: "d".to_owned(),
            log: "l".to_owned(),
            case_directory: None,
            copy: None,
            rank_logs: BTreeMap::new(),
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

/// The dialects, each by some first bytes of the input.
fn dialect(choice: u8) -> Dialect {
    match choice % 6 {
        0 => Dialect::Plain,
        1 => Dialect::Base {
            case: "interconnect-P2P_interserver".to_owned(),
            program: BaseProgram::Toolkit,
        },
        2 => Dialect::Base {
            case: "computation-INT8".to_owned(),
            program: BaseProgram::Benchmark,
        },
        3 => Dialect::Operation,
        4 => Dialect::Inference(Peaks {
            fp32: None,
            fp16: Some(1.0),
        }),
        _ => Dialect::Training {
            model: "llama2_7b_finetune".to_owned(),
            style: TrainingStyle::Printed,
        },
    }
}

fn collect(dialect: &Dialect, node: &NodeName, chunks: &[&[u8]]) -> (Vec<Collected>, Summary) {
    let mut collector = Collector::reading(&CASE, dialect.clone());
    let mut all = Vec::new();
    for chunk in chunks {
        all.extend(collector.feed(node, 0, chunk));
    }
    let (last, summary) = collector.finish();
    all.extend(last.into_iter().map(|(_, one)| one));
    (all, summary)
}

fuzz_target!(|input: (u8, &[u8])| {
    let (choice, data) = input;
    let dialect = dialect(choice);
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
    let whole = collect(&dialect, &node, &[data]);
    let cut = collect(&dialect, &node, &[&data[..middle], &data[middle..]]);
    assert_eq!(whole, cut);
    for (_, number) in &whole.1.measurements {
        assert!(number.value.is_finite());
    }
});
