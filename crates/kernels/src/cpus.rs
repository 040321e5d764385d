//! Which processors this process may use, and how large their caches are.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::thread::{CpuSet, sched_getaffinity};

/// The processors in this thread's affinity mask, rising.
pub(crate) fn allowed() -> rustix::io::Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU)
        .filter(|cpu| set.is_set(*cpu))
        .collect())
}

/// Bytes of all last-level caches of the machine together, found below `sys` (`/sys`).
///
/// `None` if the kernel does not say, as in some virtual machines. A cache shared by several
/// processors is counted once.
pub(crate) fn last_level_cache(sys: &Path) -> Option<u64> {
    let mut caches: BTreeSet<(u32, String, u64)> = BTreeSet::new();
    for cpu in fs::read_dir(sys.join("devices/system/cpu")).ok()?.flatten() {
        let Ok(indices) = fs::read_dir(cpu.path().join("cache")) else {
            continue;
        };
        for index in indices.flatten() {
            let text = |file: &str| fs::read_to_string(index.path().join(file)).ok();
            let (Some(level), Some(sharers), Some(size), Some(kind)) = (
                text("level").and_then(|t| t.trim().parse().ok()),
                text("shared_cpu_list"),
                text("size").and_then(|t| cache_size(t.trim())),
                text("type"),
            ) else {
                continue;
            };
            if kind.trim() != "Instruction" {
                caches.insert((level, sharers, size));
            }
        }
    }
    let last = caches.iter().map(|(level, ..)| *level).max()?;
    Some(
        caches
            .iter()
            .filter(|(level, ..)| *level == last)
            .map(|(.., size)| size)
            .sum(),
    )
}

/// Processors as a device is named: `cpu0+cpu1`, or from five on as ranges: `cpu0-3+cpu8-11`.
pub(crate) fn device_name(cpus: &[usize]) -> String {
    if cpus.len() < 5 {
        let names: Vec<String> = cpus.iter().map(|cpu| format!("cpu{cpu}")).collect();
        return names.join("+");
    }
    let mut ranges: Vec<(usize, usize)> = Vec::new();
    for cpu in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *cpu => *last = *cpu,
            _ => ranges.push((*cpu, *cpu)),
        }
    }
    let names: Vec<String> = ranges
        .iter()
        .map(|(first, last)| {
            if first == last {
                format!("cpu{first}")
            } else {
                format!("cpu{first}-{last}")
            }
        })
        .collect();
    names.join("+")
}

/// `48K`, `2048K`, `36M` in bytes.
fn cache_size(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match &text[digits.len()..] {
        "" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_devices() {
        assert_eq!(device_name(&[0, 1]), "cpu0+cpu1");
        assert_eq!(
            device_name(&[0, 1, 2, 3, 8, 10, 11]),
            "cpu0-3+cpu8+cpu10-11"
        );
        assert_eq!(device_name(&[]), "");
    }

    #[test]
    fn a_shared_cache_counts_once() {
        let tree = tempfile::tempdir().unwrap();
        let put = |cpu: usize, index: usize, level: &str, kind: &str, shared: &str, size| {
            let at = tree
                .path()
                .join(format!("devices/system/cpu/cpu{cpu}/cache/index{index}"));
            fs::create_dir_all(&at).unwrap();
            for (file, text) in [
                ("level", level),
                ("type", kind),
                ("shared_cpu_list", shared),
                ("size", size),
            ] {
                fs::write(at.join(file), format!("{text}\n")).unwrap();
            }
        };
        for cpu in 0..4 {
            put(cpu, 0, "1", "Data", &cpu.to_string(), "48K");
            let shared = if cpu < 2 { "0-1" } else { "2-3" };
            put(cpu, 3, "3", "Unified", shared, "32M");
        }
        assert_eq!(last_level_cache(tree.path()), Some(64 << 20));
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(last_level_cache(empty.path()), None);
    }

    #[test]
    fn this_thread_may_use_some_processor() {
        assert!(!allowed().unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn no_cache_size_makes_it_panic(text in ".*") {
            let _size = cache_size(&text);
        }
    }
}
