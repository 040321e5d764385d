//! Words about a tool that does not do what it should, in bounds.

use flagperf_wire::FromAgent;

use crate::channel::Outbox;

/// Most warnings about the tool while one case runs. What follows is more of the same.
const MOST: usize = 3;

/// Says each thing once while a case runs.
pub(super) struct Warnings {
    outbox: Outbox,
    said: Vec<String>,
}

impl Warnings {
    pub(super) fn new(outbox: Outbox) -> Self {
        Self {
            outbox,
            said: Vec::new(),
        }
    }

    /// A new case begins.
    pub(super) fn begin(&mut self) {
        self.said.clear();
    }

    pub(super) fn say(&mut self, message: String) {
        if self.said.len() < MOST && !self.said.contains(&message) {
            self.outbox.send(&FromAgent::Warning {
                message: message.clone(),
            });
            self.said.push(message);
        }
    }
}
