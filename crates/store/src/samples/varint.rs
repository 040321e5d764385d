//! Whole numbers of variable length: seven bits a byte, lowest first, the high bit set on all but the last.

use super::Malformed;

/// Longest form of a 64-bit number.
const LONGEST: usize = 10;

pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Signed numbers are folded so that small ones of either sign stay short: 0, -1, 1, -2 become 0, 1, 2, 3.
pub(super) fn put_signed(out: &mut Vec<u8>, value: i64) {
    put(out, zigzag(value));
}

pub(super) fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Reads forward through bytes that nobody vouches for.
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) fn unsigned(&mut self) -> Result<u64, Malformed> {
        let mut value = 0u64;
        for (index, &byte) in self.0.iter().take(LONGEST).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if index == LONGEST - 1 && bits > 1 {
                return Err(Malformed("a number has more than 64 bits"));
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                self.0 = &self.0[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed("a number does not end"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Malformed> {
        self.unsigned().map(unzigzag)
    }

    pub(super) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(Malformed("it ends too early"))?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_back(value: i64, tail: u8) {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, value);
            bytes.push(tail);
            let mut cursor = Cursor(&bytes);
            prop_assert_eq!(cursor.signed().unwrap(), value);
            prop_assert_eq!(cursor.0, &[tail][..]);
        }
    }

    #[test]
    fn endless_and_oversized_numbers_are_refused() {
        assert!(Cursor(&[0x80; 30]).unsigned().is_err());
        assert!(
            Cursor(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02])
                .unsigned()
                .is_err()
        );
        assert!(Cursor(&[]).unsigned().is_err());
    }
}
