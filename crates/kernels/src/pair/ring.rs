//! A ring of chunks in shared memory, one for each direction, and the two private buffers.

use std::ffi::c_void;
use std::ptr;
use std::sync::atomic::Ordering;

use crate::driver::CaseError;
use crate::pattern::{STAMP_EVERY, content, stamp};
use crate::region::Region;
use crate::shared::{PeerError, Segment};
use crate::stream::{BLOCK, Op, Operands, Shape};

/// Chunks of a ring: enough that neither side waits for the other's every chunk.
const CHUNKS: u64 = 8;

/// Largest chunk, in bytes.
pub(super) const LARGEST_CHUNK: usize = 1 << 20;

/// Bytes of shared memory that a rank needs for its ring.
pub(super) const RING_BYTES: usize = CHUNKS as usize * LARGEST_CHUNK;

/// Words of a slot: chunks sent, chunks taken, the latest round trip.
const SENT: usize = 0;
const TAKEN: usize = 1;
const PING: usize = 2;

/// How a message is cut and copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Method {
    /// Bytes of a chunk, at most [`LARGEST_CHUNK`].
    pub(super) chunk: usize,
    /// The receiver's loop; the C library's copy if absent.
    pub(super) shape: Option<Shape>,
}

/// This rank's end.
pub(super) struct End {
    segment: Segment,
    rank: u32,
    outgoing: Region,
    incoming: Region,
    sent: u64,
    taken: u64,
    pings: u64,
}

impl End {
    /// An end for messages of `bytes` (whole pages), filled with a pattern that depends on the rank.
    pub(super) fn new(segment: Segment, rank: u32, bytes: usize) -> Result<Self, CaseError> {
        let region = || Region::new(bytes).map_err(|source| CaseError::Memory { bytes, source });
        let (outgoing, incoming) = (region()?, region()?);
        // SAFETY: the region has that many words, and this thread alone uses it.
        let words =
            unsafe { std::slice::from_raw_parts_mut(outgoing.start().cast::<u64>(), bytes / 8) };
        for (i, word) in words.iter_mut().enumerate() {
            *word = content(rank, i);
        }
        // SAFETY: the region is that long; the first touch happens here, not in the measurement.
        unsafe { ptr::write_bytes(incoming.start().cast::<u8>(), 0, bytes) };
        Ok(Self {
            segment,
            rank,
            outgoing,
            incoming,
            sent: 0,
            taken: 0,
            pings: 0,
        })
    }

    /// The memory shared with the peer.
    pub(super) fn segment(&mut self) -> &mut Segment {
        &mut self.segment
    }

    /// Leaves in good order.
    pub(super) fn leave(self) {
        self.segment.leave();
    }

    /// Bytes of a message.
    pub(super) fn bytes(&self) -> usize {
        self.outgoing.bytes()
    }

    /// Writes the number of the next message into it.
    pub(super) fn stamp(&mut self, number: u64) {
        for at in (0..self.bytes()).step_by(STAMP_EVERY) {
            // SAFETY: inside the region, aligned to a word, and nobody else uses it.
            unsafe {
                let word = self.outgoing.start().byte_add(at).cast::<u64>();
                word.write(stamp(self.rank, number, at));
            }
        }
    }

