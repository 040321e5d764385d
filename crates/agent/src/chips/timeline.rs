//! The samples and gaps of the chips on the node's line of time, on their way to the controller.

use std::time::{Duration, Instant};

use flagperf_model::SampleBlock;
use flagperf_wire::{ClockAnchor, FromAgent};

use crate::channel::Outbox;
use crate::sampling::ToolUse;

/// Samples are sent on when the oldest is this old, so that a cut-off run has lost no more.
const SEND_AFTER: Duration = Duration::from_secs(1);

/// Gaps that are written at a time.
const MOST_GAPS: usize = 1000;

pub(super) struct Timeline {
    clock: ClockAnchor,
    /// The agent's start, at which `clock` was read.
    started: Instant,
    outbox: Outbox,
    /// Values of a row.
    width: usize,
    /// Time from one sample to the next that was asked for, and the longest that is taken for usual.
    interval: Duration,
    longest: Duration,
    /// The moment of the last sample or gap, and the usual time between two.
    last: Instant,
    period: Duration,
    block: SampleBlock,
    sent: Instant,
    counts: ToolUse,
}

impl Timeline {
    pub(super) fn new(
        clock: ClockAnchor,
        started: Instant,
        outbox: Outbox,
        width: usize,
        longest: Duration,
    ) -> Self {
        Self {
            clock,
            started,
            outbox,
            width,
            interval: longest,
            longest,
            last: started,
            period: longest,
            block: SampleBlock::default(),
            sent: started,
            counts: ToolUse::default(),
        }
    }

    /// From now on there are to be samples.
    pub(super) fn begin(&mut self, now: Instant, interval: Duration) {
        self.interval = interval;
        self.period = interval;
        self.last = now;
        self.sent = now;
    }

    /// Takes a sample, after the gaps that are before it.
    pub(super) fn sample(&mut self, at: Instant, row: Vec<Option<i64>>) {
        self.gaps(at);
        let period = at.saturating_duration_since(self.last);
        self.period = period.clamp(self.interval, self.longest.max(self.interval));
        self.push(at, row);
        self.counts.samples += 1;
    }

    /// Writes a gap for each moment at which a sample should have come and has not. A tool that takes longer than
    /// the interval makes no gaps by that.
    pub(super) fn gaps(&mut self, until: Instant) {
        for _ in 0..MOST_GAPS {
            if until < self.last + 2 * self.period {
                return;
            }
            let at = self.last + self.period;
            self.push(at, vec![None; self.width]);
            self.counts.gaps += 1;
        }
    }

    fn push(&mut self, at: Instant, row: Vec<Option<i64>>) {
        // Moments of a block rise, whatever the threads did.
        let at = at.max(self.last);
        self.last = at;
        let since = at.saturating_duration_since(self.started);
        let moment = self.clock.unix.plus_nanos(since.as_nanos() as i64);
        self.block.times.push(moment);
        self.block.columns.resize_with(self.width, Vec::new);
        for (column, value) in self.block.columns.iter_mut().zip(row) {
            column.push(value);
        }
    }

    /// Sends what is old enough, and tells when to ask again.
    pub(super) fn send_if_due(&mut self, now: Instant) -> Instant {
        if now >= self.sent + SEND_AFTER {
            self.send(now);
        }
        self.sent + SEND_AFTER
    }

    /// Sends what there is.
    pub(super) fn send(&mut self, now: Instant) {
        self.sent = now;
        if !self.block.times.is_empty() {
            let block = std::mem::take(&mut self.block);
            self.outbox.send(&FromAgent::ChipSamples { block });
        }
    }

    /// The number of samples and gaps since this was asked last.
    pub(super) fn take_counts(&mut self) -> ToolUse {
        std::mem::take(&mut self.counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::start_writer;
    use flagperf_model::Timestamp;
    use std::sync::mpsc::channel;

    /// What samples at these moments, in milliseconds after the beginning, come to when there is to be one each
    /// second and somebody looks at the end: the moments of the block, in milliseconds, with the value.
    fn block(samples: &[(u64, i64)], end: u64) -> (Vec<(i64, Option<i64>)>, ToolUse) {
        let (inputs, _queue) = channel();
        let outbox = start_writer(std::io::sink(), inputs);
        let clock = ClockAnchor {
            unix: Timestamp(0),
            mono_ns: 0,
        };
        let started = Instant::now();
        let at = |millis: u64| started + Duration::from_millis(millis);
        let mut timeline = Timeline::new(clock, started, outbox, 1, Duration::from_secs(5));
        timeline.begin(at(0), Duration::from_secs(1));
        for (millis, value) in samples {
            timeline.sample(at(*millis), vec![Some(*value)]);
        }
        timeline.gaps(at(end));
        let times = timeline.block.times.iter().map(|time| time.0 / 1_000_000);
        let values = timeline.block.columns.first().cloned().unwrap_or_default();
        (times.zip(values).collect(), timeline.take_counts())
    }

    #[test]
    fn samples_in_time_have_no_gaps() {
        let (block, counts) = block(&[(300, 1), (1310, 2), (2330, 3)], 3000);
        assert_eq!(block, [(300, Some(1)), (1310, Some(2)), (2330, Some(3))]);
        assert_eq!((counts.samples, counts.gaps), (3, 0));
    }

    #[test]
    fn silence_has_a_gap_for_each_sample_that_did_not_come() {
        let (block, counts) = block(&[(1000, 1), (5500, 2)], 9000);
        let gaps = |at: i64| (at, None);
        assert_eq!(
            block,
            [
                (1000, Some(1)),
                gaps(2000),
                gaps(3000),
                gaps(4000),
                (5500, Some(2)),
                // The usual time between two is now that since the last gap.
                gaps(7000),
            ]
        );
        assert_eq!((counts.samples, counts.gaps), (2, 4));
    }

    #[test]
    fn a_tool_that_takes_longer_than_the_interval_makes_no_gaps_by_that() {
        let slow: Vec<(u64, i64)> = (1..6).map(|n| (n * 1900, n as i64)).collect();
        let (block, counts) = block(&slow, 10_000);
        assert_eq!((block.len(), counts.gaps), (5, 0));
    }

    #[test]
    fn nothing_at_all_is_gaps_alone_and_moments_rise() {
        let (all, counts) = block(&[], 4500);
        assert_eq!(all, [(1000, None), (2000, None), (3000, None)]);
        assert_eq!((counts.samples, counts.gaps), (0, 3));
        let (back, _) = block(&[(900, 1), (800, 2)], 900);
        assert_eq!(back, [(900, Some(1)), (900, Some(2))]);
    }
}
