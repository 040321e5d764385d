//! A rank's vector, cut for the ring: slices, parts, chunks, and who may touch them when.

use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::crew::WorkError;
use crate::driver::CaseError;
use crate::region::Region;
use crate::sums::part;

/// Elements of a chunk, 128 KiB: fits into the second-level cache together with what it is added
/// to, and is large enough that handing it on costs little.
pub(super) const CHUNK: usize = 32 << 10;

/// This rank's vector. Which thread may touch which range, and when, is said at [`Slice`].
pub(super) struct Vector {
    region: Region,
    elements: usize,
}

impl Vector {
    /// A vector of so many elements, not yet filled.
    pub(super) fn new(elements: usize) -> Result<Arc<Self>, CaseError> {
        let bytes = elements * size_of::<f32>();
        let region = Region::new(bytes).map_err(|source| CaseError::Memory { bytes, source })?;
        Ok(Arc::new(Self { region, elements }))
    }

    /// # Safety
    ///
    /// Nobody else touches that range while the slice lives.
    #[expect(
        clippy::mut_from_ref,
        reason = "the threads of a ring share the vector; the order of chunks says who may write"
    )]
    pub(super) unsafe fn write(&self, range: Range<usize>) -> &mut [f32] {
        let start = self.region.start().cast::<f32>();
        // SAFETY: ranges lie inside the vector, which lies inside the region; any bytes are a
        // valid float.
        unsafe { std::slice::from_raw_parts_mut(start.add(range.start), range.len()) }
    }

    /// # Safety
    ///
    /// Nobody writes that range while the slice lives.
    pub(super) unsafe fn read(&self, range: Range<usize>) -> &[f32] {
        let start = self.region.start().cast::<f32>().cast_const();
        // SAFETY: as for `write`.
        unsafe { std::slice::from_raw_parts(start.add(range.start), range.len()) }
    }
}

/// A place in the ring.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat {
    /// This rank.
    pub(super) rank: u32,
    /// Number of ranks, at least 2.
    pub(super) world: u32,
}

impl Seat {
    /// The rank to which this one sends.
    pub(super) fn next(self) -> u32 {
        (self.rank + 1) % self.world
    }

    /// The rank from which this one receives.
    pub(super) fn previous(self) -> u32 {
        (self.rank + self.world - 1) % self.world
    }

    fn steps(self) -> usize {
        2 * (self.world as usize - 1)
    }

    /// The part that is sent in a step; the one received is what the rank before sends.
    fn part_sent(rank: u32, step: usize, world: u32) -> usize {
        let world = world as usize;
        (rank as usize + 2 * world - step) % world
    }
}

/// One connection's slice of the vector, with the two threads that work on it.
///
/// The receiver alone writes. It writes a chunk first when it adds what came in the first half,
/// and then the sender reads it, which the sender does only after `received` says so; and once more
/// when the complete chunk comes in the second half, which the receiver does only after `sent` says
/// that the sender is done with it.
pub(super) struct Slice {
    vector: Arc<Vector>,
    range: Range<usize>,
    seat: Seat,
    /// Chunks of a part, the same number in each part; the last ones may be empty.
    chunks: usize,
    progress: Mutex<Progress>,
    moved: Condvar,
}

/// Chunks of this repetition that are dealt with.
#[derive(Debug, Default)]
struct Progress {
    received: usize,
    sent: usize,
    failed: bool,
}

impl Slice {
    /// Slice `index` of `count`.
    pub(super) fn new(vector: &Arc<Vector>, seat: Seat, index: usize, count: usize) -> Arc<Self> {
        let range = part(0..vector.elements, index, count);
        let parts = seat.world as usize;
        let longest = (0..parts)
            .map(|i| part(range.clone(), i, parts).len())
            .max();
        Arc::new(Self {
            vector: Arc::clone(vector),
            range,
            seat,
            chunks: longest.unwrap_or(0).div_ceil(CHUNK).max(1),
            progress: Mutex::default(),
            moved: Condvar::new(),
        })
    }

