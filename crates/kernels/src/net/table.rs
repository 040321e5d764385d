//! The figures of all pairs, and what is told of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use flagperf_model::{Spread, median};

use super::mesh::Names;
use super::pair::Figures;

/// With more nodes than this not every direction is told, only the slowest ones.
const MOST_NODES: u32 = 8;

/// How many of them.
const SLOWEST: usize = 10;

/// Most repetitions of a figure that travel to rank 0 at a time.
const MOST_VALUES: usize = 1000;

/// All pairs, the lower rank first.
#[derive(Debug, Default)]
pub(super) struct Table {
    pairs: BTreeMap<(u32, u32), Figures>,
}

/// One direction of a pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Direction<'a> {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Median of the repetitions, GB/s.
    pub(super) rate: f64,
    /// The repetitions.
    pub(super) rates: &'a [f64],
}

impl Direction<'_> {
    /// As a device is named.
    pub(super) fn name(&self, names: &Names) -> String {
        format!("{}>{}", names.node(self.from), names.node(self.to))
    }
}

impl Table {
    /// Adds what a pair found; more of the same pair is put behind it.
    pub(super) fn add(&mut self, lower: u32, higher: u32, more: Figures) {
        let known = self.pairs.entry((lower, higher)).or_default();
        known.there.extend(more.there);
        known.back.extend(more.back);
        known.both.extend(more.both);
        known.latency.extend(more.latency);
        known.messages += more.messages;
    }

    /// Messages that were compared.
    pub(super) fn messages(&self) -> u64 {
        self.pairs.values().map(|figures| figures.messages).sum()
    }

    /// Every direction of every pair, the slowest first.
    pub(super) fn directions(&self) -> Vec<Direction<'_>> {
        let mut all: Vec<Direction<'_>> = self
            .pairs
            .iter()
            .flat_map(|((lower, higher), figures)| {
                let one = |from: &u32, to: &u32, rates| direction(*from, *to, rates);
                [
                    one(lower, higher, &figures.there),
                    one(higher, lower, &figures.back),
                ]
            })
            .flatten()
            .collect();
        all.sort_by(|one, other| one.rate.total_cmp(&other.rate));
        all
    }

    /// The rates of one direction, for the median over pairs; with one pair, its repetitions.
    pub(super) fn rates(&self) -> Vec<f64> {
        if let Some(figures) = self.only() {
            return [&figures.there[..], &figures.back].concat();
        }
        self.directions().iter().map(|d| d.rate).collect()
    }

    /// The rates of both directions at once, likewise.
    pub(super) fn both(&self) -> Vec<f64> {
        self.of(|figures| &figures.both)
    }

    /// The latencies, likewise.
    pub(super) fn latencies(&self) -> Vec<f64> {
        self.of(|figures| &figures.latency)
    }

    /// The directions to be told one by one, the slowest first.
    pub(super) fn told(&self, world: u32) -> Vec<Direction<'_>> {
        let mut all = self.directions();
        if world > MOST_NODES {
            all.truncate(SLOWEST);
        }
        all
    }

    /// The whole table as comma-separated values, one direction a line.
    pub(super) fn csv(&self, names: &Names) -> String {
        let mut text = String::from(
            "from,to,from_rank,to_rank,bandwidth_gb_s,min_gb_s,max_gb_s,repetitions,\
             bidirectional_gb_s,latency_us\n",
        );
        for ((lower, higher), figures) in &self.pairs {
            let both = number(median(&figures.both));
            let latency = number(median(&figures.latency));
            for (from, to, rates) in [
                (*lower, *higher, &figures.there),
                (*higher, *lower, &figures.back),
            ] {
                let spread = Spread::of(rates);
                // Writing to a string cannot fail.
                let _written = writeln!(
                    text,
                    "{},{},{from},{to},{},{},{},{},{both},{latency}",
                    field(names.node(from)),
                    field(names.node(to)),
                    number(spread.map(|s| s.median)),
                    number(spread.map(|s| s.min)),
                    number(spread.map(|s| s.max)),
                    rates.len(),
                );
            }
        }
        text
    }

    fn only(&self) -> Option<&Figures> {
        (self.pairs.len() == 1)
            .then(|| self.pairs.values().next())
            .flatten()
    }

    fn of(&self, part: impl Fn(&Figures) -> &Vec<f64>) -> Vec<f64> {
        match self.only() {
            Some(figures) => part(figures).clone(),
            None => self
                .pairs
                .values()
                .filter_map(|f| median(part(f)))
                .collect(),
        }
    }
}

impl Figures {
    /// For the way to rank 0: numbers as eight bytes, lowest first, each list behind its length.
    pub(super) fn encode(&self, peer: u32) -> Vec<u8> {
        let mut body = peer.to_le_bytes().to_vec();
        body.extend(self.messages.to_le_bytes());
        for list in [&self.there, &self.back, &self.both, &self.latency] {
            let step = list.len().div_ceil(MOST_VALUES).max(1);
            let kept: Vec<&f64> = list.iter().step_by(step).collect();
            body.extend((kept.len() as u32).to_le_bytes());
            body.extend(kept.into_iter().flat_map(|value| value.to_le_bytes()));
        }
        body
    }

