//! What a microkernel is: a small tile of C computed from one packed panel of A and one of B.
//!
//! Packed panel of A: for each step, `MR` rows of `KA` consecutive k. Packed panel of B: for each
//! group of `KB` consecutive k, `NR` columns of `KB` numbers. A step is `KA` long and holds `KA/KB`
//! groups; k is padded with zeros to whole steps, rows and columns to whole panels. The portable
//! kernel here does any such layout number by number. It is what the packing, blocking and edges of
//! the layouts are tested with on machines that lack the instructions, and the product itself on
//! processors for which there is no other.

use std::marker::PhantomData;

#[cfg(test)]
use super::narrow::{Bf16, F16};
use super::scalar::Scalar;

/// A number that partial sums are kept in.
pub(super) trait Accumulator: Scalar {
    /// The sum; integers wrap, as the instructions do.
    fn plus(self, other: Self) -> Self;
}

impl Accumulator for f64 {
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Accumulator for f32 {
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl Accumulator for i32 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

/// The instructions that make one tile, with the layout of their operands.
pub(super) trait Microkernel: Send + Sync + 'static {
    type A: Scalar;
    type B: Scalar;
    type C: Accumulator;
    /// Rows of a tile.
    const MR: usize;
    /// Columns of a tile.
    const NR: usize;
    /// Consecutive k of one row that lie together in packed A; a multiple of `KB`.
    const KA: usize;
    /// Consecutive k of one column that lie together in packed B.
    const KB: usize;
    /// Where the accumulators are narrower than C: the longest chain of additions they take before
    /// they are added to C.
    const NARROW_CHAIN: Option<usize> = None;
    /// The instruction set, in the words of `/proc/cpuinfo`.
    const ISA: &'static str;

    /// Prepares the calling thread for [`Self::tile`].
    ///
    /// # Safety
    /// The processor has the instructions.
    unsafe fn enter() {}

    /// Undoes [`Self::enter`].
    ///
    /// # Safety
    /// As for `enter`.
    unsafe fn leave() {}

    /// Computes one tile over `steps` steps and adds it to C, or overwrites C with it.
    ///
    /// # Safety
    /// The processor has the instructions and the thread has entered. `a` and `b` are packed panels
    /// of that many steps, `b` aligned to 64 bytes; `c` is `MR` rows of `NR` numbers, `ldc` apart, that
    /// no other thread uses. `next` is where one line of 64 bytes for every four
    /// steps may be fetched into the second-level cache ahead of its use; any address will do.
    unsafe fn tile(
        steps: usize,
        a: *const Self::A,
        b: *const Self::B,
        c: *mut Self::C,
        ldc: usize,
        accumulate: bool,
        next: *const u8,
    );

    /// Packs `rows` (at most `MR`) rows of `depth` numbers, `lda` apart, as one panel of A.
    ///
    /// # Safety
    /// The source is readable, and `to` has room for `MR` times `depth`, rounded up to steps.
    unsafe fn pack_a(
        from: *const Self::A,
        lda: usize,
        rows: usize,
        depth: usize,
        to: *mut Self::A,
    ) {
        // SAFETY: handed on.
        unsafe { pack_a(from, lda, rows, depth, to, Self::MR, Self::KA) }
    }

    /// Packs `columns` (at most `NR`) columns of `depth` rows, `ldb` apart, as one panel of B.
    ///
    /// # Safety
    /// The source is readable, and `to` has room for `NR` times `depth`, rounded up to steps, and is
    /// aligned to 64 bytes.
    unsafe fn pack_b(
        from: *const Self::B,
        ldb: usize,
        columns: usize,
        depth: usize,
        to: *mut Self::B,
    ) {
        let groups = depth.next_multiple_of(Self::KA) / Self::KB;
        // SAFETY: handed on.
        unsafe { pack_b(from, ldb, columns, depth, to, Self::NR, Self::KB, groups) }
    }
}

/// The definition of packed A.
///
/// # Safety
/// As for [`Microkernel::pack_a`].
pub(super) unsafe fn pack_a<T: Scalar>(
    from: *const T,
    lda: usize,
    rows: usize,
    depth: usize,
    to: *mut T,
    mr: usize,
    ka: usize,
) {
    for step in 0..depth.div_ceil(ka) {
        for row in 0..mr {
            for q in 0..ka {
                let k = step * ka + q;
                let value = if row < rows && k < depth {
                    // SAFETY: inside the `rows` x `depth` source.
                    unsafe { *from.add(row * lda + k) }
                } else {
                    T::default()
                };
                // SAFETY: inside the padded panel.
                unsafe { *to.add((step * mr + row) * ka + q) = value };
            }
        }
    }
}

/// The definition of packed B.
///
/// # Safety
/// As for [`Microkernel::pack_b`].
#[expect(
    clippy::too_many_arguments,
    reason = "two strided arrays and their layout"
)]
pub(super) unsafe fn pack_b<T: Scalar>(
    from: *const T,
    ldb: usize,
    columns: usize,
    depth: usize,
    to: *mut T,
    nr: usize,
    kb: usize,
    groups: usize,
) {
    for group in 0..groups {
        for column in 0..nr {
            for q in 0..kb {
                let k = group * kb + q;
                let value = if column < columns && k < depth {
                    // SAFETY: inside the `depth` x `columns` source.
                    unsafe { *from.add(k * ldb + column) }
                } else {
                    T::default()
                };
                // SAFETY: inside the padded panel.
                unsafe { *to.add((group * nr + column) * kb + q) = value };
            }
        }
    }
}

