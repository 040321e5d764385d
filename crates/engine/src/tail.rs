//! The last lines of output of a round, node by node: those of the node that failed tell why, and
//! must not be pushed out by what the others print.

use std::collections::VecDeque;

use flagperf_model::{NodeName, Outcome, RECORD_PREFIX};

/// Output kept of a node, in bytes, as long as [`ALL`] suffices.
const EACH: usize = 16 << 10;

/// Output kept of all nodes together, in bytes.
const ALL: usize = 4 << 20;

/// Last lines told of a case that fails.
const LINES: usize = 20;

/// Longest line that is told, in characters.
const LONGEST: usize = 400;

/// The end of what each node's processes have printed.
pub(crate) struct Tails {
    nodes: Vec<VecDeque<u8>>,
    /// The node that printed last.
    last: usize,
    limit: usize,
}

impl Tails {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            nodes: vec![VecDeque::new(); nodes],
            last: 0,
            limit: (ALL / nodes.max(1)).min(EACH),
        }
    }

    /// Takes output of the node at this place of the list.
    pub(crate) fn add(&mut self, node: usize, bytes: &[u8]) {
        let Some(tail) = self.nodes.get_mut(node) else {
            return;
        };
        self.last = node;
        tail.extend(&bytes[bytes.len().saturating_sub(self.limit)..]);
        let excess = tail.len().saturating_sub(self.limit);
        tail.drain(..excess);
    }

    /// The last lines that go with this end: those of the node that it names, else those of the
    /// node that printed last. None of a case that did not fail.
    pub(crate) fn of<'a>(
        mut self,
        outcome: &Outcome,
        mut names: impl Iterator<Item = &'a NodeName>,
    ) -> Vec<String> {
        if !outcome.is_failure() {
            return Vec::new();
        }
        let named = outcome.node();
        let named = named.and_then(|node| names.position(|name| name == node));
        self.nodes
            .get_mut(named.unwrap_or(self.last))
            .map_or_else(Vec::new, |tail| last_lines(tail.make_contiguous()))
    }
}

fn last_lines(output: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(output);
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| !line.starts_with(RECORD_PREFIX) && !line.trim().is_empty())
        .map(|line| line.chars().take(LONGEST).collect())
        .collect();
    let excess = lines.len().saturating_sub(LINES);
    lines.drain(..excess);
    lines
}

#[cfg(test)]
mod tests {
    use flagperf_model::{Cause, Stage};

    use super::*;

    #[test]
    fn the_node_that_failed_speaks() {
        let names = ["a", "b", "c"].map(|name| NodeName::new(name).unwrap());
        let full = || {
            let mut tails = Tails::new(names.len());
            tails.add(1, b"b: link is down\n[FlagPerf Record]{}\n");
            tails.add(2, "c: all is well\n".repeat(100).as_bytes());
            tails
        };
        let failed = Outcome::Failed {
            node: names[1].clone(),
            stage: Stage::Run,
            cause: Cause::NoResult,
            also: Vec::new(),
        };
        assert_eq!(full().of(&failed, names.iter()), ["b: link is down"]);
        let late = Outcome::TimedOut { limit_s: 1.0 };
        assert_eq!(
            full().of(&late, names.iter()),
            vec!["c: all is well"; LINES]
        );
        assert!(full().of(&Outcome::Passed, names.iter()).is_empty());
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let mut tails = Tails::new(10_000);
        for _ in 0..10 {
            tails.add(7, &[b'x'; 300]);
        }
        assert_eq!(tails.nodes[7].len(), ALL / 10_000);
    }
}
