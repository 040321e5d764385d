//! Narrow floats by their bits, for the processors that multiply them.

use super::scalar::{Random, Scalar};

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

#[cfg(test)]
mod tests {
    use super::{Bf16, F16};

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
}
