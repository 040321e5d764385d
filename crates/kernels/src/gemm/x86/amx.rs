//! Products on AMX tiles: sixteen rows of 64 bytes times sixteen groups of sixteen columns.
//!
//! A tile of C is 2 x 2 tile registers, which leaves two for A and two for B: four loads for four
//! multiplications. The instructions are written out, since the compiler's own are not stable yet.

use std::arch::asm;

use super::super::kernel::Microkernel;
use super::super::narrow::{Bf16, F16};
use super::pack;

/// Tile configuration of palette 1: Intel SDM volume 1, section 18.2 (64 bytes).
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Eight tiles of sixteen rows of 64 bytes.
static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

/// Gives the calling thread its tiles.
///
/// # Safety
/// The processor has AMX and the kernel has granted the tile state.
pub(crate) unsafe fn enter() {
    // SAFETY: reads 64 bytes of a valid configuration.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly)) }
}

/// Returns the tiles to their initial state, which spares the system saving them.
///
/// # Safety
/// As for [`enter`].
pub(crate) unsafe fn leave() {
    // SAFETY: touches tile state only.
    unsafe { asm!("tilerelease", options(nostack, nomem)) }
}

macro_rules! amx_kernel {
    ($(#[$doc:meta])* $name:ident, $isa:literal, $a:ty, $b:ty, $c:ty, $group:literal, $multiply:literal) => {
        $(#[$doc])*
        pub(in crate::gemm) struct $name;

        impl Microkernel for $name {
            type A = $a;
            type B = $b;
            type C = $c;
            const MR: usize = 32;
            const NR: usize = 32;
            const KA: usize = 16 * $group;
            const KB: usize = $group;
            const ISA: &'static str = $isa;

            unsafe fn enter() {
                // SAFETY: handed on.
                unsafe { enter() }
            }

            unsafe fn leave() {
                // SAFETY: handed on.
                unsafe { leave() }
            }

            unsafe fn pack_a(from: *const $a, lda: usize, rows: usize, depth: usize, to: *mut $a) {
                // SAFETY: handed on.
                unsafe { pack::tile_rows::<32, _>(from, lda, rows, depth, to) }
            }

            unsafe fn pack_b(from: *const $b, ldb: usize, columns: usize, depth: usize, to: *mut $b) {
                let groups = depth.next_multiple_of(Self::KA) / Self::KB;
                // SAFETY: handed on.
                unsafe { pack::columns(from, ldb, columns, depth, to, Self::NR, Self::KB, groups) }
            }

            unsafe fn tile(
                steps: usize,
                a: *const $a,
                b: *const $b,
                c: *mut $c,
                ldc: usize,
                accumulate: bool,
                _next: *const u8,
            ) {
                // One step of A: 32 rows of 64 bytes. One step of B: 16 groups of 32 columns of 4
                // bytes, so that the second sixteen columns begin 64 bytes on.
                // SAFETY: the panels hold `steps` steps and the tile of C is whole; the tile
                // registers are nobody else's between `enter` and `leave`.
                unsafe {
                    let row = ldc * 4;
                    let lower = c.add(16 * ldc);
                    if accumulate {
                        asm!(
                            "tileloadd tmm0, [{c} + {row}*1]",
                            "tileloadd tmm1, [{c} + {row}*1 + 64]",
                            "tileloadd tmm2, [{lower} + {row}*1]",
                            "tileloadd tmm3, [{lower} + {row}*1 + 64]",
                            c = in(reg) c, lower = in(reg) lower, row = in(reg) row,
                            options(nostack, readonly)
                        );
                    } else {
                        asm!(
                            "tilezero tmm0",
                            "tilezero tmm1",
                            "tilezero tmm2",
                            "tilezero tmm3",
                            options(nostack, nomem)
                        );
                    }
                    asm!(
                        "test {steps}, {steps}",
                        "jz 3f",
                        "2:",
                        "tileloadd tmm4, [{a} + {a_row}*1]",
                        "tileloadd tmm6, [{b} + {b_row}*1]",
                        concat!($multiply, " tmm0, tmm4, tmm6"),
                        "tileloadd tmm7, [{b} + {b_row}*1 + 64]",
                        concat!($multiply, " tmm1, tmm4, tmm7"),
                        "tileloadd tmm5, [{a} + {a_row}*1 + 1024]",
                        concat!($multiply, " tmm2, tmm5, tmm6"),
                        concat!($multiply, " tmm3, tmm5, tmm7"),
                        "add {a}, 2048",
                        "add {b}, 2048",
                        "dec {steps}",
                        "jnz 2b",
                        "3:",
                        "tilestored [{c} + {row}*1], tmm0",
                        "tilestored [{c} + {row}*1 + 64], tmm1",
                        "tilestored [{lower} + {row}*1], tmm2",
                        "tilestored [{lower} + {row}*1 + 64], tmm3",
                        steps = inout(reg) steps => _,
                        a = inout(reg) a => _,
                        b = inout(reg) b => _,
                        a_row = in(reg) 64_usize,
                        b_row = in(reg) 128_usize,
                        c = in(reg) c,
                        lower = in(reg) lower,
                        row = in(reg) row,
                        options(nostack)
                    );
                }
            }
        }
    };
}

amx_kernel!(
    /// bfloat16 on AMX.
    AmxBf16, "amx_bf16", Bf16, Bf16, f32, 2, "tdpbf16ps"
);
amx_kernel!(
    /// binary16 factors with FP32 sums on AMX.
    AmxFp16, "amx_fp16", F16, F16, f32, 2, "tdpfp16ps"
);
amx_kernel!(
    /// Signed by unsigned bytes on AMX.
    AmxInt8, "amx_int8", i8, u8, i32, 4, "tdpbsud"
);
