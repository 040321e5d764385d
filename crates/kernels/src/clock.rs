//! `CLOCK_MONOTONIC`, the one clock of all measurements: every process of a node reads the same.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`.
pub(crate) fn mono_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    // The monotonic clock counts up from boot and is never negative.
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Seconds from `begin_ns` to now.
pub(crate) fn seconds_since(begin_ns: u64) -> f64 {
    mono_ns().saturating_sub(begin_ns) as f64 / 1e9
}
