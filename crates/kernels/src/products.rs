//! Arithmetic rate: matrix products in five number formats.
//!
//! **Counted.** 2·m·n·k operations for C = A B with A of m × k and B of k × n, divided by the time
//! of the whole product, packing of the operands included. TFLOPS, and TOPS for INT8.
//! `-peak` is the rate of independent multiply-adds in registers with the same instruction, measured
//! in the same run, half of it before the products and half after. Its value is the better half's
//! best slice of 20 ms; its spread is between the two halves. `-share` is the rate of the product in
//! percent of that peak.
//!
//! **Sizes.** m = n = k, unless given: about a quarter of a second of work for the number of threads
//! at a nominal rate, so that the size depends on the machine's processors and not on its state; a
//! multiple of 144, which most tiles divide, from 1008 to 16416. The size is noted. Larger products
//! come somewhat closer to the peak, so figures of different sizes should not be compared to the
//! last percent.
//!
//! **Operands.** Random numbers from a seed (parameter `seed`): zeros or ones would let the
//! processor save energy and run faster.
//!
//! **Warm-up.** At least three products, and on until half a second has passed or two in succession
//! differ by less than 2 %.
//!
//! **Repetition.** One product each, for the duration and at least three. The value is the median.
//!
//! **Check.** The last product is compared with a reference of higher precision on random probes; a
//! wrong product fails the case. Formats that the processor has no instructions for are reported as
//! not supported and never emulated.
//!
//! **Biases that remain.** The clock frequency is the machine's own affair: heat and neighbours move
//! it, and the peak next to the product shows by how much. The peak is the best slice of both halves
//! and the product a median, so the share errs to the low side on a machine that is disturbed.

use flagperf_model::{Better, Phase, Unit, Verification, median};

use crate::clock::{mono_ns, seconds_since};
use crate::driver::{CaseError, Context};
use crate::gemm::{Error, Format, Gemm, Unsupported};
use crate::peak::fma_peak;
use crate::reporter::Metric;

/// Fewest products, in warm-up and measured alike.
const LEAST: usize = 3;

/// Warm-up that needs not be steady to end, in seconds.
const WARMUP_S: f64 = 0.5;

/// Two products closer than this share are steady.
const STEADY: f64 = 0.02;

/// Each half of the peak's measurement takes this share of the duration …
const PEAK_SHARE: f64 = 0.1;

/// … but no less and no more than this, in seconds.
const PEAK_S: (f64, f64) = (0.06, 0.5);

/// Random elements of the product that are compared.
const PROBES: usize = 256;

/// Work of a default product, in seconds at the nominal rate.
const PRODUCT_S: f64 = 0.25;

/// Runs the case in binary64.
pub(crate) fn fp64(context: &mut Context<'_>) -> Result<(), CaseError> {
    run(context, Format::Fp64)
}

/// Runs the case in binary32.
pub(crate) fn fp32(context: &mut Context<'_>) -> Result<(), CaseError> {
    run(context, Format::Fp32)
}

/// Runs the case in bfloat16.
pub(crate) fn bf16(context: &mut Context<'_>) -> Result<(), CaseError> {
    run(context, Format::Bf16)
}

/// Runs the case in 8-bit integers.
pub(crate) fn int8(context: &mut Context<'_>) -> Result<(), CaseError> {
    run(context, Format::Int8)
}

/// Runs the case in binary16.
pub(crate) fn fp16(context: &mut Context<'_>) -> Result<(), CaseError> {
    run(context, Format::Fp16)
}

impl From<Unsupported> for CaseError {
    fn from(unsupported: Unsupported) -> Self {
        Self::Unsupported(unsupported.feature)
    }
}

impl From<Error> for CaseError {
    fn from(error: Error) -> Self {
        match error {
            Error::Unsupported { feature } => Self::Unsupported(feature),
            Error::Empty | Error::Memory(_) | Error::Team(_) => Self::Product(error),
        }
    }
}

