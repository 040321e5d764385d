//! Which nodes and which links are slow.
//!
//! **The usual rate** is the upper quartile of the rates of all directions, in GB/s: a quarter of them
//! reach it. The median would not do. One slow node among n makes 2/n of all directions slow, with
//! three nodes two thirds of them, and then the median is itself a slow one.
//!
//! **A direction is slow** below 60 % of the usual rate.
//!
//! **A node is slow** in sending if more than three quarters of the directions from it are slow, at
//! least two of them, and alike: not below a quarter of their middle one, as a link would be that
//! has a fault of its own. In receiving likewise. The node with the largest share is named first, and its
//! directions count for no other any more: beside a slow node, those that it keeps waiting are not
//! slow as well. Slow directions that belong to no slow node are **slow links**.
//!
//! **With two nodes** there is one link, whose faster direction is the usual one: only that the two
//! differ can be said. With three nodes, two slow links of one node are that slow node.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use flagperf_model::median;

use super::mesh::Names;
use super::table::Direction;

/// A direction is slow below this share of the usual rate. Healthy ones differ by a tenth, on
/// machines shared with others by a third; a link that has fallen back to a lower speed mostly has
/// half or less.
const SLOW: f64 = 0.6;

/// A node is slow if so many of four of its directions are, and more.
const QUARTERS: usize = 3;

/// Directions of a slow node are not slower than its middle one by more than this.
const ALIKE: f64 = 4.0;

/// Most slow nodes that are named, each way.
const MOST_NAMED: usize = 10;

/// What a node does slowly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Sends,
    Receives,
}

/// An end of a direction.
type End = (u32, Side);

