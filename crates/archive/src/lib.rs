//! Directories as one compressed stream, and back: tar inside zstd.
//!
//! Regular files, directories and symbolic links travel; sockets, pipes and devices do not, and are
//! named. Neither end trusts the other: what a node sends can write nowhere but into the directory that
//! it is unpacked to.

#![forbid(unsafe_code)]

mod pack;
mod unpack;
mod unpacker;

pub use pack::{Packed, pack};
pub use unpack::{Unpacked, unpack};
pub use unpacker::Unpacker;

/// Most problems that are named one by one; a directory full of them shall not fill a log.
const MOST_PROBLEMS: usize = 20;

/// Problems in words, the first ones as they are and of the others only that there are more.
fn note(problems: &mut Vec<String>, text: String) {
    match problems.len() {
        n if n < MOST_PROBLEMS => problems.push(text),
        MOST_PROBLEMS => problems.push("there are more such files".to_owned()),
        _ => {}
    }
}
