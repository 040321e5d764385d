//! What messages contain, so that a receiver can tell whether they arrived whole.

/// Messages carry their number once in so many bytes.
pub(crate) const STAMP_EVERY: usize = 4096;

/// Word `i` of a rank's messages.
pub(crate) fn content(rank: u32, i: usize) -> u64 {
    (i as u64 + 1 + (u64::from(rank) << 40)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What stands at byte `at` of message `number`.
pub(crate) fn stamp(rank: u32, number: u64, at: usize) -> u64 {
    content(rank, at).wrapping_add(number.wrapping_mul(0xd134_2543_de82_ef95))
}
