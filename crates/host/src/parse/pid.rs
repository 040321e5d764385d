//! One process, `/proc/<pid>/stat`.

use super::{fields, number, text};
use crate::process::ProcessStat;

/// Parses the one line of the file.
pub(crate) fn process_stat(line: &[u8]) -> Option<ProcessStat> {
    // The name stands in brackets and may itself hold brackets, spaces and line ends, so it ends
    // at the last bracket.
    let open = line.iter().position(|b| *b == b'(')?;
    let close = line.iter().rposition(|b| *b == b')')?;
    let id = |word: &[u8]| u32::try_from(number(word)?).ok();
    let pid = id(line[..open].trim_ascii())?;
    let comm = text(line.get(open + 1..close)?);
    // From here, with the field numbers of proc(5): 3 state, 4 ppid, 5 pgrp, 14 utime, 15 stime,
    // 16 cutime, 17 cstime, 22 starttime.
    let mut words = fields(line[close + 1..].trim_ascii());
    let state = char::from(*words.next()?.first()?);
    let ppid = id(words.next()?)?;
    let group = id(words.next()?)?;
    let user = number(words.nth(8)?)?;
    let system = number(words.next()?)?;
    let of_reaped = number(words.next()?)?.checked_add(number(words.next()?)?)?;
    let starttime = number(words.nth(4)?)?;
    Some(ProcessStat {
        pid,
        ppid,
        group,
        state,
        comm,
        cpu_ticks: user.checked_add(system)?,
        reaped_ticks: of_reaped,
        starttime,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_line() {
        let line = b"6372 (cat) R 6366 6366 2778 0 -1 4194304 100 0 0 0 11 4 0 0 20 0 1 0 97683 \
            3133440 418 18446744073709551615 94676277276672 94676277296553 140728460101392 0 0 0 0 0 0 0 0 0 17 1\n";
        assert_eq!(
            process_stat(line),
            Some(ProcessStat {
                pid: 6372,
                ppid: 6366,
                group: 6366,
                state: 'R',
                comm: "cat".into(),
                cpu_ticks: 15,
                reaped_ticks: 0,
                starttime: 97_683
            })
        );
    }

    proptest! {
        #[test]
        fn round_trip(pid: u32, ppid: u32, comm in "[ -~\n]{0,15}", user in 0u64..1 << 60, system in 0u64..1 << 60, start: u64) {
            let line = format!(
                "{pid} ({comm}) S {ppid} 77 1 0 -1 64 1 2 3 4 {user} {system} 7 8 20 0 1 0 {start} 9\n"
            );
            let parsed = process_stat(line.as_bytes()).unwrap();
            prop_assert_eq!(parsed, ProcessStat {
                pid,
                ppid,
                group: 77,
                state: 'S',
                comm,
                cpu_ticks: user + system,
                reaped_ticks: 15,
                starttime: start,
            });
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "[0-9]{0,11} ?[(]{0,2}[)]{0,2}( [0-9S]{0,22}){0,30}") {
            process_stat(&bytes);
            process_stat(text.as_bytes());
        }
    }
}
