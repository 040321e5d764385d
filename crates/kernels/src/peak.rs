//! Peak rate of the arithmetic units: independent multiply-adds in registers, nothing else.
//!
//! The instruction is the one that the matrix product of the format uses on this processor, written
//! in assembly, so that no compiler can shorten it. Memory, packing and loops of a product are
//! absent, which makes its share of this rate a statement about the product and not about the clock.

use std::sync::Barrier;
use std::time::Instant;

use crate::gemm::{Format, Isa, Unsupported, path, pin};

/// Shortest time of a slice, seconds: long against the clock and the start of the threads.
const SLICE: f64 = 0.02;

/// Operations per second of all `cpus` together, a multiplication and an addition counting as two.
///
/// All processors work at the same time, in slices of about 20 ms; a slice is as fast as its slowest
/// processor, and the fastest slice counts, since whatever else runs on the machine can only make it
/// slower. It takes about `seconds`, and at least three slices. A processor that cannot be pinned
/// is left to the scheduler.
pub fn fma_peak(format: Format, cpus: &[usize], seconds: f64) -> Result<f64, Unsupported> {
    let isa = path(format)?;
    let threads = cpus.len().max(1);
    // Calibrated alone: a slice must be the same number of instructions on every processor.
    let mut rounds = 1 << 12;
    while spin(isa, rounds).seconds < SLICE / 4.0 {
        rounds *= 2;
    }
    let rounds = (rounds as f64 * SLICE / spin(isa, rounds).seconds.max(1e-9)) as u64;
    let slices = ((seconds / SLICE) as usize).max(3);
    let barrier = Barrier::new(threads);
    let barrier = &barrier;
    let slowest: Vec<Vec<Slice>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                scope.spawn(move || {
                    if let Some(&cpu) = cpus.get(thread) {
                        // Without the pin the scheduler places the thread, on a free processor as a rule.
                        let _pinned = pin(cpu);
                    }
                    (0..slices)
                        .map(|_| {
                            barrier.wait();
                            spin(isa, rounds)
                        })
                        .collect()
                })
            })
            .collect();
        // A worker cannot panic; one that did would leave its place empty.
        workers
            .into_iter()
            .filter_map(|worker| worker.join().ok())
            .collect()
    });
    let best = (0..slices)
        .map(|slice| {
            let operations: f64 = slowest.iter().map(|worker| worker[slice].operations).sum();
            let seconds = slowest
                .iter()
                .map(|worker| worker[slice].seconds)
                .fold(0.0, f64::max);
            operations / seconds
        })
        .fold(0.0, f64::max);
    Ok(best)
}

struct Slice {
    operations: f64,
    seconds: f64,
}

/// Executes `rounds` rounds of all chains and takes the time.
fn spin(isa: Isa, rounds: u64) -> Slice {
    let start = Instant::now();
    let per_round = match isa {
        Isa::PortableFp64 => portable::fp64(rounds),
        Isa::PortableFp32 => portable::fp32(rounds),
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `path` has found the features of this kernel present.
        _ => unsafe { x86::spin(isa, rounds) },
    };
    Slice {
        operations: per_round as f64 * rounds as f64,
        seconds: start.elapsed().as_secs_f64(),
    }
}

/// Multiplications and additions that the compiler turns into whatever the target has.
mod portable {
    use std::hint::black_box;

    /// Numbers per round: a few vectors of any width.
    const WIDTH: usize = 32;

    macro_rules! portable {
        ($name:ident, $type:ty) => {
            pub(super) fn $name(rounds: u64) -> u64 {
                let factor: $type = black_box(0.999);
                let addend: $type = black_box(0.001);
                let mut sums: [$type; WIDTH] = black_box([1.0; WIDTH]);
                for _ in 0..rounds {
                    for sum in &mut sums {
                        *sum = *sum * factor + addend;
                    }
                }
                black_box(sums);
                2 * WIDTH as u64
            }
        };
    }

    portable!(fp64, f64);
    portable!(fp32, f32);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;

    use super::Isa;
    use crate::gemm::x86::{enter_tiles, leave_tiles};

