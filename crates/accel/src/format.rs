//! Number formats.

use std::fmt;

/// A number format in which a chip multiplies matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// 64 bit floating point.
    Fp64,
    /// 32 bit floating point, with all its digits.
    Fp32,
    /// 32 bit floating point, of which 10 bits of mantissa are multiplied.
    Tf32,
    /// 16 bit floating point of IEEE 754.
    Fp16,
    /// The upper half of 32 bit floating point.
    Bf16,
    /// 8 bit floating point of either kind.
    Fp8,
    /// 8 bit integers, added up in 32 bits.
    Int8,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Fp64,
        Self::Fp32,
        Self::Tf32,
        Self::Fp16,
        Self::Bf16,
        Self::Fp8,
        Self::Int8,
    ];

    /// Its name in profiles: `fp64`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp64 => "fp64",
            Self::Fp32 => "fp32",
            Self::Tf32 => "tf32",
            Self::Fp16 => "fp16",
            Self::Bf16 => "bf16",
            Self::Fp8 => "fp8",
            Self::Int8 => "int8",
        }
    }

    /// The format of a name, in capital letters or small ones.
    pub fn named(name: &str) -> Option<Self> {
        let same = |format: &Self| format.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
