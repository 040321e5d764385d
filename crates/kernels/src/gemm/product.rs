//! One matrix product on a team of threads: operands, packing and the loops around the microkernel.
//!
//! The loops are those of Van Zee and van de Geijn (BLIS: A framework for rapidly instantiating
//! BLAS functionality, ACM TOMS 41(3), 2015) with the sides exchanged, since C is row-major here:
//! a narrow panel of A stays in the first-level cache, a block of B in the second, and a packed block
//! of A, shared by the threads of one row of the grid, in the last.

use std::ops::Range;

use super::grid::{Blocks, Caches, Grid, part};
use super::kernel::{Accumulator, Microkernel};
use super::mapping::Mapping;
use super::scalar::{Random, Scalar};
use super::team::{Barrier, Job, Step};

/// Elements of the largest tile of any kernel, for the scratch tile of the edges.
const MAX_TILE: usize = 32 * 32;

/// Rows of B that are packed before the next panel's turn.
const ROWS_AT_ONCE: usize = 16;

/// Operands, result and working memory of C = A B, and who does what.
pub(super) struct Product<K: Microkernel> {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    /// m x k, row-major.
    pub(super) a: Mapping<K::A>,
    /// k x n, row-major.
    pub(super) b: Mapping<K::B>,
    /// m x n, row-major.
    pub(super) c: Mapping<K::C>,
    seed: u64,
    grid: Grid,
    blocks: Blocks,
    /// Per row of the grid: two packed blocks of A, used in turn, so that one meeting per block
    /// is enough.
    packed_a: Vec<[Mapping<K::A>; 2]>,
    /// Per thread: one packed block of B.
    packed_b: Vec<Mapping<K::B>>,
    barriers: Vec<Barrier>,
}

impl<K: Microkernel> Product<K> {
    /// Maps the memory; the pages come with [`Step::Fill`].
    pub(super) fn new(
        (m, n, k): (usize, usize, usize),
        threads: usize,
        caches: Caches,
        seed: u64,
    ) -> Result<Self, rustix::io::Errno> {
        const { assert!(K::MR * K::NR <= MAX_TILE && K::KA.is_multiple_of(K::KB)) };
        let area = |x: usize, y: usize| x.checked_mul(y).ok_or(rustix::io::Errno::NOMEM);
        // First, since it refuses sizes that the arithmetic below could not hold.
        let (a, b, c) = (
            Mapping::new(area(m, k)?)?,
            Mapping::new(area(k, n)?)?,
            Mapping::new(area(m, n)?)?,
        );
        let grid = Grid::choose(threads, m, n, K::MR, K::NR);
        let widest = |total, unit, parts| {
            (0..parts)
                .map(|index| part(total, unit, parts, index).len())
                .max()
                .unwrap_or(0)
        };
        let rows = widest(m, K::MR, grid.rows);
        let columns = widest(n, K::NR, grid.columns);
        let blocks = Blocks::fit::<K>(caches, rows, columns, k);
        let block_a = area(blocks.mc, blocks.kc)?;
        let block_b = area(blocks.nc, blocks.kc)?;
        Ok(Self {
            m,
            n,
            k,
            a,
            b,
            c,
            seed,
            grid,
            blocks,
            packed_a: (0..grid.rows)
                .map(|_| Ok([Mapping::new(block_a)?, Mapping::new(block_a)?]))
                .collect::<Result<_, rustix::io::Errno>>()?,
            packed_b: (0..threads)
                .map(|_| Mapping::new(block_b))
                .collect::<Result<_, rustix::io::Errno>>()?,
            barriers: (0..grid.rows).map(|_| Barrier::new(grid.columns)).collect(),
        })
    }

    /// Overwrites one element of every tile with a value that no product has, so that a tile that
    /// the next run leaves alone cannot pass for its result.
    ///
    /// # Safety
    /// The workers wait.
    pub(super) unsafe fn poison(&self) {
        let tiles = self.n.div_ceil(K::NR);
        for tile_row in 0..self.m.div_ceil(K::MR) {
            for tile in 0..tiles {
                // The place moves through the tile, so that no row or column is always the same.
                let turn = tile_row * tiles + tile;
                let row = (tile_row * K::MR + turn % K::MR).min(self.m - 1);
                let column = (tile * K::NR + turn % K::NR).min(self.n - 1);
                // SAFETY: inside C, and the caller vouches that no worker is at work.
                unsafe { *self.c.pointer().add(row * self.n + column) = K::C::poison() };
            }
        }
    }

