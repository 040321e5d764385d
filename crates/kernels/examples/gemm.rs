//! Times one matrix product: `gemm FORMAT M N K THREADS SECONDS`.
//!
//! Prints the median and the best rate over the repetitions, the peak of the multiply-add units
//! measured before and after, and the share of it. For work on the kernels; the cases measure better.

#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::error::Error;
use std::time::Instant;

use flagperf_kernels::gemm::{Format, Gemm};
use flagperf_kernels::peak;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [format, m, n, k, threads, seconds] = words.as_slice() else {
        return Err("usage: gemm FORMAT M N K THREADS SECONDS".into());
    };
    let format = Format::ALL
        .into_iter()
        .find(|known| known.name().eq_ignore_ascii_case(format))
        .ok_or("the formats are FP64, FP32, BF16, INT8, FP16")?;
    let cpus: Vec<usize> = (0..threads.parse()?).collect();
    let seconds: f64 = seconds.parse()?;
    let mut product = Gemm::new(format, m.parse()?, n.parse()?, k.parse()?, &cpus, 42)?;
    let mut peak = peak::fma_peak(format, &cpus, 0.3)?;
    product.run();
    let start = Instant::now();
    let mut times = Vec::new();
    while times.is_empty() || start.elapsed().as_secs_f64() < seconds {
        times.push(product.run());
    }
    peak = peak.max(peak::fma_peak(format, &cpus, 0.3)?);
    times.sort_by(f64::total_cmp);
    let rate = |time: f64| product.flops_per_run() / time / 1e9;
    let (median, best) = (rate(times[times.len() / 2]), rate(times[0]));
    println!(
        "{} {} m={m} n={n} k={k} threads={threads} runs={}: median {median:.1} best {best:.1} GFLOP/s, \
         peak {:.1}, share {:.3} {:.3}",
        format.name(),
        product.isa(),
        times.len(),
        peak / 1e9,
        median * 1e9 / peak,
        best * 1e9 / peak,
    );
    println!("{}", product.verify(100, 7)?);
    Ok(())
}
