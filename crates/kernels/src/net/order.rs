//! What the leader of a pair tells the other rank to do next.

use super::flow::Batch;
use crate::pattern::STAMP_EVERY;

/// Most messages of a transfer.
pub(super) const MOST_MESSAGES: u32 = 1 << 20;

/// What is measured next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// The leader sends.
    There,
    /// The leader receives.
    Back,
    /// Both do.
    Both,
    /// A byte goes there and back, so many times.
    Trips(u32),
    /// Both compare the whole message that came last.
    Check,
    /// The end.
    End,
}

impl Step {
    /// Whether data goes from the leader to the other.
    pub(super) fn leader_sends(self) -> bool {
        matches!(self, Self::There | Self::Both)
    }

    /// Whether data comes from the other to the leader.
    pub(super) fn leader_receives(self) -> bool {
        matches!(self, Self::Back | Self::Both)
    }
}

/// Bytes of an order: step, count, first, bytes.
pub(super) const ORDER: usize = 1 + 4 + 8 + 8;

/// An order as it travels.
pub(super) fn encode(step: Step, batch: Batch) -> [u8; ORDER] {
    let (tag, count) = match step {
        Step::There => (0, batch.count),
        Step::Back => (1, batch.count),
        Step::Both => (2, batch.count),
        Step::Trips(count) => (3, count),
        Step::Check => (4, 0),
        Step::End => (5, 0),
    };
    let mut bytes = [0; ORDER];
    bytes[0] = tag;
    bytes[1..5].copy_from_slice(&u32::to_le_bytes(count));
    bytes[5..13].copy_from_slice(&batch.first.to_le_bytes());
    bytes[13..].copy_from_slice(&(batch.bytes as u64).to_le_bytes());
    bytes
}

/// `None` for an order that cannot be: the leader is the same program, and a message larger than
/// agreed would take memory without end.
pub(super) fn decode(bytes: &[u8; ORDER], largest: usize) -> Option<(Step, Batch)> {
    let (tag, rest) = bytes.split_first()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (first, rest) = rest.split_first_chunk()?;
    let (size, _) = rest.split_first_chunk()?;
    let count = u32::from_le_bytes(*count);
    let batch = Batch {
        first: u64::from_le_bytes(*first),
        count: if *tag < 3 { count } else { 0 },
        bytes: usize::try_from(u64::from_le_bytes(*size)).ok()?,
    };
    let step = match tag {
        0 => Step::There,
        1 => Step::Back,
        2 => Step::Both,
        3 => Step::Trips(count),
        4 => Step::Check,
        5 => Step::End,
        _ => return None,
    };
    let sane = *tag > 2
        || count > 0
            && count <= MOST_MESSAGES
            && batch.bytes > 0
            && batch.bytes <= largest
            && batch.bytes.is_multiple_of(STAMP_EVERY)
            && batch.first <= u64::MAX - u64::from(MOST_MESSAGES);
    sane.then_some((step, batch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BATCH: Batch = Batch {
        first: 3,
        count: 5,
        bytes: 8192,
    };

    #[test]
    fn orders_travel() {
        for step in [Step::There, Step::Back, Step::Both] {
            let bytes = encode(step, BATCH);
            assert_eq!(decode(&bytes, 8192), Some((step, BATCH)));
            assert_eq!(decode(&bytes, 4096), None);
        }
        for step in [Step::Trips(9), Step::Check, Step::End] {
            assert_eq!(decode(&encode(step, BATCH), 8192).unwrap().0, step);
        }
        let odd = Batch {
            bytes: 100,
            ..BATCH
        };
        assert_eq!(decode(&encode(Step::Back, odd), 8192), None);
    }

    proptest! {
        #[test]
        fn any_order_is_bounded(bytes: [u8; ORDER]) {
            if let Some((_, batch)) = decode(&bytes, 1 << 20) {
                prop_assert!(batch.count == 0 || batch.bytes <= 1 << 20);
            }
        }
    }
}
