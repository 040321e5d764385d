//! Processes of a node.

/// A process of a node, as this machine counts processes, not as the node does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// Its parent's number. Orphans belong to the node's first process; what entered the node from
    /// outside, as [`crate::TestBed::exec`] does, has 0 or a parent outside.
    pub ppid: u32,
    /// Its arguments, joined by blanks; for one that has ended but is not reaped, `[name] <defunct>`.
    pub args: String,
}

impl Process {
    /// From lines of `PID PPID ARGS`.
    pub(crate) fn parse(listing: &str) -> Vec<Self> {
        listing
            .lines()
            .map(|line| {
                Self::from_line(line)
                    .unwrap_or_else(|| panic!("not a line of `testbed ps`: {line:?}"))
            })
            .collect()
    }

    fn from_line(line: &str) -> Option<Self> {
        let (pid, rest) = line.trim_start().split_once(' ')?;
        let (ppid, args) = rest.trim_start().split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            ppid: ppid.parse().ok()?,
            args: args.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Process;

    #[test]
    fn arguments_keep_their_blanks() {
        let processes = Process::parse("   12     1 sleep  60\n345 12 sshd: root@notty \n");
        let expected = [(12, 1, "sleep  60"), (345, 12, "sshd: root@notty ")];
        let found: Vec<_> = processes
            .iter()
            .map(|process| (process.pid, process.ppid, process.args.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    #[should_panic(expected = "not a line of `testbed ps`")]
    fn anything_else_is_refused() {
        Process::parse("error: no such node\n");
    }
}