    /// Sends and/or receives one message.
    pub(super) fn exchange(
        &mut self,
        method: Method,
        send: bool,
        receive: bool,
    ) -> Result<(), PeerError> {
        let peer = 1 - self.rank;
        let bytes = self.bytes();
        let chunks = bytes.div_ceil(method.chunk) as u64;
        let (sent_before, taken_before) = (self.sent, self.taken);
        let sent_after = sent_before + if send { chunks } else { 0 };
        let taken_after = taken_before + if receive { chunks } else { 0 };
        while self.sent < sent_after || self.taken < taken_after {
            let (sent, taken) = (self.sent, self.taken);
            let theirs = self.segment.slot(peer);
            let may_send =
                || sent < sent_after && sent < theirs.words[TAKEN].load(Ordering::Acquire) + CHUNKS;
            let may_take =
                || taken < taken_after && taken < theirs.words[SENT].load(Ordering::Acquire);
            self.segment.wait_for(peer, || may_send() || may_take())?;
            let (may_send, may_take) = (may_send(), may_take());
            if may_send {
                let at = (sent - sent_before) as usize * method.chunk;
                let length = method.chunk.min(bytes - at);
                // SAFETY: the chunk lies inside the private buffer and the ring's place for it is
                // free, since the peer has taken what was there `CHUNKS` chunks ago.
                unsafe {
                    let from = self.outgoing.start().byte_add(at);
                    copy(None, self.place(self.rank, sent, method), from, length);
                }
                self.sent += 1;
                self.segment.slot(self.rank).words[SENT].store(self.sent, Ordering::Release);
            }
            if may_take {
                let at = (taken - taken_before) as usize * method.chunk;
                let length = method.chunk.min(bytes - at);
                // SAFETY: the peer has filled that place and waits for us before it writes again.
                unsafe {
                    let to = self.incoming.start().byte_add(at);
                    copy(method.shape, to, self.place(peer, taken, method), length);
                }
                self.taken += 1;
                self.segment.slot(self.rank).words[TAKEN].store(self.taken, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Sends a number to and fro, `trips` times; rank 0 begins.
    pub(super) fn ping(&mut self, trips: u64) -> Result<(), PeerError> {
        let peer = 1 - self.rank;
        let mine = &self.segment.slot(self.rank).words[PING];
        let theirs = &self.segment.slot(peer).words[PING];
        for _ in 0..trips {
            self.pings += 1;
            let number = self.pings;
            if self.rank == 0 {
                mine.store(number, Ordering::Release);
            }
            self.segment
                .wait_for(peer, || theirs.load(Ordering::Acquire) == number)?;
            if self.rank == 1 {
                mine.store(number, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Compares the stamps of the message that came last with `number`.
    pub(super) fn check_stamps(&self, number: u64) -> Result<(), CaseError> {
        let peer = 1 - self.rank;
        for at in (0..self.bytes()).step_by(STAMP_EVERY) {
            // SAFETY: inside the region, and nobody writes it now.
            let found = unsafe { self.incoming.start().byte_add(at).cast::<u64>().read() };
            if found != stamp(peer, number, at) {
                return Err(CaseError::Wrong(format!(
                    "message {number} of rank {peer} arrived damaged: wrong number at byte {at}"
                )));
            }
        }
        Ok(())
    }

    /// Compares every word of the message that came last.
    pub(super) fn check_all(&self, number: u64) -> Result<(), CaseError> {
        self.check_stamps(number)?;
        let peer = 1 - self.rank;
        // SAFETY: the region has that many words, and nobody writes it now.
        let words = unsafe {
            std::slice::from_raw_parts(self.incoming.start().cast::<u64>(), self.bytes() / 8)
        };
        let wrong = words
            .iter()
            .enumerate()
            .find(|(i, word)| i % (STAMP_EVERY / 8) != 0 && **word != content(peer, *i));
        match wrong {
            None => Ok(()),
            Some((i, _)) => Err(CaseError::Wrong(format!(
                "message {number} of rank {peer} arrived damaged at byte {}",
                i * 8
            ))),
        }
    }

    fn place(&self, owner: u32, chunk: u64, method: Method) -> *mut c_void {
        let offset = (chunk % CHUNKS) as usize * method.chunk;
        // SAFETY: a ring has room for `CHUNKS` of the largest chunks.
        unsafe { self.segment.payload(owner).byte_add(offset) }
    }
}

/// Copies with the C library or a loop of the bandwidth case.
///
/// # Safety
///
/// Both ranges are valid for `bytes`, aligned to a cache line, and do not overlap.
unsafe fn copy(shape: Option<Shape>, to: *mut c_void, from: *mut c_void, bytes: usize) {
    let elements = bytes / 8;
    match shape {
        // The loops want whole blocks; the last chunk of a message may be shorter.
        Some(shape) if elements > 0 && bytes.is_multiple_of(BLOCK * 8) => {
            let (to, x) = (to.cast::<f64>(), from.cast::<f64>().cast_const());
            let operands = Operands {
                to,
                x,
                y: x,
                s: 0.0,
                n: elements,
            };
            // SAFETY: whole blocks, and the rest is the caller's promise.
            unsafe { shape.run(Op::Copy, operands) }
        }
        // SAFETY: the caller's promise.
        _ => unsafe { ptr::copy_nonoverlapping(from.cast::<u8>(), to.cast::<u8>(), bytes) },
    }
}
