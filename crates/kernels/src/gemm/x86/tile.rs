//! Tiles on AVX2: one broadcast of A times three vectors of B per row, four rows.
//!
//! Sixteen registers hold 12 accumulators, 3 vectors of B and a broadcast: 7 loads for 12
//! multiply-adds. Where an instruction multiplies groups of narrow numbers, a broadcast is the
//! 32-bit group of one row.

use std::arch::x86_64::{
    _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_add_epi32, _mm256_add_pd, _mm256_add_ps,
    _mm256_dpbusd_avx_epi32, _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_load_pd, _mm256_load_ps,
    _mm256_load_si256, _mm256_loadu_pd, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_set1_epi32,
    _mm256_set1_pd, _mm256_set1_ps, _mm256_setzero_pd, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_storeu_pd, _mm256_storeu_ps, _mm256_storeu_si256,
};

use super::super::kernel::Microkernel;
use super::pack;

/// Distance, in bytes, at which a panel of B is fetched from the second-level cache ahead of use.
const AHEAD: usize = 1536;

/// Defines a kernel type and its tile function.
///
/// `$lanes` columns of C per vector, `$group` k per multiply-add; `$broadcast` turns the pointer to
/// one row's group into a vector, `$multiply` is `(sum, a, b) -> sum`.
macro_rules! vector_kernel {
    (
        $(#[$doc:meta])* $name:ident, $tile:ident, $features:literal, $isa:literal,
        $a:ty, $b:ty, $c:ty, rows: $rows:literal, lanes: $lanes:literal,
        group: $group:literal, zero: $zero:expr,
        load_b: |$pb:ident| $load_b:expr,
        broadcast: |$pa:ident| $broadcast:expr,
        multiply: |$sum:ident, $x:ident, $y:ident| $multiply:expr,
        load: $load:expr, add: $add:ident, store: $store:expr $(,)?
    ) => {
        $(#[$doc])*
        pub(in crate::gemm) struct $name;

        impl Microkernel for $name {
            type A = $a;
            type B = $b;
            type C = $c;
            const MR: usize = $rows;
            const NR: usize = 3 * $lanes;
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
                // SAFETY: handed on.
                unsafe { $tile(steps, a, b, c, ldc, accumulate, next) }
            }

            unsafe fn pack_a(from: *const $a, lda: usize, rows: usize, depth: usize, to: *mut $a) {
                // SAFETY: handed on.
                unsafe { pack::rows::<$rows, _>(from, lda, rows, depth, to, Self::KA) }
            }

            unsafe fn pack_b(from: *const $b, ldb: usize, columns: usize, depth: usize, to: *mut $b) {
                let groups = depth.div_ceil(Self::KB);
                // SAFETY: handed on.
                unsafe { pack::columns(from, ldb, columns, depth, to, Self::NR, Self::KB, groups) }
            }
        }

        #[target_feature(enable = $features)]
        unsafe fn $tile(
            steps: usize,
            mut a: *const $a,
            mut b: *const $b,
            c: *mut $c,
            ldc: usize,
            accumulate: bool,
            mut next: *const u8,
        ) {
            const WIDTH: usize = 3 * $lanes;
            // SAFETY: the panels hold `steps` steps and the tile of C is whole; prefetches may name
            // any address.
            unsafe {
                let mut sums = [[$zero; 3]; $rows];
                let mut step = |a: *const $a, b: *const $b| {
                    for vector in 0..3 {
                        let ahead = b.wrapping_byte_add(AHEAD).wrapping_add(vector * $lanes * $group);
                        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                    }
                    let mut columns = [$zero; 3];
                    for (vector, column) in columns.iter_mut().enumerate() {
                        let $pb = b.add(vector * $lanes * $group);
                        *column = $load_b;
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let $pa = a.add(row * $group);
                        let $x = $broadcast;
                        for (sum, &$y) in sums.iter_mut().zip(&columns) {
                            let $sum = *sum;
                            *sum = $multiply;
                        }
                    }
                };
                let turns = steps / 4;
                for turn in 0..turns {
                    // One row of C at a time, so that the lines come while others are in use.
                    if turn < $rows {
                        for vector in 0..3 {
                            let ahead = c.wrapping_add(turn * ldc + vector * $lanes);
                            _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                        }
                    }
                    _mm_prefetch::<_MM_HINT_T1>(next.cast());
                    next = next.wrapping_add(64);
                    for unrolled in 0..4 {
                        step(a.add(unrolled * $rows * $group), b.add(unrolled * WIDTH * $group));
                    }
                    a = a.add(4 * $rows * $group);
                    b = b.add(4 * WIDTH * $group);
                }
                for _ in 0..steps % 4 {
                    step(a, b);
                    a = a.add($rows * $group);
                    b = b.add(WIDTH * $group);
                }
                for (row, sums) in sums.iter().enumerate() {
                    for (vector, &sum) in sums.iter().enumerate() {
                        let to = c.add(row * ldc + vector * $lanes);
                        let sum = if accumulate { $add($load(to), sum) } else { sum };
                        $store(to, sum);
                    }
                }
            }
        }
    };
}

vector_kernel!(
    /// FP64 on AVX2.
    Avx2F64, avx2_f64, "avx2,fma", "avx2+fma", f64, f64, f64,
    rows: 4, lanes: 4, group: 1, zero: _mm256_setzero_pd(),
    load_b: |b| _mm256_load_pd(b),
    broadcast: |a| _mm256_set1_pd(*a),
    multiply: |sum, x, y| _mm256_fmadd_pd(x, y, sum),
    load: |c: *mut f64| _mm256_loadu_pd(c), add: _mm256_add_pd, store: _mm256_storeu_pd,
);

vector_kernel!(
    /// FP32 on AVX2.
    Avx2F32, avx2_f32, "avx2,fma", "avx2+fma", f32, f32, f32,
    rows: 4, lanes: 8, group: 1, zero: _mm256_setzero_ps(),
    load_b: |b| _mm256_load_ps(b),
    broadcast: |a| _mm256_set1_ps(*a),
    multiply: |sum, x, y| _mm256_fmadd_ps(x, y, sum),
    load: |c: *mut f32| _mm256_loadu_ps(c), add: _mm256_add_ps, store: _mm256_storeu_ps,
);

vector_kernel!(
    /// Groups of four bytes on processors that have the byte instructions without AVX-512.
    AvxVnni, avx_vnni, "avx2,avxvnni", "avx_vnni", i8, u8, i32,
    rows: 4, lanes: 8, group: 4, zero: _mm256_setzero_si256(),
    load_b: |b| _mm256_load_si256(b.cast()),
    broadcast: |a| _mm256_set1_epi32(a.cast::<i32>().read_unaligned()),
    multiply: |sum, x, y| _mm256_dpbusd_avx_epi32(sum, y, x),
    load: |c: *mut i32| _mm256_loadu_si256(c.cast()), add: _mm256_add_epi32,
    store: |c: *mut i32, sum| _mm256_storeu_si256(c.cast(), sum),
);
