//! Every pair of ranks on different machines, over TCP.
//!
//! **Counted.** As nccl-tests' sendrecv counts, where algorithm and bus bandwidth are the same: bytes
//! of the messages / time. `interconnect-P2P_interserver-bandwidth` is that of one direction: with two
//! nodes the median over the repetitions of both directions, with more the median over all directions
//! of all pairs, of which each counts with its own median. `-bidirectional`: the bytes of both
//! directions when both ranks send at the same time. `-latency`: half of the median round trip of one
//! byte. `-slowest`: the slowest direction of any pair. `-pair`: every direction, or the ten slowest
//! with more than eight nodes; all of them stand in `pairs.csv`. Slow nodes and slow links are noted, see
//! [`slow`].
//!
//! **Who meets whom.** A tournament: in each round disjoint pairs measure at once, until each pair
//! has met. Pairs at once load the network as a job over all nodes would, and links that several
//! pairs share show it. A pair measures for the duration divided by the number of rounds, at least
//! 0.2 s and at most 10 s; the scan is repeated until a longer duration is over.
//!
//! **How it travels.** A message (4 MiB) is cut into one part for each of several TCP connections,
//! each with a thread of its own on both sides. 4 MiB is more than such a connection keeps on its way at
//! 100 Gbit/s inside a data centre, and small enough to stay in the caches, so that memory is not
//! measured. A transfer is as many messages in succession as take about 50 ms, or a 24th of the
//! pair's time if that is shorter, or 20 round trips if that is longer. On a link on which one message takes longer
//! than that it is shortened, to 64 KiB at least, unless `bytes` was given.
//!
//! **Time.** On the lower rank's clock alone, from its word to start until it knows that all has
//! arrived.
//!
//! **Warm-up.** Transfers both ways of growing size, until they take as long as a transfer shall.
//!
//! **Repetition.** One transfer there, one back, one both ways, a batch of round trips, in turn, for
//! the pair's time and at least three times. The batch takes as long as a transfer; where packets are
//! lost it ends early.
//!
//! **Check.** Each page of a message carries its number, which the receiver compares within the time
//! measured (one word in 512); of the last message each way every word is compared.
//!
//! **Biases that remain.** The time contains one round trip more than the transfer. The kernel's
//! buffers and congestion control are as the machine has them. Processors limit fast links: more
//! connections (`streams`) may be faster. Threads are not pinned.

use std::fs;
use std::path::Path;
use std::time::Duration;

use flagperf_model::{Better, Phase, Unit, Verification, median};

use super::mesh::Mesh;
use super::pair::{Figures, Pair, Plan};
use super::table::Table;
use super::{generous, slow, streams, tournament, with_mesh};
use crate::driver::{CaseError, Context};
use crate::pattern::STAMP_EVERY;
use crate::reporter::{Metric, Reporter};

/// Default message, in bytes.
const MESSAGE: u64 = 4 << 20;

/// Shortest and longest time of a pair. Ranks that rest in a round do nothing at all, and the
/// harness takes a process that does nothing for a minute for one that hangs.
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

const NAME: &str = "interconnect-P2P_interserver";

/// Runs the case.
pub(crate) fn run(context: &mut Context<'_>) -> Result<(), CaseError> {
    let given = context.params.integer("bytes", 4096..=1 << 30)?;
    let bytes = given
        .unwrap_or(MESSAGE)
        .next_multiple_of(STAMP_EVERY as u64) as usize;
    let streams = streams(context)?;
    let free = context.free_memory()?;
    if (bytes as u64) * 2 > free {
        return Err(CaseError::Wrong(format!(
            "two messages of {bytes} bytes are more than the free memory, {free}"
        )));
    }
    with_mesh(context, |context, mesh| {
        let rounds = tournament::rounds(mesh.world());
        let scans = context
            .duration
            .div_duration_f64(LONGEST * rounds)
            .ceil()
            .max(1.0) as u32;
        let plan = Plan {
            tag: 0,
            streams,
            bytes,
            shorten: given.is_none(),
            time: (context.duration / (rounds * scans)).max(SHORTEST),
        };
        context.report.note("nodes", mesh.world().to_string())?;
        context
            .report
            .note("bytes per message", bytes.to_string())?;
        context
            .report
            .note("connections per pair", streams.to_string())?;
        measure(context, mesh, plan, rounds, scans)
    })
}

fn measure(
    context: &mut Context<'_>,
    mesh: &mut Mesh,
    mut plan: Plan,
    rounds: u32,
    scans: u32,
) -> Result<(), CaseError> {
    context.report.phase(Phase::Measure)?;
    let metrics = Metrics::new();
    let mut scan = Scan {
        table: Table::default(),
        left_s: 0.0,
    };
    for round in 0..rounds * scans {
        mesh.enter(
            format!("round {} of {} of the pair scan", round + 1, rounds * scans),
            generous(plan.time),
        );
        mesh.barrier()?;
        plan.tag = round;
        scan.left_s = plan.time.as_secs_f64() * f64::from(rounds * scans - round - 1);
        scan.round(mesh, round % rounds, plan, &metrics, &mut context.report)?;
    }
    context.report.phase(Phase::Verify)?;
    if mesh.rank() == 0 {
        context.report.note("scans", scans.to_string())?;
        report(context, mesh, &scan.table, &metrics)?;
    }
    Ok(())
}

