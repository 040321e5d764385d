use flagperf_library::{Collected, Dialect};
use flagperf_model::{Better, CaseRecord};

use super::{numbers, read};
use crate::collector::node;

const BLOCK: &str = "[FlagPerf Result]Operation mm in nativetorch at FP16:
[FlagPerf Result]FLOPS utilization: cputime=81.5%, kerneltime=84.25%
[FlagPerf Result]cputime=4312.5 us, throughput=231.88405797101450 op/s, equals to 254.95 TFLOPS
[FlagPerf Result]kerneltime=4171.25 us, throughput=239.736 op/s, equals to 263.5 TFLOPS
[FlagPerf Result]Correctness with CPU golden Reference: True
[FlagPerf Result]First time latency: no warmup=1500.5 us, warmup=20.25 us
";

#[test]
fn the_six_lines_of_an_operator() {
    let (collected, summary) = read(&Dialect::Operation, &[(node(), 0, BLOCK)]);
    assert_eq!(
        numbers(&summary),
        [
            ("FLOPS utilization cputime", 81.5, "%"),
            ("FLOPS utilization kerneltime", 84.25, "%"),
            ("cputime", 4312.5, "us"),
            ("cputime throughput", 231.884_057_971_014_5, "op/s"),
            ("cputime rate", 254.95, "TFLOPS"),
            ("kerneltime", 4171.25, "us"),
            ("kerneltime throughput", 239.736, "op/s"),
            ("kerneltime rate", 263.5, "TFLOPS"),
            ("Correctness with CPU golden Reference", 1.0, ""),
            ("First time latency no warmup", 1500.5, "us"),
            ("First time latency warmup", 20.25, "us"),
        ]
    );
    for (_, number) in &summary.measurements {
        assert_ne!(number.better, Better::Neither, "{}", number.metric);
        assert_eq!(number.printed, None);
    }
    let note = CaseRecord::Note {
        rank: 0,
        key: "operator".to_owned(),
        value: "mm in nativetorch at FP16".to_owned(),
    };
    assert_eq!(collected, [Collected::Record(note)]);
    assert_eq!(summary.result_lines.len(), 6);
    assert_eq!(summary.warnings, Vec::<String>::new());
}

#[test]
fn a_heading_alone_is_no_result() {
    let heading = BLOCK.lines().next().unwrap();
    let (_, summary) = read(&Dialect::Operation, &[(node(), 0, heading)]);
    assert!(summary.reporters.is_empty());
    assert_eq!(summary.result_lines.len(), 1);
}

#[test]
fn a_rate_that_was_told_as_negative_gives_no_utilisation() {
    let line = "[FlagPerf Result]FLOPS utilization: cputime=-81.5%, kerneltime=-84.25%\n";
    let (_, summary) = read(&Dialect::Operation, &[(node(), 0, line)]);
    assert_eq!(summary.measurements, []);
    assert_eq!(summary.warnings.len(), 2);
}
