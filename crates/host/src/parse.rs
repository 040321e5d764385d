//! Parsers of the kernel's text files: pure functions on bytes, which never panic and never
//! allocate where they are used for every sample.

pub(crate) mod cgroup;
pub(crate) mod cpuinfo;
pub(crate) mod cputime;
pub(crate) mod devices;
pub(crate) mod load;
pub(crate) mod meminfo;
pub(crate) mod pid;

/// A decimal whole number with nothing before or behind it.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// A decimal whole number that may be negative, as temperatures are.
pub(crate) fn signed(text: &[u8]) -> Option<i64> {
    match text.strip_prefix(b"-") {
        Some(rest) => Some(-i64::try_from(number(rest)?).ok()?),
        None => i64::try_from(number(text)?).ok(),
    }
}

/// A file that holds one number and a line end.
pub(crate) fn only_number(text: &[u8]) -> Option<u64> {
    number(text.trim_ascii())
}

/// The words of a line, split at spaces and tabs.
pub(crate) fn fields(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|byte| matches!(byte, b' ' | b'\t'))
        .filter(|field| !field.is_empty())
}

/// The lines of a text; empty ones are left out.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
}

/// The number behind a key in a file of `key number` lines, such as `cpu.stat`.
pub(crate) fn keyed(text: &[u8], key: &[u8]) -> Option<u64> {
    lines(text).find_map(|line| {
        let rest = line.strip_prefix(key)?.strip_prefix(b" ")?;
        number(rest.trim_ascii())
    })
}

/// Bytes as text; names that the kernel prints are ASCII, anything else is replaced.
pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// No machine has more logical processors; a longer range is damage, and would fill the memory.
const MOST_CPUS: u32 = 65_536;

/// A list of processors as the kernel prints it: `0-3,8,10-11`. Rising, without repetition; parts
/// that cannot be understood are left out.
pub(crate) fn cpu_list(text: &str) -> Vec<u32> {
    let mut cpus = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>())
            && last < MOST_CPUS
        {
            cpus.extend(first..=last);
        }
    }
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_of_processors() {
        assert_eq!(cpu_list("0-3,8,10-11\n"), [0, 1, 2, 3, 8, 10, 11]);
        assert_eq!(cpu_list("\n"), [] as [u32; 0]);
        assert_eq!(cpu_list("3,1-2,2,x,5-4,0-4294967295"), [1, 2, 3]);
    }

    #[test]
    fn keyed_numbers() {
        let text = b"usage_usec 12\nusage 4\nuser_usec 7\n";
        assert_eq!(keyed(text, b"usage"), Some(4));
        assert_eq!(keyed(text, b"user_usec"), Some(7));
        assert_eq!(keyed(text, b"system_usec"), None);
    }

    /// Ranges in the kernel's notation.
    fn print_list(cpus: &[u32]) -> String {
        let mut parts: Vec<(u32, u32)> = Vec::new();
        for &cpu in cpus {
            match parts.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => parts.push((cpu, cpu)),
            }
        }
        let parts: Vec<String> = parts
            .iter()
            .map(|&(a, b)| {
                if a == b {
                    a.to_string()
                } else {
                    format!("{a}-{b}")
                }
            })
            .collect();
        parts.join(",")
    }

    proptest! {
        #[test]
        fn numbers_round_trip(value: u64, below: i64) {
            prop_assert_eq!(number(value.to_string().as_bytes()), Some(value));
            prop_assert_eq!(only_number(format!("{value}\n").as_bytes()), Some(value));
            if below > i64::MIN {
                prop_assert_eq!(signed(below.to_string().as_bytes()), Some(below));
            }
            prop_assert_eq!(number(format!("{value}x").as_bytes()), None);
            prop_assert_eq!(number(format!("9{}", u64::MAX).as_bytes()), None);
        }

        #[test]
        fn lists_round_trip(cpus in prop::collection::btree_set(0u32..2000, 0..200)) {
            let cpus: Vec<u32> = cpus.into_iter().collect();
            prop_assert_eq!(cpu_list(&print_list(&cpus)), cpus);
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".*") {
            number(&bytes);
            signed(&bytes);
            keyed(&bytes, b"a");
            cpu_list(&text);
        }
    }
}
