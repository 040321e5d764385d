//! Who meets whom in which round: every pair once, nobody twice in a round.
//!
//! The circle method: all ranks but one sit on a circle, and in each round those opposite each other
//! meet, along an axis that turns. With an even number the last rank stands outside and meets the
//! one at the end of the axis; with an odd number that one rests.

/// Number of rounds for so many ranks.
pub(super) fn rounds(world: u32) -> u32 {
    match world {
        0 | 1 => 0,
        _ if world.is_multiple_of(2) => world - 1,
        _ => world,
    }
}

/// Whom `rank` meets in `round`; `None` if it rests.
pub(super) fn partner(rank: u32, round: u32, world: u32) -> Option<u32> {
    let circle = u64::from(rounds(world));
    if circle == 0 {
        return None;
    }
    let (rank, round) = (u64::from(rank), u64::from(round));
    let outside = (circle < u64::from(world)).then_some(circle);
    if outside == Some(rank) {
        return Some((round % circle) as u32);
    }
    let opposite = (2 * round + circle - rank) % circle;
    if opposite == rank {
        outside.map(|rank| rank as u32)
    } else {
        Some(opposite as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn every_pair_meets_once_and_nobody_twice_in_a_round(world in 0u32..70) {
            let mut met = BTreeSet::new();
            for round in 0..rounds(world) {
                let mut resting = 0;
                for rank in 0..world {
                    match partner(rank, round, world) {
                        None => resting += 1,
                        Some(other) => {
                            prop_assert!(other < world && other != rank);
                            prop_assert_eq!(partner(other, round, world), Some(rank));
                            if rank < other {
                                prop_assert!(met.insert((rank, other)));
                            }
                        }
                    }
                }
                prop_assert_eq!(resting, world % 2);
            }
            prop_assert_eq!(met.len() as u32, world * world.saturating_sub(1) / 2);
        }
    }
}
