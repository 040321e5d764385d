//! Tiles made by vector multiply-adds: one broadcast of A times a few vectors of B per row.
//!
//! With 32 registers a tile is 8 rows of 3 vectors: 24 accumulators, 3 vectors of B and a broadcast,
//! 11 loads for 24 multiply-adds. With 16 registers it is 4 rows of 3 vectors. Where an instruction
//! multiplies groups of narrow numbers, a broadcast is the 32-bit group of one row.

use std::arch::x86_64::{
    __m128i, __m256, __m256bh, __m256d, __m256i, __m512, __m512bh, __m512d, __m512i, _MM_HINT_T0,
    _mm_prefetch, _mm256_add_epi32, _mm256_add_pd, _mm256_add_ps, _mm256_dpbusd_avx_epi32,
    _mm256_fmadd_pd, _mm256_fmadd_ps, _mm256_load_pd, _mm256_load_ps, _mm256_load_si256,
    _mm256_loadu_pd, _mm256_loadu_ps, _mm256_loadu_si256, _mm256_set1_epi32, _mm256_set1_pd,
    _mm256_set1_ps, _mm256_setzero_pd, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_storeu_pd,
    _mm256_storeu_ps, _mm256_storeu_si256, _mm512_add_epi32, _mm512_add_pd, _mm512_add_ps,
    _mm512_dpbf16_ps, _mm512_dpbusd_epi32, _mm512_fmadd_pd, _mm512_fmadd_ps, _mm512_load_pd,
    _mm512_load_ps, _mm512_load_si512, _mm512_loadu_pd, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_set1_epi32, _mm512_set1_pd, _mm512_set1_ps, _mm512_setzero_pd, _mm512_setzero_ps,
    _mm512_setzero_si512, _mm512_storeu_pd, _mm512_storeu_ps, _mm512_storeu_si512,
};

