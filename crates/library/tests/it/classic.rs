use flagperf_library::{ClassicResult, parse_result_line};
use proptest::prelude::*;

fn number(metric: &str, rank: Option<u32>, value: f64, unit: &str) -> ClassicResult {
    ClassicResult {
        metric: metric.to_owned(),
        rank,
        subject: None,
        value: Some(value),
        unit: unit.to_owned(),
    }
}

#[test]
fn every_shape_that_the_case_libraries_print() {
    let one = |line: &str| {
        let results = parse_result_line(line);
        assert_eq!(results.len(), 1, "{line}: {results:?}");
        results.into_iter().next().unwrap()
    };
    // Benchmarks in Python.
    assert_eq!(
        one("[FlagPerf Result]Rank 0's computation-FP16=250.0TFLOPS"),
        number("computation-FP16", Some(0), 250.0, "TFLOPS")
    );
    assert_eq!(
        one("[FlagPerf Result]Rank 15's inferconnect-P2P_intraserver-bandwidth=19.05GiB/s"),
        number(
            "inferconnect-P2P_intraserver-bandwidth",
            Some(15),
            19.05,
            "GiB/s"
        )
    );
    // Toolkits: unit glued, blank before the unit, blank after the bracket, CR at the end.
    assert_eq!(
        one("[FlagPerf Result]computation-FP32=18.9725TFLOPS"),
        number("computation-FP32", None, 18.9725, "TFLOPS")
    );
    assert_eq!(
        one("[FlagPerf Result]main_memory-bandwidth=1234.500000 GB/s"),
        number("main_memory-bandwidth", None, 1234.5, "GB/s")
    );
    assert_eq!(
        one("[FlagPerf Result] main_memory-capacity=64 GB\r"),
        number("main_memory-capacity", None, 64.0, "GB")
    );
    assert_eq!(
        one("[FlagPerf Result] interconnect-h2d bandwidth=24.5 GB/s"),
        number("interconnect-h2d bandwidth", None, 24.5, "GB/s")
    );
    assert_eq!(
        one("[1,0]<stdout>:[FlagPerf Result]computation-INT8=1.5e+03 Tops"),
        number("computation-INT8", None, 1500.0, "Tops")
    );
    assert_eq!(
        one("[FlagPerf Result]computation-FP16:A100=3TFLOPS"),
        number("computation-FP16:A100", None, 3.0, "TFLOPS")
    );
}

#[test]
fn a_missing_number_is_absent_and_not_zero() {
    for line in [
        "[FlagPerf Result]main_memory-bandwidth= GB/s",
        "[FlagPerf Result] main_memory-bandwidth=GB/s",
        "[FlagPerf Result] main_memory-bandwidth=nan GB/s",
        "[FlagPerf Result] main_memory-bandwidth=-inf GB/s",
        "[FlagPerf Result] main_memory-bandwidth=. GB/s",
    ] {
        let results = parse_result_line(line);
        assert_eq!(results.len(), 1, "{line}");
        assert_eq!(results[0].metric, "main_memory-bandwidth", "{line}");
        assert_eq!(results[0].value, None, "{line}");
    }
    assert_eq!(
        parse_result_line("[FlagPerf Result]a= GB/s")[0].unit,
        "GB/s"
    );
}

#[test]
fn cards_of_two_chips_say_what_the_number_is_of() {
    let results = parse_result_line(
        "[FlagPerf Result]Rank 3 BI-V150 has 2 chips and overall GPU main_memory-capacity=64.5GB",
    );
    let expected = ClassicResult {
        subject: Some("BI-V150 has 2 chips and overall GPU".to_owned()),
        ..number("main_memory-capacity", Some(3), 64.5, "GB")
    };
    assert_eq!(results, [expected]);
    let results = parse_result_line(
        "[FlagPerf Result]Rank 0 BI-V150 output bidirectional bandwidth and interconnect-MPI_interserver-bandwidth=38.10GB/s",
    );
    assert_eq!(results[0].metric, "interconnect-MPI_interserver-bandwidth");
    assert_eq!(
        results[0].subject.as_deref(),
        Some("BI-V150 output bidirectional bandwidth and")
    );
}

