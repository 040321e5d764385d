//! Sampling the chips while a case runs: the tool is kept at work, its silence is bounded, and what it says becomes
//! samples, what it does not becomes gaps.
//!
//! A tool that can go on by itself is started once for a case: to begin anew costs most of what it does. Its samples
//! are taken for what they are only if they come apart: a tool that holds back what it prints, as programs do
//! that write into a pipe, would give many at once with the moment of the last. Such a one, and one that
//! cannot go on by itself, is started for each sample.

use std::time::{Duration, Instant};

use flagperf_accel::ChipReading;
use flagperf_wire::{ClockAnchor, TaskId};

use super::desk::{Desk, Heard};
use super::run::Run;
use super::timeline::Timeline;
use super::warnings::Warnings;
use super::{Order, Sampled};
use crate::channel::Outbox;
use crate::sampling::{Sampling, ToolUse};

/// Longest time until a tool that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// A tool that answered quickly before answers within this time, and some times as long as it took, even on a machine
/// that is busy elsewhere.
const SURELY: Duration = Duration::from_secs(3);

/// Lines without a sample among them after which a tool is taken to have lost its way.
const MOST_LINES: usize = 20_000;

/// Samples that come closer than this part of the interval have been held back.
const TOO_CLOSE: u32 = 4;

/// So much worse than better must it have become before a tool is taken for one that holds back: a machine that is
/// busy elsewhere may put two samples together now and then.
const HOLDS_BACK: u32 = 8;

/// What a sample that came too close counts for, against 1 for one that did not.
const CLOSE: u32 = 3;

pub(super) struct Sampler {
    sampled: Sampled,
    timeline: Timeline,
    warnings: Warnings,
    /// True as long as the tool is let go on by itself.
    repeats: bool,
    /// True if it ever has gone on by itself.
    has_repeated: bool,
    /// How much speaks for it that the tool holds back what it prints.
    held_back: u32,
}

/// A sample that is coming in.
struct Pending {
    /// When its first line came.
    at: Instant,
    readings: Vec<ChipReading>,
    /// True if nobody knows of what moment it is.
    stale: bool,
}

/// One stretch of sampling.
struct Stretch<'a> {
    of: &'a mut Sampler,
    interval: Duration,
    run: Option<Run>,
    /// The run has given its only sample.
    done: bool,
    pending: Option<Pending>,
    /// When the tool is to be started next.
    begin: Instant,
    /// When its silence is too long.
    silent: Instant,
    pause: Duration,
    /// When the last sample began to come in, also if it was of no use.
    came: Option<Instant>,
}

impl Sampler {
    pub(super) fn new(
        sampled: Sampled,
        clock: ClockAnchor,
        started: Instant,
        outbox: Outbox,
    ) -> Self {
        let timeline = Timeline::new(
            clock,
            started,
            outbox.clone(),
            sampled.census.series.len(),
            Duration::from_nanos(sampled.tool.timeout_ns),
        );
        Self {
            repeats: !sampled.tool.repeat.is_empty(),
            sampled,
            timeline,
            warnings: Warnings::new(outbox),
            has_repeated: false,
            held_back: 0,
        }
    }

    /// Samples until told to stop, and ends the tool; `None` if nobody can tell any more.
    pub(super) fn run(
        &mut self,
        desk: &mut Desk,
        interval: Duration,
    ) -> Option<(TaskId, Sampling)> {
        let now = Instant::now();
        let interval = interval.max(Duration::from_nanos(self.sampled.tool.interval_ns));
        self.warnings.begin();
        self.timeline.begin(now, interval);
        let mut stretch = Stretch {
            of: self,
            interval,
            run: None,
            done: false,
            pending: None,
            begin: now,
            silent: now,
            pause: Duration::from_secs(1),
            came: None,
        };
        loop {
            let due = stretch.work(desk, Instant::now());
            let heard = match &mut stretch.run {
                Some(run) => desk.hear(Some(run), Some(due)),
                None => desk.wait(Some(due)),
            };
            match heard {
                Heard::Line { at, line } => stretch.line(desk, at, &line),
                Heard::Over => stretch.over(),
                Heard::NotStarted(error) => {
                    stretch.run = None;
                    let reason = format!("cannot be started: {error}");
                    stretch.failed(Instant::now(), &reason);
                }
                Heard::Due | Heard::Order(Order::Start { .. }) => {}
                Heard::Order(Order::Stop { task, sampling }) => {
                    stretch.finish(desk);
                    return Some((task, sampling));
                }
                Heard::Gone => return None,
            }
        }
    }

