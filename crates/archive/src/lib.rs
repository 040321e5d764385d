//! A directory as one stream, and back: a tar archive inside one zstd stream.
//!
//! [`pack`], [`pack_changed`] and [`unpack`] go on past what they cannot handle and name it. Unpacking trusts
//! nothing that it reads: whatever an archive says, nothing outside the given directory is touched.

#![forbid(unsafe_code)]

mod changes;
mod digest;
mod header;
mod pack;
mod problems;
mod tree;
mod unpack;
mod unpacker;

pub use changes::Changes;
pub use digest::digest;
pub use pack::{Packed, pack, pack_changed};
pub use unpack::{Links, UnpackError, Unpacked, unpack};
pub use unpacker::Unpacker;