fn run(context: &mut Context<'_>, format: Format) -> Result<(), CaseError> {
    let isa = format.isa()?;
    let device = context.device();
    let [m, n, k] = sizes(context, format)?;
    let seed = context.params.integer("seed", 0..=u64::MAX)?.unwrap_or(1);
    let cpus = context.cpus.clone();
    let mut segment = context.join(0)?;
    let [a, b, sum] = format.types();
    for (key, value) in [
        ("size", format!("m {m}, n {n}, k {k}")),
        ("isa", isa.to_owned()),
        ("types", format!("{a} times {b}, sums in {sum}")),
        ("threads", cpus.len().to_string()),
        ("seed", seed.to_string()),
    ] {
        context.report.note(key, value)?;
    }
    let mut gemm = Gemm::new(format, m, n, k, &cpus, seed)?;

    context.report.phase(Phase::Warmup)?;
    warm_up(&mut gemm);
    let peak_s = (context.duration.as_secs_f64() * PEAK_SHARE).clamp(PEAK_S.0, PEAK_S.1);
    // Ranks that measure at the same time shall do the same thing at the same time.
    if let Some(segment) = &mut segment {
        segment.barrier()?;
    }
    let peak_before = fma_peak(format, &cpus, peak_s)? / 1e12;
    if let Some(segment) = &mut segment {
        segment.barrier()?;
    }

    context.report.phase(Phase::Measure)?;
    let [metric, peak_metric, share_metric] = metrics(format);
    let mut rates: Vec<f64> = Vec::new();
    let begin = mono_ns();
    loop {
        rates.push(gemm.flops_per_run() / gemm.run() / 1e12);
        let remaining = context.duration.as_secs_f64() - seconds_since(begin);
        if context.report.live_is_due()
            && let Some(value) = median(&rates)
        {
            context.report.live(&metric, value, remaining)?;
        }
        if remaining <= 0.0 && rates.len() >= LEAST {
            break;
        }
    }

    context.report.phase(Phase::Verify)?;
    if let Some(segment) = &mut segment {
        segment.barrier()?;
    }
    let peaks = [peak_before, fma_peak(format, &cpus, peak_s)? / 1e12];
    if let Some(segment) = segment {
        segment.barrier()?;
        segment.leave();
    }
    // Another seed than the operands', so that the probes do not follow them.
    let checked = gemm
        .verify(PROBES, !seed)
        .map_err(|problem| CaseError::Wrong(format!("wrong product: {problem}")))?;
    let checked = Verification::Checked(checked);
    let value = context
        .report
        .measurement(&metric, &device, &rates, checked.clone())?;
    context.report.classic(&metric, value)?;
    let unchecked = Verification::Unchecked("sums of register values have no meaning".to_owned());
    let peak = context
        .report
        .best(&peak_metric, &device, &peaks, unchecked)?;
    let shares: Vec<f64> = rates.iter().map(|rate| 100.0 * rate / peak).collect();
    context
        .report
        .measurement(&share_metric, &device, &shares, checked)?;
    Ok(())
}

fn metrics(format: Format) -> [Metric; 3] {
    let name = format!("computation-{}", format.name());
    let unit = if format == Format::Int8 {
        Unit::TOPS
    } else {
        Unit::TFLOPS
    };
    let metric = |suffix: &str, unit: &Unit, definition: &str| Metric {
        name: format!("{name}{suffix}"),
        unit: unit.clone(),
        better: Better::Higher,
        definition: definition.to_owned(),
    };
    [
        metric(
            "",
            &unit,
            "2 m n k operations of a matrix product of random operands divided by the time of the \
             whole product, packing included",
        ),
        metric(
            "-peak",
            &unit,
            "operations per second of independent multiply-adds in registers, the best 20 ms of \
             two halves: one before the products, one after",
        ),
        metric(
            "-share",
            &Unit::PERCENT,
            "rate of the matrix product in percent of the multiply-add peak of the same run",
        ),
    ]
}

fn warm_up(gemm: &mut Gemm) {
    let begin = mono_ns();
    let mut times: Vec<f64> = Vec::new();
    loop {
        times.push(gemm.run());
        let steady = match &times[..] {
            [.., before, last] => (last - before).abs() < STEADY * last,
            _ => false,
        };
        if times.len() >= LEAST && (steady || seconds_since(begin) >= WARMUP_S) {
            return;
        }
    }
}

/// m, n and k from the parameters or from the number of threads, if they fit into memory.
fn sizes(context: &Context<'_>, format: Format) -> Result<[usize; 3], CaseError> {
    let default = default_size(format, context.cpus.len());
    let mut sizes = [0; 3];
    for (size, name) in sizes.iter_mut().zip(["m", "n", "k"]) {
        let given = context.params.integer(name, 1..=1 << 20)?;
        *size = given.map_or(default, |given| given as usize);
    }
    let [m, n, k] = sizes;
    let (operand, result) = match format {
        Format::Fp64 => (8, 8),
        Format::Fp32 => (4, 4),
        Format::Bf16 | Format::Fp16 => (2, 4),
        Format::Int8 => (1, 4),
    };
    // Operands are kept as given and once more as packed for the kernel.
    let needed = 2 * operand * (m * k + k * n) + result * m * n;
    let free = context.free_memory()?;
    if needed as u64 > free {
        return Err(CaseError::Wrong(format!(
            "matrices of {m} x {k} and {k} x {n} need {needed} bytes, and {free} are free"
        )));
    }
    Ok(sizes)
}

/// The side of a square product that takes about [`PRODUCT_S`] at the nominal rate of `threads`.
fn default_size(format: Format, threads: usize) -> usize {
    // Operations per second of one core with 512-bit vectors near 2 GHz, rounded.
    let nominal = match format {
        Format::Fp64 => 5e10,
        Format::Fp32 => 1e11,
        Format::Bf16 | Format::Fp16 => 2e11,
        Format::Int8 => 4e11,
    };
    let side = (PRODUCT_S * nominal * threads as f64 / 2.0).cbrt();
    ((side / 144.0).round() as usize * 144).clamp(1008, 16416)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_sizes_grow_with_the_machine_and_stay_in_bounds() {
        for format in Format::ALL {
            let sizes: Vec<usize> = [1, 2, 16, 128, 100_000]
                .into_iter()
                .map(|threads| default_size(format, threads))
                .collect();
            assert!(sizes.windows(2).all(|w| w[0] <= w[1]), "{sizes:?}");
            assert!(
                sizes
                    .iter()
                    .all(|s| s % 144 == 0 && (1008..=16416).contains(s))
            );
        }
        assert_eq!(default_size(Format::Fp64, 2), 2304);
    }
}
