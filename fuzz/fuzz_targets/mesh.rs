//! What strangers say to the port at which ranks meet, and what ranks say to one another: any bytes
//! are a hello, the beginning of one, or foreign; and messages come out the same however they are cut.

#![no_main]

use flagperf_kernels::net::{Frame, Frames, Hello, HelloState};
use libfuzzer_sys::fuzz_target;

fn frames(pieces: &[&[u8]]) -> Vec<Frame> {
    let mut reader = Frames::default();
    let mut read = Vec::new();
    for piece in pieces {
        reader.push(piece);
        while let Ok(Some(frame)) = reader.pop() {
            read.push(frame);
        }
    }
    read
}

fuzz_target!(|input: (&[u8], usize)| {
    let (bytes, cut) = input;
    let (before, after) = bytes.split_at(cut.min(bytes.len()));
    match Hello::read(bytes) {
        HelloState::Whole(hello) => {
            assert_eq!(hello.encode(), bytes);
            assert!(after.is_empty() || Hello::read(before) == HelloState::Partial);
        }
        HelloState::Partial => assert_eq!(Hello::read(before), HelloState::Partial),
        HelloState::Foreign => {}
    }
    assert_eq!(frames(&[bytes]), frames(&[before, after]));
});
