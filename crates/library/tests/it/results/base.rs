use flagperf_library::{BaseProgram, Dialect, Summary};
use flagperf_model::Better;

use super::{numbers, only, summary};
use crate::collector::node;

fn dialect(case: &str, program: BaseProgram) -> Dialect {
    Dialect::Base {
        case: case.to_owned(),
        program,
    }
}

fn benchmark(case: &str, text: &str) -> Summary {
    summary(&dialect(case, BaseProgram::Benchmark), text)
}

fn toolkit(case: &str, text: &str) -> Summary {
    summary(&dialect(case, BaseProgram::Toolkit), text)
}

#[test]
fn a_number_of_a_rank() {
    let read = benchmark(
        "computation-FP16",
        "[FlagPerf Result]Rank 3's computation-FP16=250.0TFLOPS\n",
    );
    let number = only(&read);
    assert_eq!(numbers(&read), [("computation-FP16", 250.0, "TFLOPS")]);
    assert_eq!(
        (number.rank, &number.printed, &number.device),
        (Some(3), &None, &None)
    );
    assert_eq!(number.better, Better::Higher);
    assert!(
        number.definition.contains("2·M·N·K"),
        "{}",
        number.definition
    );
    assert_eq!(read.warnings, Vec::<String>::new());
}

#[test]
fn the_processes_of_a_launcher_are_not_its_ranks() {
    let line = "[FlagPerf Result]computation-FP64=9.5TFLOPS\n";
    let read = super::read(
        &dialect("computation-FP64", BaseProgram::Toolkit),
        &[(node(), 1, line)],
    );
    assert_eq!(only(&read.1).rank, None);
}

#[test]
fn a_toolkit_with_the_unit_glued_or_not_and_a_blank_behind_the_bracket() {
    for line in [
        "[FlagPerf Result]computation-INT8=1500.5TOPS",
        "[FlagPerf Result]computation-INT8=1500.500000 TOPS",
        "[FlagPerf Result] computation-INT8=1500.5 TOPS",
        "[FlagPerf Result]computation-INT8 = 1500.5 TOPS\r",
        "[1,0]<stdout>:[FlagPerf Result]computation-INT8=1500.5 TOPS",
    ] {
        let read = toolkit("computation-INT8", line);
        assert_eq!(
            numbers(&read),
            [("computation-INT8", 1500.5, "TOPS")],
            "{line}"
        );
        assert_eq!(read.result_lines, [(node(), line.trim().to_owned())]);
        assert!(only(&read).definition.contains("vendor's program"));
    }
}

#[test]
fn units_in_another_spelling() {
    let read = toolkit(
        "computation-INT8",
        "[FlagPerf Result]computation-INT8=51.5Tops\n",
    );
    assert_eq!(numbers(&read), [("computation-INT8", 51.5, "TOPS")]);
    let read = toolkit(
        "computation-BF16",
        "[FlagPerf Result]computation-BF16=51.5TFlops\n",
    );
    assert_eq!(numbers(&read), [("computation-BF16", 51.5, "TFLOPS")]);
    let read = toolkit(
        "main_memory-capacity",
        "[FlagPerf Result] main_memory-capacity=65536 MiB\n",
    );
    assert_eq!(numbers(&read), [("main_memory-capacity", 65536.0, "MiB")]);
    // A number without a unit, as when a tool gives several.
    let read = toolkit(
        "main_memory-bandwidth",
        "[FlagPerf Result]main_memory-bandwidth=12\n13 GB/s\n",
    );
    assert_eq!(numbers(&read), [("main_memory-bandwidth", 12.0, "GB/s")]);
}

#[test]
fn integers_are_not_counted_as_floating_point() {
    let read = toolkit(
        "computation-INT8",
        "[FlagPerf Result] computation-INT8=500.25 TFLOPS\n",
    );
    assert_eq!(numbers(&read), [("computation-INT8", 500.25, "TOPS")]);
    assert_eq!(
        read.warnings,
        ["`case` on node1: the tool printed `computation-INT8` in TFLOPS; what it counts is TOPS"]
    );
}

#[test]
fn both_powers_of_ten_and_of_two_stay() {
    // Benchmarks print the one first, toolkits the other.
    for text in [
        "[FlagPerf Result]Rank 0's main_memory-capacity=80.0GB\n[FlagPerf Result]Rank 0's main_memory-capacity=74.5GiB\n",
        "[FlagPerf Result]Rank 0's main_memory-capacity=74.5GiB\n[FlagPerf Result]Rank 0's main_memory-capacity=80.0GB\n",
    ] {
        let read = benchmark("main_memory-capacity", text);
        let mut found = numbers(&read);
        found.sort_by_key(|(name, _, _)| name.len());
        assert_eq!(
            found,
            [
                ("main_memory-capacity", 80.0, "GB"),
                ("main_memory-capacity in GiB", 74.5, "GiB"),
            ]
        );
        let twin = read
            .measurements
            .iter()
            .find(|(_, number)| number.value == 74.5);
        let twin = &twin.unwrap().1;
        assert_eq!(twin.printed.as_deref(), Some("main_memory-capacity"));
        assert_eq!(
            twin.definition,
            "`main_memory-capacity` in units of 2^30 bytes"
        );
    }
    // Where there is only the one, it is the number; and what is of another rank is no twin.
    let text = "[FlagPerf Result]Rank 0's main_memory-capacity=80.0GB\n[FlagPerf Result]Rank 1's main_memory-capacity=74.5GiB\n";
    let read = benchmark("main_memory-capacity", text);
    assert_eq!(
        numbers(&read),
        [
            ("main_memory-capacity", 80.0, "GB"),
            ("main_memory-capacity", 74.5, "GiB"),
        ]
    );
}

