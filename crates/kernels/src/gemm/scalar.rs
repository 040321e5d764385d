//! The number types of the products: narrow floats, random operands, exact widening.

/// A bfloat16 number by its bits: the upper half of an `f32`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Bf16(pub(crate) u16);

/// An IEEE 754 binary16 number by its bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct F16(pub(crate) u16);

impl Bf16 {
    /// Rounds to nearest, ties to even. Not for NaN, which the operands never are.
    pub(crate) fn from_f32(value: f32) -> Self {
        let bits = value.to_bits();
        let rounding = 0x7fff + ((bits >> 16) & 1);
        Self(((bits + rounding) >> 16) as u16)
    }

    pub(crate) fn to_f32(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

impl F16 {
    /// Rounds to nearest, ties to even; values beyond the range become infinite. Not for NaN.
    pub(crate) fn from_f32(value: f32) -> Self {
        let sign = ((value.to_bits() >> 16) & 0x8000) as u16;
        let magnitude = value.abs();
        // Half of the last step past 65504, the largest finite number.
        if magnitude >= 65520.0 {
            return Self(sign | 0x7c00);
        }
        if magnitude < 6.103_515_6e-5 {
            // Subnormal: steps of 2^-24. Adding 0.5 aligns that step with the last bit of an f32 in
            // [0.5, 1), so that the addition itself rounds.
            let aligned = (magnitude + 0.5).to_bits() - 0.5_f32.to_bits();
            return Self(sign | aligned as u16);
        }
        let bits = magnitude.to_bits();
        let rounded = bits + 0xfff + ((bits >> 13) & 1);
        // From exponent bias 127 to bias 15.
        Self(sign | ((rounded - (112 << 23)) >> 13) as u16)
    }

    pub(crate) fn to_f32(self) -> f32 {
        let sign = if self.0 & 0x8000 == 0 { 1.0 } else { -1.0 };
        let exponent = (self.0 >> 10) & 0x1f;
        let fraction = f32::from(self.0 & 0x3ff);
        let magnitude = match exponent {
            0 => fraction * 2.0_f32.powi(-24),
            31 if fraction == 0.0 => f32::INFINITY,
            31 => f32::NAN,
            _ => (1024.0 + fraction) * 2.0_f32.powi(i32::from(exponent) - 25),
        };
        sign * magnitude
    }
}

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014).
/// Any seed gives a stream of full period, which lets every matrix row have a stream of its own.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut mixer = Self(seed ^ stream.wrapping_mul(0xd1b5_4a32_d192_ed03));
        Self(mixer.next())
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [-1, 1).
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 * 2.0_f64.powi(-52) - 1.0
    }

    /// Uniform in `0..bound`, up to a bias of `bound` / 2^64.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }
}

/// A number that a matrix holds.
pub(crate) trait Scalar: Copy + Default + Send + Sync + 'static {
    /// Uniform in [-1, 1] for floats (rounded to the type), over the whole range for integers.
    fn random(random: &mut Random) -> Self;
    /// The exact value.
    fn to_f64(self) -> f64;
    /// The exact value of an integer; floats have none.
    fn to_i64(self) -> Option<i64>;
    /// The nearest value, for damage on purpose.
    #[cfg(test)]
    fn from_f64(value: f64) -> Self;
    /// A value that no correct product contains, or contains with odds of one in four billion.
    fn poison() -> Self;
}

impl Scalar for f64 {
    fn random(random: &mut Random) -> Self {
        random.unit()
    }
    fn to_f64(self) -> f64 {
        self
    }
    fn to_i64(self) -> Option<i64> {
        None
    }
    #[cfg(test)]
    fn from_f64(value: f64) -> Self {
        value
    }
    fn poison() -> Self {
        Self::NAN
    }
}

impl Scalar for f32 {
    fn random(random: &mut Random) -> Self {
        random.unit() as Self
    }
    fn to_f64(self) -> f64 {
        f64::from(self)
    }
    fn to_i64(self) -> Option<i64> {
        None
    }
    #[cfg(test)]
    fn from_f64(value: f64) -> Self {
        value as Self
    }
    fn poison() -> Self {
        Self::NAN
    }
}

