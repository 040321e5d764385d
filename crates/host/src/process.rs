//! Processes of the machine: what runs below a process, and how much processor time it used.

use std::collections::HashMap;
use std::fs;
use std::io::Read;

use rustix::param::clock_ticks_per_second;

use crate::Root;
use crate::parse::{self, pid::process_stat};

/// One process as `/proc/<pid>/stat` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStat {
    /// Its number.
    pub pid: u32,
    /// Its parent's number.
    pub ppid: u32,
    /// Its process group.
    pub group: u32,
    /// Its state: `R` running, `S` sleeping, `D` waiting for a device, `Z` ended but not yet waited for.
    pub state: char,
    /// Its command name, at most 15 bytes.
    pub comm: String,
    /// Processor time of all its threads, without its children, in ticks of
    /// `sysconf(_SC_CLK_TCK)` (usually 100 a second).
    pub cpu_ticks: u64,
    /// The same of those of its children that have ended and been waited for, and of theirs.
    pub reaped_ticks: u64,
    /// When it started, in ticks since the machine did. Together with `pid` it names a process
    /// for good, since numbers are used again.
    pub starttime: u64,
}

/// Every process below `of`, at any depth, without `of` itself: one pass over `/proc`, parents
/// before their children. A process whose parent ended belongs to the nearest ancestor that has
/// declared itself a subreaper, which is how the agent finds daemons.
///
/// The pass is not a snapshot: a process that forks meanwhile may be missed, so who wants to end
/// them all repeats until none is left.
pub fn descendants(root: &Root, of: u32) -> Vec<ProcessStat> {
    let mut children: HashMap<u32, Vec<ProcessStat>> = HashMap::new();
    let Ok(entries) = fs::read_dir(root.path("proc")) else {
        return Vec::new();
    };
    let mut buffer = Vec::with_capacity(1024);
    for entry in entries.flatten() {
        let name = entry.file_name();
        if parse::number(name.as_encoded_bytes()).is_none() {
            continue;
        }
        buffer.clear();
        let read =
            fs::File::open(entry.path().join("stat")).and_then(|mut f| f.read_to_end(&mut buffer));
        // A process that ended since the directory was listed is not an error.
        if let Some(stat) = read.ok().and_then(|_| process_stat(&buffer)) {
            children.entry(stat.ppid).or_default().push(stat);
        }
    }
    let mut found: Vec<ProcessStat> = Vec::new();
    let mut parent = of;
    let mut next = 0;
    loop {
        // Taking the children out of the map ends the walk even if reused numbers form a circle.
        found.extend(children.remove(&parent).into_iter().flatten());
        let Some(stat) = found.get(next) else {
            found.retain(|stat| stat.pid != of);
            return found;
        };
        parent = stat.pid;
        next += 1;
    }
}

/// One process; `None` when there is none of this number.
pub fn process(root: &Root, pid: u32) -> Option<ProcessStat> {
    process_stat(&root.bytes(format!("proc/{pid}/stat"))?)
}

/// Processor time of all threads of a process, in seconds, without its children. The kernel
/// counts it in ticks of usually 10 ms.
pub fn process_cpu_seconds(root: &Root, pid: u32) -> Option<f64> {
    Some(process(root, pid)?.cpu_ticks as f64 / clock_ticks_per_second() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn write(dir: &std::path::Path, pid: u32, ppid: u32) {
        let dir = dir.join(format!("proc/{pid}"));
        fs::create_dir_all(&dir).unwrap();
        let line =
            format!("{pid} (p {pid}) S {ppid} 1 1 0 -1 64 1 2 3 4 150 50 7 8 20 0 1 0 {pid} 9\n");
        fs::write(dir.join("stat"), line).unwrap();
    }

    #[test]
    fn a_made_up_tree() {
        let dir = tempfile::tempdir().unwrap();
        for (pid, ppid) in [
            (1, 0),
            (10, 1),
            (11, 10),
            (12, 11),
            (13, 10),
            (20, 1),
            (30, 31),
            (31, 30),
        ] {
            write(dir.path(), pid, ppid);
        }
        fs::create_dir_all(dir.path().join("proc/99")).unwrap();
        fs::create_dir_all(dir.path().join("proc/sys")).unwrap();
        let root = Root::new(dir.path());
        let pids = |of| {
            let mut pids: Vec<u32> = descendants(&root, of).iter().map(|p| p.pid).collect();
            pids.sort_unstable();
            pids
        };
        assert_eq!(pids(10), [11, 12, 13]);
        assert_eq!(pids(12), [] as [u32; 0]);
        assert_eq!(pids(30), [31]);
        assert_eq!(process(&root, 11).unwrap().comm, "p 11");
        assert_eq!(
            process_cpu_seconds(&root, 11).unwrap(),
            200.0 / clock_ticks_per_second() as f64
        );
        assert_eq!(process_cpu_seconds(&root, 99), None);
    }

    #[test]
    fn real_children_and_grandchildren_are_found() {
        let mut child = Command::new("sh")
            .args(["-c", "sleep 60 & echo ready; wait"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = [0; 6];
        child.stdout.take().unwrap().read_exact(&mut ready).unwrap();
        let root = Root::new("/");
        let below = descendants(&root, child.id());
        let names: Vec<_> = below.iter().map(|p| p.comm.as_str()).collect();
        // Between fork and exec the child still has the shell's name.
        assert_eq!(names.len(), 1, "{names:?}");
        let all = descendants(&root, std::process::id());
        assert!(all.iter().any(|p| p.pid == child.id()));
        assert!(all.iter().any(|p| p.pid == below[0].pid));
        let sleeper = rustix::process::Pid::from_raw(below[0].pid as i32).unwrap();
        rustix::process::kill_process(sleeper, rustix::process::Signal::TERM).unwrap();
        child.wait().unwrap();
        assert!(process(&root, child.id()).is_none());
    }
}