#[test]
fn cards_of_two_chips() {
    let text = "[FlagPerf Result]Rank 0's main_memory-bindwidth=500.5GB/s\n\
                [FlagPerf Result]Rank 0 BI-V150 has 2 chips and overall GPU main_memory-bindwidth=1001.0GB/s\n";
    let read = benchmark("main_memory-bandwidth", text);
    assert_eq!(
        numbers(&read),
        [
            ("main_memory-bandwidth", 500.5, "GB/s"),
            ("main_memory-bandwidth-card", 1001.0, "GB/s"),
        ]
    );
    let card = &read.measurements[1].1;
    assert_eq!(card.rank, Some(0));
    assert_eq!(
        card.printed.as_deref(),
        Some("BI-V150 has 2 chips and overall GPU main_memory-bindwidth")
    );
    assert!(card.definition.contains("twice the number of one"));
}

#[test]
fn both_directions_between_servers() {
    for (case, printed, metric) in [
        (
            "interconnect-P2P_interserver",
            "inferconnect-P2P_intraserver-bandwidth",
            "interconnect-P2P_interserver-bandwidth-bidirectional",
        ),
        (
            "interconnect-MPI_interserver",
            "interconnect-MPI_interserver-bandwidth",
            "interconnect-MPI_interserver-bandwidth-bidirectional",
        ),
    ] {
        let line = format!(
            "[FlagPerf Result]Rank 0 BI-V150 output bidirectional bandwidth and {printed}=38.5GiB/s\n"
        );
        assert_eq!(numbers(&benchmark(case, &line)), [(metric, 38.5, "GiB/s")]);
    }
}

#[test]
fn words_before_a_name_that_mean_nothing_known_are_its_device() {
    let line = "[FlagPerf Result]Rank 0 upper half computation-FP16=2TFLOPS\n";
    let read = benchmark("computation-FP16", line);
    assert_eq!(only(&read).device.as_deref(), Some("upper half"));
    assert_eq!(only(&read).metric.as_str(), "computation-FP16");
}

#[test]
fn wrong_names_mean_the_case() {
    for (case, printed, metric) in [
        (
            "main_memory-bandwidth",
            "main_memory-bindwidth",
            "main_memory-bandwidth",
        ),
        (
            "interconnect-h2d",
            "transfer-bandwidth",
            "interconnect-h2d-bandwidth",
        ),
        (
            "interconnect-h2d",
            "interconnect-h2d bandwidth",
            "interconnect-h2d-bandwidth",
        ),
        (
            "interconnect-h2d",
            "interconnect-h2d",
            "interconnect-h2d-bandwidth",
        ),
        (
            "interconnect-P2P_intraserver",
            "inferconnect-P2P_intraserver-bandwidth",
            "interconnect-P2P_intraserver-bandwidth",
        ),
        (
            "interconnect-P2P_interserver",
            "inferconnect-P2P_intraserver-bandwidth",
            "interconnect-P2P_interserver-bandwidth",
        ),
        (
            "interconnect-P2P_intraserver",
            "interconnect-MPI_intraserver-bandwidth",
            "interconnect-P2P_intraserver-bandwidth",
        ),
        (
            "interconnect-P2P_interserver",
            "interconnect-MPI_intraserver-bandwidth",
            "interconnect-P2P_interserver-bandwidth",
        ),
        (
            "interconnect-MPI_interserver",
            "interconnect-MPI_intraserver-bandwidth",
            "interconnect-MPI_interserver-bandwidth",
        ),
        (
            "interconnect-P2P_intraserver",
            "interconnect-P2P_intraserver",
            "interconnect-P2P_intraserver-bandwidth",
        ),
        (
            "interconnect-P2P_interserver",
            "interconnect-P2P_interserver",
            "interconnect-P2P_interserver-bandwidth",
        ),
        ("computation-FP16", "computation-FP32", "computation-FP16"),
    ] {
        let read = toolkit(case, &format!("[FlagPerf Result]{printed}=5.5 GB/s\n"));
        let number = only(&read);
        assert_eq!(number.metric.as_str(), metric, "{case}");
        assert_eq!(number.printed.as_deref(), Some(printed), "{case}");
        assert_ne!(number.better, Better::Neither, "{case}");
    }
}

