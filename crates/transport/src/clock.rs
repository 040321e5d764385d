//! Clocks: the controller's one line of time, and where a node's clock stands on it.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use flagperf_model::Timestamp;

/// Two clocks of ordinary machines drift apart by less than this share of the time that passes.
const DRIFT: f64 = 1e-4;

/// The controller's time: the wall clock read once, and counted on with the monotonic clock, so that
/// moments never run backwards even if somebody sets the clock.
#[derive(Debug, Clone, Copy)]
struct Line {
    start: Instant,
    unix: Timestamp,
}

fn line() -> Line {
    static LINE: OnceLock<Line> = OnceLock::new();
    *LINE.get_or_init(|| {
        let start = Instant::now();
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Line {
            start,
            unix: Timestamp(since.map_or(0, |since| since.as_nanos() as i64)),
        }
    })
}

/// The controller's time.
pub fn now() -> Timestamp {
    let line = line();
    line.unix.plus_nanos(line.start.elapsed().as_nanos() as i64)
}

/// Where a node's `CLOCK_MONOTONIC` stands on the controller's line of time.
///
/// A question and its answer enclose the reading of the node's clock. Taking it for the middle errs by
/// half of the round trip at most, so the quickest round trip tells best (Cristian, 1989).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Estimate {
    /// Controller's time less node's time, in nanoseconds.
    offset_ns: i64,
    round_trip_ns: i64,
    at: Timestamp,
}

impl Estimate {
    /// From a question sent and answered at these moments, with what the node's clock said.
    pub(crate) fn new(sent: Timestamp, answered: Timestamp, mono_ns: u64) -> Self {
        let round_trip_ns = answered.0.saturating_sub(sent.0).max(0);
        Self {
            offset_ns: (sent.0 + round_trip_ns / 2).saturating_sub(mono_ns.cast_signed()),
            round_trip_ns,
            at: answered,
        }
    }

    /// The better of two: the quicker one, unless it is so old that the clocks may have drifted further.
    pub(crate) fn or(self, newer: Self) -> Self {
        let age = newer.at.seconds_since(self.at).max(0.0);
        let drifted = self.round_trip_ns as f64 + age * 1e9 * DRIFT;
        if newer.round_trip_ns as f64 <= drifted {
            newer
        } else {
            self
        }
    }

    /// The controller's time at a reading of the node's clock.
    pub(crate) fn moment(&self, mono_ns: u64) -> Timestamp {
        Timestamp(mono_ns.cast_signed().saturating_add(self.offset_ns))
    }

    /// The node's clock at a moment of the controller's time.
    pub(crate) fn mono_ns(&self, moment: Timestamp) -> u64 {
        moment
            .0
            .saturating_sub(self.offset_ns)
            .max(0)
            .cast_unsigned()
    }

    /// How far it may be wrong, in seconds.
    pub(crate) fn uncertainty_s(&self) -> f64 {
        self.round_trip_ns as f64 / 2e9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_434_006_000_000_000;

    #[test]
    fn the_quickest_answer_tells_best_until_it_is_old() {
        let at = |us: i64| Timestamp(START + us * 1000);
        let slow = Estimate::new(at(0), at(10_000), 5_000_000_000);
        let quick = Estimate::new(at(1_000_000), at(1_001_000), 6_000_500_000);
        let best = slow.or(quick);
        assert_eq!(best.round_trip_ns, 1_000_000);
        assert_eq!(best.moment(6_000_500_000), at(1_000_500));
        assert_eq!(best.mono_ns(at(1_000_500)), 6_000_500_000);
        assert!((best.uncertainty_s() - 0.0005).abs() < 1e-9);
        assert_eq!(best.or(slow_later(2.0)).round_trip_ns, 1_000_000);
        // Clocks that drift by 100 ppm may be 10 ms apart after 100 s: then the slow one tells better.
        assert_eq!(best.or(slow_later(101.0)).round_trip_ns, 10_000_000);
    }

    fn slow_later(s: f64) -> Estimate {
        let sent = Timestamp(START + (s * 1e9) as i64);
        Estimate::new(sent, sent.plus_nanos(10_000_000), 0)
    }
}
