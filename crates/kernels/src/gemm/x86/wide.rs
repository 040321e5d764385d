//! Tiles on AVX-512, in assembly: 9 rows of 3 vectors in 27 accumulators.
//!
//! For each step, three vectors of B are loaded, and every row multiplies them by its broadcast number
//! (or its group of narrow numbers) of A: 12 loads for 27 multiply-adds, with 3 registers for B and 2
//! for the broadcasts. Of the tiles that fit 32 registers this was the fastest on Ice Lake, ahead
//! of 8 x 3, 6 x 4, 5 x 5, 14 x 2 and 4 x 6 vectors, and by more when another hardware thread shares
//! the core; broadcasts as memory operands of the multiply-adds, which save instructions and cost
//! loads, were slower by a fifth. Compilers keep neither all 32 registers in use nor the shape.

use std::arch::asm;

use super::super::kernel::Microkernel;
use super::super::narrow::Bf16;
use super::pack;

/// Rows of a tile.
const ROWS: usize = 9;

/// Turns of four steps, at the end of a tile, during which its part of C is fetched. They last longer
/// than memory takes to answer; fetched earlier, C would be driven out of the first-level cache
/// again by the panel of B, which is larger than it.
const LATE: usize = 24;

/// One row of a step, whose broadcast is number `$row` of the `$turn`-th nine.
macro_rules! row {
    ($fma:literal, $broadcast:literal, $unit:literal, $turn:literal, $row:literal, $x:literal,
        $s0:literal, $s1:literal, $s2:literal) => {
        concat!(
            $broadcast,
            " ",
            $x,
            ", [{a} + ",
            $unit,
            "*(9*",
            $turn,
            " + ",
            $row,
            ")]\n",
            $fma,
            " ",
            $s0,
            ", zmm0, ",
            $x,
            "\n",
            $fma,
            " ",
            $s1,
            ", zmm1, ",
            $x,
            "\n",
            $fma,
            " ",
            $s2,
            ", zmm2, ",
            $x,
            "\n",
        )
    };
}

/// One step, the `$turn`-th of an unrolled turn.
macro_rules! step {
    ($fma:literal, $broadcast:literal, $unit:literal, $turn:literal) => {
        concat!(
            "vmovaps zmm0, [{b} + 192*",
            $turn,
            "]\n",
            "vmovaps zmm1, [{b} + 192*",
            $turn,
            " + 64]\n",
            "vmovaps zmm2, [{b} + 192*",
            $turn,
            " + 128]\n",
            row!(
                $fma, $broadcast, $unit, $turn, 0, "zmm3", "zmm5", "zmm6", "zmm7"
            ),
            row!(
                $fma, $broadcast, $unit, $turn, 1, "zmm4", "zmm8", "zmm9", "zmm10"
            ),
            row!(
                $fma, $broadcast, $unit, $turn, 2, "zmm3", "zmm11", "zmm12", "zmm13"
            ),
            row!(
                $fma, $broadcast, $unit, $turn, 3, "zmm4", "zmm14", "zmm15", "zmm16"
            ),
            row!(
                $fma, $broadcast, $unit, $turn, 4, "zmm3", "zmm17", "zmm18", "zmm19"
            ),
            row!(
                $fma, $broadcast, $unit, $turn, 5, "zmm4", "zmm20", "zmm21", "zmm22"
            ),
            row!(
                $fma, $broadcast, $unit, $turn, 6, "zmm3", "zmm23", "zmm24", "zmm25"
            ),
            row!(
                $fma, $broadcast, $unit, $turn, 7, "zmm4", "zmm26", "zmm27", "zmm28"
            ),
            row!(
                $fma, $broadcast, $unit, $turn, 8, "zmm3", "zmm29", "zmm30", "zmm31"
            ),
        )
    };
}

/// Adds one row of C to its sums.
///
/// All rows are added before any is stored: where rows are multiples of 4 KiB apart, a load from one
/// would wait for the store to another, whose address differs only in bits that the processor
/// compares late.
macro_rules! add_row {
    ($add:literal, $s0:literal, $s1:literal, $s2:literal) => {
        concat!(
            $add,
            " ",
            $s0,
            ", ",
            $s0,
            ", [{ahead}]\n",
            $add,
            " ",
            $s1,
            ", ",
            $s1,
            ", [{ahead} + 64]\n",
            $add,
            " ",
            $s2,
            ", ",
            $s2,
            ", [{ahead} + 128]\n",
            "add {ahead}, {row}\n",
        )
    };
}