/// One multiply-add of a format, as the portable kernel does it.
pub(super) trait Arithmetic: Send + Sync + 'static {
    type A: Scalar;
    type B: Scalar;
    type C: Accumulator;
    fn multiply_add(sum: Self::C, a: Self::A, b: Self::B) -> Self::C;
}

/// FP64, products and sums rounded separately.
pub(super) struct Double;
/// FP32, products and sums rounded separately.
pub(super) struct Single;
/// bfloat16 factors, FP32 sums.
#[cfg(test)]
pub(super) struct Brain;
/// binary16 factors, FP32 sums.
#[cfg(test)]
pub(super) struct Half;
/// Signed by unsigned bytes, 32-bit sums.
#[cfg(test)]
pub(super) struct Byte;

macro_rules! arithmetic {
    ($name:ty, $a:ty, $b:ty, $c:ty, |$sum:ident, $x:ident, $y:ident| $value:expr) => {
        impl Arithmetic for $name {
            type A = $a;
            type B = $b;
            type C = $c;
            #[inline]
            fn multiply_add($sum: $c, $x: $a, $y: $b) -> $c {
                $value
            }
        }
    };
}

arithmetic!(Double, f64, f64, f64, |sum, a, b| sum + a * b);
arithmetic!(Single, f32, f32, f32, |sum, a, b| sum + a * b);
#[cfg(test)]
arithmetic!(Brain, Bf16, Bf16, f32, |sum, a, b| sum
    + a.to_f32() * b.to_f32());
#[cfg(test)]
arithmetic!(Half, F16, F16, f32, |sum, a, b| sum
    + a.to_f32() * b.to_f32());
#[cfg(test)]
arithmetic!(Byte, i8, u8, i32, |sum, a, b| sum
    .wrapping_add(i32::from(a) * i32::from(b)));

/// The kernel that needs no particular instruction.
pub(super) struct Portable<T, const MR: usize, const NR: usize, const KA: usize, const KB: usize>(
    PhantomData<T>,
);

impl<T: Arithmetic, const MR: usize, const NR: usize, const KA: usize, const KB: usize> Microkernel
    for Portable<T, MR, NR, KA, KB>
{
    type A = T::A;
    type B = T::B;
    type C = T::C;
    const MR: usize = MR;
    const NR: usize = NR;
    const KA: usize = KA;
    const KB: usize = KB;
    const ISA: &'static str = "portable";

    unsafe fn tile(
        steps: usize,
        a: *const Self::A,
        b: *const Self::B,
        c: *mut Self::C,
        ldc: usize,
        accumulate: bool,
        _next: *const u8,
    ) {
        let mut sums = [[T::C::default(); NR]; MR];
        for step in 0..steps {
            for q in 0..KA {
                let group = step * (KA / KB) + q / KB;
                for (row, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: the caller's panels hold `steps` steps.
                    let x = unsafe { *a.add((step * MR + row) * KA + q) };
                    for (column, sum) in sums.iter_mut().enumerate() {
                        // SAFETY: as above.
                        let y = unsafe { *b.add((group * NR + column) * KB + q % KB) };
                        *sum = T::multiply_add(*sum, x, y);
                    }
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (column, &sum) in sums.iter().enumerate() {
                // SAFETY: the caller's tile has MR rows of NR numbers.
                let element = unsafe { &mut *c.add(row * ldc + column) };
                *element = if accumulate { element.plus(sum) } else { sum };
            }
        }
    }
}
