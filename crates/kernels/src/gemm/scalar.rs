//! The number types of the products: random operands, exact widening.

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
    use super::{Random, Scalar};

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
