//! Whose fault it is, where ranks complain of one another.

use super::error::{How, Verdict};

/// Whom to blame: one that is cut off, else one that did not complain itself. If all did, whoever is
/// first complained of for more than a closed connection, which is what follows a complaint.
pub(super) fn choose(complaints: &[(u32, Verdict)]) -> Option<Verdict> {
    let complains = |rank: u32| complaints.iter().any(|(accuser, _)| *accuser == rank);
    // The first of the best reasons.
    let best = complaints
        .iter()
        .min_by_key(|(_, verdict)| match verdict.how {
            How::Unheard(_) => 0,
            _ if !complains(verdict.culprit) => 1,
            How::Closed => 3,
            _ => 2,
        });
    best.map(|(_, verdict)| verdict.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_ranks_that_wait_for_one_another_the_mute_one_is_to_blame() {
        let silent = |accuser: u32, culprit: u32| (accuser, Verdict::new(culprit, How::Silent(1)));
        let closed = |accuser: u32, culprit: u32| (accuser, Verdict::new(culprit, How::Closed));
        let blamed = |complaints: &[(u32, Verdict)]| choose(complaints).map(|v| v.culprit);
        // Rank 1 is stopped; 2 waits for 1, 3 for 2, 0 for 3.
        assert_eq!(blamed(&[silent(3, 2), silent(0, 3), silent(2, 1)]), Some(1));
        // The link between 1 and 2 is cut, both complain.
        assert_eq!(blamed(&[silent(2, 1), silent(1, 2)]), Some(1));
        // Rank 2 gave up waiting for 1 and left, which 3 saw first.
        assert_eq!(blamed(&[closed(3, 2), silent(2, 1)]), Some(1));
        // In a ring whose link from 1 to 2 is cut, 2 gives up and closes, so do 0 and 1 behind it.
        assert_eq!(blamed(&[closed(1, 0), closed(0, 2), silent(2, 1)]), Some(1));
        // All time out at once, and 1 knows that 2 does not get anything.
        let unheard = (1, Verdict::new(2, How::Unheard(1)));
        assert_eq!(blamed(&[silent(0, 2), unheard, silent(2, 1)]), Some(2));
        assert_eq!(blamed(&[]), None);
    }
}
