//! The sampling thread: reads the machine at fixed moments while a case runs.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use flagperf_host::Monitor;
use flagperf_model::{MonitorCost, SampleBlock};
use flagperf_wire::{ClockAnchor, FromAgent, TaskId};

use crate::channel::Outbox;

/// Samples are sent on when the oldest is this old, so that a cut-off run has lost no more.
const SEND_AFTER: Duration = Duration::from_secs(1);

/// The thread's controls.
#[derive(Debug, Clone)]
pub(crate) struct Sampling {
    orders: Sender<Order>,
}

/// What reading the chips has come to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ToolUse {
    /// Processor time of their tool, in seconds.
    pub(crate) cpu_s: f64,
    pub(crate) samples: u64,
    pub(crate) gaps: u64,
}

#[derive(Debug)]
enum Order {
    Start { interval: Duration },
    Stop { task: TaskId, tool: ToolUse },
}

impl Sampling {
    /// Starts the thread; it sleeps until it is told to sample.
    pub(crate) fn new(
        monitor: Monitor,
        clock: ClockAnchor,
        started: Instant,
        outbox: Outbox,
    ) -> Self {
        let (orders, receiver) = channel();
        thread::spawn(move || {
            let mut sampler = Sampler {
                monitor,
                clock,
                started,
                outbox,
                block: SampleBlock::default(),
                row: Vec::new(),
            };
            while let Ok(order) = receiver.recv() {
                if let Order::Start { interval } = order
                    && !sampler.run(interval, &receiver)
                {
                    return;
                }
            }
        });
        Self { orders }
    }

    /// Begins to sample.
    pub(crate) fn start(&self, interval: Duration) {
        let _ = self.orders.send(Order::Start { interval });
    }

    /// Takes a last sample and stops; `task` is the one that is over, `tool` what the chips' tool took meanwhile.
    pub(crate) fn stop(&self, task: TaskId, tool: ToolUse) {
        let _ = self.orders.send(Order::Stop { task, tool });
    }
}

struct Sampler {
    monitor: Monitor,
    clock: ClockAnchor,
    /// The agent's start, at which `clock` was read.
    started: Instant,
    outbox: Outbox,
    block: SampleBlock,
    row: Vec<Option<i64>>,
}

impl Sampler {
    /// Samples until told to stop; false if nobody can tell any more.
    fn run(&mut self, interval: Duration, orders: &Receiver<Order>) -> bool {
        let began = Instant::now();
        let sampler_cpu = flagperf_host::thread_cpu_ns();
        let agent_cpu = flagperf_host::own_cpu_ns();
        let (mut samples, mut late) = (0, 0);
        let mut due = began;
        let mut sent = began;
        let stopped_for = loop {
            self.sample();
            samples += 1;
            if sent.elapsed() >= SEND_AFTER {
                self.send();
                sent = Instant::now();
            }
            due += interval;
            // After a stall (a machine that swaps, a suspended guest) the missed moments are left
            // out instead of being sampled in a burst: a gap is a gap.
            let behind = Instant::now().saturating_duration_since(due);
            if behind > interval / 2 {
                let missed = (behind.as_nanos() / interval.as_nanos().max(1)) as u32;
                late += u64::from(missed) + 1;
                due += interval * missed;
            }
            match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Err(RecvTimeoutError::Timeout) | Ok(Order::Start { .. }) => {}
                Ok(Order::Stop { task, tool }) => break Some((task, tool)),
                Err(RecvTimeoutError::Disconnected) => break None,
            }
        };
        self.sample();
        samples += 1;
        self.send();
        let Some((task, tool)) = stopped_for else {
            return false;
        };
        self.outbox.send(&FromAgent::MonitorStopped {
            task,
            cost: MonitorCost {
                sampler_cpu_s: (flagperf_host::thread_cpu_ns() - sampler_cpu) as f64 / 1e9,
                agent_cpu_s: (flagperf_host::own_cpu_ns() - agent_cpu) as f64 / 1e9,
                wall_s: began.elapsed().as_secs_f64(),
                samples,
                late,
                tool_cpu_s: tool.cpu_s,
                chip_samples: tool.samples,
                chip_gaps: tool.gaps,
            },
        });
        true
    }

    fn sample(&mut self) {
        // The moment is that just before the first file is read, which is the one with the
        // processor times: rates of these suffer most when a busy machine interrupts the sampler
        // between the clock and the file.
        let moment = self.started.elapsed();
        self.monitor.sample(&mut self.row);
        self.block
            .times
            .push(self.clock.unix.plus_nanos(moment.as_nanos() as i64));
        self.block.columns.resize_with(self.row.len(), Vec::new);
        for (column, value) in self.block.columns.iter_mut().zip(&self.row) {
            column.push(*value);
        }
    }

    fn send(&mut self) {
        if !self.block.times.is_empty() {
            let block = std::mem::take(&mut self.block);
            self.outbox.send(&FromAgent::Samples { block });
        }
    }
}