    /// What has been used since this was asked last.
    pub(super) fn used(&mut self, desk: &mut Desk) -> ToolUse {
        ToolUse {
            cpu_s: desk.take_cpu_s(),
            ..self.timeline.take_counts()
        }
    }

    fn warn(&mut self, what: &str) {
        let name = self.sampled.tool.name();
        self.warnings.say(format!("{name} {what}"));
    }
}

impl Stretch<'_> {
    /// Does what is due, and tells when something is next.
    fn work(&mut self, desk: &mut Desk, now: Instant) -> Instant {
        if let Some(settled) = self.settled()
            && now >= settled
        {
            self.commit();
        }
        if self.run.is_some() && now >= self.silent {
            self.give_up(desk, now);
        }
        if self.run.is_none() && now >= self.begin {
            self.start(desk, now);
        }
        self.gaps(now);
        let send = self.of.timeline.send_if_due(now);
        let next = if self.run.is_some() {
            self.silent
        } else {
            self.begin
        };
        let due = [self.settled(), Some(next)].into_iter().flatten();
        due.fold(send, Instant::min).max(now)
    }

    /// When the sample that is coming in can be taken for complete and apart from the next.
    fn settled(&self) -> Option<Instant> {
        let pending = self.pending.as_ref()?;
        let complete = self.of.sampled.census.is_complete(&pending.readings);
        (complete && self.of.repeats).then(|| pending.at + self.interval / TOO_CLOSE)
    }

    fn start(&mut self, desk: &mut Desk, now: Instant) {
        if desk.is_stuck() {
            self.begin = now + self.interval;
            self.of
                .warn("cannot be ended: it waits in the kernel. Chips are not sampled until it is");
            return;
        }
        let sampled = &self.of.sampled;
        let interval = self.of.repeats.then_some(self.interval);
        self.run = desk.start(&sampled.tool, &sampled.fields, interval);
        self.done = false;
        // One that is started again and again wakes the chips the first time only.
        let silence = Duration::from_nanos(match self.came {
            Some(_) if !self.of.repeats => sampled.tool.timeout_ns,
            _ => sampled.tool.start_timeout_ns,
        });
        // It is known how soon it answers. One that does not when it is to go on holds back what it prints.
        let soon = SURELY + self.interval + sampled.took * 4;
        let is_new = self.of.repeats && !self.of.has_repeated;
        self.silent = now + if is_new { soon.min(silence) } else { silence };
        self.begin = now + self.interval;
    }

    fn line(&mut self, desk: &mut Desk, at: Instant, line: &str) {
        let Some(run) = &mut self.run else { return };
        let Some(reading) = run.reader.line(line) else {
            if !run.reader.is_at_home() {
                run.note(line);
            }
            if run.lines > MOST_LINES {
                self.silent = at;
            }
            return;
        };
        if self.done {
            return;
        }
        let silence = Duration::from_nanos(self.of.sampled.tool.timeout_ns);
        if self.of.repeats {
            self.silent = at + silence + self.interval;
            self.of.has_repeated = true;
        }
        match &mut self.pending {
            Some(pending)
                if !pending
                    .readings
                    .iter()
                    .any(|one| one.is_of_same_chip(&reading)) =>
            {
                pending.readings.push(reading);
            }
            _ => self.begin_sample(at, reading),
        }
        let complete = |pending: &Pending| self.of.sampled.census.is_complete(&pending.readings);
        if !self.of.repeats && self.pending.as_ref().is_some_and(complete) {
            self.commit();
            self.done = true;
        }
        if self.of.repeats && self.of.held_back >= HOLDS_BACK {
            self.of.repeats = false;
            self.of
                .warn("holds back what it prints; it is started for each sample");
            self.leave(desk);
            self.begin = at;
        }
    }

    /// A line is of a chip that the sample has already, or of the first.
    fn begin_sample(&mut self, at: Instant, reading: ChipReading) {
        let apart = self.interval / TOO_CLOSE;
        let close = self.of.repeats
            && self
                .came
                .is_some_and(|before| at.saturating_duration_since(before) < apart);
        if close {
            self.pending = None;
            self.of.held_back += CLOSE;
        }
        self.commit();
        self.came = Some(at);
        self.pending = Some(Pending {
            at,
            readings: vec![reading],
            stale: close,
        });
    }

    /// Takes the sample that has come in.
    fn commit(&mut self) {
        let Some(pending) = self.pending.take() else {
            return;
        };
        if let Some(run) = &mut self.run {
            run.lines = 0;
        }
        if pending.stale {
            return;
        }
        let row = self.of.sampled.census.row(&pending.readings);
        self.of.timeline.sample(pending.at, row);
        self.of.held_back = self.of.held_back.saturating_sub(1);
        self.pause = Duration::from_secs(1);
    }

    /// Writes the gaps there are until now, or until the sample that is coming in.
    fn gaps(&mut self, now: Instant) {
        let until = self.pending.as_ref().map_or(now, |pending| pending.at);
        self.of.timeline.gaps(until);
    }

    /// The tool has ended by itself.
    fn over(&mut self) {
        let Some(run) = self.run.take() else { return };
        let had_begun = self.done || self.pending.is_some();
        self.commit();
        let now = Instant::now();
        if self.of.repeats || !had_begun {
            self.failed(now, &run.ending());
        } else {
            self.begin = (run.begun + self.interval).max(now);
        }
    }

    /// The tool has been silent for too long.
    fn give_up(&mut self, desk: &mut Desk, now: Instant) {
        let Some(run) = &self.run else { return };
        let lost = run.lines > MOST_LINES;
        let silence = now.duration_since(run.begun.max(self.came.unwrap_or(run.begun)));
        let reason = if lost {
            "printed nothing but what cannot be read, and was ended".to_owned()
        } else {
            format!(
                "had said nothing for {:.0} s and was ended",
                silence.as_secs_f64()
            )
        };
        // It answered when it was asked once; if it has never gone on by itself, it is asked once again and again.
        if !self.of.has_repeated {
            self.of.repeats = false;
        }
        self.leave(desk);
        self.failed(now, &reason);
    }

    /// Ends the tool.
    fn leave(&mut self, desk: &mut Desk) {
        self.commit_if_complete();
        if let Some(run) = self.run.take() {
            desk.end(run);
        }
    }

    fn commit_if_complete(&mut self) {
        let census = &self.of.sampled.census;
        let complete = |pending: &Pending| census.is_complete(&pending.readings);
        if self.pending.as_ref().is_some_and(complete) {
            self.commit();
        }
        self.pending = None;
    }

    /// There is no sample this time; the next attempt comes later and later.
    fn failed(&mut self, now: Instant, reason: &str) {
        self.begin = now + self.pause.max(self.interval);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        self.of
            .warn(&format!("{reason}; the series of chips have a gap"));
    }

    fn finish(&mut self, desk: &mut Desk) {
        self.leave(desk);
        let now = Instant::now();
        self.gaps(now);
        self.of.timeline.send(now);
    }
}
