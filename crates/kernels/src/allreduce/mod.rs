//! Sum over all ranks of a machine through shared memory, in place.
//!
//! **Counted.** As nccl-tests count, with `bytes` the size of the vector that each rank has:
//! algorithm bandwidth `interconnect-MPI_intraserver-algbw` = bytes / t, and bus bandwidth
//! `interconnect-MPI_intraserver-bandwidth` = algorithm bandwidth · 2 (n − 1) / n for n ranks, which
//! can be compared between different n. The time t goes from the start of the first rank to the end
//! of the last. (FlagPerf's own benchmark prints twice the bus bandwidth under the latter name.)
//!
//! **How it works.** Vectors of `f32` lie in memory that all ranks map. Each rank first adds up its
//! own n-th of all vectors, reading the others' (reduce-scatter); when all are done each copies the
//! other n-ths from their owners (all-gather). A rank uses one pinned thread for each processor it
//! was given.
//!
//! **Warm-up.** At least three repetitions, until two in succession differ by less than 2 %, or one
//! second has passed.
//!
//! **Repetition.** For the duration, at least three; rank 0 decides after each whether another
//! follows and reports the median.
//!
//! **Check.** The vectors are filled anew before each repetition (outside of the time measured)
//! with whole numbers that depend on rank, place and repetition, whose sums `f32` holds exactly. A
//! sample of one element in 61 is compared after each repetition, every element after the last.
//!
//! **Biases that remain.** The vectors are in shared memory already, as with buffers registered
//! for zero-copy; a program whose vectors are private would copy them in and out. Filling leaves the
//! end of each vector in its owner's caches. Small pages are used unless the system gives huge ones
//! to shared memory.

mod case;
mod measure;
mod vectors;

pub(crate) use case::{VECTOR, run};
pub(crate) use measure::{Ranks, measure};
