//! Processor time of this thread and of this process.

use rustix::time::{ClockId, clock_gettime};

/// Processor time that the calling thread has used, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    nanos(ClockId::ThreadCPUTime)
}

/// Processor time that all threads of this process have used, in nanoseconds.
pub fn own_cpu_ns() -> u64 {
    nanos(ClockId::ProcessCPUTime)
}

fn nanos(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // Processor time is never negative, and 2^64 ns are 584 years.
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_advance_with_work() {
        let (thread, process) = (thread_cpu_ns(), own_cpu_ns());
        let mut sum = 0u64;
        for i in 0..2_000_000u64 {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(i));
        }
        assert!(thread_cpu_ns() > thread);
        assert!(own_cpu_ns() > process);
    }
}
