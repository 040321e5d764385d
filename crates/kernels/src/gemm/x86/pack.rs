//! Faster ways to the packed layouts that `kernel` defines; same result, bit for bit.

use std::arch::x86_64::{
    __m128i, _MM_HINT_T1, _mm_loadu_si128, _mm_prefetch, _mm_store_si128, _mm_unpackhi_epi8,
    _mm_unpackhi_epi16, _mm_unpacklo_epi8, _mm_unpacklo_epi16,
};

use super::super::kernel;
use super::super::scalar::Scalar;

/// Rows of A, moved by whole groups of 4 or 8 bytes.
///
/// # Safety
/// As for `Microkernel::pack_a`, with `MR` rows to a panel.
pub(super) unsafe fn rows<const MR: usize, T: Scalar>(
    from: *const T,
    lda: usize,
    rows: usize,
    depth: usize,
    to: *mut T,
    ka: usize,
) {
    let whole = if rows == MR { depth / ka } else { 0 };
    // SAFETY: whole groups of whole panels lie inside the source; the rest follows the definition.
    unsafe {
        match ka * size_of::<T>() {
            4 => transpose::<MR, u32>(from.cast(), lda * size_of::<T>(), whole, to.cast()),
            8 => transpose::<MR, u64>(from.cast(), lda * size_of::<T>(), whole, to.cast()),
            _ => return kernel::pack_a(from, lda, rows, depth, to, MR, ka),
        }
        let done = whole * ka;
        if done < depth {
            kernel::pack_a(
                from.add(done),
                lda,
                rows,
                depth - done,
                to.add(done * MR),
                MR,
                ka,
            );
        }
    }
}

/// Rows of A for tiles: each step is 64 bytes of every row.
///
/// # Safety
/// As for `Microkernel::pack_a`, with `MR` rows to a panel.
pub(super) unsafe fn tile_rows<const MR: usize, T: Scalar>(
    from: *const T,
    lda: usize,
    rows: usize,
    depth: usize,
    to: *mut T,
) {
    let ka = 64 / size_of::<T>();
    let whole = if rows == MR { depth / ka } else { 0 };
    // SAFETY: whole steps of whole panels lie inside the source; the rest follows the definition.
    unsafe {
        for step in 0..whole {
            for row in 0..MR {
                let from = from.add(row * lda + step * ka).cast::<[u8; 64]>();
                to.add((step * MR + row) * ka)
                    .cast::<[u8; 64]>()
                    .write_unaligned(from.read_unaligned());
            }
        }
        let done = whole * ka;
        if done < depth {
            kernel::pack_a(
                from.add(done),
                lda,
                rows,
                depth - done,
                to.add(done * MR),
                MR,
                ka,
            );
        }
    }
}

/// Moves `MR` rows of `units`, whose starts are `stride` bytes apart.
///
/// # Safety
/// The rows are readable, and `to` has room for them; neither need be aligned.
unsafe fn transpose<const MR: usize, U: Copy>(
    from: *const U,
    stride: usize,
    units: usize,
    to: *mut U,
) {
    for unit in 0..units {
        if unit.is_multiple_of(64 / size_of::<U>()) {
            for row in MR..2 * MR {
                // The rows of the next panel: the processor itself does not see them coming.
                let ahead = from.wrapping_byte_add(row * stride).wrapping_add(unit);
                // SAFETY: a prefetch may name any address; SSE is part of x86-64.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(ahead.cast()) };
            }
        }
        for row in 0..MR {
            // SAFETY: inside source and target.
            unsafe {
                let value = from.byte_add(row * stride).add(unit).read_unaligned();
                to.add(unit * MR + row).write_unaligned(value);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::super::kernel;
    use super::super::super::narrow::Bf16;
    use super::super::super::scalar::{Random, Scalar};
    use super::{columns, rows, tile_rows};

    /// Aligned as the blocks of a product are.
    #[repr(align(64))]
    struct Aligned<T>([T; 1 << 15]);

    fn matrix<T: Scalar>(len: usize) -> Vec<T> {
        let mut random = Random::new(1, 1);
        (0..len).map(|_| T::random(&mut random)).collect()
    }

    fn same_rows<const MR: usize, T: Scalar + PartialEq + std::fmt::Debug>(
        height: usize,
        depth: usize,
        ka: usize,
        tiles: bool,
    ) {
        let lda = depth + 3;
        let from: Vec<T> = matrix(MR * lda);
        let len = depth.next_multiple_of(ka) * MR;
        let (mut found, mut expected) = (matrix::<T>(len), matrix::<T>(len));
        // SAFETY: the source has MR rows, the targets whole padded panels.
        unsafe {
            kernel::pack_a(
                from.as_ptr(),
                lda,
                height,
                depth,
                expected.as_mut_ptr(),
                MR,
                ka,
            );
            if tiles {
                tile_rows::<MR, T>(from.as_ptr(), lda, height, depth, found.as_mut_ptr());
            } else {
                rows::<MR, T>(from.as_ptr(), lda, height, depth, found.as_mut_ptr(), ka);
            }
        }
        assert_eq!(found, expected);
    }

    fn same_columns<T: Scalar + PartialEq + std::fmt::Debug>(
        (width, nr): (usize, usize),
        depth: usize,
        kb: usize,
        groups: usize,
    ) {
        let ldb = nr + 5;
        let from: Vec<T> = matrix(depth * ldb);
        let mut found = Box::new(Aligned([T::default(); 1 << 15]));
        let mut expected = Box::new(Aligned([T::default(); 1 << 15]));
        // SAFETY: the source has `depth` rows, the targets room for more than the groups.
        unsafe {
            let (found, expected) = (found.0.as_mut_ptr(), expected.0.as_mut_ptr());
            columns(from.as_ptr(), ldb, width, depth, found, nr, kb, groups);
            kernel::pack_b(from.as_ptr(), ldb, width, depth, expected, nr, kb, groups);
        }
        assert_eq!(found.0[..], expected.0[..]);
    }

    proptest! {
        #[test]
        fn packed_as_defined(depth in 1_usize..150, height in 1_usize..=9, width in 1_usize..=48) {
            for height in [height, 9] {
                same_rows::<9, f64>(height, depth, 1, false);
                same_rows::<9, f32>(height, depth, 1, false);
                same_rows::<9, Bf16>(height, depth, 2, false);
                same_rows::<9, i8>(height, depth, 4, false);
            }
            for height in [height, 32] {
                same_rows::<32, Bf16>(height, depth, 32, true);
                same_rows::<32, i8>(height, depth, 64, true);
            }
            same_columns::<f64>((width.min(24), 24), depth, 1, depth);
            for (width, nr) in [(width, 48), (48, 48), (width.min(32), 32), (32, 32)] {
                same_columns::<f32>((width, nr), depth, 1, depth);
                same_columns::<Bf16>((width, nr), depth, 2, depth.next_multiple_of(32) / 2);
                same_columns::<u8>((width, nr), depth, 4, depth.next_multiple_of(64) / 4);
            }
        }
    }
}
