//! Suite base: what its 14 cases measure, and their result lines.

use flagperf_model::Unit;

use super::decl::{Decl, Number, more};
use super::names::meant;
use super::remark::ResultRemark;
use crate::classic::ClassicResult;

/// Which of the two programs of a case of suite base printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseProgram {
    /// `main.py` of the case, the same for all vendors.
    Benchmark,
    /// The vendor's `main.sh`.
    Toolkit,
}

const FLOATS: &str = "10^12 floating point operations per second of one chip in C = A·B: 2·M·N·K for each of the products, divided by the time of all of them from one barrier to the next, so that every rank gives the time of the slowest";

const FLOATS_TOOLKIT: &str = "10^12 floating point operations per second of one chip in a matrix product, as the vendor's program computes it: 2·M·N·K for each product, divided by the time";

const BENCHMARK: &[(&str, &[Decl])] = &[
    (
        "computation-BF16",
        &[more("computation-BF16", "TFLOPS", FLOATS)],
    ),
    (
        "computation-FP16",
        &[more("computation-FP16", "TFLOPS", FLOATS)],
    ),
    (
        "computation-FP32",
        &[more("computation-FP32", "TFLOPS", FLOATS)],
    ),
    (
        "computation-FP64",
        &[more("computation-FP64", "TFLOPS", FLOATS)],
    ),
    (
        "computation-FP8",
        &[more("computation-FP8", "TFLOPS", FLOATS)],
    ),
    (
        "computation-TF32",
        &[more("computation-TF32", "TFLOPS", FLOATS)],
    ),
    (
        "computation-INT8",
        &[more(
            "computation-INT8",
            "TOPS",
            "10^12 integer operations per second of one chip in C = A·B with operands that are all ones: 2·M·N·K for each of the products, divided by the time of all of them from one barrier to the next, so that every rank gives the time of the slowest",
        )],
    ),
    (
        "main_memory-bandwidth",
        &[more(
            "main_memory-bandwidth",
            "GB/s",
            "Bytes per second when a chip copies a tensor within its memory: bytes read plus bytes written, divided by the time",
        )],
    ),
    (
        "main_memory-capacity",
        &[more(
            "main_memory-capacity",
            "GB",
            "Bytes that the framework could allocate on one chip, in pieces of 1 MiB at the end",
        )],
    ),
    (
        "interconnect-h2d",
        &[more(
            "interconnect-h2d-bandwidth",
            "GB/s",
            "Bytes per second from the host's memory to the chip: bytes counted once, divided by the time; the host's pages are not locked, except where the vendor's variant of the case locks them",
        )],
    ),
    (
        "interconnect-P2P_intraserver",
        &[more(
            "interconnect-P2P_intraserver-bandwidth",
            "GB/s",
            "Bytes per second from rank 0 to rank 1, counted twice although they go in one direction, divided by the time",
        )],
    ),
    (
        "interconnect-P2P_interserver",
        &[more(
            "interconnect-P2P_interserver-bandwidth",
            "GB/s",
            "Bytes per second from rank 0 to rank 8 in one direction, counted once, divided by the time",
        )],
    ),
    (
        "interconnect-MPI_intraserver",
        &[more(
            "interconnect-MPI_intraserver-bandwidth",
            "GB/s",
            "Twice the bus bandwidth of an all-reduce in the sense of nccl-tests, in bytes per second: size of one rank's data divided by the time, times 2·(p-1)/p for the p ranks of the node, times 2 for both directions",
        )],
    ),
    (
        "interconnect-MPI_interserver",
        &[more(
            "interconnect-MPI_interserver-bandwidth",
            "GB/s",
            "Bytes per second of an all-reduce over the ranks of all nodes: size of one rank's data divided by the time, times 2·(p-1)/p, where p is the number of ranks of one node; the bus bandwidth of nccl-tests has the number of all ranks there and is higher",
        )],
    ),
];