#[test]
fn the_block_of_an_operator() {
    assert_eq!(
        parse_result_line("[FlagPerf Result]Operation mm in nativetorch at FP16:"),
        []
    );
    assert_eq!(
        parse_result_line("[FlagPerf Result]FLOPS utilization: cputime=81.5%, kerneltime=84.25%"),
        [
            number("FLOPS utilization cputime", None, 81.5, "%"),
            number("FLOPS utilization kerneltime", None, 84.25, "%"),
        ]
    );
    assert_eq!(
        parse_result_line(
            "[FlagPerf Result]cputime=4312.5 us, throughput=231.88405797101450 op/s, equals to 254.95 TFLOPS"
        ),
        [
            number("cputime", None, 4312.5, "us"),
            number("cputime throughput", None, 231.884_057_971_014_5, "op/s"),
            number("cputime rate", None, 254.95, "TFLOPS"),
        ]
    );
    assert_eq!(
        parse_result_line("[FlagPerf Result]Correctness with CPU golden Reference: True"),
        [number(
            "Correctness with CPU golden Reference",
            None,
            1.0,
            ""
        )]
    );
    assert_eq!(
        parse_result_line("[FlagPerf Result]Correctness with CPU golden Reference: False")[0].value,
        Some(0.0)
    );
    assert_eq!(
        parse_result_line(
            "[FlagPerf Result]First time latency: no warmup=1500.5 us, warmup=20.25 us"
        ),
        [
            number("First time latency no warmup", None, 1500.5, "us"),
            number("First time latency warmup", None, 20.25, "us"),
        ]
    );
}

#[test]
fn traces_of_a_shell_and_other_lines_are_skipped() {
    for line in [
        "+ echo '[FlagPerf Result]computation-FP16=12 TFLOPS'",
        "++ echo '[FlagPerf Result]computation-FP16=12 TFLOPS'",
        "[1,0]<stderr>:+ echo '[FlagPerf Result]computation-FP16=12 TFLOPS'",
        "[FlagPerf Info]computation-FP16=12 TFLOPS",
        "computation-FP16=12 TFLOPS",
        "[FlagPerf Result]",
        "[FlagPerf Result]=5 GB/s",
        "",
    ] {
        assert_eq!(parse_result_line(line), [], "{line}");
    }
}

#[test]
fn lines_that_ranks_glued_together() {
    let results = parse_result_line(
        "[FlagPerf Result]Rank 0's a-b=1.5GB/s[FlagPerf Result]Rank 1's a-b=2.5GB/s",
    );
    assert_eq!(
        results,
        [
            number("a-b", Some(0), 1.5, "GB/s"),
            number("a-b", Some(1), 2.5, "GB/s")
        ]
    );
}

proptest! {
    #[test]
    fn any_line_is_answered(line in "(\\[FlagPerf Result\\])?(Rank [0-9]{0,12}('s)? ?)?\\PC{0,80}") {
        for result in parse_result_line(&line) {
            prop_assert!(!result.metric.is_empty());
            prop_assert!(result.value.is_none_or(f64::is_finite));
        }
    }

    #[test]
    fn what_is_printed_is_read(
        metric in "[a-z_]{1,10}(-[A-Za-z0-9_]{1,10}){0,2}",
        rank in prop::option::of(0u32..100_000),
        value in prop::num::f64::NORMAL,
        unit in "TFLOPS|TOPS|GB/s|GiB/s|us|%|",
        blank in " ?",
        gap in " ?",
    ) {
        let who = rank.map(|rank| format!("Rank {rank}'s ")).unwrap_or_default();
        let line = format!("[FlagPerf Result]{gap}{who}{metric}={value:e}{blank}{unit}\r");
        prop_assert_eq!(parse_result_line(&line), vec![number(&metric, rank, value, &unit)]);
    }
}