impl Scalar for Bf16 {
    fn random(random: &mut Random) -> Self {
        Self::from_f32(random.unit() as f32)
    }
    fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
    }
    fn to_i64(self) -> Option<i64> {
        None
    }
    #[cfg(test)]
    fn from_f64(value: f64) -> Self {
        Self::from_f32(value as f32)
    }
    fn poison() -> Self {
        Self(0x7fc0)
    }
}

impl Scalar for F16 {
    fn random(random: &mut Random) -> Self {
        Self::from_f32(random.unit() as f32)
    }
    fn to_f64(self) -> f64 {
        f64::from(self.to_f32())
    }
    fn to_i64(self) -> Option<i64> {
        None
    }
    #[cfg(test)]
    fn from_f64(value: f64) -> Self {
        Self::from_f32(value as f32)
    }
    fn poison() -> Self {
        Self(0x7e00)
    }
}

macro_rules! integer {
    ($type:ty, $poison:expr) => {
        impl Scalar for $type {
            fn random(random: &mut Random) -> Self {
                (random.next() >> 32) as Self
            }
            fn to_f64(self) -> f64 {
                self as f64
            }
            fn to_i64(self) -> Option<i64> {
                Some(i64::from(self))
            }
            #[cfg(test)]
            fn from_f64(value: f64) -> Self {
                value as Self
            }
            fn poison() -> Self {
                $poison
            }
        }
    };
}

integer!(u8, 0xa5);
integer!(i8, 0x5a);
integer!(i32, i32::MIN + 0x5a5a);

#[cfg(test)]
mod tests {
    use super::{Bf16, F16, Random, Scalar};

    #[test]
    fn every_half_survives_the_round_trip() {
        for bits in 0..=u16::MAX {
            let value = F16(bits).to_f32();
            if !value.is_nan() {
                assert_eq!(F16::from_f32(value), F16(bits), "{value}");
            }
            let value = Bf16(bits).to_f32();
            if value.is_finite() {
                assert_eq!(Bf16::from_f32(value), Bf16(bits), "{value}");
            }
        }
    }

    #[test]
    fn rounding_goes_to_the_nearer_neighbour_and_ties_to_even() {
        assert_eq!(F16::from_f32(1.0 + 2.0_f32.powi(-11)), F16(0x3c00));
        assert_eq!(F16::from_f32(1.0 + 3.0 * 2.0_f32.powi(-11)), F16(0x3c02));
        assert_eq!(F16::from_f32(2.0_f32.powi(-25)), F16(0));
        assert_eq!(F16::from_f32(-1.5 * 2.0_f32.powi(-24)), F16(0x8002));
        assert_eq!(F16::from_f32(65519.0), F16(0x7bff));
        assert_eq!(F16::from_f32(1e6), F16(0x7c00));
        assert_eq!(Bf16::from_f32(1.0 + 2.0_f32.powi(-8)), Bf16(0x3f80));
        assert_eq!(Bf16::from_f32(1.0 + 3.0 * 2.0_f32.powi(-8)), Bf16(0x3f82));
    }

    #[test]
    fn operands_fill_their_range() {
        let mut random = Random::new(7, 1);
        let units: Vec<f64> = (0..10_000).map(|_| f64::random(&mut random)).collect();
        let mean = units.iter().sum::<f64>() / 1e4;
        let variance = units.iter().map(|x| x * x).sum::<f64>() / 1e4;
        assert!(units.iter().all(|x| x.abs() <= 1.0));
        assert!(mean.abs() < 0.03 && (variance - 1.0 / 3.0).abs() < 0.01);
        let bytes: std::collections::BTreeSet<i8> =
            (0..10_000).map(|_| i8::random(&mut random)).collect();
        assert_eq!(bytes.len(), 256);
    }
}