    /// Writes this worker's share of the operands and of C: rows of A and C where it will read and
    /// write them, rows of B evenly over all.
    fn fill(&self, worker: usize) {
        let rows = part(self.m, K::MR, self.grid.rows, worker / self.grid.columns);
        let own = part(rows.len(), 1, self.grid.columns, worker % self.grid.columns);
        let own = rows.start + own.start..rows.start + own.end;
        // SAFETY: the row ranges of the workers are disjoint, and nobody reads in this step.
        unsafe {
            fill(&self.a, self.k, own.clone(), self.seed, 1);
            let threads = self.grid.rows * self.grid.columns;
            fill(
                &self.b,
                self.n,
                part(self.k, 1, threads, worker),
                self.seed,
                2,
            );
        }
        for row in own {
            for column in 0..self.n {
                // SAFETY: as above.
                unsafe { *self.c.pointer().add(row * self.n + column) = K::C::poison() };
            }
        }
        let (block_a, block_b) = (
            &self.packed_a[worker / self.grid.columns],
            &self.packed_b[worker],
        );
        for block in block_a {
            let share = part(
                block.len(),
                1,
                self.grid.columns,
                worker % self.grid.columns,
            );
            for index in share {
                // SAFETY: the shares are disjoint.
                unsafe { *block.pointer().add(index) = K::A::default() };
            }
        }
        for index in 0..block_b.len() {
            // SAFETY: this block is the worker's own.
            unsafe { *block_b.pointer().add(index) = K::B::default() };
        }
    }

    fn multiply(&self, worker: usize) {
        let (grid_row, grid_column) = (worker / self.grid.columns, worker % self.grid.columns);
        let rows = part(self.m, K::MR, self.grid.rows, grid_row);
        let columns = part(self.n, K::NR, self.grid.columns, grid_column);
        let packed_b = self.packed_b[worker].pointer();
        let mut turn = 0;
        for pc in (0..self.k).step_by(self.blocks.kc) {
            let depth = self.blocks.kc.min(self.k - pc);
            for ic in rows.clone().step_by(self.blocks.mc) {
                let height = self.blocks.mc.min(rows.end - ic);
                let packed_a = self.packed_a[grid_row][turn].pointer();
                turn = 1 - turn;
                let panels = part(height, K::MR, self.grid.columns, grid_column);
                // SAFETY: the shares of the threads are disjoint panels of the block, which the
                // others read only after the meeting. Nobody still reads what this block held two
                // turns ago: every thread has finished that turn before it came to the last meeting.
                unsafe { self.pack_a(ic, panels, pc, depth, packed_a) };
                self.barriers[grid_row].meet();
                for jc in columns.clone().step_by(self.blocks.nc) {
                    let width = self.blocks.nc.min(columns.end - jc);
                    // SAFETY: the block of B is this thread's own, and the tiles of C that are
                    // written lie in its rows and columns.
                    unsafe {
                        self.pack_b(pc, depth, jc, width, packed_b);
                        self.block(
                            ic..ic + height,
                            jc..jc + width,
                            depth,
                            packed_a,
                            packed_b,
                            pc > 0,
                        );
                    }
                }
            }
        }
    }

    /// # Safety
    /// `to` is a block of A whose panels of `rows` no other thread uses.
    unsafe fn pack_a(&self, ic: usize, rows: Range<usize>, pc: usize, depth: usize, to: *mut K::A) {
        let padded = depth.next_multiple_of(K::KA);
        for row in rows.clone().step_by(K::MR) {
            let height = K::MR.min(rows.end - row);
            // SAFETY: the source lies in A, the panel in the block.
            unsafe {
                let from = self.a.pointer().add((ic + row) * self.k + pc);
                K::pack_a(from, self.k, height, depth, to.add(row * padded));
            }
        }
    }

