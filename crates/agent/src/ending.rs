//! Finding and ending everything below a process.

use std::collections::HashSet;
use std::thread;
use std::time::{Duration, Instant};

use flagperf_host::{ProcessStat, Root, descendants};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal};

/// Every living process below `pid`; those that have ended and wait to be reaped are left out.
pub(crate) fn living_below(root: &Root, pid: u32) -> Vec<ProcessStat> {
    let mut processes = descendants(root, pid);
    processes.retain(|process| !matches!(process.state, 'Z' | 'X'));
    processes
}

/// Which of these processes, each after its parent, are one of `roots`, or below one, or in the process group that
/// one of them began. A group outlives the process that began it.
pub(crate) fn belonging<'p>(
    processes: &'p [ProcessStat],
    roots: &[u32],
) -> impl Iterator<Item = (&'p ProcessStat, bool)> {
    let mut inside: HashSet<u32> = roots.iter().copied().collect();
    processes.iter().map(move |process| {
        let belongs = inside.contains(&process.pid)
            || inside.contains(&process.ppid)
            || inside.contains(&process.group);
        if belongs {
            inside.insert(process.pid);
        }
        (process, belongs)
    })
}

/// Sends a signal to each process, if it is still the same one: a process id may have gone to
/// another process since it was read.
pub(crate) fn signal_all(root: &Root, processes: &[ProcessStat], signal: Signal) {
    for process in processes {
        let Some(pid) = Pid::from_raw(process.pid.cast_signed()) else {
            continue;
        };
        let handle = match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => Some(handle),
            Err(Errno::SRCH) => continue,
            // Linux before 5.3, or a container engine that forbids it.
            Err(_) => None,
        };
        let is_same = flagperf_host::process(root, process.pid)
            .is_some_and(|now| now.starttime == process.starttime);
        if !is_same {
            continue;
        }
        let sent = handle.map(|handle| rustix::process::pidfd_send_signal(handle, signal));
        if !matches!(sent, Some(Ok(()) | Err(Errno::SRCH))) {
            // Its number could pass to another process only in the instant since it was compared.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// Ends every process below `pid` with SIGKILL, again and again while new ones appear, for at most
/// `patience`. Returns those that are left: processes stuck in the kernel.
pub fn end_everything_below(pid: u32, patience: Duration) -> Vec<String> {
    let root = Root::new("/");
    let deadline = Instant::now() + patience;
    loop {
        let left = living_below(&root, pid);
        if left.is_empty() {
            return Vec::new();
        }
        if Instant::now() >= deadline {
            return left.iter().map(describe).collect();
        }
        signal_all(&root, &left, Signal::KILL);
        thread::sleep(Duration::from_millis(5));
    }
}

/// `name (pid 12, state D)`.
pub(crate) fn describe(process: &ProcessStat) -> String {
    format!(
        "{} (pid {}, state {})",
        process.comm, process.pid, process.state
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_belongs_through_its_parents_or_its_group() {
        let process = |pid, ppid, group| ProcessStat {
            pid,
            ppid,
            group,
            state: 'S',
            comm: String::new(),
            cpu_ticks: 0,
            reaped_ticks: 0,
            starttime: u64::from(pid),
        };
        let all = [
            process(10, 1, 10),
            process(20, 1, 20),
            // An orphan of a process of group 10, and one of group 30, whose first has ended.
            process(11, 1, 10),
            process(31, 1, 30),
            process(12, 10, 12),
            process(13, 12, 13),
            process(21, 20, 20),
        ];
        let belongs = |roots: &[u32]| -> Vec<u32> {
            belonging(&all, roots)
                .filter(|(_, belongs)| *belongs)
                .map(|(process, _)| process.pid)
                .collect()
        };
        assert_eq!(belongs(&[10, 30]), [10, 11, 31, 12, 13]);
        assert_eq!(belongs(&[20]), [20, 21]);
        assert_eq!(belongs(&[]), [0; 0]);
    }
}
