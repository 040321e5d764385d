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