    /// # Safety
    /// `to` is a block of B that no other thread uses.
    unsafe fn pack_b(&self, pc: usize, depth: usize, jc: usize, width: usize, to: *mut K::B) {
        let padded = depth.next_multiple_of(K::KA);
        // A few rows of all panels at a time, so that the rows of B are read from end to end.
        let slice = ROWS_AT_ONCE.next_multiple_of(K::KA);
        for row in (0..depth).step_by(slice) {
            for column in (0..width).step_by(K::NR) {
                let columns = K::NR.min(width - column);
                // SAFETY: the source lies in B; a slice of a panel begins after the ones before it.
                unsafe {
                    let from = self.b.pointer().add((pc + row) * self.n + jc + column);
                    let to = to.add(column * padded + row * K::NR);
                    K::pack_b(from, self.n, columns, slice.min(depth - row), to);
                }
            }
        }
    }

    /// All tiles of one block of C.
    ///
    /// # Safety
    /// The blocks are packed, and no other thread uses these rows and columns of C.
    unsafe fn block(
        &self,
        rows: Range<usize>,
        columns: Range<usize>,
        depth: usize,
        packed_a: *const K::A,
        packed_b: *const K::B,
        accumulate: bool,
    ) {
        let padded = depth.next_multiple_of(K::KA);
        let steps = padded / K::KA;
        for i in (0..rows.len()).step_by(K::MR) {
            for j in (0..columns.len()).step_by(K::NR) {
                let height = K::MR.min(rows.len() - i);
                let width = K::NR.min(columns.len() - j);
                // The next panel of A comes from the last-level cache, a part of it during each
                // tile of this one: a line for every four steps.
                let next = packed_a
                    .wrapping_add((i + K::MR) * padded)
                    .cast::<u8>()
                    .wrapping_add(j / K::NR * (steps / 4) * 64);
                // SAFETY: the panels are whole; a tile that is cut by the edge goes through scratch
                // memory, so that only elements of C are touched.
                unsafe {
                    let a = packed_a.add(i * padded);
                    let b = packed_b.add(j * padded);
                    let c = self
                        .c
                        .pointer()
                        .add((rows.start + i) * self.n + columns.start + j);
                    if height == K::MR && width == K::NR {
                        K::tile(steps, a, b, c, self.n, accumulate, next);
                    } else {
                        edge::<K>(
                            steps,
                            (a, b),
                            (c, self.n),
                            (height, width),
                            accumulate,
                            next,
                        );
                    }
                }
            }
        }
    }
}

#[repr(align(64))]
struct Scratch<T>([T; MAX_TILE]);

/// A tile of which only `height` x `width` lie in C.
///
/// # Safety
/// As for [`Microkernel::tile`], with that smaller extent of C.
#[cold]
unsafe fn edge<K: Microkernel>(
    steps: usize,
    (a, b): (*const K::A, *const K::B),
    (c, ldc): (*mut K::C, usize),
    (height, width): (usize, usize),
    accumulate: bool,
    next: *const u8,
) {
    let mut scratch = Scratch([K::C::default(); MAX_TILE]);
    // SAFETY: the scratch tile is large enough for every kernel.
    unsafe { K::tile(steps, a, b, scratch.0.as_mut_ptr(), K::NR, false, next) };
    for row in 0..height {
        for column in 0..width {
            let sum = scratch.0[row * K::NR + column];
            // SAFETY: inside the extent that the caller vouches for.
            let element = unsafe { &mut *c.add(row * ldc + column) };
            *element = if accumulate { element.plus(sum) } else { sum };
        }
    }
}

/// Fills rows of a matrix; each row has its own stream, so that the numbers do not depend on how
/// many threads fill it.
///
/// # Safety
/// No other thread uses these rows.
unsafe fn fill<T: Scalar>(
    matrix: &Mapping<T>,
    width: usize,
    rows: Range<usize>,
    seed: u64,
    stream: u64,
) {
    for row in rows {
        let mut random = Random::new(seed, (stream << 48) + row as u64);
        for column in 0..width {
            // SAFETY: inside the matrix.
            unsafe { *matrix.pointer().add(row * width + column) = T::random(&mut random) };
        }
    }
}

impl<K: Microkernel> Job for Product<K> {
    fn execute(&self, step: Step, worker: usize) {
        match step {
            Step::Fill => self.fill(worker),
            Step::Multiply => {
                // SAFETY: a product is only made for kernels whose instructions are present.
                unsafe { K::enter() };
                self.multiply(worker);
                // SAFETY: as above.
                unsafe { K::leave() };
            }
        }
    }
}
