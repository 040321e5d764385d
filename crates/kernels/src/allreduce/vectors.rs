//! The vectors of all ranks, and what is done with them.

use std::ops::Range;

use crate::shared::{PeerError, Segment};
use crate::sums::{PERIOD, SAMPLE, adder, expected, part, term};
use crate::team::Team;

/// Elements that are added up at once: 16 KiB, so that the sum stays in the first-level cache.
const STRIP: usize = 4096;

/// The vectors, seen from one rank.
pub(super) struct Vectors<'a> {
    segment: &'a Segment,
    rank: u32,
    elements: usize,
}

impl<'a> Vectors<'a> {
    /// Vectors of `elements` in the payloads of `segment`, which must be that large.
    pub(super) fn new(segment: &'a Segment, rank: u32, elements: usize) -> Self {
        Self {
            segment,
            rank,
            elements,
        }
    }

    /// Fills this rank's vector for a repetition.
    pub(super) fn fill(&self, team: &mut Team, repetition: u64) {
        let members = team.size();
        team.run(&|member| {
            let range = part(0..self.elements, member, members);
            // SAFETY: threads have disjoint ranges of this rank's vector, and the ranks' barriers
            // keep the others from reading meanwhile.
            let strip = unsafe { self.slice_mut(range.clone()) };
            for (i, value) in range.zip(strip) {
                *value = term(self.rank, i, repetition);
            }
        });
    }

    /// Sums this rank's n-th over all ranks, then fetches the other n-ths.
    pub(super) fn reduce(&self, team: &mut Team) -> Result<(), PeerError> {
        let (members, world) = (team.size(), self.segment.world());
        let add = adder();
        team.run(&|member| {
            let mine = part(0..self.elements, self.rank as usize, world as usize);
            let range = part(mine, member, members);
            for begin in range.clone().step_by(STRIP) {
                let strip = begin..(begin + STRIP).min(range.end);
                // SAFETY: this thread alone touches this range of this rank's vector in this
                // phase; the others read and write their own n-ths.
                let sum = unsafe { self.slice_mut(strip.clone()) };
                for step in 1..world {
                    // Each rank begins with its neighbour, so that not all read the same vector.
                    let peer = (self.rank + step) % world;
                    // SAFETY: nobody writes this n-th of the peer's vector in this phase.
                    let theirs = unsafe { self.slice(peer, strip.clone()) };
                    // SAFETY: the adder was chosen by the features of this processor.
                    unsafe { add(sum, theirs) };
                }
            }
        });
        self.segment.barrier()?;
        team.run(&|member| {
            for step in 1..world {
                let peer = (self.rank + step) % world;
                let theirs = part(0..self.elements, peer as usize, world as usize);
                let range = part(theirs, member, members);
                // SAFETY: the peer's n-th is summed and nobody writes it in this phase.
                let sum = unsafe { self.slice(peer, range.clone()) };
                // SAFETY: this thread alone writes this range, and the others read only this
                // rank's own n-th, which is another.
                let to = unsafe { self.slice_mut(range) };
                to.copy_from_slice(sum);
            }
        });
        Ok(())
    }

    /// The first element of this rank's vector that is wrong, looking at every one or at a sample.
    pub(super) fn first_wrong(
        &self,
        team: &mut Team,
        repetition: u64,
        all: bool,
    ) -> Option<(usize, f32, f32)> {
        let sums = expected(self.segment.world(), repetition);
        let stride = if all { 1 } else { SAMPLE };
        let offset = if all { 0 } else { repetition as usize % SAMPLE };
        let members = team.size();
        let wrong = std::sync::Mutex::new(None);
        team.run(&|member| {
            let range = part(0..self.elements, member, members);
            // SAFETY: nobody writes this rank's vector now.
            let values = unsafe { self.slice(self.rank, range.clone()) };
            let found = range
                .zip(values)
                .skip(offset)
                .step_by(stride)
                .find(|(i, value)| **value != sums[i % PERIOD]);
            if let Some((i, value)) = found
                && let Ok(mut wrong) = wrong.lock()
            {
                wrong.get_or_insert((i, *value, sums[i % PERIOD]));
            }
        });
        wrong.into_inner().ok().flatten()
    }

    /// # Safety
    ///
    /// Nobody else touches that range of this rank's vector while the slice lives.
    #[expect(
        clippy::mut_from_ref,
        reason = "the memory is shared between processes; the phases say who may write it"
    )]
    unsafe fn slice_mut(&self, range: Range<usize>) -> &mut [f32] {
        let start = self.segment.payload(self.rank).cast::<f32>();
        // SAFETY: ranges lie inside the vector, which lies inside the payload.
        unsafe { std::slice::from_raw_parts_mut(start.add(range.start), range.len()) }
    }

    /// # Safety
    ///
    /// Nobody writes that range of the rank's vector while the slice lives.
    unsafe fn slice(&self, rank: u32, range: Range<usize>) -> &[f32] {
        let start = self.segment.payload(rank).cast::<f32>().cast_const();
        // SAFETY: ranges lie inside the vector, which lies inside the payload.
        unsafe { std::slice::from_raw_parts(start.add(range.start), range.len()) }
    }
}
