//! Time series of this machine, sampled by whoever holds the monitor.
//!
//! Everything is found and opened once; a sample is a `pread` of each open file into one buffer
//! and a scan of its bytes. Rates, sums over devices and statistics are the reader's business:
//! totals are stored as the kernel counts them. There is no thread, no timer and no retry here.
//!
//! | series | instance | what is counted |
//! |---|---|---|
//! | `cpu.busy` | none, `cpu0` | seconds in user + nice + system + irq + softirq + steal, guests once |
//! | `cpu.iowait`, `cpu.steal` | none | seconds idle while a disk was at work; seconds that the hypervisor gave to others |
//! | `cpu.frequency` | `cpu0` | MHz of the first processor of each core |
//! | `load.1m`, `.5m`, `.15m`, `.running` | none | the kernel's load averages; tasks that run or could |
//! | `memory.used`, `.available` | none | total less available; available to new work without swapping |
//! | `memory.cached`, `.swap_used` | none | page cache with block device buffers; swap in use |
//! | `pressure.cpu`, `.memory`, `.io` | `some`, `full` | seconds in which some, or all, tasks waited |
//! | `disk.read`, `.written`, `.busy` | `vda` | bytes; seconds with a request under way |
//! | `network.received`, `.sent`, `.errors`, `.dropped` | `eth0` | bytes; packets, both ways |
//! | `rdma.received`, `.sent` | `mlx5_0/1` | bytes of a port's data counters |
//! | `cgroup.cpu`, `.throttled` | none | seconds of processor time; seconds held back by the limit |
//! | `cgroup.memory`, `.working_set` | none | bytes charged; the same less inactive file pages |
//! | `cgroup.pressure_cpu`, `_memory`, `_io` | `some`, `full` | as `pressure`, of the group |
//! | `temperature.<chip>` | `Package id 0` | °C |
//! | `power.energy` | `package-0`, `package-0/dram` | joules, going on where the register wraps |
//! | `power.input` | `power_meter power1` | watts |
//! | `monitor.sampler_cpu`, `.agent_cpu` | none | processor seconds of the thread that samples, and of its process |

mod devices;
mod group;
mod machine;
mod own;
mod sensors;

use std::ops::Range;

use flagperf_model::{Absent, Scope, SeriesDecl, SeriesKind, Unit};

use crate::root::Scratch;
use crate::{Root, thread_cpu_ns};

/// The monitors of one machine, open and ready to be sampled.
///
/// Its series are fixed for its life. A device that comes later has no series; one that goes away
/// leaves gaps.
pub struct Monitor {
    series: Vec<SeriesDecl>,
    absent: Vec<Absent>,
    sources: Vec<Placed>,
    scratch: Scratch,
}

/// What one source of samples costs.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceCost {
    /// The file or the kind of files that it reads.
    pub source: &'static str,
    /// Number of series that come from it.
    pub series: usize,
    /// Mean processor time of one sample, in nanoseconds.
    pub nanos: f64,
}

impl Monitor {
    /// Finds out what this machine shows, and opens it.
    pub fn open(root: &Root) -> Self {
        let mut probe = Probe {
            root,
            series: Vec::new(),
            absent: Vec::new(),
            sources: Vec::new(),
        };
        machine::probe(&mut probe);
        devices::probe(&mut probe);
        group::probe(&mut probe);
        sensors::probe(&mut probe);
        own::probe(&mut probe);
        Self {
            series: probe.series,
            absent: probe.absent,
            sources: probe.sources,
            scratch: Scratch::new(),
        }
    }

    /// What the values of a sample are, in their order.
    pub fn series(&self) -> &[SeriesDecl] {
        &self.series
    }

    /// What this machine does not have or does not show, and why.
    pub fn absent(&self) -> &[Absent] {
        &self.absent
    }

    /// Takes one sample: clears `out` and fills it with one value for each series, `None` for a
    /// gap. Values are whole numbers of the series' resolution.
    ///
    /// A sensor that is slow to read is left out of some samples, so that no kind of sensor takes
    /// more than one percent of the time.
    pub fn sample(&mut self, out: &mut Vec<Option<i64>>) {
        out.clear();
        out.resize(self.series.len(), None);
        for Placed { range, source, .. } in &mut self.sources {
            source.sample(&mut self.scratch, &mut out[range.clone()]);
        }
    }

    /// Samples a number of times and tells what each source costs, for those who want to know
    /// what a monitor does to the machine it watches. A round costs as much as a sample.
    pub fn costs(&mut self, rounds: u32) -> Vec<SourceCost> {
        let mut out = vec![None; self.series.len()];
        let scratch = &mut self.scratch;
        self.sources
            .iter_mut()
            .map(
                |Placed {
                     range,
                     name,
                     source,
                 }| {
                    let before = thread_cpu_ns();
                    for _ in 0..rounds {
                        source.sample(scratch, &mut out[range.clone()]);
                    }
                    SourceCost {
                        source: name,
                        series: range.len(),
                        nanos: (thread_cpu_ns() - before) as f64 / f64::from(rounds.max(1)),
                    }
                },
            )
            .collect()
    }
}

/// A source and where its values go.
struct Placed {
    range: Range<usize>,
    name: &'static str,
    source: Box<dyn Source>,
}

/// Something that gives values for a fixed number of series.
trait Source: Send {
    /// Fills in what can be read now; what stays untouched is a gap. `out` has one place for each
    /// series that was declared with the source.
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]);
}

/// What has been found so far.
struct Probe<'a> {
    root: &'a Root,
    series: Vec<SeriesDecl>,
    absent: Vec<Absent>,
    sources: Vec<Placed>,
}

impl Probe<'_> {
    /// Adds a source with its series.
    fn add(&mut self, name: &'static str, series: Vec<SeriesDecl>, source: impl Source + 'static) {
        let start = self.series.len();
        self.series.extend(series);
        self.sources.push(Placed {
            range: start..self.series.len(),
            name,
            source: Box::new(source),
        });
    }

    /// Notes that a series is missing.
    fn lacks(&mut self, name: &str, reason: impl Into<String>) {
        self.absent.push(Absent {
            name: name.to_owned(),
            reason: reason.into(),
        });
    }
}

/// A total of the machine that only grows.
fn counter(name: &str, unit: Unit, resolution: f64) -> SeriesDecl {
    SeriesDecl {
        name: name.to_owned(),
        instance: None,
        unit,
        kind: SeriesKind::Counter,
        scope: Scope::Machine,
        resolution,
    }
}

/// A state of the machine.
fn gauge(name: &str, unit: Unit, resolution: f64) -> SeriesDecl {
    SeriesDecl {
        kind: SeriesKind::Gauge,
        ..counter(name, unit, resolution)
    }
}

/// Says which of several a series is.
fn of(instance: impl Into<String>, series: SeriesDecl) -> SeriesDecl {
    SeriesDecl {
        instance: Some(instance.into()),
        ..series
    }
}

/// Says whose figure a series is.
fn scoped(scope: Scope, series: SeriesDecl) -> SeriesDecl {
    SeriesDecl { scope, ..series }
}

/// A stored value; one too large for the format is a gap.
fn stored(value: Option<u64>) -> Option<i64> {
    value.and_then(|value| i64::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_monitor_can_move_to_a_sampling_thread() {
        fn is_send<T: Send>() {}
        is_send::<Monitor>();
    }
}
