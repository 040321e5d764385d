//! Load average, `/proc/loadavg`, and pressure stall information, `/proc/pressure/*`.

use super::{fields, lines, number};

/// Load averages in hundredths, and the number of processes that are running or could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) averages: [u64; 3],
    pub(crate) running: u64,
}

/// Parses `0.12 0.06 0.02 1/94 5494`.
pub(crate) fn load(text: &[u8]) -> Option<Load> {
    let mut words = fields(text.trim_ascii());
    let mut hundredths = || -> Option<u64> {
        let word = words.next()?;
        let point = word.iter().position(|b| *b == b'.')?;
        let (whole, part) = (number(&word[..point])?, number(&word[point + 1..])?);
        if word.len() - point != 3 {
            return None;
        }
        whole.checked_mul(100)?.checked_add(part)
    };
    let averages = [hundredths()?, hundredths()?, hundredths()?];
    let running = words.next()?.split(|b| *b == b'/').next()?;
    Some(Load {
        averages,
        running: number(running)?,
    })
}

/// Total stall times in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Pressure {
    /// Some task was waiting.
    pub(crate) some: Option<u64>,
    /// All tasks were waiting. Kernels before 5.13 do not have it for processors.
    pub(crate) full: Option<u64>,
}

/// Parses the lines `some avg10=… avg60=… avg300=… total=…` and `full …`.
pub(crate) fn pressure(text: &[u8]) -> Pressure {
    let mut result = Pressure::default();
    for line in lines(text) {
        let mut words = fields(line);
        let slot = match words.next() {
            Some(b"some") => &mut result.some,
            Some(b"full") => &mut result.full,
            _ => continue,
        };
        *slot = words.find_map(|word| number(word.strip_prefix(b"total=")?));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_texts() {
        assert_eq!(
            load(b"0.12 10.06 0.02 1/94 5494\n"),
            Some(Load {
                averages: [12, 1006, 2],
                running: 1
            })
        );
        let text = b"some avg10=15.12 avg60=4.67 avg300=1.28 total=9062948\n\
            full avg10=2.20 avg60=1.58 avg300=0.56 total=4524110\n";
        let parsed = pressure(text);
        assert_eq!(
            (parsed.some, parsed.full),
            (Some(9_062_948), Some(4_524_110))
        );
        let old = b"some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";
        assert_eq!(
            pressure(old),
            Pressure {
                some: Some(7),
                full: None
            }
        );
        assert_eq!(pressure(b""), Pressure::default());
    }

    proptest! {
        #[test]
        fn load_round_trips(a in 0u64..1_000_000, b in 0u64..1_000_000, c in 0u64..1_000_000, r in 0u64..9999) {
            let d = |v: u64| format!("{}.{:02}", v / 100, v % 100);
            let text = format!("{} {} {} {r}/9999 123\n", d(a), d(b), d(c));
            prop_assert_eq!(load(text.as_bytes()), Some(Load { averages: [a, b, c], running: r }));
        }

        #[test]
        fn nothing_panics(bytes in prop::collection::vec(any::<u8>(), 0..100), text in "[0-9./ ]{0,40}", p in "((some|full) (total=)?[0-9]{0,22}\n?){0,4}") {
            load(&bytes);
            load(text.as_bytes());
            pressure(&bytes);
            pressure(p.as_bytes());
        }
    }
}