    /// Independent chains of multiply-adds. Latency times units is 8 for the vector units of all
    /// current processors (4 cycles, 2 units), up to 12 for binary16 and groups of narrow numbers.
    const CHAINS: u64 = 24;

    /// Chains in sixteen registers, two of which hold the factors.
    const NARROW_CHAINS: u64 = 14;

    /// Chains on AMX: the tile registers left beside two for A and two for B.
    const TILE_CHAINS: u64 = 4;

    /// Executes the rounds and returns the operations of one.
    ///
    /// # Safety
    /// The processor has the features of `isa`.
    pub(super) unsafe fn spin(isa: Isa, rounds: u64) -> u64 {
        // SAFETY: handed on.
        unsafe {
            match isa {
                Isa::PortableFp64 | Isa::PortableFp32 => return 0,
                Isa::Avx512Fp64 => fp64(rounds),
                Isa::Avx512Fp32 => fp32(rounds),
                Isa::Avx512Bf16 => bf16(rounds),
                Isa::Avx512Vnni => int8(rounds),
                Isa::Avx512Fp16 => fp16(rounds),
                Isa::Avx2Fp64 => narrow_fp64(rounds),
                Isa::Avx2Fp32 => narrow_fp32(rounds),
                Isa::AvxVnni => narrow_int8(rounds),
                Isa::AmxBf16 => tile_bf16(rounds),
                Isa::AmxFp16 => tile_fp16(rounds),
                Isa::AmxInt8 => tile_int8(rounds),
            }
        }
        2 * match isa {
            Isa::PortableFp64 | Isa::PortableFp32 => 0,
            Isa::Avx512Fp64 => CHAINS * 8,
            Isa::Avx512Fp32 => CHAINS * 16,
            Isa::Avx512Bf16 | Isa::Avx512Fp16 => CHAINS * 32,
            Isa::Avx512Vnni => CHAINS * 64,
            Isa::Avx2Fp64 => NARROW_CHAINS * 4,
            Isa::Avx2Fp32 => NARROW_CHAINS * 8,
            Isa::AvxVnni => NARROW_CHAINS * 32,
            Isa::AmxBf16 | Isa::AmxFp16 => TILE_CHAINS * 16 * 16 * 32,
            Isa::AmxInt8 => TILE_CHAINS * 16 * 16 * 64,
        }
    }

    /// A factor of moderate size in every format, neither zero nor one: 0.0018 as binary64, 0.86 as
    /// binary32 and bfloat16, 1.84 as binary16, 63 and 93 in turn as bytes. No sum overflows.
    static FACTORS: [u16; 32] = [0x3f5d; 32];

