//! Many numbers of one metric side by side, as from 64 nodes: their middle, their ends, and those
//! that stand out.

use std::collections::HashSet;

use flagperf_model::{Better, Spread, median};

use crate::number::{percent, significant};
use crate::rows::{Key, Value};

/// One of the numbers and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) value: f64,
}

/// The numbers of a metric over nodes, ranks or links.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Across {
    /// In the order of nodes and ranks.
    pub(crate) members: Vec<Member>,
    pub(crate) unit: String,
    /// From member to member.
    pub(crate) spread: Spread,
    /// How many of what: `64 nodes`.
    pub(crate) count: String,
    /// The places of those that are far from the median on the bad side, the farthest first.
    pub(crate) outlying: Vec<usize>,
}

/// A number stands out if it is this many standard deviations from the median, ...
const FAR: f64 = 5.0;
/// ... which are estimated from the median distance to it, that a few strangers do not change: for
/// normally distributed numbers the standard deviation is this many times as large.
const DEVIATIONS: f64 = 1.4826;
/// ... and by at least this share of the median: a difference that does not matter is none.
const MATTERS: f64 = 0.05;

/// So many that stand out are named.
pub(crate) const NAMED: usize = 4;

impl Across {
    /// `None` without members, or if one is not a finite number.
    pub(crate) fn of(
        members: Vec<Member>,
        unit: &str,
        better: Better,
        count: String,
    ) -> Option<Self> {
        let values: Vec<f64> = members.iter().map(|member| member.value).collect();
        Some(Self {
            spread: Spread::of(&values)?,
            outlying: outlying(&values, better),
            members,
            unit: unit.to_owned(),
            count,
        })
    }

    /// The median, with the spread from member to member.
    pub(crate) fn value(&self) -> Value {
        Value {
            number: self.spread.median,
            unit: self.unit.clone(),
            spread: Some(self.spread),
        }
    }

    fn end(&self, value: f64) -> &Member {
        let mut members = self.members.iter();
        let found = members.find(|member| member.value.total_cmp(&value).is_eq());
        found.unwrap_or(&self.members[0])
    }

    /// The smallest.
    pub(crate) fn lowest(&self) -> &Member {
        self.end(self.spread.min)
    }

    /// The largest.
    pub(crate) fn highest(&self) -> &Member {
        self.end(self.spread.max)
    }

    /// `17.12 (node17) to 21.48 (node6)`.
    pub(crate) fn range(&self) -> String {
        if self.spread.min >= self.spread.max {
            return format!("all {}", significant(self.spread.min));
        }
        let end = |member: &Member| format!("{} ({})", significant(member.value), member.name);
        format!("{} to {}", end(self.lowest()), end(self.highest()))
    }

    /// True if a member of this value is among those that stand out.
    pub(crate) fn stands_out(&self, value: f64) -> bool {
        let mut outlying = self.outlying.iter();
        outlying.any(|place| self.members[*place].value.total_cmp(&value).is_eq())
    }

    /// How far a member is from the median: `20.0 % below the median`.
    pub(crate) fn distance(&self, member: &Member) -> String {
        let median = self.spread.median;
        let side = if member.value < median {
            "below"
        } else {
            "above"
        };
        if median == 0.0 {
            return format!("{side} the median");
        }
        let share = ((member.value - median) / median).abs();
        format!("{} % {side} the median", percent(share))
    }

    /// `node17 (20.0 % below the median), …`, or `None` if none stands out.
    pub(crate) fn outlying_words(&self) -> Option<String> {
        let named = self.outlying.iter().take(NAMED).map(|place| {
            let member = &self.members[*place];
            format!("{} ({})", member.name, self.distance(member))
        });
        let words = named.collect::<Vec<_>>().join(", ");
        match self.outlying.len() {
            0 => None,
            n if n > NAMED => Some(format!("{words} and {} more", n - NAMED)),
            _ => Some(words),
        }
    }
}

