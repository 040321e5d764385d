//! Microkernels in the instructions of x86-64 processors.

mod amx;
mod fp16;
mod pack;
mod tile;
mod wide;

pub(super) use amx::{AmxBf16, AmxFp16, AmxInt8};
pub(crate) use amx::{enter as enter_tiles, leave as leave_tiles};
pub(super) use fp16::Avx512Fp16;
pub(super) use tile::{Avx2F32, Avx2F64, AvxVnni};
pub(super) use wide::{Avx512Bf16, Avx512F32, Avx512F64, Avx512Vnni};