#[test]
fn right_names_stay() {
    for (case, printed) in [
        ("computation-FP32", "computation-FP32"),
        ("interconnect-h2d", "interconnect-h2d-bandwidth"),
        (
            "interconnect-MPI_intraserver",
            "interconnect-MPI_intraserver-bandwidth",
        ),
        (
            "interconnect-MPI_intraserver",
            "interconnect-MPI_intraserver-algbw",
        ),
        (
            "interconnect-MPI_interserver",
            "interconnect-MPI_interserver-algbw",
        ),
    ] {
        let read = toolkit(case, &format!("[FlagPerf Result]{printed}=5.5 GB/s\n"));
        let number = only(&read);
        assert_eq!((number.metric.as_str(), &number.printed), (printed, &None));
        assert_ne!(number.better, Better::Neither, "{printed}");
    }
}

#[test]
fn other_metrics_are_kept_as_they_come() {
    let text = "[FlagPerf Result]power-full_load(core-power)=85.25 W\n\
                [FlagPerf Result] c2c global latency=120 ns\n\
                [FlagPerf Result] inter-tile-bandwidth = 3746.5 GB/s\n\
                [FlagPerf Result] programmable_op_perf: sigmoid_rvv=2853us, tanh_ct_=12us\n";
    let read = toolkit("computation-FP32", text);
    assert_eq!(
        numbers(&read),
        [
            ("power-full_load_core-power", 85.25, "W"),
            ("c2c global latency", 120.0, "ns"),
            ("inter-tile-bandwidth", 3746.5, "GB/s"),
            ("programmable_op_perf sigmoid_rvv", 2853.0, "us"),
            ("programmable_op_perf tanh_ct_", 12.0, "us"),
        ]
    );
    let power = &read.measurements[0].1;
    assert_eq!(
        power.printed.as_deref(),
        Some("power-full_load(core-power)")
    );
    assert_eq!(power.better, Better::Neither);
}

#[test]
fn a_number_that_the_tool_did_not_give() {
    for line in [
        "[FlagPerf Result] computation-BF16= TFLOPS\n",
        "[FlagPerf Result]computation-BF16= TFLOPS\n",
        "[FlagPerf Result]computation-BF16=nan TFLOPS\n",
        "[FlagPerf Result]computation-BF16=N/A\n",
    ] {
        let read = toolkit("computation-BF16", line);
        assert_eq!(read.measurements, []);
        assert_eq!(
            read.warnings,
            ["`case` on node1: the tool printed no number for `computation-BF16`"],
            "{line}"
        );
        assert!(read.reporters.is_empty());
        assert_eq!(read.blank[&node()], "computation-BF16");
        assert_eq!(read.result_lines.len(), 1);
    }
}

#[test]
fn a_trace_and_its_line_are_one_result() {
    let text = "+ echo '[FlagPerf Result]interconnect-MPI_intraserver-bandwidth=50.5 GB/s'\n\
                [FlagPerf Result]interconnect-MPI_intraserver-bandwidth=50.5 GB/s\n";
    let read = toolkit("interconnect-MPI_intraserver", text);
    assert_eq!(
        numbers(&read),
        [("interconnect-MPI_intraserver-bandwidth", 50.5, "GB/s")]
    );
    assert_eq!(read.result_lines.len(), 1);
    // The shell may write its trace elsewhere, and the other way round.
    let read = toolkit("interconnect-MPI_intraserver", text.lines().next().unwrap());
    assert_eq!((read.measurements.len(), read.result_lines.len()), (0, 0));
    assert!(read.reporters.is_empty());
}

#[test]
fn what_is_no_result_is_none() {
    let text = "[FlagPerf Info]Rank 0's something=1\n\
                [FlagPerf Result]\n\
                [FlagPerf Result]=5 GB/s\n\
                [FlagPerf Result](((=5 GB/s\n\
                [FlagPerf Result]all is well\n\
                FlagPerf Result computation-FP16=1 TFLOPS\n";
    let read = benchmark("computation-FP16", text);
    assert_eq!(read.measurements, []);
    assert_eq!(
        read.warnings,
        ["`case` on node1: the tool printed a number for `(((`, which is no name; it is left out"]
    );
    // Words alone are no result of a case that measures.
    assert!(read.reporters.is_empty());
    assert!(read.blank.is_empty());
}

#[test]
fn less_than_nothing_is_no_number() {
    let read = benchmark(
        "computation-FP16",
        "[FlagPerf Result]Rank 0's computation-FP16=-3.5TFLOPS\n",
    );
    assert_eq!(read.measurements, []);
    assert_eq!(
        read.warnings,
        [
            "`case` on node1: the tool printed a number below zero for `computation-FP16`, which cannot be; it is left out"
        ]
    );
    assert_eq!(read.blank[&node()], "computation-FP16");
}

#[test]
fn an_unknown_case_gives_its_numbers_as_they_are() {
    let read = benchmark(
        "computation-FP4",
        "[FlagPerf Result]Rank 0's computation-FP4=5.5TFLOPS\n",
    );
    assert_eq!(numbers(&read), [("computation-FP4", 5.5, "TFLOPS")]);
    assert!(only(&read).definition.contains("not known"));
}