use super::super::kernel::Microkernel;
use super::super::scalar::Bf16;
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
        $a:ty, $b:ty, $c:ty, $vector:ty, rows: $rows:literal, lanes: $lanes:literal,
        group: $group:literal, zero: $zero:expr,
        load_b: |$pb:ident| $load_b:expr,
        broadcast: |$pa:ident| $broadcast:expr,
        multiply: |$sum:ident, $x:ident, $y:ident| $multiply:expr,
        load: $load:expr, add: $add:ident, store: $store:expr,
        pack_a: $pack_a:path, pack_b: $pack_b:path $(,)?
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
            ) {
                // SAFETY: handed on.
                unsafe { $tile(steps, a, b, c, ldc, accumulate) }
            }

            unsafe fn pack_a(from: *const $a, lda: usize, rows: usize, depth: usize, to: *mut $a) {
                // SAFETY: handed on.
                unsafe { $pack_a(from, lda, rows, depth, to, Self::MR, Self::KA) }
            }

            unsafe fn pack_b(from: *const $b, ldb: usize, columns: usize, depth: usize, to: *mut $b) {
                let groups = depth.div_ceil(Self::KB);
                // SAFETY: handed on.
                unsafe { $pack_b(from, ldb, columns, depth, to, Self::NR, Self::KB, groups) }
            }
        }

        #[target_feature(enable = $features)]
        #[expect(clippy::multiple_unsafe_ops_per_block, reason = "one loop, one argument")]
        unsafe fn $tile(
            steps: usize,
            mut a: *const $a,
            mut b: *const $b,
            c: *mut $c,
            ldc: usize,
            accumulate: bool,
        ) {
            const WIDTH: usize = 3 * $lanes;
            // SAFETY: the panels hold `steps` steps and the tile of C is whole; prefetches may name
            // any address.
            unsafe {
                let mut sums = [[$zero; 3]; $rows];
                for row in 0..$rows {
                    for vector in 0..3 {
                        let ahead = c.wrapping_add(row * ldc + vector * $lanes);
                        _mm_prefetch::<_MM_HINT_T0>(ahead.cast());
                    }
                }
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
                for _ in 0..steps / 4 {
                    for turn in 0..4 {
                        step(a.add(turn * $rows * $group), b.add(turn * WIDTH * $group));
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
    /// FP64 on AVX-512.
    Avx512F64, avx512_f64, "avx512f", "avx512f", f64, f64, f64, __m512d,
    rows: 8, lanes: 8, group: 1, zero: _mm512_setzero_pd(),
    load_b: |b| _mm512_load_pd(b),
    broadcast: |a| _mm512_set1_pd(*a),
    multiply: |sum, x, y| _mm512_fmadd_pd(x, y, sum),
    load: |c: *mut f64| _mm512_loadu_pd(c), add: _mm512_add_pd, store: _mm512_storeu_pd,
    pack_a: pack::rows_avx512, pack_b: pack::columns,
);

vector_kernel!(
    /// FP32 on AVX-512.
    Avx512F32, avx512_f32, "avx512f", "avx512f", f32, f32, f32, __m512,
    rows: 8, lanes: 16, group: 1, zero: _mm512_setzero_ps(),
    load_b: |b| _mm512_load_ps(b),
    broadcast: |a| _mm512_set1_ps(*a),
    multiply: |sum, x, y| _mm512_fmadd_ps(x, y, sum),
    load: |c: *mut f32| _mm512_loadu_ps(c), add: _mm512_add_ps, store: _mm512_storeu_ps,
    pack_a: pack::rows_avx512, pack_b: pack::columns,
);

vector_kernel!(
    /// bfloat16 pairs on AVX-512.
    Avx512Bf16, avx512_bf16, "avx512f,avx512bf16", "avx512_bf16", Bf16, Bf16, f32, __m512,
    rows: 8, lanes: 16, group: 2, zero: _mm512_setzero_ps(),
    load_b: |b| std::mem::transmute::<__m512i, __m512>(_mm512_load_si512(b.cast())),
    broadcast: |a| std::mem::transmute::<__m512i, __m512bh>(
        _mm512_set1_epi32(a.cast::<i32>().read_unaligned())
    ),
    multiply: |sum, x, y| _mm512_dpbf16_ps(sum, x, std::mem::transmute::<__m512, __m512bh>(y)),
    load: |c: *mut f32| _mm512_loadu_ps(c), add: _mm512_add_ps, store: _mm512_storeu_ps,
    pack_a: pack::rows_avx512, pack_b: pack::columns,
);

vector_kernel!(
    /// Groups of four bytes on AVX-512.
    Avx512Vnni, avx512_vnni, "avx512f,avx512vnni", "avx512_vnni", u8, i8, i32, __m512i,
    rows: 8, lanes: 16, group: 4, zero: _mm512_setzero_si512(),
    load_b: |b| _mm512_load_si512(b.cast()),
    broadcast: |a| _mm512_set1_epi32(a.cast::<i32>().read_unaligned()),
    multiply: |sum, x, y| _mm512_dpbusd_epi32(sum, x, y),
    load: |c: *mut i32| _mm512_loadu_si512(c.cast()), add: _mm512_add_epi32,
    store: |c: *mut i32, sum| _mm512_storeu_si512(c.cast(), sum),
    pack_a: pack::rows_avx512, pack_b: pack::columns,
);

vector_kernel!(
    /// FP64 on AVX2.
    Avx2F64, avx2_f64, "avx2,fma", "avx2+fma", f64, f64, f64, __m256d,
    rows: 4, lanes: 4, group: 1, zero: _mm256_setzero_pd(),
    load_b: |b| _mm256_load_pd(b),
    broadcast: |a| _mm256_set1_pd(*a),
    multiply: |sum, x, y| _mm256_fmadd_pd(x, y, sum),
    load: |c: *mut f64| _mm256_loadu_pd(c), add: _mm256_add_pd, store: _mm256_storeu_pd,
    pack_a: pack::rows, pack_b: pack::columns,
);

vector_kernel!(
    /// FP32 on AVX2.
    Avx2F32, avx2_f32, "avx2,fma", "avx2+fma", f32, f32, f32, __m256,
    rows: 4, lanes: 8, group: 1, zero: _mm256_setzero_ps(),
    load_b: |b| _mm256_load_ps(b),
    broadcast: |a| _mm256_set1_ps(*a),
    multiply: |sum, x, y| _mm256_fmadd_ps(x, y, sum),
    load: |c: *mut f32| _mm256_loadu_ps(c), add: _mm256_add_ps, store: _mm256_storeu_ps,
    pack_a: pack::rows, pack_b: pack::columns,
);

vector_kernel!(
    /// Groups of four bytes on processors that have the byte instructions without AVX-512.
    AvxVnni, avx_vnni, "avx2,avxvnni", "avx_vnni", u8, i8, i32, __m256i,
    rows: 4, lanes: 8, group: 4, zero: _mm256_setzero_si256(),
    load_b: |b| _mm256_load_si256(b.cast()),
    broadcast: |a| _mm256_set1_epi32(a.cast::<i32>().read_unaligned()),
    multiply: |sum, x, y| _mm256_dpbusd_avx_epi32(sum, x, y),
    load: |c: *mut i32| _mm256_loadu_si256(c.cast()), add: _mm256_add_epi32,
    store: |c: *mut i32, sum| _mm256_storeu_si256(c.cast(), sum),
    pack_a: pack::rows, pack_b: pack::columns,
);
