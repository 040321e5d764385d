//! Memory, `/proc/meminfo`. All values in KiB, as the file gives them.

use super::{fields, lines, number};

/// What is used of `/proc/meminfo`, in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct MemInfo {
    pub(crate) total: Option<u64>,
    pub(crate) free: Option<u64>,
    available: Option<u64>,
    buffers: Option<u64>,
    cached: Option<u64>,
    pub(crate) swap_total: Option<u64>,
    swap_free: Option<u64>,
    shmem: Option<u64>,
    reclaimable: Option<u64>,
}

impl MemInfo {
    /// Parses a whole file, and stops as soon as everything wanted was seen.
    pub(crate) fn parse(text: &[u8]) -> Self {
        let mut info = Self::default();
        for line in lines(text) {
            let Some(colon) = line.iter().position(|b| *b == b':') else {
                continue;
            };
            let slot = match &line[..colon] {
                b"MemTotal" => &mut info.total,
                b"MemFree" => &mut info.free,
                b"MemAvailable" => &mut info.available,
                b"Buffers" => &mut info.buffers,
                b"Cached" => &mut info.cached,
                b"SwapTotal" => &mut info.swap_total,
                b"SwapFree" => &mut info.swap_free,
                b"Shmem" => &mut info.shmem,
                b"SReclaimable" => &mut info.reclaimable,
                _ => continue,
            };
            *slot = fields(&line[colon + 1..]).next().and_then(number);
            // With `MemAvailable` there is no need for the two parts of its estimate, which come late.
            if info.available.is_some() && info.cached.is_some() && info.swap_free.is_some() {
                break;
            }
        }
        info
    }

    /// Available to new work without swapping. Kernels before 3.14 do not say; there it is
    /// estimated as free + buffers + cached + reclaimable slab - shared memory, which counts the
    /// whole page cache and so is somewhat too high.
    pub(crate) fn available(&self) -> Option<u64> {
        self.available.or_else(|| {
            let sum = [self.buffers, Some(self.cached?), self.reclaimable]
                .into_iter()
                .flatten()
                .try_fold(self.free?, u64::checked_add)?;
            Some(sum.saturating_sub(self.shmem.unwrap_or(0)))
        })
    }

    /// Total less available.
    pub(crate) fn used(&self) -> Option<u64> {
        self.total?.checked_sub(self.available()?)
    }

    /// Page cache, block device buffers included.
    pub(crate) fn cached(&self) -> Option<u64> {
        self.cached?.checked_add(self.buffers.unwrap_or(0))
    }

    /// Swap space in use.
    pub(crate) fn swap_used(&self) -> Option<u64> {
        self.swap_total?.checked_sub(self.swap_free?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Captured, shortened at the end.
    const REAL: &[u8] = b"MemTotal:       24684092 kB\nMemFree:        23934648 kB\n\
        MemAvailable:   24370796 kB\nBuffers:            4952 kB\nCached:           637028 kB\n\
        SwapCached:            0 kB\nActive:           147692 kB\nInactive:         496080 kB\n\
        SwapTotal:          2048 kB\nSwapFree:           1024 kB\nShmem:              8856 kB\n\
        KReclaimable:      18240 kB\nSlab:              39048 kB\nSReclaimable:      18240 kB\n";

    #[test]
    fn real_text() {
        let info = MemInfo::parse(REAL);
        assert_eq!(info.total, Some(24_684_092));
        assert_eq!(info.available(), Some(24_370_796));
        assert_eq!(info.used(), Some(313_296));
        assert_eq!(info.cached(), Some(641_980));
        assert_eq!(info.swap_used(), Some(1024));
    }

    #[test]
    fn without_mem_available() {
        let old: Vec<u8> = lines(REAL)
            .filter(|line| !line.starts_with(b"MemAvailable"))
            .flat_map(|line| [line, b"\n"].concat())
            .collect();
        let info = MemInfo::parse(&old);
        let available = 23_934_648 + 4952 + 637_028 + 18_240 - 8856;
        assert_eq!(info.available(), Some(available));
        assert_eq!(info.used(), Some(24_684_092 - available));
    }

    #[test]
    fn what_is_missing_is_absent() {
        let info = MemInfo::parse(b"MemTotal: 5 kB\n");
        assert_eq!(
            (info.total, info.used(), info.cached(), info.swap_used()),
            (Some(5), None, None, None)
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "((MemTotal|MemFree|Cached|Shmem|SwapFree|X):? *[0-9]{0,22} kB\n?){0,9}") {
            let info = MemInfo::parse(text.as_bytes());
            info.used();
            info.cached();
            info.swap_used();
        }
    }
}
