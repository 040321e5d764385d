//! The four loops of STREAM in several shapes, each for whole blocks of [`BLOCK`] elements.
//!
//! A shape is a vector length, a kind of store, and how many pages are walked side by side, a few
//! lines in each before the next has its turn: that keeps more banks of the memory busy than one
//! page can. Which is fastest depends on the processor and is found by trying. Software prefetch is
//! absent: where it was tried it did not pay beside several pages.

/// Elements that a loop takes at once: eight pages of 4 KiB. Lengths are multiples of it.
pub(crate) const BLOCK: usize = 8 * PAGE;

/// Elements in a page of 4 KiB.
const PAGE: usize = 512;

/// STREAM's operations, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    /// `c = a`
    Copy,
    /// `b = s c`
    Scale,
    /// `c = a + b`
    Add,
    /// `a = b + s c`
    Triad,
}

impl Op {
    /// All of them, in STREAM's order.
    pub(crate) const ALL: [Self; 4] = [Self::Copy, Self::Scale, Self::Add, Self::Triad];

    /// Bytes moved for each element: those read and those written, eight each.
    pub(crate) fn bytes_per_element(self) -> usize {
        match self {
            Self::Copy | Self::Scale => 16,
            Self::Add | Self::Triad => 24,
        }
    }

    /// Its name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Scale => "scale",
            Self::Add => "add",
            Self::Triad => "triad",
        }
    }
}

/// What a loop works on. `y` is read by add and triad only.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operands {
    /// Written; aligned to 64 bytes.
    pub(crate) to: *mut f64,
    /// Read; aligned to 64 bytes.
    pub(crate) x: *const f64,
    /// Read; aligned to 64 bytes.
    pub(crate) y: *const f64,
    /// The scalar.
    pub(crate) s: f64,
    /// Elements, a multiple of [`BLOCK`].
    pub(crate) n: usize,
}

/// A loop: copies, scales, adds or triads according to its first argument.
///
/// To call it is sound if the pointers are valid for `n` elements, aligned to 64 bytes, `to`
/// overlaps nothing, `n` is a multiple of [`BLOCK`], and the processor has the shape's features.
type Loop = unsafe fn(Op, Operands);

/// One shape of the loops.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Its name, such as `avx512 non-temporal, 8 pages`.
    pub(crate) name: &'static str,
    /// Whether `x + s y` is rounded once.
    pub(crate) fused: bool,
    run: Loop,
}

impl Shape {
    /// The shapes that this processor can run.
    pub(crate) fn available() -> Vec<Self> {
        let plain = Self {
            name: "plain",
            fused: false,
            run: plain,
        };
        [vec![plain], vector_shapes()].concat()
    }

    /// Runs the loop of `op`.
    ///
    /// # Safety
    ///
    /// The pointers are valid for `n` elements and aligned to 64 bytes, `to` overlaps neither `x`
    /// nor `y`, `n` is a multiple of [`BLOCK`], and nothing else writes them meanwhile.
    pub(crate) unsafe fn run(self, op: Op, operands: Operands) {
        // SAFETY: passed on to the caller; shapes come from `available`, so the features are there.
        unsafe { (self.run)(op, operands) }
    }
}

/// The shapes in vector instructions that this processor has.
#[cfg(target_arch = "x86_64")]
fn vector_shapes() -> Vec<Shape> {
    let mut shapes = Vec::new();
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        shapes.extend(avx2::SHAPES);
    }
    if std::is_x86_feature_detected!("avx512f") {
        shapes.extend(avx512::SHAPES);
    }
    shapes
}

/// None are written for other architectures.
#[cfg(not(target_arch = "x86_64"))]
fn vector_shapes() -> Vec<Shape> {
    Vec::new()
}

/// The loops as the compiler makes them from plain code.
unsafe fn plain(op: Op, operands: Operands) {
    let Operands { to, x, y, s, n } = operands;
    // SAFETY: valid and not overlapping, says the caller.
    let to = unsafe { std::slice::from_raw_parts_mut(to, n) };
    // SAFETY: as above.
    let x = unsafe { std::slice::from_raw_parts(x, n) };
    // SAFETY: as above.
    let y = unsafe { std::slice::from_raw_parts(y, n) };
    match op {
        Op::Copy => to.copy_from_slice(x),
        Op::Scale => to.iter_mut().zip(x).for_each(|(t, x)| *t = s * x),
        Op::Add => to
            .iter_mut()
            .zip(x)
            .zip(y)
            .for_each(|((t, x), y)| *t = x + y),
        Op::Triad => to
            .iter_mut()
            .zip(x)
            .zip(y)
            .for_each(|((t, x), y)| *t = x + s * y),
    }
}

