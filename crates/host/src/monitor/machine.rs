//! Processors, load, memory and pressure of the whole machine.

use flagperf_model::Unit;
use rustix::param::clock_ticks_per_second;

use super::{Probe, Source, counter, gauge, of, stored};
use crate::cpu::core_cpus;
use crate::monitor::sensors::Paced;
use crate::parse::cputime::cpu_times;
use crate::parse::load::{load, pressure};
use crate::parse::meminfo::MemInfo;
use crate::parse::only_number;
use crate::root::{Held, Scratch};

pub(super) fn probe(probe: &mut Probe<'_>) {
    probe_cpu(probe);
    probe_frequency(probe);
    probe_load(probe);
    probe_memory(probe);
    for what in ["cpu", "memory", "io"] {
        let file = format!("proc/pressure/{what}");
        let name = format!("pressure.{what}");
        probe_pressure(
            probe,
            &file,
            "/proc/pressure",
            &counter(&name, Unit::SECONDS, 1e-6),
        );
    }
}

/// Processor time from `/proc/stat`. `out` is total busy, total iowait, total steal, then busy of
/// each processor.
struct Cpu {
    file: Held,
    /// Processors that have a series, rising.
    cpus: Vec<u32>,
    /// No more of the file is needed.
    bytes: usize,
    iowait: u64,
}

/// A line of `/proc/stat` has at most ten numbers and a name; a tick count stays below 17 digits.
const CPU_LINE: usize = 10 * 18 + 16;

fn probe_cpu(probe: &mut Probe<'_>) {
    let file = match probe.root.hold("proc/stat") {
        Ok(file) => file,
        Err(reason) => return probe.lacks("cpu.busy", reason),
    };
    let mut scratch = Scratch::new();
    let text = file.read(&mut scratch).unwrap_or_default();
    let cpus: Vec<u32> = cpu_times(text).filter_map(|times| times.cpu).collect();
    if cpu_times(text).next().is_none() {
        return probe.lacks("cpu.busy", "/proc/stat has no line for processors");
    }
    let tick = 1.0 / clock_ticks_per_second() as f64;
    let seconds = |name| counter(name, Unit::SECONDS, tick);
    let mut series = vec![
        seconds("cpu.busy"),
        seconds("cpu.iowait"),
        seconds("cpu.steal"),
    ];
    series.extend(
        cpus.iter()
            .map(|cpu| of(format!("cpu{cpu}"), seconds("cpu.busy"))),
    );
    let bytes = (cpus.len() + 1) * CPU_LINE;
    let source = Cpu {
        file,
        cpus,
        bytes,
        iowait: 0,
    };
    probe.add("/proc/stat", series, source);
}

impl Source for Cpu {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        let Some(text) = self.file.read_start(scratch, self.bytes) else {
            return;
        };
        for times in cpu_times(text) {
            match times.cpu {
                None => {
                    // proc(5): iowait "may decrease in certain conditions", a counter must not.
                    self.iowait = self.iowait.max(times.iowait);
                    out[0] = stored(Some(times.busy));
                    out[1] = stored(Some(self.iowait));
                    out[2] = stored(Some(times.steal));
                }
                Some(cpu) => {
                    if let Ok(place) = self.cpus.binary_search(&cpu) {
                        out[3 + place] = stored(Some(times.busy));
                    }
                }
            }
        }
    }
}

/// Frequencies take processor time, and a large machine has hundreds of them: with this rest all
/// of them together never take more than a quarter of a percent of one processor.
const FREQUENCY_REST: u64 = 400;

/// Frequency of one processor of each core, in kHz.
struct Frequency(Vec<Paced>);

fn probe_frequency(probe: &mut Probe<'_>) {
    let mut files = Vec::new();
    let mut series = Vec::new();
    let mut missing = None;
    for cpu in core_cpus(probe.root) {
        let path = format!("sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq");
        match probe.root.hold(path) {
            Ok(file) => {
                files.push(Paced::resting(file, FREQUENCY_REST));
                let mhz = gauge("cpu.frequency", Unit::MEGAHERTZ, 1e-3);
                series.push(of(format!("cpu{cpu}"), mhz));
            }
            Err(reason) => missing = missing.or(Some(reason)),
        }
    }
    if files.is_empty() {
        let reason =
            missing.unwrap_or_else(|| "/sys/devices/system/cpu/online does not exist".into());
        return probe.lacks(
            "cpu.frequency",
            format!("no frequency driver in this machine: {reason}"),
        );
    }
    probe.add("cpufreq", series, Frequency(files));
}

impl Source for Frequency {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        let files = self.0.len();
        for (file, out) in self.0.iter_mut().zip(out) {
            *out = stored(file.read(scratch, files).and_then(only_number));
        }
    }
}

struct LoadAverage(Held);

fn probe_load(probe: &mut Probe<'_>) {
    match probe.root.hold("proc/loadavg") {
        Ok(file) => {
            let average = |name| gauge(name, Unit::NONE, 0.01);
            let series = vec![
                average("load.1m"),
                average("load.5m"),
                average("load.15m"),
                gauge("load.running", Unit::NONE, 1.0),
            ];
            probe.add("/proc/loadavg", series, LoadAverage(file));
        }
        Err(reason) => probe.lacks("load.1m", reason),
    }
}

impl Source for LoadAverage {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        if let Some(load) = self.0.read(scratch).and_then(load) {
            for (out, average) in out.iter_mut().zip(load.averages) {
                *out = stored(Some(average));
            }
            out[3] = stored(Some(load.running));
        }
    }
}

struct Memory(Held);

fn probe_memory(probe: &mut Probe<'_>) {
    match probe.root.hold("proc/meminfo") {
        Ok(file) => {
            let names = [
                "memory.used",
                "memory.available",
                "memory.cached",
                "memory.swap_used",
            ];
            let series = names.map(|name| gauge(name, Unit::BYTES, 1024.0)).to_vec();
            probe.add("/proc/meminfo", series, Memory(file));
        }
        Err(reason) => probe.lacks("memory.used", reason),
    }
}

impl Source for Memory {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        if let Some(text) = self.0.read(scratch) {
            let info = MemInfo::parse(text);
            out[0] = stored(info.used());
            out[1] = stored(info.available());
            out[2] = stored(info.cached());
            out[3] = stored(info.swap_used());
        }
    }
}

/// Stall times from one pressure file. `out` is some and, where the file has it, full.
struct PressureFile(Held);

/// Adds the series of a pressure file; `decl` says everything but the instance.
pub(super) fn probe_pressure(
    probe: &mut Probe<'_>,
    path: &str,
    source: &'static str,
    decl: &flagperf_model::SeriesDecl,
) {
    let file = match probe.root.hold(path) {
        Ok(file) => file,
        Err(reason) => {
            return probe.lacks(&decl.name, format!("no pressure information: {reason}"));
        }
    };
    let mut scratch = Scratch::new();
    let found = file.read(&mut scratch).map(pressure).unwrap_or_default();
    if found.some.is_none() {
        return probe.lacks(&decl.name, format!("/{path} does not hold what it should"));
    }
    let mut series = vec![of("some", decl.clone())];
    series.extend(found.full.map(|_| of("full", decl.clone())));
    probe.add(source, series, PressureFile(file));
}

impl Source for PressureFile {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        if let Some(found) = self.0.read(scratch).map(pressure) {
            for (out, total) in out.iter_mut().zip([found.some, found.full]) {
                *out = stored(total);
            }
        }
    }
}