    macro_rules! wide {
        ($name:ident, $features:literal, $instruction:literal) => {
            /// # Safety
            /// The processor has the features.
            #[target_feature(enable = $features)]
            unsafe fn $name(rounds: u64) {
                // SAFETY: reads the factors, changes registers that are declared.
                unsafe {
                    asm!(
                        "vmovdqu64 zmm30, [{factors}]",
                        "vmovdqu64 zmm31, [{factors}]",
                        "vpxorq zmm0, zmm0, zmm0", "vpxorq zmm1, zmm1, zmm1",
                        "vpxorq zmm2, zmm2, zmm2", "vpxorq zmm3, zmm3, zmm3",
                        "vpxorq zmm4, zmm4, zmm4", "vpxorq zmm5, zmm5, zmm5",
                        "vpxorq zmm6, zmm6, zmm6", "vpxorq zmm7, zmm7, zmm7",
                        "vpxorq zmm8, zmm8, zmm8", "vpxorq zmm9, zmm9, zmm9",
                        "vpxorq zmm10, zmm10, zmm10", "vpxorq zmm11, zmm11, zmm11",
                        "vpxorq zmm12, zmm12, zmm12", "vpxorq zmm13, zmm13, zmm13",
                        "vpxorq zmm14, zmm14, zmm14", "vpxorq zmm15, zmm15, zmm15",
                        "vpxorq zmm16, zmm16, zmm16", "vpxorq zmm17, zmm17, zmm17",
                        "vpxorq zmm18, zmm18, zmm18", "vpxorq zmm19, zmm19, zmm19",
                        "vpxorq zmm20, zmm20, zmm20", "vpxorq zmm21, zmm21, zmm21",
                        "vpxorq zmm22, zmm22, zmm22", "vpxorq zmm23, zmm23, zmm23",
                        "2:",
                        concat!($instruction, " zmm0, zmm30, zmm31"),
                        concat!($instruction, " zmm1, zmm30, zmm31"),
                        concat!($instruction, " zmm2, zmm30, zmm31"),
                        concat!($instruction, " zmm3, zmm30, zmm31"),
                        concat!($instruction, " zmm4, zmm30, zmm31"),
                        concat!($instruction, " zmm5, zmm30, zmm31"),
                        concat!($instruction, " zmm6, zmm30, zmm31"),
                        concat!($instruction, " zmm7, zmm30, zmm31"),
                        concat!($instruction, " zmm8, zmm30, zmm31"),
                        concat!($instruction, " zmm9, zmm30, zmm31"),
                        concat!($instruction, " zmm10, zmm30, zmm31"),
                        concat!($instruction, " zmm11, zmm30, zmm31"),
                        concat!($instruction, " zmm12, zmm30, zmm31"),
                        concat!($instruction, " zmm13, zmm30, zmm31"),
                        concat!($instruction, " zmm14, zmm30, zmm31"),
                        concat!($instruction, " zmm15, zmm30, zmm31"),
                        concat!($instruction, " zmm16, zmm30, zmm31"),
                        concat!($instruction, " zmm17, zmm30, zmm31"),
                        concat!($instruction, " zmm18, zmm30, zmm31"),
                        concat!($instruction, " zmm19, zmm30, zmm31"),
                        concat!($instruction, " zmm20, zmm30, zmm31"),
                        concat!($instruction, " zmm21, zmm30, zmm31"),
                        concat!($instruction, " zmm22, zmm30, zmm31"),
                        concat!($instruction, " zmm23, zmm30, zmm31"),
                        "dec {rounds}",
                        "jnz 2b",
                        factors = in(reg) &raw const FACTORS,
                        rounds = inout(reg) rounds.max(1) => _,
                        out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _,
                        out("zmm4") _, out("zmm5") _, out("zmm6") _, out("zmm7") _,
                        out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                        out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _,
                        out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
                        out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
                        out("zmm30") _, out("zmm31") _,
                        options(nostack, readonly)
                    );
                }
            }
        };
    }

    wide!(fp64, "avx512f", "vfmadd231pd");
    wide!(fp32, "avx512f", "vfmadd231ps");
    wide!(bf16, "avx512f", "vdpbf16ps");
    wide!(int8, "avx512f", "vpdpbusd");
    wide!(fp16, "avx512f", "vfmadd231ph");

