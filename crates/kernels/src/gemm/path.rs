//! Number formats, and which instructions serve them on this processor.

use crate::features::first_missing;

/// What is multiplied and what the sums are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// binary64 times binary64, sums in binary64.
    Fp64,
    /// binary32 times binary32, sums in binary32.
    Fp32,
    /// bfloat16 times bfloat16, sums in binary32.
    Bf16,
    /// Signed 8-bit (A) times unsigned 8-bit integers (B), sums in 32-bit integers that wrap: the form
    /// that VNNI and AMX both have.
    Int8,
    /// binary16 times binary16. With AMX, sums are in binary32. With AVX-512, whose instruction sums
    /// in binary16, chains of at most 128 terms are summed so and then added up in binary32.
    Fp16,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 5] = [Self::Fp64, Self::Fp32, Self::Bf16, Self::Int8, Self::Fp16];

    /// The name in cases and reports, such as `FP64`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fp64 => "FP64",
            Self::Fp32 => "FP32",
            Self::Bf16 => "BF16",
            Self::Int8 => "INT8",
            Self::Fp16 => "FP16",
        }
    }

    /// Type of A, type of B and type of the sums.
    #[must_use]
    pub fn types(self) -> [&'static str; 3] {
        match self {
            Self::Fp64 => ["f64", "f64", "f64"],
            Self::Fp32 => ["f32", "f32", "f32"],
            Self::Bf16 => ["bf16", "bf16", "f32"],
            Self::Int8 => ["i8", "u8", "i32"],
            Self::Fp16 => ["f16", "f16", "f32"],
        }
    }

    /// The sets of processor features, best first, any of which serves this format. FP64 and FP32 also
    /// work without any of theirs.
    pub fn feature_sets(self) -> impl Iterator<Item = &'static [&'static str]> {
        paths(self)
            .iter()
            .map(|(_, features)| *features)
            .filter(|features| !features.is_empty())
    }

    /// The instruction set that serves this format here, or what is missing.
    pub fn isa(self) -> Result<&'static str, Unsupported> {
        path(self).map(Isa::name)
    }
}

/// The processor lacks the instructions of a format.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not supported by this processor: {feature}")]
pub struct Unsupported {
    /// The missing feature, or features any of which would do, as in `/proc/cpuinfo`.
    pub feature: String,
}

/// A kernel by its instructions and format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    PortableFp64,
    PortableFp32,
    #[cfg(target_arch = "x86_64")]
    Avx512Fp64,
    #[cfg(target_arch = "x86_64")]
    Avx512Fp32,
    #[cfg(target_arch = "x86_64")]
    Avx2Fp64,
    #[cfg(target_arch = "x86_64")]
    Avx2Fp32,
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
    #[cfg(target_arch = "x86_64")]
    AmxBf16,
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    AmxInt8,
    #[cfg(target_arch = "x86_64")]
    Avx512Fp16,
    #[cfg(target_arch = "x86_64")]
    AmxFp16,
}

impl Isa {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PortableFp64 | Self::PortableFp32 => "portable",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Fp64 | Self::Avx512Fp32 => "avx512f",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2Fp64 | Self::Avx2Fp32 => "avx2+fma",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => "avx512_bf16",
            #[cfg(target_arch = "x86_64")]
            Self::AmxBf16 => "amx_bf16",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni => "avx512_vnni",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => "avx_vnni",
            #[cfg(target_arch = "x86_64")]
            Self::AmxInt8 => "amx_int8",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Fp16 => "avx512_fp16",
            #[cfg(target_arch = "x86_64")]
            Self::AmxFp16 => "amx_fp16",
        }
    }
}

/// The kernels of a format with the features they need, best first.
#[cfg(target_arch = "x86_64")]
pub(crate) fn paths(format: Format) -> &'static [(Isa, &'static [&'static str])] {
    match format {
        Format::Fp64 => &[
            (Isa::Avx512Fp64, &["avx512f"]),
            (Isa::Avx2Fp64, &["fma", "avx2"]),
            (Isa::PortableFp64, &[]),
        ],
        Format::Fp32 => &[
            (Isa::Avx512Fp32, &["avx512f"]),
            (Isa::Avx2Fp32, &["fma", "avx2"]),
            (Isa::PortableFp32, &[]),
        ],
        Format::Bf16 => &[
            (Isa::AmxBf16, &["amx_tile", "amx_bf16"]),
            (Isa::Avx512Bf16, &["avx512f", "avx512_bf16"]),
        ],
        Format::Int8 => &[
            (Isa::AmxInt8, &["amx_tile", "amx_int8"]),
            (Isa::Avx512Vnni, &["avx512f", "avx512_vnni"]),
            (Isa::AvxVnni, &["avx2", "avx_vnni"]),
        ],
        Format::Fp16 => &[
            (Isa::AmxFp16, &["amx_tile", "amx_fp16"]),
            (Isa::Avx512Fp16, &["avx512f", "avx512bw", "avx512_fp16"]),
        ],
    }
}

/// The kernels of a format with the features they need, best first.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn paths(format: Format) -> &'static [(Isa, &'static [&'static str])] {
    match format {
        Format::Fp64 => &[(Isa::PortableFp64, &[])],
        Format::Fp32 => &[(Isa::PortableFp32, &[])],
        Format::Bf16 | Format::Int8 | Format::Fp16 => &[],
    }
}

/// The best kernel that this processor can execute.
pub(crate) fn path(format: Format) -> Result<Isa, Unsupported> {
    let mut missing = Vec::new();
    for (isa, features) in paths(format) {
        match first_missing(features) {
            None => return Ok(*isa),
            Some(_) => missing.push(isa.name()),
        }
    }
    if missing.is_empty() {
        missing.push("no kernel for this architecture");
    }
    Err(Unsupported {
        feature: missing.join(" or "),
    })
}
