//! binary16 on AVX-512: the sums of the instruction are binary16 too.
//!
//! As with the other narrow formats, a lane of 32 bits is one column and holds two consecutive k, so
//! that one row's pair of A is a 32-bit broadcast, which the load units make; a broadcast of 16
//! bits would take an arithmetic unit. The two halves of a lane are two chains of sums. After
//! [`CHAIN`] multiply-adds both are widened and added to FP32 sums in a scratch tile, so that the
//! rounding errors of the narrow sums stay bounded whatever k is.

use std::arch::x86_64::{
    __m512, __m512h, __m512i, _mm512_add_ps, _mm512_castph_si512, _mm512_castsi512_ph,
    _mm512_cvtepi32_epi16, _mm512_cvtph_ps, _mm512_fmadd_ph, _mm512_load_ps, _mm512_load_si512,
    _mm512_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi32,
    _mm512_store_ps, _mm512_storeu_ps,
};

use super::super::kernel::Microkernel;
use super::super::narrow::F16;
use super::pack;

/// Longest chain of additions in binary16. Numbers in [-1, 1] cannot overflow in it (65504).
const CHAIN: usize = 128;
const ROWS: usize = 9;
const LANES: usize = 16;
const WIDTH: usize = 3 * LANES;
/// Consecutive k in a lane.
const PAIR: usize = 2;

/// binary16 on AVX-512.
pub(in crate::gemm) struct Avx512Fp16;

impl Microkernel for Avx512Fp16 {
    type A = F16;
    type B = F16;
    type C = f32;
    const MR: usize = ROWS;
    const NR: usize = WIDTH;
    const KA: usize = PAIR;
    const KB: usize = PAIR;
    const NARROW_CHAIN: Option<usize> = Some(CHAIN);
    const ISA: &'static str = "avx512_fp16";

    unsafe fn tile(
        steps: usize,
        a: *const F16,
        b: *const F16,
        c: *mut f32,
        ldc: usize,
        accumulate: bool,
        _next: *const u8,
    ) {
        // SAFETY: handed on.
        unsafe { tile(steps, a, b, c, ldc, accumulate) }
    }

    unsafe fn pack_a(from: *const F16, lda: usize, rows: usize, depth: usize, to: *mut F16) {
        // SAFETY: handed on.
        unsafe { pack::rows::<ROWS, _>(from, lda, rows, depth, to, PAIR) }
    }

    unsafe fn pack_b(from: *const F16, ldb: usize, columns: usize, depth: usize, to: *mut F16) {
        let groups = depth.div_ceil(PAIR);
        // SAFETY: handed on.
        unsafe { pack::columns(from, ldb, columns, depth, to, WIDTH, PAIR, groups) }
    }
}

#[repr(align(64))]
struct Sums([[f32; WIDTH]; ROWS]);

#[target_feature(enable = "avx512f,avx512bw,avx512fp16")]
unsafe fn tile(
    steps: usize,
    mut a: *const F16,
    mut b: *const F16,
    c: *mut f32,
    ldc: usize,
    accumulate: bool,
) {
    let mut wide = Sums([[0.0; WIDTH]; ROWS]);
    let mut left = steps;
    while left > 0 {
        let chain = left.min(CHAIN);
        // SAFETY: the panels hold `left` more steps.
        unsafe { chained(chain, a, b, &mut wide) };
        // SAFETY: at most one past the end.
        (a, b) = unsafe { (a.add(chain * ROWS * PAIR), b.add(chain * WIDTH * PAIR)) };
        left -= chain;
    }
    for (row, sums) in wide.0.iter().enumerate() {
        for lane in (0..WIDTH).step_by(LANES) {
            // SAFETY: the tile of C is whole, and scratch rows are multiples of 64 bytes.
            unsafe {
                let to = c.add(row * ldc + lane);
                let sum = _mm512_load_ps(sums.as_ptr().add(lane));
                let before = if accumulate {
                    _mm512_loadu_ps(to)
                } else {
                    _mm512_setzero_ps()
                };
                _mm512_storeu_ps(to, _mm512_add_ps(before, sum));
            }
        }
    }
}

/// Adds at most [`CHAIN`] steps to the wide sums.
#[target_feature(enable = "avx512f,avx512bw,avx512fp16")]
unsafe fn chained(steps: usize, a: *const F16, b: *const F16, wide: &mut Sums) {
    let mut sums: [[__m512h; 3]; ROWS] = [[_mm512_castsi512_ph(_mm512_setzero_si512()); 3]; ROWS];
    for step in 0..steps {
        // SAFETY: the panels hold `steps` steps; a row of B is three aligned vectors.
        let columns: [__m512h; 3] = unsafe {
            let row: *const __m512i = b.add(step * WIDTH * PAIR).cast();
            [0, 1, 2].map(|vector| _mm512_castsi512_ph(_mm512_load_si512(row.add(vector))))
        };
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: as above.
            let pair = unsafe {
                a.add((step * ROWS + row) * PAIR)
                    .cast::<i32>()
                    .read_unaligned()
            };
            let x = _mm512_castsi512_ph(_mm512_set1_epi32(pair));
            for (sum, &y) in sums.iter_mut().zip(&columns) {
                *sum = _mm512_fmadd_ph(x, y, *sum);
            }
        }
    }
    for (sums, wide) in sums.iter().zip(&mut wide.0) {
        for (&sum, wide) in sums.iter().zip(wide.chunks_exact_mut(LANES)) {
            let sum = widened(_mm512_castph_si512(sum));
            let to = wide.as_mut_ptr();
            // SAFETY: sixteen numbers at a multiple of 64 bytes.
            unsafe { _mm512_store_ps(to, _mm512_add_ps(_mm512_load_ps(to), sum)) };
        }
    }
}

/// The sum of the two binary16 numbers of each lane in FP32.
#[target_feature(enable = "avx512f")]
fn widened(lanes: __m512i) -> __m512 {
    let even = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(lanes));
    let odd = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(lanes)));
    _mm512_add_ps(even, odd)
}

#[cfg(test)]
mod tests {
    use std::arch::x86_64::{_mm512_loadu_si512, _mm512_storeu_ps};

    use super::super::super::narrow::F16;
    use super::super::super::scalar::{Random, Scalar};
    use super::widened;
    use crate::features::first_missing;

    /// Needs less of the processor than the rest of the kernel.
    #[test]
    fn both_halves_of_a_lane_count() {
        if let Some(feature) = first_missing(&["avx512f"]) {
            println!("skipped: no {feature}");
            return;
        }
        let mut random = Random::new(1, 1);
        let halves: Vec<F16> = (0..32).map(|_| F16::random(&mut random)).collect();
        let mut sums = [0.0_f32; 16];
        // SAFETY: AVX-512F is present; 64 bytes are read and written.
        unsafe {
            let lanes = _mm512_loadu_si512(halves.as_ptr().cast());
            _mm512_storeu_ps(sums.as_mut_ptr(), widened(lanes));
        }
        for (sum, pair) in sums.iter().zip(halves.chunks_exact(2)) {
            assert_eq!(*sum, pair[0].to_f32() + pair[1].to_f32());
        }
    }
}
