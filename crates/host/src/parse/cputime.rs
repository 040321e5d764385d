//! Processor time, `/proc/stat`.

use super::number;

/// Times of one processor or of all together, in ticks of `USER_HZ`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTimes {
    /// The processor's number; absent for the sum of all.
    pub(crate) cpu: Option<u32>,
    /// user + nice + system + irq + softirq + steal. The kernel counts a guest's time in user and
    /// nice already, so the two guest columns are left out.
    pub(crate) busy: u64,
    /// Idle while a request to a disk was waiting.
    pub(crate) iowait: u64,
    /// Wanted to run, but the hypervisor ran somebody else.
    pub(crate) steal: u64,
}

/// The processor lines at the start of `/proc/stat`. Ends at the first other line, since what
/// follows is long; a last line without its line end is left out, since it may be cut.
pub(crate) fn cpu_times(text: &[u8]) -> impl Iterator<Item = CpuTimes> {
    let whole = text.iter().rposition(|b| *b == b'\n').unwrap_or(0);
    text[..whole]
        .split(|byte| *byte == b'\n')
        .map_while(|line| line.strip_prefix(b"cpu").and_then(times))
}

fn times(line: &[u8]) -> Option<CpuTimes> {
    let (id, rest) = line.split_at(line.iter().position(|b| *b == b' ')?);
    let cpu = match id {
        b"" => None,
        id => Some(u32::try_from(number(id)?).ok()?),
    };
    // Kernels before 2.6.11 have no steal column; what is missing was not counted.
    let (columns, found) = columns(rest)?;
    let [user, nice, system, _idle, iowait, irq, softirq, steal] = columns;
    let busy = [user, nice, system, irq, softirq, steal]
        .iter()
        .try_fold(0u64, |sum, part| sum.checked_add(*part))?;
    (found >= 4).then_some(CpuTimes {
        cpu,
        busy,
        iowait,
        steal,
    })
}

/// The first eight numbers of a line and how many there are. One pass over the bytes instead of
/// one to find the words and one to read them: large machines have a thousand such lines.
fn columns(line: &[u8]) -> Option<([u64; 8], usize)> {
    let mut columns = [0u64; 8];
    let mut found = 0;
    let mut inside = false;
    for byte in line {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            let column = columns.get_mut(found)?;
            *column = column.checked_mul(10)?.checked_add(u64::from(digit))?;
            inside = true;
        } else if *byte != b' ' {
            return None;
        } else if inside {
            inside = false;
            found += 1;
            if found == columns.len() {
                return Some((columns, found));
            }
        }
    }
    Some((columns, found + usize::from(inside)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    /// Captured from a virtual machine with two processors.
    const REAL: &[u8] = b"cpu  7823 0 2840 182796 622 0 47 1402 0 0\n\
        cpu0 3694 0 1248 92028 79 0 5 690 0 0\n\
        cpu1 4128 0 1591 90768 542 0 41 712 0 0\n\
        intr 131300 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 1 16 0 0 0 0 195 73\n\
        ctxt 255918\nbtime 1795444221\nprocesses 6333\nprocs_running 5\nprocs_blocked 0\n\
        softirq 81858 0 15050 4 3061 10258 0 27 28956 0 24502\n";

    #[test]
    fn real_text_with_steal() {
        let all: Vec<_> = cpu_times(REAL).collect();
        assert_eq!(all.len(), 3);
        assert_eq!(
            all[0],
            CpuTimes {
                cpu: None,
                busy: 7823 + 2840 + 47 + 1402,
                iowait: 622,
                steal: 1402
            }
        );
        assert_eq!((all[2].cpu, all[2].busy), (Some(1), 4128 + 1591 + 41 + 712));
    }

    #[test]
    fn guests_are_not_counted_twice() {
        let line = b"cpu  1000 100 50 9000 7 3 4 5 900 90\n";
        assert_eq!(
            cpu_times(line).next().unwrap().busy,
            1000 + 100 + 50 + 3 + 4 + 5
        );
    }

    #[test]
    fn a_cut_line_is_left_out() {
        let cut = &REAL[..60];
        assert_eq!(cpu_times(cut).count(), 1);
        assert_eq!(cpu_times(b"").count(), 0);
    }

    proptest! {
        #[test]
        fn round_trip(rows in prop::collection::vec(prop::array::uniform10(0u64..1 << 40), 1..30)) {
            let mut text = String::new();
            for (cpu, r) in rows.iter().enumerate() {
                write!(text, "cpu{cpu}").unwrap();
                for value in r {
                    write!(text, " {value}").unwrap();
                }
                text.push('\n');
            }
            text.push_str("intr 1 2 3\ncpu9999 1 2 3 4\n");
            let parsed: Vec<_> = cpu_times(text.as_bytes()).collect();
            prop_assert_eq!(parsed.len(), rows.len());
            for (cpu, (parsed, r)) in parsed.iter().zip(&rows).enumerate() {
                prop_assert_eq!(parsed.cpu, Some(cpu as u32));
                prop_assert_eq!(parsed.busy, r[0] + r[1] + r[2] + r[5] + r[6] + r[7]);
                prop_assert_eq!((parsed.iowait, parsed.steal), (r[4], r[7]));
            }
        }

        #[test]
        fn nothing_panics(text in "(cpu[0-9]{0,3}( [0-9]{0,22}){0,12}\n?){0,5}") {
            cpu_times(text.as_bytes()).count();
        }
    }
}