/// What is to be told, as key and text of notes: `slow node`, `slow link`, both or neither. The
/// directions begin with the slowest.
pub(super) fn notes(directions: &[Direction<'_>], names: &Names) -> Vec<(&'static str, String)> {
    let Some(usual) = usual(directions) else {
        return Vec::new();
    };
    let nodes = slow_nodes(directions, SLOW * usual);
    let mut notes = Vec::new();
    if !nodes.is_empty() {
        notes.push(("slow node", told(&nodes, directions, usual, names)));
    }
    let links: Vec<&Direction<'_>> = directions
        .iter()
        .filter(|d| d.rate < SLOW * usual && !belongs(d, &nodes))
        .collect();
    if let Some(slowest) = links.first() {
        let more = match links.len() - 1 {
            0 => String::new(),
            1 => "; 1 more direction is slow".to_owned(),
            more => format!("; {more} more directions are slow"),
        };
        let (name, rate) = (slowest.name(names), compared(slowest.rate, usual));
        notes.push(("slow link", format!("{name}: {rate}{more}")));
    }
    notes
}

/// The upper quartile, by the nearest rank; the directions begin with the slowest.
fn usual(directions: &[Direction<'_>]) -> Option<f64> {
    let at = directions.len().checked_sub(directions.len().div_ceil(4))?;
    directions.get(at).map(|direction| direction.rate)
}

/// The slow nodes, in the order in which they were found.
fn slow_nodes(directions: &[Direction<'_>], limit: f64) -> Vec<End> {
    let mut found: Vec<End> = Vec::new();
    while found.len() < MOST_NAMED * 2 {
        // The rates of each end, the slowest first.
        let mut rates: BTreeMap<End, Vec<f64>> = BTreeMap::new();
        for direction in directions.iter().filter(|d| !belongs(d, &found)) {
            for end in ends(direction) {
                rates.entry(end).or_default().push(direction.rate);
            }
        }
        let worst = rates
            .into_iter()
            .map(|(end, rates)| {
                let alike = rates[rates.len() / 2] / ALIKE;
                let slow = rates.iter().filter(|rate| (alike..limit).contains(*rate));
                (end, slow.count(), rates.len())
            })
            .filter(|(_, slow, all)| *slow >= 2 && slow * 4 > all * QUARTERS)
            .max_by_key(|(end, slow, all)| (slow * 1000 / all, *slow, Reverse(*end)));
        match worst {
            Some((end, ..)) => found.push(end),
            None => break,
        }
    }
    found
}

fn ends(direction: &Direction<'_>) -> [End; 2] {
    [
        (direction.from, Side::Sends),
        (direction.to, Side::Receives),
    ]
}

/// Whether it is a direction of one of these ends.
fn belongs(direction: &Direction<'_>, found: &[End]) -> bool {
    ends(direction).iter().any(|end| found.contains(end))
}

fn told(nodes: &[End], directions: &[Direction<'_>], usual: f64, names: &Names) -> String {
    let mut by_node: BTreeMap<u32, Vec<Side>> = BTreeMap::new();
    for (rank, side) in nodes {
        by_node.entry(*rank).or_default().push(*side);
    }
    let texts = by_node.into_iter().map(|(rank, sides)| {
        let verb = match sides[..] {
            [Side::Sends] => "sends",
            [Side::Receives] => "receives",
            _ => "sends and receives",
        };
        let own = |d: &&Direction<'_>| {
            let of = |(of, side): End| of == rank && sides.contains(&side);
            ends(d).into_iter().any(of)
        };
        let rates: Vec<f64> = directions.iter().filter(own).map(|d| d.rate).collect();
        let rate = median(&rates).unwrap_or_default();
        format!("{} {verb} at {}", names.node(rank), compared(rate, usual))
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn compared(rate: f64, usual: f64) -> String {
    format!(
        "{} GB/s, {:.0} % of the usual {} GB/s",
        digits(rate),
        100.0 * rate / usual,
        digits(usual)
    )
}

/// Three significant digits, so that a slow link does not become 0.
fn digits(value: f64) -> String {
    if value >= 100.0 || value <= 0.0 {
        return format!("{value:.0}");
    }
    let decimals = (2 - value.log10().floor() as i32).clamp(0, 12) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(world: u32) -> Names {
        Names::new((1..=world).map(|i| format!("node{i}")).collect())
    }

    /// The notes of nodes whose directions have these rates.
    fn notes_of(world: u32, rate: impl Fn(u32, u32) -> f64) -> Vec<(&'static str, String)> {
        let mut directions: Vec<Direction<'_>> = (0..world)
            .flat_map(|from| (0..world).map(move |to| (from, to)))
            .filter(|(from, to)| from != to)
            .map(|(from, to)| Direction {
                from,
                to,
                rate: rate(from, to),
                rates: &[],
            })
            .collect();
        directions.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        notes(&directions, &names(world))
    }

    fn note(key: &'static str, text: &str) -> (&'static str, String) {
        (key, text.to_owned())
    }

    #[test]
    fn a_slow_node_is_told_from_its_links_from_three_nodes_on() {
        for world in [3, 4, 5, 8, 40] {
            let both = notes_of(world, |from, to| {
                if from.max(to) == 2 || from.min(to) == 2 {
                    0.025
                } else {
                    2.5
                }
            });
            let expected = "node3 sends and receives at 0.0250 GB/s, 1 % of the usual 2.50 GB/s";
            assert_eq!(both, [note("slow node", expected)], "{world}");
            let one_way = notes_of(world, |from, _| if from == 1 { 1.25 } else { 2.5 });
            let expected = "node2 sends at 1.25 GB/s, 50 % of the usual 2.50 GB/s";
            assert_eq!(one_way, [note("slow node", expected)], "{world}");
            let other_way = notes_of(world, |_, to| if to == 0 { 1.25 } else { 2.5 });
            let expected = "node1 receives at 1.25 GB/s, 50 % of the usual 2.50 GB/s";
            assert_eq!(other_way, [note("slow node", expected)], "{world}");
        }
    }

    #[test]
    fn a_slow_link_is_told_from_its_nodes_from_three_nodes_on() {
        for world in [3, 4, 5, 8, 40] {
            let both = notes_of(world, |from, to| match (from, to) {
                (0, 2) => 1.2,
                (2, 0) => 1.3,
                _ => 3.5,
            });
            let expected =
                "node1>node3: 1.20 GB/s, 34 % of the usual 3.50 GB/s; 1 more direction is slow";
            assert_eq!(both, [note("slow link", expected)], "{world}");
        }
    }

    #[test]
    fn a_slow_node_hides_no_slow_link() {
        let found = notes_of(5, |from, to| match (from, to) {
            (4, _) | (_, 4) => 0.5,
            (0, 1) => 0.55,
            _ => 1.0,
        });
        let node = "node5 sends and receives at 0.500 GB/s, 50 % of the usual 1.00 GB/s";
        let link = "node1>node2: 0.550 GB/s, 55 % of the usual 1.00 GB/s";
        assert_eq!(found, [note("slow node", node), note("slow link", link)]);
    }

    #[test]
    fn a_broken_link_beside_a_busy_one_is_no_slow_node() {
        let found = notes_of(3, |from, to| match (from, to) {
            (0, 2) => 0.005,
            (0, 1) => 1.7,
            _ => 3.0,
        });
        let text =
            "node1>node3: 0.00500 GB/s, 0 % of the usual 3.00 GB/s; 1 more direction is slow";
        assert_eq!(found, [note("slow link", text)]);
    }

    #[test]
    fn two_slow_nodes_do_not_make_the_others_slow() {
        let found = notes_of(6, |from, to| if from.max(to) >= 4 { 0.1 } else { 1.0 });
        let text = "node5 sends and receives at 0.100 GB/s, 10 % of the usual 1.00 GB/s; \
                    node6 sends and receives at 0.100 GB/s, 10 % of the usual 1.00 GB/s";
        assert_eq!(found, [note("slow node", text)]);
    }

    #[test]
    fn of_two_nodes_only_the_difference_can_be_told() {
        assert_eq!(notes_of(2, |_, _| 0.01), []);
        assert_eq!(notes_of(2, |from, _| if from == 0 { 1.0 } else { 0.7 }), []);
        let found = notes_of(2, |from, _| if from == 0 { 1.0 } else { 0.1 });
        let expected = "node2>node1: 0.100 GB/s, 10 % of the usual 1.00 GB/s";
        assert_eq!(found, [note("slow link", expected)]);
        assert_eq!(notes(&[], &names(2)), []);
    }

    #[test]
    fn digits_of_small_and_large_rates() {
        let texts = [0.012_345, 1.2, 34.56, 345.6].map(digits);
        assert_eq!(texts, ["0.0123", "1.20", "34.6", "346"]);
    }

    proptest! {
        #[test]
        fn noise_is_not_slow(world in 2u32..12, seed: u64) {
            let noisy = |from: u32, to: u32| {
                let mixed = (seed ^ u64::from(from * 100 + to)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                1.0 + (mixed >> 54) as f64 / 1024.0 * 0.6
            };
            prop_assert_eq!(notes_of(world, noisy), []);
        }
    }
}