const TOOLKIT: &[(&str, &[Decl])] = &[
    (
        "computation-BF16",
        &[more("computation-BF16", "TFLOPS", FLOATS_TOOLKIT)],
    ),
    (
        "computation-FP16",
        &[more("computation-FP16", "TFLOPS", FLOATS_TOOLKIT)],
    ),
    (
        "computation-FP32",
        &[more("computation-FP32", "TFLOPS", FLOATS_TOOLKIT)],
    ),
    (
        "computation-FP64",
        &[more("computation-FP64", "TFLOPS", FLOATS_TOOLKIT)],
    ),
    (
        "computation-FP8",
        &[more("computation-FP8", "TFLOPS", FLOATS_TOOLKIT)],
    ),
    (
        "computation-TF32",
        &[more("computation-TF32", "TFLOPS", FLOATS_TOOLKIT)],
    ),
    (
        "computation-INT8",
        &[more(
            "computation-INT8",
            "TOPS",
            "10^12 integer operations per second of one chip in a matrix product, as the vendor's program computes it: 2·M·N·K for each product, divided by the time",
        )],
    ),
    (
        "main_memory-bandwidth",
        &[more(
            "main_memory-bandwidth",
            "GB/s",
            "Bytes per second of one chip's memory as the vendor's program counts them: most count what a copy reads and what it writes",
        )],
    ),
    (
        "main_memory-capacity",
        &[more(
            "main_memory-capacity",
            "GB",
            "Memory of one chip: what the vendor's program could allocate, or what its management tool says that there is",
        )],
    ),
    (
        "interconnect-h2d",
        &[more(
            "interconnect-h2d-bandwidth",
            "GB/s",
            "Bytes per second from the host's memory to the chip as the vendor's program counts them: most count them once",
        )],
    ),
    (
        "interconnect-P2P_intraserver",
        &[more(
            "interconnect-P2P_intraserver-bandwidth",
            "GB/s",
            "Bytes per second between two chips of a node as the vendor's program counts them: most count both directions, or one direction twice",
        )],
    ),
    (
        "interconnect-P2P_interserver",
        &[more(
            "interconnect-P2P_interserver-bandwidth",
            "GB/s",
            "Bytes per second between chips of two nodes as the vendor's program counts them: some count one direction once, some twice",
        )],
    ),
    (
        "interconnect-MPI_intraserver",
        &[
            more(
                "interconnect-MPI_intraserver-bandwidth",
                "GB/s",
                "Bus bandwidth of a collective over the chips of one node, in bytes per second, as the vendor's program counts it: of an all-reduce with most, of an all-gather with one; most count it twice, for both directions",
            ),
            more("interconnect-MPI_intraserver-algbw", "GB/s", ALGBW),
        ],
    ),
    (
        "interconnect-MPI_interserver",
        &[
            more(
                "interconnect-MPI_interserver-bandwidth",
                "GB/s",
                "Bus bandwidth of a collective over the chips of all nodes, in bytes per second, as the vendor's program counts it: of an all-reduce with most, of an all-gather with one; some count it twice, for both directions",
            ),
            more("interconnect-MPI_interserver-algbw", "GB/s", ALGBW),
        ],
    ),
];

const ALGBW: &str = "Algorithm bandwidth in the sense of nccl-tests, in bytes per second: size of one rank's data divided by the time of one all-reduce";

/// What the words between rank and name make of a metric, and how that is counted.
const SUBJECTS: &[(&str, &str, &str)] = &[
    (
        "has 2 chips and overall GPU",
        "-card",
        "Of a card of two chips, for which the case prints twice the number of one",
    ),
    (
        "output bidirectional bandwidth and",
        "-bidirectional",
        "Of both directions, for which the case prints twice the number of one",
    ),
];

/// The metrics of a case, the primary one first. None for a case that is not known.
pub(crate) fn metrics(case: &str, program: BaseProgram) -> &'static [Decl] {
    let table = match program {
        BaseProgram::Benchmark => BENCHMARK,
        BaseProgram::Toolkit => TOOLKIT,
    };
    let mut cases = table.iter();
    cases
        .find(|(name, _)| *name == case)
        .map_or(&[], |(_, decls)| decls)
}

/// A number of a result line as the case means it, what describes it, and what is to be said of it.
/// `printed` is its name with the words before it.
pub(crate) fn number<'a>(
    case: &str,
    program: BaseProgram,
    result: &'a ClassicResult,
    printed: &'a str,
) -> (Number<'a>, Option<Decl>, Option<ResultRemark>) {
    let name = meant(case, &result.metric);
    let decl = metrics(case, program)
        .iter()
        .find(|decl| decl.name == name)
        .copied();
    let (unit, remark) = unit(result, decl.as_ref());
    let mut number = Number {
        metric: name.to_owned(),
        printed,
        value: result.value.unwrap_or(f64::NAN),
        unit,
        rank: result.rank,
        device: None,
    };
    let mut decl = decl;
    if let Some(subject) = &result.subject {
        let known = SUBJECTS
            .iter()
            .find(|(words, _, _)| subject.ends_with(words));
        if let Some((_, suffix, definition)) = known {
            number.metric.push_str(suffix);
            decl = decl.map(|decl| Decl { definition, ..decl });
        } else {
            number.device = Some(subject.clone());
        }
    }
    (number, decl, remark)
}

/// The unit in its usual spelling.
fn unit(result: &ClassicResult, decl: Option<&Decl>) -> (Unit, Option<ResultRemark>) {
    const USUAL: [&str; 8] = ["TFLOPS", "TOPS", "GB/s", "GiB/s", "GB", "GiB", "MiB", "us"];
    let printed = result.unit.as_str();
    let usual = USUAL
        .into_iter()
        .find(|unit| unit.eq_ignore_ascii_case(printed));
    match (decl, usual) {
        (Some(decl), _) if printed.is_empty() => (Unit::new(decl.unit), None),
        // Both are 10^12 a second; a case for integers has no floating point operations to count.
        (Some(Decl { unit: "TOPS", .. }), Some("TFLOPS")) => (
            Unit::TOPS,
            Some(ResultRemark::OtherUnit {
                metric: result.metric.clone(),
                printed: printed.to_owned(),
                unit: "TOPS",
            }),
        ),
        (_, Some(usual)) => (Unit::new(usual), None),
        (_, None) => (Unit::new(printed), None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flagperf_model::MetricName;

    #[test]
    fn the_tables_have_every_case_once() {
        for table in [BENCHMARK, TOOLKIT] {
            let mut names: Vec<&str> = table.iter().map(|(case, _)| *case).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), 14);
            for (case, decls) in table {
                assert!(decls[0].name.starts_with(case), "{case}");
                for decl in *decls {
                    assert!(MetricName::new(decl.name).is_ok(), "{}", decl.name);
                }
            }
        }
        assert!(metrics("computation-FP4", BaseProgram::Toolkit).is_empty());
    }
}
