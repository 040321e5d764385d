//! Accelerator chips: what an agent is asked to look for, and what a node has.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Stands for the names of the wanted fields, joined by commas, in a [`StatusTool`]'s command.
pub const FIELDS: &str = "{fields}";

/// Stands for the milliseconds from one sample to the next in a [`StatusTool`]'s further arguments.
pub const INTERVAL_MS: &str = "{interval_ms}";

/// Which chips an agent looks for on its node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChipWatch {
    /// True if somebody named the vendor: that there are none is told then.
    pub asked: bool,
    /// The tools that may know of some, in the order in which they are asked. The first that does is sampled.
    pub tools: Vec<StatusTool>,
}

impl ChipWatch {
    /// What is to be looked for where some of these chips are known to be: those of their vendor. That they do
    /// not show themselves there as well is told.
    #[must_use]
    pub fn where_known(&self, chips: &[ChipFacts]) -> Self {
        let Some(known) = chips.first() else {
            return self.clone();
        };
        let of_vendor = |tool: &&StatusTool| tool.vendor == known.vendor;
        Self {
            asked: true,
            tools: self.tools.iter().filter(of_vendor).cloned().collect(),
        }
    }

    /// What looking for chips may take in all, in nanoseconds: what the most patient of the tools gets.
    pub fn patience_ns(&self) -> u64 {
        let each = self.tools.iter().map(|tool| tool.start_timeout_ns);
        each.max().unwrap_or(0)
    }
}

/// A vendor's command that tells the state of its chips, and how it is used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusTool {
    /// The vendor.
    pub vendor: String,
    /// The argument vector; [`FIELDS`] in it stands for `fields`.
    pub command: Vec<String>,
    /// What it is asked for, where it takes names. One that it does not know is left out.
    pub fields: Vec<String>,
    /// Further arguments with which it goes on by itself, sample after sample; [`INTERVAL_MS`] in them
    /// stands for the time between two. Empty if it cannot.
    pub repeat: Vec<String>,
    /// Directories of a node that are searched for it after those of `PATH`.
    pub search: Vec<String>,
    /// Variables that it needs.
    pub env: BTreeMap<String, String>,
    /// Name of the reader of what it prints.
    pub reader: String,
    /// Shortest time from one sample to the next, in nanoseconds.
    pub interval_ns: u64,
    /// It is ended when it has said nothing for this long, in nanoseconds.
    pub timeout_ns: u64,
    /// The same for its first words, for which a driver may have to wake the chips, in nanoseconds.
    pub start_timeout_ns: u64,
}

impl StatusTool {
    /// The program's name, for messages.
    pub fn name(&self) -> &str {
        let program = self.command.first().map_or("", String::as_str);
        program.rsplit('/').next().unwrap_or(program)
    }
}

/// One accelerator chip of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct ChipFacts {
    /// Its vendor, as the vendor's profile is named.
    pub vendor: String,
    /// Its label: the instance of its series. The number that the vendor's tool gives it.
    pub label: String,
    /// Product name.
    pub name: Option<String>,
    /// What the vendor calls it apart from all others in the world.
    pub uuid: Option<String>,
    /// Its PCI address.
    pub bus: Option<String>,
    /// Its memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Version of its driver.
    pub driver: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(vendor: &str, start_timeout_ns: u64) -> StatusTool {
        StatusTool {
            vendor: vendor.into(),
            command: vec![format!("/opt/{vendor}/bin/{vendor}-smi")],
            fields: Vec::new(),
            repeat: Vec::new(),
            search: Vec::new(),
            env: BTreeMap::new(),
            reader: "x".into(),
            interval_ns: 1,
            timeout_ns: 1,
            start_timeout_ns,
        }
    }

    #[test]
    fn where_chips_are_known_their_vendor_is_asked_for() {
        let watch = ChipWatch {
            asked: false,
            tools: vec![tool("acme", 5), tool("nvidia", 7)],
        };
        assert_eq!(watch.patience_ns(), 7);
        assert_eq!(watch.tools[0].name(), "acme-smi");
        assert_eq!(watch.where_known(&[]), watch);
        let chip = ChipFacts {
            vendor: "nvidia".into(),
            ..ChipFacts::default()
        };
        let narrow = watch.where_known(&[chip]);
        assert!(narrow.asked);
        assert_eq!(narrow.tools, [tool("nvidia", 7)]);
        assert_eq!(ChipWatch::default().patience_ns(), 0);
    }
}