    /// The peer and the figures; `None` if the bytes are something else.
    pub(super) fn decode(body: &[u8]) -> Option<(u32, Self)> {
        let (peer, rest) = body.split_first_chunk()?;
        let (messages, mut rest) = rest.split_first_chunk()?;
        let mut list = || {
            let (length, after) = rest.split_first_chunk()?;
            let bytes = (u32::from_le_bytes(*length) as usize).checked_mul(8)?;
            let (values, after) = after.split_at_checked(bytes)?;
            rest = after;
            let values = values.chunks_exact(8).map(|bytes| bytes.try_into().ok());
            let values: Option<Vec<f64>> = values.map(|b| b.map(f64::from_le_bytes)).collect();
            values.filter(|values| values.iter().all(|value| value.is_finite()))
        };
        let figures = Self {
            there: list()?,
            back: list()?,
            both: list()?,
            latency: list()?,
            messages: u64::from_le_bytes(*messages),
        };
        rest.is_empty()
            .then_some((u32::from_le_bytes(*peer), figures))
    }
}

fn direction(from: u32, to: u32, rates: &[f64]) -> Option<Direction<'_>> {
    let rate = median(rates)?;
    Some(Direction {
        from,
        to,
        rate,
        rates,
    })
}

fn number(value: Option<f64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(world: u32) -> Names {
        Names::new((0..world).map(|rank| format!("node{rank:02}")).collect())
    }

    /// Every pair at 3.5 GB/s there and a little more back.
    fn table(world: u32) -> Table {
        let mut table = Table::default();
        for higher in 0..world {
            for lower in 0..higher {
                table.add(
                    lower,
                    higher,
                    Figures {
                        there: vec![3.4, 3.5, 3.6],
                        back: vec![3.5],
                        both: vec![6.0],
                        latency: vec![20.0, 10.0],
                        messages: 4,
                    },
                );
            }
        }
        table
    }

    fn slow(table: &mut Table, lower: u32, higher: u32, rate: f64) {
        table.pairs.get_mut(&(lower, higher)).unwrap().back = vec![rate];
    }

    #[test]
    fn of_many_directions_the_slowest_are_told() {
        let mut table = table(20);
        slow(&mut table, 3, 17, 1.2);
        assert_eq!(table.directions()[0].name(&names(20)), "node17>node03");
        assert_eq!(table.told(20).len(), 10);
    }

    #[test]
    fn of_two_nodes_the_repetitions_count() {
        let mut table = table(2);
        slow(&mut table, 0, 1, 0.1);
        assert_eq!(table.rates(), [3.4, 3.5, 3.6, 0.1]);
        assert_eq!(table.latencies(), [20.0, 10.0]);
        assert_eq!(table.told(2).len(), 2);
        assert_eq!(table.messages(), 4);
    }

    #[test]
    fn with_more_nodes_the_pairs_count() {
        let table = table(3);
        assert_eq!(table.rates(), [3.5; 6]);
        assert_eq!(table.both(), [6.0; 3]);
        assert_eq!(table.latencies(), [15.0; 3]);
        assert_eq!(table.messages(), 12);
        assert_eq!(table.told(3).len(), 6);
    }

    #[test]
    fn the_table_as_text() {
        let text = table(2).csv(&Names::new(vec!["a".to_owned(), "b,c".to_owned()]));
        assert_eq!(
            text,
            "from,to,from_rank,to_rank,bandwidth_gb_s,min_gb_s,max_gb_s,repetitions,\
             bidirectional_gb_s,latency_us\n\
             a,\"b,c\",0,1,3.5,3.4,3.6,3,6,15\n\
             \"b,c\",a,1,0,3.5,3.5,3.5,1,6,15\n"
        );
    }

    #[test]
    fn long_lists_are_thinned_on_their_way() {
        let there = (0..2500).map(f64::from).collect();
        let figures = Figures {
            there,
            ..Figures::default()
        };
        let (_, read) = Figures::decode(&figures.encode(1)).unwrap();
        assert_eq!((read.there.len(), read.there[1]), (834, 3.0));
    }

    proptest! {
        #[test]
        fn figures_travel(
            there in prop::collection::vec(0.0f64..1e3, 0..9),
            latency in prop::collection::vec(0.0f64..1e3, 0..9),
            messages: u64,
            peer: u32
        ) {
            let figures = Figures { there, latency, messages, ..Figures::default() };
            prop_assert_eq!(Figures::decode(&figures.encode(peer)), Some((peer, figures)));
        }

        #[test]
        fn any_bytes_are_read(body: Vec<u8>) {
            let _figures = Figures::decode(&body);
        }
    }
}
