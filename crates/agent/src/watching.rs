//! What the agent tells of its machine, and what it samples of it.

use std::time::Duration;

use flagperf_host::Monitor;
use flagperf_model::{ChipWatch, MachineFacts};
use flagperf_wire::{FromAgent, TaskId};

use crate::chips::{Chips, Found};
use crate::sampling::{Sampling, ToolUse};
use crate::serve::Agent;

impl Agent {
    /// Has the chips looked for; what the machine is can be told when that is over.
    pub(crate) fn look_for_chips(&mut self, watch: ChipWatch) {
        if watch == ChipWatch::default() {
            return self.facts(Found::default());
        }
        self.chips = Some(Chips::look(
            watch,
            self.clock,
            self.started,
            self.outbox.clone(),
            self.inputs.clone(),
        ));
    }

    fn sampling(&mut self) -> &Sampling {
        self.sampling.get_or_insert_with(|| {
            let monitor = Monitor::open(&self.root);
            Sampling::new(monitor, self.clock, self.started, self.outbox.clone())
        })
    }

    /// Tells what the machine is, once its chips are known.
    pub(crate) fn facts(&mut self, found: Found) {
        if found.chips.is_empty() {
            self.chips = None;
        }
        let monitor = Monitor::open(&self.root);
        let absent = monitor.absent().iter().cloned().chain(found.absent);
        self.outbox.send(&FromAgent::Facts {
            facts: Box::new(MachineFacts {
                chips: found.chips,
                ..flagperf_host::facts(&self.root)
            }),
            series: monitor.series().to_vec(),
            chip_series: found.series,
            absent: absent.collect(),
            address: flagperf_host::address(&self.root),
            free_port: free_port(),
            place: flagperf_host::place(&self.root),
        });
        self.sampling.get_or_insert_with(|| {
            Sampling::new(monitor, self.clock, self.started, self.outbox.clone())
        });
    }

    /// Begins to sample the machine and its chips.
    pub(crate) fn start_monitors(&mut self, interval_ns: u64) {
        let interval = Duration::from_nanos(interval_ns);
        self.sampling().start(interval);
        if let Some(chips) = &self.chips {
            chips.start(interval);
        }
    }

    /// Stops to sample; `task` is the one that is over.
    pub(crate) fn stop_monitors(&mut self, task: TaskId) {
        let sampling = self.sampling().clone();
        match &self.chips {
            // The tool is ended first, so that what it took can be told with the rest.
            Some(chips) => chips.stop(task, &sampling),
            None => sampling.stop(task, ToolUse::default()),
        }
    }
}

/// A TCP port that nobody listens on now.
fn free_port() -> Option<u16> {
    let listener = std::net::TcpListener::bind(("0.0.0.0", 0)).ok()?;
    Some(listener.local_addr().ok()?.port())
}