/// Stores the sums of one row of C.
macro_rules! store_row {
    ($s0:literal, $s1:literal, $s2:literal) => {
        concat!(
            "vmovups [{c}], ",
            $s0,
            "\n",
            "vmovups [{c} + 64], ",
            $s1,
            "\n",
            "vmovups [{c} + 128], ",
            $s2,
            "\n",
            "add {c}, {row}\n",
        )
    };
}

/// Defines a kernel: `$fma` multiplies and adds, `$broadcast` loads one group of A, of `$unit` bytes,
/// into all lanes, `$add` adds sums to C.
macro_rules! wide_kernel {
    (
        $(#[$doc:meta])* $name:ident, $isa:literal, $a:ty, $b:ty, $c:ty, $group:literal,
        $fma:literal, $broadcast:literal, $unit:literal, $add:literal
    ) => {
        $(#[$doc])*
        pub(in crate::gemm) struct $name;

        impl Microkernel for $name {
            type A = $a;
            type B = $b;
            type C = $c;
            const MR: usize = ROWS;
            const NR: usize = 192 / size_of::<$c>();
            const KA: usize = $group;
            const KB: usize = $group;
            const ISA: &'static str = $isa;

            unsafe fn tile(
                steps: usize,
                a: *const $a,
                b: *const $b,
                c: *mut $c,
                ldc: usize,
                accumulate: bool,
                next: *const u8,
            ) {
                #[target_feature(enable = "avx512f")]
                unsafe fn tile(
                    steps: usize,
                    a: *const $a,
                    b: *const $b,
                    c: *mut $c,
                    row: usize,
                    accumulate: usize,
                    next: *const u8,
                ) {
                    let late = (steps / 4).min(LATE);
                    // SAFETY: reads `steps` steps of both panels and touches the 9 rows of C; what is
                    // fetched ahead may be any address.
                    unsafe {
                        asm!(
                            "vpxorq zmm5, zmm5, zmm5", "vpxorq zmm6, zmm6, zmm6",
                            "vpxorq zmm7, zmm7, zmm7", "vpxorq zmm8, zmm8, zmm8",
                            "vpxorq zmm9, zmm9, zmm9", "vpxorq zmm10, zmm10, zmm10",
                            "vpxorq zmm11, zmm11, zmm11", "vpxorq zmm12, zmm12, zmm12",
                            "vpxorq zmm13, zmm13, zmm13", "vpxorq zmm14, zmm14, zmm14",
                            "vpxorq zmm15, zmm15, zmm15", "vpxorq zmm16, zmm16, zmm16",
                            "vpxorq zmm17, zmm17, zmm17", "vpxorq zmm18, zmm18, zmm18",
                            "vpxorq zmm19, zmm19, zmm19", "vpxorq zmm20, zmm20, zmm20",
                            "vpxorq zmm21, zmm21, zmm21", "vpxorq zmm22, zmm22, zmm22",
                            "vpxorq zmm23, zmm23, zmm23", "vpxorq zmm24, zmm24, zmm24",
                            "vpxorq zmm25, zmm25, zmm25", "vpxorq zmm26, zmm26, zmm26",
                            "vpxorq zmm27, zmm27, zmm27", "vpxorq zmm28, zmm28, zmm28",
                            "vpxorq zmm29, zmm29, zmm29", "vpxorq zmm30, zmm30, zmm30",
                            "vpxorq zmm31, zmm31, zmm31",
                            "test {early}, {early}",
                            "jz 3f",
                            ".p2align 5",
                            "2:",
                            "prefetcht1 [{next}]",
                            "add {next}, 64",
                            step!($fma, $broadcast, $unit, 0),
                            step!($fma, $broadcast, $unit, 1),
                            step!($fma, $broadcast, $unit, 2),
                            step!($fma, $broadcast, $unit, 3),
                            concat!("add {a}, 36*", $unit),
                            "add {b}, 768",
                            "dec {early}",
                            "jnz 2b",
                            "3:",
                            "test {late}, {late}",
                            "jz 5f",
                            ".p2align 5",
                            "4:",
                            // One row of C per turn; after the ninth, its last row again and again.
                            "prefetcht0 [{ahead}]",
                            "prefetcht0 [{ahead} + 64]",
                            "prefetcht0 [{ahead} + 128]",
                            "prefetcht1 [{next}]",
                            "add {next}, 64",
                            step!($fma, $broadcast, $unit, 0),
                            step!($fma, $broadcast, $unit, 1),
                            "cmp {ahead}, {last}",
                            "lea {a_row}, [{ahead} + {row}]",
                            "cmovb {ahead}, {a_row}",
                            step!($fma, $broadcast, $unit, 2),
                            step!($fma, $broadcast, $unit, 3),
                            concat!("add {a}, 36*", $unit),
                            "add {b}, 768",
                            "dec {late}",
                            "jnz 4b",
                            "5:",
                            "test {rest}, {rest}",
                            "jz 7f",
                            "6:",
                            step!($fma, $broadcast, $unit, 0),
                            concat!("add {a}, 9*", $unit),
                            "add {b}, 192",
                            "dec {rest}",
                            "jnz 6b",
                            "7:",
                            "test {accumulate}, {accumulate}",
                            "jz 8f",
                            "mov {ahead}, {c}",
                            add_row!($add, "zmm5", "zmm6", "zmm7"),
                            add_row!($add, "zmm8", "zmm9", "zmm10"),
                            add_row!($add, "zmm11", "zmm12", "zmm13"),
                            add_row!($add, "zmm14", "zmm15", "zmm16"),
                            add_row!($add, "zmm17", "zmm18", "zmm19"),
                            add_row!($add, "zmm20", "zmm21", "zmm22"),
                            add_row!($add, "zmm23", "zmm24", "zmm25"),
                            add_row!($add, "zmm26", "zmm27", "zmm28"),
                            add_row!($add, "zmm29", "zmm30", "zmm31"),
                            "8:",
                            store_row!("zmm5", "zmm6", "zmm7"),
                            store_row!("zmm8", "zmm9", "zmm10"),
                            store_row!("zmm11", "zmm12", "zmm13"),
                            store_row!("zmm14", "zmm15", "zmm16"),
                            store_row!("zmm17", "zmm18", "zmm19"),
                            store_row!("zmm20", "zmm21", "zmm22"),
                            store_row!("zmm23", "zmm24", "zmm25"),
                            store_row!("zmm26", "zmm27", "zmm28"),
                            store_row!("zmm29", "zmm30", "zmm31"),
                            early = inout(reg) steps / 4 - late => _,
                            late = inout(reg) late => _,
                            rest = inout(reg) steps % 4 => _,
                            a = inout(reg) a => _,
                            b = inout(reg) b => _,
                            c = inout(reg) c => _,
                            row = in(reg) row,
                            ahead = inout(reg) c => _,
                            last = in(reg) c.wrapping_byte_add((ROWS - 1) * row),
                            a_row = out(reg) _,
                            accumulate = in(reg) accumulate,
                            next = inout(reg) next => _,
                            out("zmm0") _, out("zmm1") _, out("zmm2") _, out("zmm3") _,
                            out("zmm4") _, out("zmm5") _, out("zmm6") _, out("zmm7") _,
                            out("zmm8") _, out("zmm9") _, out("zmm10") _, out("zmm11") _,
                            out("zmm12") _, out("zmm13") _, out("zmm14") _, out("zmm15") _,
                            out("zmm16") _, out("zmm17") _, out("zmm18") _, out("zmm19") _,
                            out("zmm20") _, out("zmm21") _, out("zmm22") _, out("zmm23") _,
                            out("zmm24") _, out("zmm25") _, out("zmm26") _, out("zmm27") _,
                            out("zmm28") _, out("zmm29") _, out("zmm30") _, out("zmm31") _,
                            options(nostack)
                        );
                    }
                }
                let row = ldc * size_of::<$c>();
                // SAFETY: handed on.
                unsafe { tile(steps, a, b, c, row, usize::from(accumulate), next) }
            }

            unsafe fn pack_a(from: *const $a, lda: usize, rows: usize, depth: usize, to: *mut $a) {
                // SAFETY: handed on.
                unsafe { pack::rows::<ROWS, _>(from, lda, rows, depth, to, Self::KA) }
            }

            unsafe fn pack_b(from: *const $b, ldb: usize, columns: usize, depth: usize, to: *mut $b) {
                let groups = depth.div_ceil(Self::KB);
                // SAFETY: handed on.
                unsafe { pack::columns(from, ldb, columns, depth, to, Self::NR, Self::KB, groups) }
            }
        }
    };
}

wide_kernel!(
    /// FP64.
    Avx512F64, "avx512f", f64, f64, f64, 1, "vfmadd231pd", "vbroadcastsd", 8, "vaddpd"
);
wide_kernel!(
    /// FP32.
    Avx512F32, "avx512f", f32, f32, f32, 1, "vfmadd231ps", "vbroadcastss", 4, "vaddps"
);
wide_kernel!(
    /// Pairs of bfloat16.
    Avx512Bf16, "avx512_bf16", Bf16, Bf16, f32, 2, "vdpbf16ps", "vbroadcastss", 4, "vaddps"
);
wide_kernel!(
    /// Groups of four bytes; the second operand of the instruction is the unsigned one.
    Avx512Vnni, "avx512_vnni", i8, u8, i32, 4, "vpdpbusd", "vpbroadcastd", 4, "vpaddd"
);