    macro_rules! narrow {
        ($name:ident, $instruction:literal) => {
            /// # Safety
            /// The processor has AVX2 and the instruction.
            #[target_feature(enable = "avx2")]
            unsafe fn $name(rounds: u64) {
                // SAFETY: reads the factors, changes registers that are declared.
                unsafe {
                    asm!(
                        "vmovdqu ymm14, [{factors}]",
                        "vmovdqu ymm15, [{factors}]",
                        "vpxor ymm0, ymm0, ymm0", "vpxor ymm1, ymm1, ymm1",
                        "vpxor ymm2, ymm2, ymm2", "vpxor ymm3, ymm3, ymm3",
                        "vpxor ymm4, ymm4, ymm4", "vpxor ymm5, ymm5, ymm5",
                        "vpxor ymm6, ymm6, ymm6", "vpxor ymm7, ymm7, ymm7",
                        "vpxor ymm8, ymm8, ymm8", "vpxor ymm9, ymm9, ymm9",
                        "vpxor ymm10, ymm10, ymm10", "vpxor ymm11, ymm11, ymm11",
                        "vpxor ymm12, ymm12, ymm12", "vpxor ymm13, ymm13, ymm13",
                        "2:",
                        concat!($instruction, " ymm0, ymm14, ymm15"),
                        concat!($instruction, " ymm1, ymm14, ymm15"),
                        concat!($instruction, " ymm2, ymm14, ymm15"),
                        concat!($instruction, " ymm3, ymm14, ymm15"),
                        concat!($instruction, " ymm4, ymm14, ymm15"),
                        concat!($instruction, " ymm5, ymm14, ymm15"),
                        concat!($instruction, " ymm6, ymm14, ymm15"),
                        concat!($instruction, " ymm7, ymm14, ymm15"),
                        concat!($instruction, " ymm8, ymm14, ymm15"),
                        concat!($instruction, " ymm9, ymm14, ymm15"),
                        concat!($instruction, " ymm10, ymm14, ymm15"),
                        concat!($instruction, " ymm11, ymm14, ymm15"),
                        concat!($instruction, " ymm12, ymm14, ymm15"),
                        concat!($instruction, " ymm13, ymm14, ymm15"),
                        "dec {rounds}",
                        "jnz 2b",
                        factors = in(reg) &raw const FACTORS,
                        rounds = inout(reg) rounds.max(1) => _,
                        out("ymm0") _, out("ymm1") _, out("ymm2") _, out("ymm3") _,
                        out("ymm4") _, out("ymm5") _, out("ymm6") _, out("ymm7") _,
                        out("ymm8") _, out("ymm9") _, out("ymm10") _, out("ymm11") _,
                        out("ymm12") _, out("ymm13") _, out("ymm14") _, out("ymm15") _,
                        options(nostack, readonly)
                    );
                }
            }
        };
    }

    narrow!(narrow_fp64, "vfmadd231pd");
    narrow!(narrow_fp32, "vfmadd231ps");
    narrow!(narrow_int8, "{{vex}} vpdpbusd");

    macro_rules! tiles {
        ($name:ident, $instruction:literal) => {
            /// # Safety
            /// The processor has AMX and the instruction, and the kernel has granted the tiles.
            unsafe fn $name(rounds: u64) {
                let rows = [FACTORS; 16];
                // SAFETY: loads 16 rows of 64 bytes; the tiles belong to this function between
                // `enter_tiles` and `leave_tiles`.
                unsafe {
                    enter_tiles();
                    asm!(
                        "tileloadd tmm4, [{rows} + {stride}*1]",
                        "tileloadd tmm5, [{rows} + {stride}*1]",
                        "tileloadd tmm6, [{rows} + {stride}*1]",
                        "tileloadd tmm7, [{rows} + {stride}*1]",
                        "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                        "2:",
                        concat!($instruction, " tmm0, tmm4, tmm6"),
                        concat!($instruction, " tmm1, tmm4, tmm7"),
                        concat!($instruction, " tmm2, tmm5, tmm6"),
                        concat!($instruction, " tmm3, tmm5, tmm7"),
                        "dec {rounds}",
                        "jnz 2b",
                        rows = in(reg) &raw const rows,
                        stride = in(reg) 64_usize,
                        rounds = inout(reg) rounds.max(1) => _,
                        options(nostack, readonly)
                    );
                    leave_tiles();
                }
            }
        };
    }

    tiles!(tile_bf16, "tdpbf16ps");
    tiles!(tile_fp16, "tdpfp16ps");
    tiles!(tile_int8, "tdpbsud");
}

#[cfg(test)]
mod tests {
    use super::{Format, fma_peak};

    #[test]
    fn every_supported_format_has_a_rate() {
        for format in Format::ALL {
            match (format.isa(), fma_peak(format, &[0], 0.0)) {
                (Ok(_), Ok(rate)) => assert!(rate.is_finite() && rate > 1e6, "{format:?}: {rate}"),
                (Err(expected), Err(found)) => {
                    assert_eq!(expected, found);
                    println!("skipped {}: {found}", format.name());
                }
                (isa, rate) => panic!("{format:?}: {isa:?} but {rate:?}"),
            }
        }
    }
}
