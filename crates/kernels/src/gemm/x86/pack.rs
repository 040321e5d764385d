//! Faster ways to the packed layouts that `kernel` defines; same result, bit for bit.

use std::arch::x86_64::{
    __m128i, _mm_loadu_si128, _mm_store_si128, _mm_unpackhi_epi8, _mm_unpackhi_epi16,
    _mm_unpacklo_epi8, _mm_unpacklo_epi16,
};

use super::super::kernel;
use super::super::scalar::Scalar;

/// Rows of A by units of one group: 4 bytes or 8.
///
/// # Safety
/// As for `Microkernel::pack_a`.
pub(super) unsafe fn rows<T: Scalar>(
    from: *const T,
    lda: usize,
    rows: usize,
    depth: usize,
    to: *mut T,
    mr: usize,
    ka: usize,
) {
    // SAFETY: handed on.
    unsafe { kernel::pack_a(from, lda, rows, depth, to, mr, ka) }
}

/// As [`rows`], for panels of 8 rows.
///
/// # Safety
/// As for `Microkernel::pack_a`; the processor has AVX-512F.
pub(super) unsafe fn rows_avx512<T: Scalar>(
    from: *const T,
    lda: usize,
    rows: usize,
    depth: usize,
    to: *mut T,
    mr: usize,
    ka: usize,
) {
    let unit = ka * size_of::<T>();
    let whole = if rows == mr { depth / ka } else { 0 };
    // SAFETY: whole groups of whole panels lie inside the source; the rest follows the definition.
    unsafe {
        match unit {
            4 => transpose::<u32, T>(from, lda, whole, to, mr, ka),
            8 => transpose::<u64, T>(from, lda, whole, to, mr, ka),
            _ => return kernel::pack_a(from, lda, rows, depth, to, mr, ka),
        }
        let done = whole * ka;
        if done < depth {
            kernel::pack_a(
                from.add(done),
                lda,
                rows,
                depth - done,
                to.add(done * mr),
                mr,
                ka,
            );
        }
    }
}

/// Moves `groups` whole groups of `mr` rows, each group as one unit `U`.
///
/// # Safety
/// `mr` rows of `groups` groups are readable, and `to` has room for them.
unsafe fn transpose<U: Copy, T>(
    from: *const T,
    lda: usize,
    groups: usize,
    to: *mut T,
    mr: usize,
    ka: usize,
) {
    let to = to.cast::<U>();
    for group in 0..groups {
        for row in 0..mr {
            // SAFETY: inside source and target, which need not be aligned for `U`.
            unsafe {
                let unit = from
                    .add(row * lda + group * ka)
                    .cast::<U>()
                    .read_unaligned();
                to.add(group * mr + row).write_unaligned(unit);
            }
        }
    }
}

/// Columns of B: copies of row pieces for single numbers, interleaved rows for pairs and fours.
///
/// # Safety
/// As for `Microkernel::pack_b`.
#[expect(
    clippy::too_many_arguments,
    reason = "two strided arrays and their layout"
)]
pub(super) unsafe fn columns<T: Scalar>(
    from: *const T,
    ldb: usize,
    columns: usize,
    depth: usize,
    to: *mut T,
    nr: usize,
    kb: usize,
    groups: usize,
) {
    let whole = if columns == nr { depth / kb } else { 0 };
    // SAFETY: whole groups of whole panels lie inside the source; the rest follows the definition.
    unsafe {
        match (kb, size_of::<T>()) {
            (1, _) => {
                for k in 0..whole {
                    std::ptr::copy_nonoverlapping(from.add(k * ldb), to.add(k * nr), nr);
                }
            }
            (2, 2) => {
                for group in 0..whole {
                    let row = from.add(group * 2 * ldb);
                    let to = to.add(group * nr * 2);
                    for column in (0..nr).step_by(8) {
                        pairs(
                            [row.add(column), row.add(ldb + column)].map(<*const T>::cast),
                            to.add(column * 2).cast(),
                        );
                    }
                }
            }
            (4, 1) if nr.is_multiple_of(16) => {
                for group in 0..whole {
                    let row = from.add(group * 4 * ldb);
                    let to = to.add(group * nr * 4);
                    for column in (0..nr).step_by(16) {
                        let rows = [0, 1, 2, 3].map(|q| row.add(q * ldb + column).cast());
                        fours(rows, to.add(column * 4).cast());
                    }
                }
            }
            _ => return kernel::pack_b(from, ldb, columns, depth, to, nr, kb, groups),
        }
        let done = whole * kb;
        if whole < groups {
            let (from, to) = (from.add(done * ldb), to.add(done * nr));
            kernel::pack_b(from, ldb, columns, depth - done, to, nr, kb, groups - whole);
        }
    }
}

/// Interleaves two rows of eight 16-bit numbers.
///
/// # Safety
/// 16 bytes per row are readable, 32 writable at an address that is a multiple of 16.
unsafe fn pairs(rows: [*const __m128i; 2], to: *mut __m128i) {
    // SAFETY: as promised; SSE2 is part of x86-64.
    unsafe {
        let [x, y] = rows.map(|row| _mm_loadu_si128(row));
        _mm_store_si128(to, _mm_unpacklo_epi16(x, y));
        _mm_store_si128(to.add(1), _mm_unpackhi_epi16(x, y));
    }
}

/// Interleaves four rows of sixteen bytes.
///
/// # Safety
/// 16 bytes per row are readable, 64 writable at an address that is a multiple of 16.
unsafe fn fours(rows: [*const __m128i; 4], to: *mut __m128i) {
    // SAFETY: as promised; SSE2 is part of x86-64.
    unsafe {
        let [w, x, y, z] = rows.map(|row| _mm_loadu_si128(row));
        let (low_wx, high_wx) = (_mm_unpacklo_epi8(w, x), _mm_unpackhi_epi8(w, x));
        let (low_yz, high_yz) = (_mm_unpacklo_epi8(y, z), _mm_unpackhi_epi8(y, z));
        _mm_store_si128(to, _mm_unpacklo_epi16(low_wx, low_yz));
        _mm_store_si128(to.add(1), _mm_unpackhi_epi16(low_wx, low_yz));
        _mm_store_si128(to.add(2), _mm_unpacklo_epi16(high_wx, high_yz));
        _mm_store_si128(to.add(3), _mm_unpackhi_epi16(high_wx, high_yz));
    }
}
