//! After the tasks have ended: their files, and the last words of monitors.

use std::time::Duration;

use flagperf_model::EventKind;
use flagperf_wire::ToAgent;
use tokio::time::{Instant, sleep_until};

use super::stages::Stage;
use super::{CaseRun, seconds};
use crate::context::Incoming;

/// How long monitors may take to stop. A monitor's failure never changes a case's outcome.
const MONITOR_STOP: Duration = Duration::from_secs(5);

/// Fetching files is given up when none of their bytes has come for this long.
const NO_FILES: Duration = Duration::from_secs(30);

/// Nodes whose files are fetched at a time: enough to fill the network, and few enough for the disk.
const FETCHED_AT_ONCE: usize = 16;

/// Nodes that are named one by one where something befell many.
const NAMED: usize = 8;

impl CaseRun<'_, '_> {
    /// Fetches the files that tasks have left, from some nodes at a time. Once the user has asked to
    /// stop they get the grace of the case.
    pub(super) async fn fetch(&mut self) {
        let grace = seconds(self.case.limits.grace_s);
        self.files_moved = Instant::now();
        let mut stop_at = (self.context.interrupted > 0).then(|| Instant::now() + grace);
        loop {
            self.fetch_more();
            let fetching = self.stages.count(Stage::Fetching);
            if fetching == 0 {
                return;
            }
            let interrupts = self.context.interrupted;
            let patience = self.files_moved + NO_FILES;
            let deadline = stop_at.map_or(patience, |stop_at| stop_at.min(patience));
            let as_before = move |run: &Self| {
                run.stages.count(Stage::Fetching) >= fetching
                    && run.context.interrupted == interrupts
            };
            let heard = self.hear_while(deadline, as_before).await;
            if self.context.is_urgent() {
                return self.files_are_incomplete("the user asked to stop at once");
            }
            if heard {
                if self.context.interrupted > 0 {
                    stop_at.get_or_insert(Instant::now() + grace);
                }
                continue;
            }
            if stop_at.is_some_and(|at| at <= Instant::now()) {
                return self.files_are_incomplete("the user asked to stop");
            }
            if self.files_moved + NO_FILES <= Instant::now() {
                let why = format!("none came for {} s", NO_FILES.as_secs());
                return self.files_are_incomplete(&why);
            }
        }
    }

    fn fetch_more(&mut self) {
        let mut room = FETCHED_AT_ONCE.saturating_sub(self.stages.count(Stage::Fetching));
        while room > 0
            && let Some(place) = self.to_fetch.pop_front()
        {
            if self.stages.is(place, Stage::Ended) {
                let collect = ToAgent::Collect { task: self.task };
                self.context.nodes[place].node.session.send(collect);
                self.stages.set(place, Stage::Fetching);
                room -= 1;
            }
        }
    }

    /// Gives up the files that have not come.
    pub(super) fn files_are_incomplete(&mut self, why: &str) {
        let mut places = self.stages.at(Stage::Fetching);
        places.extend(self.to_fetch.drain(..));
        places.retain(|place| self.stages.get(*place).is_some());
        if places.is_empty() {
            return;
        }
        let mut nodes: Vec<String> = places
            .iter()
            .take(NAMED)
            .map(|place| self.context.nodes[*place].name().to_string())
            .collect();
        if places.len() > NAMED {
            nodes.push(format!("{} more", places.len() - NAMED));
        }
        for place in places {
            self.stages.set(place, Stage::Done);
        }
        self.context.tell(EventKind::Warning {
            message: format!(
                "not all files that {} left could be fetched from {}: {why}",
                self.case.name(),
                nodes.join(", ")
            ),
        });
    }

    /// Waits for the last samples.
    pub(super) async fn await_monitors(&mut self) {
        let deadline = Instant::now() + MONITOR_STOP;
        while !self.sampling.is_empty() && !self.context.is_urgent() {
            let incoming = tokio::select! {
                incoming = self.context.next() => Some(incoming),
                () = sleep_until(deadline) => None,
            };
            match incoming {
                Some(Incoming::Agent(node, event)) => self.hear(node, event),
                Some(Incoming::Interrupt) => {
                    self.context.heard_interrupt();
                }
                None => {
                    self.context.tell(EventKind::Warning {
                        message: format!(
                            "the monitors of {} did not stop within {} s; their last samples are lost",
                            self.case.name(),
                            MONITOR_STOP.as_secs()
                        ),
                    });
                    return;
                }
            }
        }
    }
}
