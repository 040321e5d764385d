//! The frame decoder on bytes of anybody, as both ends read them.
#![no_main]

use flagperf_wire::{Decoder, FromAgent, ToAgent};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // The first byte says where the stream is cut: a frame may arrive in any pieces.
    let Some((cut, stream)) = bytes.split_first() else {
        return;
    };
    let mut from_agent = Decoder::default();
    let mut to_agent = Decoder::default();
    for piece in stream.chunks(usize::from(*cut).max(1)) {
        from_agent.push(piece);
        while let Ok(Some(_)) = from_agent.take::<FromAgent>() {}
        to_agent.push(piece);
        while let Ok(Some(_)) = to_agent.take::<ToAgent>() {}
    }
});
