//! Names of runs.

use flagperf_model::{RunId, Timestamp};

use crate::clock::Clock;

/// Characters of the random part. 36^6 is 2.2 thousand million: two runs that begin in the same
/// second in the same results directory do not meet.
const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// The name of a run that begins `now` (local time, to the second): `run<YYYYMMDDHHMMSS>-<6 random>`.
/// The last six characters come from `random`.
#[expect(
    clippy::expect_used,
    reason = "the name is made of letters, digits and one hyphen, which every run id may have"
)]
pub fn new_run_id(now: Timestamp, mut random: u64) -> RunId {
    let mut text = Clock::local().format(now, "run%Y%m%d%H%M%S-");
    for _ in 0..6 {
        text.push(char::from(LETTERS[(random % 36) as usize]));
        random /= 36;
    }
    RunId::new(text).expect("letters, digits and one hyphen")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_holds_the_time_and_six_random_characters() {
        let now = Timestamp(1_795_434_006_000_000_000);
        let name = new_run_id(now, 12345);
        let text = name.as_str();
        assert_eq!(text.len(), "run20261123114006-abcdef".len());
        assert!(text.starts_with("run2026112"), "{text}");
        assert_ne!(name, new_run_id(now, 54321));
        assert_eq!(name, new_run_id(now, 12345));
        // The whole range of the random number and of time gives a valid name.
        for random in [0, u64::MAX] {
            for time in [i64::MIN, 0, i64::MAX] {
                assert_eq!(new_run_id(Timestamp(time), random).as_str().len(), 24);
            }
        }
    }
}