    /// Chunk `index` of this repetition as `rank` sends it.
    pub(super) fn chunk(&self, rank: u32, index: usize) -> Range<usize> {
        let world = self.seat.world;
        let (step, chunk) = (index / self.chunks, index % self.chunks);
        let of = Seat::part_sent(rank, step, world);
        let part = part(self.range.clone(), of, world as usize);
        let start = (part.start + chunk * CHUNK).min(part.end);
        start..(start + CHUNK).min(part.end)
    }

    /// Chunks that go each way in a repetition.
    pub(super) fn total(&self) -> usize {
        self.seat.steps() * self.chunks
    }

    /// Chunks of the half in which sums are made.
    pub(super) fn summing(&self) -> usize {
        self.total() / 2
    }

    /// The vector that it is a slice of.
    pub(super) fn vector(&self) -> &Vector {
        &self.vector
    }

    /// Its elements.
    pub(super) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The rank's place.
    pub(super) fn seat(&self) -> Seat {
        self.seat
    }

    /// Begins a repetition.
    pub(super) fn restart(&self) {
        *self.lock() = Progress::default();
    }

    /// Chunk `index` has been sent.
    pub(super) fn sent(&self, index: usize) {
        self.advance(|progress| progress.sent = index + 1);
    }

    /// Chunk `index` has been received, and added or kept.
    pub(super) fn received(&self, index: usize) {
        self.advance(|progress| progress.received = index + 1);
    }

    /// One of the threads has given up.
    pub(super) fn fail(&self) {
        self.advance(|progress| progress.failed = true);
    }

    /// Waits until chunk `index` may be sent: all but the first part are sent on.
    pub(super) fn wait_until_received(&self, index: usize) -> Result<(), WorkError> {
        self.wait(|progress| progress.received + self.chunks > index)
    }

    /// Waits until chunk `index`, of the second half, may be written: what it replaces is sent.
    pub(super) fn wait_until_sent(&self, index: usize) -> Result<(), WorkError> {
        self.wait(|progress| progress.sent > index - self.summing())
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes progress and wakes the partner.
    fn advance(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.lock());
        self.moved.notify_all();
    }

    /// Waits for the partner.
    fn wait(&self, ready: impl Fn(&Progress) -> bool) -> Result<(), WorkError> {
        let mut progress = self.lock();
        while !ready(&progress) {
            if progress.failed {
                return Err(WorkError::Partner);
            }
            // The partner always comes to an end: its connection has a timeout.
            let waited = self.moved.wait(progress);
            progress = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sent_is_what_the_next_one_receives(
            world in 2u32..9, elements in 0usize..300_000, index in 0usize..3
        ) {
            let vector = Vector::new(elements.max(1)).unwrap();
            for rank in 0..world {
                let seat = Seat { rank, world };
                let slice = Slice::new(&vector, seat, index, 3);
                // Over a round every chunk is received twice: once to add, once to keep, except
                // this rank's first part, which it only sends, and its last, which it completes.
                let mut times = vec![0u32; vector.elements];
                for index in 0..slice.total() {
                    slice.chunk(seat.previous(), index).for_each(|i| times[i] += 1);
                }
                let inside = &times[slice.range.clone()];
                prop_assert!(inside.iter().all(|n| (1..=2).contains(n)));
                // What is sent in the second half was received before.
                for index in slice.chunks..slice.total() {
                    let received = slice.chunk(seat.previous(), index - slice.chunks);
                    prop_assert_eq!(slice.chunk(rank, index), received);
                }
                // What is overwritten in the second half was sent before.
                for index in slice.summing()..slice.total() {
                    let sent = slice.chunk(rank, index - slice.summing());
                    prop_assert_eq!(slice.chunk(seat.previous(), index), sent);
                }
            }
        }
    }
}
