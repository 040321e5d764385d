//! Disks, network interfaces and RDMA ports.
//!
//! Which devices get series: each byte should be counted once, and a machine with hundreds of
//! container interfaces must not have thousands of series.

use flagperf_model::Unit;

use super::{Probe, Source, counter, of, stored};
use crate::Root;
use crate::monitor::sensors::Paced;
use crate::parse::devices::{disks, interfaces};
use crate::parse::{only_number, text};
use crate::root::{Held, Scratch};

pub(super) fn probe(probe: &mut Probe<'_>) {
    probe_disks(probe);
    probe_network(probe);
    probe_rdma(probe);
}

/// Names that have series, in the order of the kernel's file.
struct Names(Vec<Vec<u8>>);

impl Names {
    /// The place of a name. Lines keep their order, so it is usually found at or soon behind the
    /// place after the last one found.
    fn find(&self, name: &[u8], from: usize) -> Option<usize> {
        let count = self.0.len();
        (0..count)
            .map(|step| (from + step) % count)
            .find(|place| self.0[*place] == name)
    }
}

/// Totals of whole block devices. `out` is read, written and busy of each device in turn.
struct Disks {
    file: Held,
    names: Names,
}

fn probe_disks(probe: &mut Probe<'_>) {
    let file = match probe.root.hold("proc/diskstats") {
        Ok(file) => file,
        Err(reason) => return probe.lacks("disk.read", reason),
    };
    let mut scratch = Scratch::new();
    let content = file.read_to_end(&mut scratch).unwrap_or_default();
    let names: Vec<Vec<u8>> = disks(content)
        .filter(|disk| {
            let used = disk.read_sectors + disk.written_sectors > 0;
            is_whole_disk(probe.root, &text(disk.name), used)
        })
        .map(|disk| disk.name.to_vec())
        .collect();
    if names.is_empty() {
        return probe.lacks("disk.read", "no disk in /proc/diskstats");
    }
    let series = names
        .iter()
        .map(|name| text(name))
        .flat_map(|name| {
            [
                of(&name, counter("disk.read", Unit::BYTES, 512.0)),
                of(&name, counter("disk.written", Unit::BYTES, 512.0)),
                of(&name, counter("disk.busy", Unit::SECONDS, 1e-3)),
            ]
        })
        .collect();
    let names = Names(names);
    probe.add("/proc/diskstats", series, Disks { file, names });
}

/// Partitions and the hidden paths of a multipath disk are counted in their disk, and a volume
/// that is made of other disks (LVM, software RAID, dm-crypt) in those. Devices that live in
/// memory or in a file are of interest only when something uses them.
fn is_whole_disk(root: &Root, name: &str, used: bool) -> bool {
    let dir = format!("sys/block/{name}");
    if !root.exists(&dir) || root.number(format!("{dir}/hidden")) == Some(1) {
        return false;
    }
    let made_of_others = !root.names(format!("{dir}/slaves")).is_empty();
    let in_memory = ["loop", "ram", "zram"]
        .iter()
        .any(|kind| name.starts_with(kind));
    !made_of_others && (used || !in_memory)
}

impl Source for Disks {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        let Some(content) = self.file.read_to_end(scratch) else {
            return;
        };
        let mut next = 0;
        for disk in disks(content) {
            if let Some(place) = self.names.find(disk.name, next) {
                next = place + 1;
                out[3 * place] = stored(Some(disk.read_sectors));
                out[3 * place + 1] = stored(Some(disk.written_sectors));
                out[3 * place + 2] = stored(Some(disk.busy_ms));
            }
        }
    }
}

/// Totals of network interfaces. `out` is received, sent, errors and dropped of each in turn.
struct Network {
    file: Held,
    names: Names,
}

/// More virtual interfaces than this are the host's ends of other people's containers.
const MOST_VIRTUAL: usize = 8;

fn probe_network(probe: &mut Probe<'_>) {
    let file = match probe.root.hold("proc/net/dev") {
        Ok(file) => file,
        Err(reason) => return probe.lacks("network.received", reason),
    };
    let mut scratch = Scratch::new();
    let content = file.read_to_end(&mut scratch).unwrap_or_default();
    let has_device = |name: &[u8]| {
        let name = text(name);
        probe.root.exists(format!("sys/class/net/{name}/device"))
    };
    let in_use: Vec<&[u8]> = interfaces(content)
        .filter(|i| i.name != b"lo" && (has_device(i.name) || i.received + i.sent > 0))
        .map(|i| i.name)
        .collect();
    let virtuals = in_use.iter().filter(|name| !has_device(name)).count();
    let names: Vec<Vec<u8>> = in_use
        .iter()
        .filter(|name| virtuals <= MOST_VIRTUAL || has_device(name))
        .map(|name| name.to_vec())
        .collect();
    if virtuals > MOST_VIRTUAL {
        let reason = format!("{virtuals} virtual interfaces are left out");
        probe.lacks("network.received", reason);
    }
    if names.is_empty() {
        return probe.lacks("network.received", "no interface but lo in /proc/net/dev");
    }
    let series = names
        .iter()
        .map(|name| text(name))
        .flat_map(|name| {
            [
                of(&name, counter("network.received", Unit::BYTES, 1.0)),
                of(&name, counter("network.sent", Unit::BYTES, 1.0)),
                of(&name, counter("network.errors", Unit::NONE, 1.0)),
                of(&name, counter("network.dropped", Unit::NONE, 1.0)),
            ]
        })
        .collect();
    let names = Names(names);
    probe.add("/proc/net/dev", series, Network { file, names });
}

impl Source for Network {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        let Some(content) = self.file.read_to_end(scratch) else {
            return;
        };
        let mut next = 0;
        for interface in interfaces(content) {
            if let Some(place) = self.names.find(interface.name, next) {
                next = place + 1;
                let values = [
                    interface.received,
                    interface.sent,
                    interface.errors,
                    interface.dropped,
                ];
                for (out, value) in out[4 * place..].iter_mut().zip(values) {
                    *out = stored(Some(value));
                }
            }
        }
    }
}

/// Data counters of RDMA ports. `out` is received and sent of each port in turn.
struct Rdma(Vec<Paced>);

fn probe_rdma(probe: &mut Probe<'_>) {
    let class = "sys/class/infiniband";
    let mut files = Vec::new();
    let mut series = Vec::new();
    let mut missing = None;
    for device in probe.root.names(class) {
        for port in probe.root.names(format!("{class}/{device}/ports")) {
            let counters = format!("{class}/{device}/ports/{port}/counters");
            let both = [("rcv", "rdma.received"), ("xmit", "rdma.sent")];
            for (way, name) in both {
                match probe.root.hold(format!("{counters}/port_{way}_data")) {
                    Ok(file) => {
                        files.push(Paced::sensor(file));
                        // The InfiniBand specification counts in words of four bytes.
                        let bytes = counter(name, Unit::BYTES, 4.0);
                        series.push(of(format!("{device}/{port}"), bytes));
                    }
                    Err(reason) => missing = missing.or(Some(reason)),
                }
            }
        }
    }
    if files.is_empty() {
        let reason = missing.unwrap_or_else(|| format!("/{class} has no device"));
        return probe.lacks(
            "rdma.received",
            format!("no RDMA port in this machine: {reason}"),
        );
    }
    probe.add("infiniband counters", series, Rdma(files));
}

impl Source for Rdma {
    fn sample(&mut self, scratch: &mut Scratch, out: &mut [Option<i64>]) {
        let files = self.0.len();
        for (file, out) in self.0.iter_mut().zip(out) {
            *out = stored(file.read(scratch, files).and_then(only_number));
        }
    }
}