/// Loops with one instruction set: vectors of `$lanes` elements.
#[cfg(target_arch = "x86_64")]
macro_rules! vector_loops {
    (
        $module:ident, $feature:literal, $label:literal, $lanes:literal,
        $load:ident, $store:ident, $stream:ident, $splat:ident, $mul:ident, $add:ident, $fma:ident
    ) => {
        mod $module {
            use std::arch::x86_64::{_mm_sfence, $add, $fma, $load, $mul, $splat, $store, $stream};

            use super::{Op, Operands, PAGE, Shape};

            pub(super) const SHAPES: [Shape; 5] = [
                shape::<false, 1, 4>(concat!($label, " regular")),
                shape::<false, 8, 2>(concat!($label, " regular, 8 pages")),
                shape::<true, 1, 4>(concat!($label, " non-temporal")),
                shape::<true, 4, 4>(concat!($label, " non-temporal, 4 pages")),
                shape::<true, 8, 4>(concat!($label, " non-temporal, 8 pages")),
            ];

            const fn shape<const NT: bool, const WAYS: usize, const LINES: usize>(
                name: &'static str,
            ) -> Shape {
                Shape {
                    name,
                    fused: true,
                    run: dispatch::<NT, WAYS, LINES>,
                }
            }

            unsafe fn dispatch<const NT: bool, const WAYS: usize, const LINES: usize>(
                op: Op,
                operands: Operands,
            ) {
                // SAFETY: passed on to the caller of the shape.
                unsafe {
                    match op {
                        Op::Copy => walk::<0, NT, WAYS, LINES>(operands),
                        Op::Scale => walk::<1, NT, WAYS, LINES>(operands),
                        Op::Add => walk::<2, NT, WAYS, LINES>(operands),
                        Op::Triad => walk::<3, NT, WAYS, LINES>(operands),
                    }
                }
            }

            #[target_feature(enable = $feature)]
            unsafe fn walk<const OP: u8, const NT: bool, const WAYS: usize, const LINES: usize>(
                operands: Operands,
            ) {
                let Operands { to, x, y, s, n } = operands;
                let s = $splat(s);
                let mut base = 0;
                while base < n {
                    let mut within = 0;
                    while within < PAGE {
                        for way in 0..WAYS {
                            for line in 0..LINES {
                                let at = base + way * PAGE + within + line * 8;
                                // SAFETY: `at + 8 <= n`, since `n` is a multiple of a block and a
                                // block of pages.
                                unsafe {
                                    for part in 0..8 / $lanes {
                                        let at = at + part * $lanes;
                                        let mut value = $load(x.add(at).cast());
                                        match OP {
                                            0 => {}
                                            1 => value = $mul(s, value),
                                            2 => value = $add(value, $load(y.add(at).cast())),
                                            _ => value = $fma(s, $load(y.add(at).cast()), value),
                                        }
                                        if NT {
                                            $stream(to.add(at).cast(), value);
                                        } else {
                                            $store(to.add(at).cast(), value);
                                        }
                                    }
                                }
                            }
                        }
                        within += 8 * LINES;
                    }
                    base += WAYS * PAGE;
                }
                if NT {
                    // Non-temporal stores are weakly ordered; the job's end must come after them.
                    _mm_sfence();
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
vector_loops!(
    avx2,
    "avx2,fma",
    "avx2",
    4,
    _mm256_load_pd,
    _mm256_store_pd,
    _mm256_stream_pd,
    _mm256_set1_pd,
    _mm256_mul_pd,
    _mm256_add_pd,
    _mm256_fmadd_pd
);

#[cfg(target_arch = "x86_64")]
vector_loops!(
    avx512,
    "avx512f",
    "avx512",
    8,
    _mm512_load_pd,
    _mm512_store_pd,
    _mm512_stream_pd,
    _mm512_set1_pd,
    _mm512_mul_pd,
    _mm512_add_pd,
    _mm512_fmadd_pd
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::region::Region;

    #[test]
    fn every_shape_computes_every_operation_exactly() {
        let n = 2 * BLOCK;
        let arrays: Vec<Region> = (0..3).map(|_| Region::new(n * 8).unwrap()).collect();
        let pointer = |i: usize| arrays[i].start().cast::<f64>();
        // SAFETY: the regions are that long, and each slice is used by this thread alone.
        let slice = |i: usize| unsafe { std::slice::from_raw_parts_mut(pointer(i), n) };
        for shape in Shape::available() {
            for op in Op::ALL {
                for i in 0..n {
                    slice(0)[i] = f64::NAN;
                    slice(1)[i] = i as f64 / 3.0;
                    slice(2)[i] = 7.0 - i as f64 / 11.0;
                }
                let operands = Operands {
                    to: pointer(0),
                    x: pointer(1),
                    y: pointer(2),
                    s: 0.1,
                    n,
                };
                // SAFETY: three regions of `n` elements, two blocks, aligned to huge pages.
                unsafe { shape.run(op, operands) };
                for i in 0..n {
                    let (x, y) = (slice(1)[i], slice(2)[i]);
                    let expected = match op {
                        Op::Copy => x,
                        Op::Scale => 0.1 * x,
                        Op::Add => x + y,
                        Op::Triad if shape.fused => 0.1f64.mul_add(y, x),
                        Op::Triad => x + 0.1 * y,
                    };
                    assert_eq!(slice(0)[i], expected, "{} {} {i}", shape.name, op.name());
                }
            }
        }
    }
}
