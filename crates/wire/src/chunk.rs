//! Output on its way: large pieces of text travel compressed.
//!
//! A channel through `ssh` costs both ends far more time a byte for its cipher than a fast compressor
//! does, and logs shrink to a fifth and less. What does not shrink is sent as it is.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::MAX_CHUNK;

/// Smaller pieces are sent as they are: they come from cases that write little, and there is nothing
/// to be won.
const LEAST: usize = 4 << 10;

/// Level of zstd: of the fast ones the first at which compressing costs less than a cipher does, and logs
/// still shrink to a third.
const LEVEL: i32 = -5;

/// After a piece that did not shrink, so many are sent without trying.
const PAUSE: u32 = 15;

/// A piece of output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chunk {
    /// As it is.
    Plain(ByteBuf),
    /// Compressed with zstd; its size was not more than [`MAX_CHUNK`].
    Packed(ByteBuf),
}

/// A piece of output that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[error("a piece of output arrived damaged: {0}")]
pub struct ChunkError(String);

/// Opens [`Chunk`]s.
#[derive(Default)]
pub struct Opener {
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").finish_non_exhaustive()
    }
}

impl Opener {
    /// The bytes as they were written.
    ///
    /// # Errors
    ///
    /// They were packed and cannot be unpacked to at most [`MAX_CHUNK`] bytes.
    pub fn open(&mut self, chunk: Chunk) -> Result<Vec<u8>, ChunkError> {
        let bytes = match chunk {
            Chunk::Plain(bytes) => return Ok(bytes.into_vec()),
            Chunk::Packed(bytes) => bytes,
        };
        let damaged = |error: std::io::Error| ChunkError(error.to_string());
        if self.decompressor.is_none() {
            self.decompressor = Some(zstd::bulk::Decompressor::new().map_err(damaged)?);
        }
        match &mut self.decompressor {
            Some(decompressor) => decompressor.decompress(&bytes, MAX_CHUNK).map_err(damaged),
            None => Err(ChunkError("no decompressor".to_owned())),
        }
    }
}

/// Makes [`Chunk`]s of one stream of output.
#[derive(Default)]
pub struct Packer {
    compressor: Option<zstd::bulk::Compressor<'static>>,
    pause: u32,
}

impl std::fmt::Debug for Packer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packer").finish_non_exhaustive()
    }
}

impl Packer {
    /// A piece of at most [`MAX_CHUNK`] bytes, compressed if that is `wanted` and makes it smaller.
    pub fn pack(&mut self, bytes: &[u8], wanted: bool) -> Chunk {
        if wanted && bytes.len() >= LEAST {
            if self.pause > 0 {
                self.pause -= 1;
            } else if let Some(packed) = self.compress(bytes) {
                return Chunk::Packed(ByteBuf::from(packed));
            } else {
                self.pause = PAUSE;
            }
        }
        Chunk::Plain(ByteBuf::from(bytes))
    }

    /// `None` if that saves less than a quarter.
    fn compress(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        if self.compressor.is_none() {
            self.compressor = zstd::bulk::Compressor::new(LEVEL).ok();
        }
        let packed = self.compressor.as_mut()?.compress(bytes).ok()?;
        (packed.len() < bytes.len() / 4 * 3).then_some(packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_log_shrinks_and_noise_does_not() {
        let log: Vec<u8> = (0..1000)
            .flat_map(|step| format!("step {step} loss 0.{step} tokens/s 1{step}\n").into_bytes())
            .collect();
        let Chunk::Packed(packed) = Packer::default().pack(&log, true) else {
            panic!("a log must shrink");
        };
        assert!(packed.len() * 2 < log.len(), "{}", packed.len());
        let mut state = 1u64;
        let noise: Vec<u8> = (0..40_000)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let mut packer = Packer::default();
        for _ in 0..40 {
            assert_eq!(
                packer.pack(&noise, true),
                Chunk::Plain(ByteBuf::from(noise.clone()))
            );
        }
        // After noise, text is noticed again.
        assert!((0..40).any(|_| matches!(packer.pack(&log, true), Chunk::Packed(_))));
    }

    #[test]
    fn what_unpacks_to_too_much_is_refused() {
        let bomb = zstd::bulk::compress(&vec![0; MAX_CHUNK + 1], 1).unwrap();
        let error = Opener::default()
            .open(Chunk::Packed(ByteBuf::from(bomb)))
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("a piece of output arrived damaged")
        );
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(pieces in prop::collection::vec(
            prop_oneof![prop::collection::vec(any::<u8>(), 0..9000), "(abc|de){0,4000}".prop_map(String::into_bytes)], 1..6)
        ) {
            let mut packer = Packer::default();
            for piece in pieces {
                prop_assert_eq!(Opener::default().open(packer.pack(&piece, true)).unwrap(), piece);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Opener::default().open(Chunk::Packed(ByteBuf::from(bytes)));
        }
    }
}