/// What rank 0 knows so far.
struct Scan {
    table: Table,
    /// Seconds that the rounds after this one take.
    left_s: f64,
}

impl Scan {
    /// This rank's pair of a round, if it has one, and the figures of all pairs to rank 0.
    fn round(
        &mut self,
        mesh: &mut Mesh,
        round: u32,
        plan: Plan,
        metrics: &Metrics,
        report: &mut Reporter<'_>,
    ) -> Result<(), CaseError> {
        let rank = mesh.rank();
        let mut found = Vec::new();
        if let Some(peer) = tournament::partner(rank, round, mesh.world()) {
            let mut pair = Pair::connect(mesh, peer, plan)?;
            if rank < peer {
                let known = self.table.rates();
                let figures = pair.lead(|figures, remaining| {
                    if rank == 0 && report.live_is_due() {
                        let rates = [&known[..], &figures.there, &figures.back].concat();
                        let value = median(&rates).unwrap_or_default();
                        let remaining = remaining.max(0.0) + self.left_s;
                        report.live(&metrics.bandwidth, value, remaining)?;
                    }
                    Ok(())
                })?;
                found = figures.encode(peer);
            } else {
                pair.follow()?;
            }
        }
        let Some(all) = mesh.gather(found)? else {
            return Ok(());
        };
        for (rank, body) in (0u32..).zip(all).filter(|(_, body)| !body.is_empty()) {
            let figures = Figures::decode(&body)
                .filter(|(peer, _)| tournament::partner(rank, round, mesh.world()) == Some(*peer));
            let Some((peer, figures)) = figures else {
                return Err(mesh.protocol(rank, "figures that make no sense").into());
            };
            self.table.add(rank, peer, figures);
        }
        Ok(())
    }
}

struct Metrics {
    bandwidth: Metric,
    bidirectional: Metric,
    latency: Metric,
    slowest: Metric,
    pair: Metric,
}

impl Metrics {
    fn new() -> Self {
        let metric = |suffix: &str, unit, better, definition: &str| Metric {
            name: format!("{NAME}-{suffix}"),
            unit,
            better,
            definition: definition.to_owned(),
        };
        let rate = |suffix: &str, definition: &str| {
            metric(suffix, Unit::GB_PER_S, Better::Higher, definition)
        };
        Self {
            bandwidth: rate(
                "bandwidth",
                "bytes sent from one node to another, counted once, divided by the time until the \
                 sender knows that all have arrived; median over all directions of all pairs",
            ),
            bidirectional: rate(
                "bidirectional",
                "bytes of both directions when two nodes send to one another at the same time, \
                 divided by the time until both have all; median over all pairs",
            ),
            latency: metric(
                "latency",
                Unit::MICROSECONDS,
                Better::Lower,
                "half of the median round trip of one byte between two nodes; median over all pairs",
            ),
            slowest: rate(
                "slowest",
                "the bandwidth of the slowest direction of any pair of nodes",
            ),
            pair: rate(
                "pair",
                "the bandwidth of one direction of one pair of nodes",
            ),
        }
    }
}

fn report(
    context: &mut Context<'_>,
    mesh: &Mesh,
    table: &Table,
    metrics: &Metrics,
) -> Result<(), CaseError> {
    let checked = Verification::Checked(format!(
        "numbers in each page of {} messages, every word of the last one each way of each pair",
        table.messages()
    ));
    let names = mesh.names();
    let all = format!("{} nodes", mesh.world());
    let report = &mut context.report;
    let figures = [
        (&metrics.bandwidth, &table.rates()),
        (&metrics.bidirectional, &table.both()),
        (&metrics.latency, &table.latencies()),
    ];
    report.figures(&all, figures, &checked)?;
    if let Some(slowest) = table.directions().first() {
        let link = slowest.name(names);
        report.measurement(&metrics.slowest, &link, slowest.rates, checked.clone())?;
    }
    for direction in table.told(mesh.world()) {
        let link = direction.name(names);
        report.measurement(&metrics.pair, &link, direction.rates, checked.clone())?;
    }
    for (key, text) in slow::notes(&table.directions(), names) {
        report.note(key, text)?;
    }
    let out = context.cluster.as_ref().and_then(|c| c.out.as_deref());
    if let Some(out) = out {
        // The numbers are told already; a table that cannot be kept makes them no worse.
        if let Err(error) = keep(out, &table.csv(names)) {
            let text = format!("cannot be written: {error}");
            report.note("pairs.csv", text)?;
        }
    }
    Ok(())
}

fn keep(directory: &Path, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("pairs.csv"), text)
}