/// What tells the numbers of a metric apart.
pub(crate) struct Apart {
    keys: usize,
    nodes: usize,
    ranks: usize,
    links: bool,
}

impl Apart {
    pub(crate) fn of(keys: &[Key<'_>]) -> Self {
        let nodes: HashSet<_> = keys.iter().map(|key| key.1).collect();
        let ranks: HashSet<_> = keys.iter().map(|key| key.2).collect();
        Self {
            keys: keys.len(),
            nodes: nodes.len(),
            ranks: ranks.len(),
            links: keys
                .iter()
                .all(|key| key.3.is_some_and(|device| device.contains('>'))),
        }
    }

    pub(crate) fn name(&self, (_, node, rank, device): Key<'_>) -> String {
        let mut parts = Vec::new();
        if self.nodes > 1 {
            parts.push(node.to_string());
        }
        if self.keys > self.nodes {
            if self.ranks > 1 {
                parts.extend(rank.map(|rank| format!("rank {rank}")));
            }
            // Ranks of a node are told apart by their numbers already.
            if self.ranks == 1 || self.keys > self.nodes * self.ranks {
                parts.extend(device.map(str::to_owned));
            }
        }
        parts.join(" ")
    }

    /// `64 nodes`, `63 of 64 nodes`, `128 ranks on 64 nodes`, `56 links`.
    pub(crate) fn count(&self, planned: usize) -> String {
        let nodes = if self.nodes < planned {
            format!("{} of {planned} nodes", self.nodes)
        } else {
            format!("{} nodes", self.nodes)
        };
        let what = if self.links {
            "links"
        } else if self.keys == self.nodes * self.ranks {
            "ranks"
        } else {
            "devices"
        };
        match self.nodes {
            1 => format!("{} {what}", self.keys),
            n if n == self.keys => nodes,
            _ => format!("{} {what} on {nodes}", self.keys),
        }
    }
}

fn outlying(values: &[f64], better: Better) -> Vec<usize> {
    let Some(middle) = median(values) else {
        return Vec::new();
    };
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    let usual = median(&distances).unwrap_or(0.0) * DEVIATIONS;
    let far = (usual * FAR).max(middle.abs() * MATTERS);
    let bad = |value: f64| match better {
        Better::Higher => value < middle,
        Better::Lower => value > middle,
        Better::Neither => true,
    };
    let mut found: Vec<usize> = (0..values.len())
        .filter(|place| distances[*place] > far && bad(values[*place]))
        .collect();
    found.sort_by(|a, b| distances[*b].total_cmp(&distances[*a]));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sixty-four numbers that vary by a percent.
    fn usual() -> Vec<f64> {
        (0..64).map(|i| 20.0 + 0.01 * f64::from(i % 21)).collect()
    }

    #[test]
    fn only_what_is_far_on_the_bad_side_stands_out() {
        let mut values = usual();
        assert!(outlying(&values, Better::Neither).is_empty());
        values[17] = 16.0;
        values[40] = 10.0;
        values[50] = 30.0;
        assert_eq!(outlying(&values, Better::Higher), [40, 17]);
        assert_eq!(outlying(&values, Better::Lower), [50]);
        assert_eq!(outlying(&values, Better::Neither), [40, 50, 17]);
    }

    #[test]
    fn a_difference_that_does_not_matter_is_none() {
        let mut values = vec![20.0; 64];
        values[3] = 19.5;
        assert!(outlying(&values, Better::Higher).is_empty());
        values[3] = 18.9;
        assert_eq!(outlying(&values, Better::Higher), [3]);
    }

    #[test]
    fn numbers_that_vary_widely_have_no_strangers() {
        let values: Vec<f64> = (0..64).map(|i| 10.0 + f64::from(i) * 0.2).collect();
        assert!(outlying(&values, Better::Higher).is_empty());
    }
}
