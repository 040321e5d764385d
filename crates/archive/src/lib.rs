//! A directory as one stream, and back: a tar archive inside one zstd stream.
//!
//! [`pack`] and [`unpack`] go on past what they cannot handle and name it. Unpacking trusts
//! nothing that it reads: whatever an archive says, nothing outside the given directory is touched.

#![forbid(unsafe_code)]

mod digest;
mod header;
mod pack;
mod problems;
mod tree;
mod unpack;
mod unpacker;

pub use digest::digest;
pub use pack::{Packed, pack};
pub use unpack::{Links, UnpackError, Unpacked, unpack};
pub use unpacker::Unpacker;
