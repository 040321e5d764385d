//! Main memory bandwidth: STREAM's copy, scale, add and triad.
//!
//! **Counted.** Bytes that the program reads plus bytes that it writes: 16 for each element of copy
//! and scale, 24 for add and triad, with elements of eight bytes (`f64`), divided by the time from
//! the start of the operation on all threads to the end of the slowest. What the hardware moves
//! beside that is not counted: a regular store first reads the line that it writes.
//!
//! **Memory.** Three arrays for each rank, each four times all last-level caches of the machine and
//! at least 256 MiB, fewer bytes where memory is scarce (then a note says so). One thread is pinned
//! to each processor and touches its own part first, so the pages lie in its memory node. Huge
//! pages are asked for.
//!
//! **Warm-up.** Every shape of loop (regular and non-temporal stores, several vector lengths, one or
//! several pages side by side) runs each operation once on the real arrays, the four fastest three
//! times more; the shape with the shortest time is taken for that operation and noted.
//!
//! **Repetition.** The four operations in turn, over and over for the duration (at least three
//! rounds), so that a machine that slows down slows all four. The value is the median over the
//! rounds; STREAM itself prints the best, which the spread gives as the maximum.
//!
//! **Check.** The elements start at different values and the scalar is √2 − 1, with which a round
//! multiplies them by one but for rounding. At the end every element must have exactly the value
//! that the same sequence of operations gives.
//!
//! **Biases that remain.** The best shape is chosen by its best time, so warm-up noise can favour
//! one of two near equals. The last-level cache keeps up to a quarter of an array from the
//! operation before. Threads of other processes take their share of the memory bus unseen.

mod case;
mod loops;

pub(crate) use case::run;
pub(crate) use loops::{BLOCK, Op, Operands, Shape};
