//! Suite operation: the six lines that every operator prints.

use super::decl::{Decl, less, more};

/// The metrics of an operator, the primary one first: its published figures are of the wall clock.
pub(crate) const METRICS: &[Decl] = &[
    more(
        "cputime rate",
        "TFLOPS",
        "10^12 operations per second by the wall clock: those that the case counts for one call, three times as many where the backward pass is included, divided by cputime",
    ),
    more(
        "kerneltime rate",
        "TFLOPS",
        "10^12 operations per second by the clock of the chip: those that the case counts for one call, three times as many where the backward pass is included, divided by kerneltime",
    ),
    less(
        "cputime",
        "us",
        "10^-6 seconds of one call by the wall clock: all calls without a pause, divided by their number",
    ),
    less(
        "kerneltime",
        "us",
        "10^-6 seconds of one call by the clock of the chip, as triton's do_bench takes it: the median",
    ),
    more(
        "cputime throughput",
        "op/s",
        "Calls per second: 1 divided by cputime",
    ),
    more(
        "kerneltime throughput",
        "op/s",
        "Calls per second: 1 divided by kerneltime",
    ),
    more(
        "FLOPS utilization cputime",
        "%",
        "100 times `cputime rate` divided by the rate that the case was told as the chip's",
    ),
    more(
        "FLOPS utilization kerneltime",
        "%",
        "100 times `kerneltime rate` divided by the rate that the case was told as the chip's",
    ),
    more(
        "Correctness with CPU golden Reference",
        "",
        "1 if the tests of FlagGems for this operator passed on the processor, else 0; the operator that was measured is not looked at",
    ),
    less(
        "First time latency no warmup",
        "us",
        "10^-6 seconds of the very first call, forward only",
    ),
    less(
        "First time latency warmup",
        "us",
        "10^-6 seconds of one call after the warm-up, forward only",
    ),
];

/// Which operator it was, from the heading of the block: `mm in nativetorch at FP16`.
pub(crate) fn heading(line: &str) -> Option<&str> {
    let (_, body) = line.split_once(flagperf_model::RESULT_PREFIX)?;
    let heading = body.trim().strip_prefix("Operation ")?.strip_suffix(':')?;
    (heading.contains(" in ") && heading.contains(" at ")).then_some(heading)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse_result_line;

    #[test]
    fn every_number_of_the_block_is_described() {
        let block = [
            "[FlagPerf Result]FLOPS utilization: cputime=81.5%, kerneltime=84.25%",
            "[FlagPerf Result]cputime=4312.5 us, throughput=231.9 op/s, equals to 254.95 TFLOPS",
            "[FlagPerf Result]kerneltime=4312.5 us, throughput=231.9 op/s, equals to 254.95 TFLOPS",
            "[FlagPerf Result]Correctness with CPU golden Reference: True",
            "[FlagPerf Result]First time latency: no warmup=1500.5 us, warmup=20.25 us",
        ];
        let mut seen = 0;
        for result in block.into_iter().flat_map(parse_result_line) {
            let decl = METRICS.iter().find(|decl| decl.name == result.metric);
            assert_eq!(
                decl.map(|decl| decl.unit),
                Some(result.unit.as_str()),
                "{result:?}"
            );
            seen += 1;
        }
        assert_eq!(seen, METRICS.len());
    }

    #[test]
    fn the_heading_names_the_operator() {
        assert_eq!(
            heading("[FlagPerf Result]Operation mm in nativetorch at FP16:"),
            Some("mm in nativetorch at FP16")
        );
        assert_eq!(heading("[FlagPerf Result]cputime=1 us"), None);
        assert_eq!(heading("Operation mm in nativetorch at FP16:"), None);
    }
}
