//! How a product is cut: among threads, and within a thread into blocks that fit the caches.

use super::kernel::Microkernel;

/// Sizes of the caches that one core has to itself, bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caches {
    pub(super) l1: usize,
    pub(super) l2: usize,
}

impl Caches {
    /// What Linux reports for one processor; 32 KiB and 512 KiB where it reports nothing, which
    /// hardly any processor of the last ten years undercuts.
    pub(super) fn of(cpu: usize) -> Self {
        let mut caches = Self {
            l1: 32 << 10,
            l2: 512 << 10,
        };
        for index in 0..8 {
            let folder = format!("/sys/devices/system/cpu/cpu{cpu}/cache/index{index}");
            let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}")).ok();
            let (Some(level), Some(kind), Some(size)) = (read("level"), read("type"), read("size"))
            else {
                continue;
            };
            let Some(size) = kibibytes(size.trim()) else {
                continue;
            };
            match (level.trim(), kind.trim()) {
                ("1", "Data" | "Unified") => caches.l1 = size,
                ("2", "Data" | "Unified") => caches.l2 = size,
                _ => {}
            }
        }
        caches
    }
}

/// Reads a size as Linux prints it in `cache/index*/size`, such as `48K`.
fn kibibytes(text: &str) -> Option<usize> {
    let number = text.strip_suffix('K')?.parse::<usize>().ok()?;
    (number > 0).then_some(number << 10)
}

/// Block sizes, in numbers; `kc` is in whole steps, `nc` in whole panels, `mc` in whole panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocks {
    pub(super) mc: usize,
    pub(super) nc: usize,
    pub(super) kc: usize,
}

impl Blocks {
    /// One panel of A (`MR` x `kc`) takes half of the first-level cache, or a little more, since it is
    /// read again for every panel of B; a block of B (`kc` x `nc`) takes half of the second, and is
    /// streamed from there. A block of A (`mc` x `kc`) may live in the last level or in memory: each
    /// of its panels is read once for each block of B.
    pub(super) fn fit<K: Microkernel>(
        caches: Caches,
        rows: usize,
        columns: usize,
        k: usize,
    ) -> Self {
        let a = size_of::<K::A>();
        let b = size_of::<K::B>();
        // A tenth more is better than one pass more over C.
        let kc = even(k, caches.l1 * 11 / 20 / (K::MR * a), UNROLL * K::KA);
        let nc = even(columns, caches.l2 / 2 / (kc * b), K::NR);
        let mc = even(rows, A_BLOCK / (kc * a), K::MR);
        Self { mc, nc, kc }
    }
}

/// Blocks are multiples of this many steps, since the kernels take so many per turn of their loop.
const UNROLL: usize = 4;
/// Most bytes of a packed block of A. It is read at about one byte per cycle, which memory gives as
/// well as a cache, so that only its own size counts; each block beyond the first costs a packing
/// of all of B.
const A_BLOCK: usize = 32 << 20;

/// The smallest multiple of `unit` that cuts `total` in as few parts as `most` would.
fn even(total: usize, most: usize, unit: usize) -> usize {
    let most = (most / unit).max(1) * unit;
    let parts = total.div_ceil(most).max(1);
    total.div_ceil(parts).next_multiple_of(unit).max(unit)
}

/// Threads as a grid of `rows` x `columns` over C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grid {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

impl Grid {
    /// The grid whose busiest thread has least to do; among equals the one whose parts need the
    /// fewest numbers of A and B, and then the one with more rows, whose threads meet less often.
    pub(super) fn choose(threads: usize, m: usize, n: usize, mr: usize, nr: usize) -> Self {
        let cost = |grid: &Self| {
            let rows = m.div_ceil(mr).div_ceil(grid.rows) * mr;
            let columns = n.div_ceil(nr).div_ceil(grid.columns) * nr;
            (rows.saturating_mul(columns), rows + columns, grid.columns)
        };
        (1..=threads)
            .filter(|rows| threads.is_multiple_of(*rows))
            .map(|rows| Self {
                rows,
                columns: threads / rows,
            })
            .min_by_key(cost)
            .unwrap_or(Self {
                rows: 1,
                columns: threads,
            })
    }
}

/// Part `index` of `parts` of `0..total`, cut at multiples of `unit`.
pub(super) fn part(
    total: usize,
    unit: usize,
    parts: usize,
    index: usize,
) -> std::ops::Range<usize> {
    let units = total.div_ceil(unit);
    let at = |index: usize| (units * index / parts * unit).min(total);
    at(index)..at(index + 1)
}

#[cfg(test)]
mod tests {
    use super::{Blocks, Caches, Grid, even, kibibytes, part};
    use crate::gemm::kernel::{Double, Portable};
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_linux_prints_them() {
        assert_eq!(kibibytes("48K"), Some(48 << 10));
        assert_eq!(kibibytes("0K"), None);
        assert_eq!(kibibytes("48"), None);
        let here = Caches::of(0);
        assert!(here.l1 >= 8 << 10 && here.l2 >= here.l1);
    }

    #[test]
    fn blocks_fit_the_caches_that_they_are_meant_for() {
        type Kernel = Portable<Double, 8, 24, 1, 1>;
        let caches = Caches {
            l1: 48 << 10,
            l2: 1280 << 10,
        };
        let blocks = Blocks::fit::<Kernel>(caches, 2048, 4096, 4096);
        assert_eq!(
            blocks,
            Blocks {
                mc: 2048,
                nc: 192,
                kc: 412
            }
        );
        let small = Blocks::fit::<Kernel>(caches, 1, 1, 1);
        assert_eq!(
            small,
            Blocks {
                mc: 8,
                nc: 24,
                kc: 4
            }
        );
    }

    #[test]
    fn grids_are_square_where_nothing_is_lost() {
        let grid = |threads| Grid::choose(threads, 4032, 4032, 8, 24);
        assert_eq!(
            grid(1),
            Grid {
                rows: 1,
                columns: 1
            }
        );
        assert_eq!(
            grid(2),
            Grid {
                rows: 2,
                columns: 1
            }
        );
        assert_eq!(
            grid(4),
            Grid {
                rows: 2,
                columns: 2
            }
        );
        assert_eq!(
            grid(7),
            Grid {
                rows: 7,
                columns: 1
            }
        );
        // A single row of tiles can only be cut along its columns.
        assert_eq!(
            Grid::choose(4, 8, 4032, 8, 24),
            Grid {
                rows: 1,
                columns: 4
            }
        );
    }

    proptest! {
        #[test]
        fn parts_cover_everything_once(
            total in 0_usize..1000, unit in 1_usize..50, parts in 1_usize..10,
        ) {
            let mut end = 0;
            for index in 0..parts {
                let range = part(total, unit, parts, index);
                prop_assert_eq!(range.start, end);
                prop_assert!(range.start == total || range.start.is_multiple_of(unit));
                end = range.end;
            }
            prop_assert_eq!(end, total);
        }

        #[test]
        fn even_parts_are_whole_units_within_the_limit(
            total in 1_usize..10_000, most in 1_usize..3000, unit in 1_usize..100,
        ) {
            let size = even(total, most, unit);
            prop_assert!(size.is_multiple_of(unit) && size > 0);
            prop_assert!(size <= (most / unit).max(1) * unit);
            prop_assert!(total.div_ceil(size) <= total.div_ceil((most / unit).max(1) * unit));
        }
    }
}
