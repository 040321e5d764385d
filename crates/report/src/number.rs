//! Numbers, sizes, durations and moments as people read them.

use flagperf_model::Timestamp;

/// A number with four significant digits: `0.1042`, `21.35`, `1234`. From 1000 on no digit of the
/// whole part is dropped; from 10^7 on, and below 10^-4, it is written with an exponent.
pub(crate) fn significant(value: f64) -> String {
    if !value.is_finite() {
        return "not a number".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e7).contains(&value.abs()) {
        return format!("{value:.3e}");
    }
    // The exponent is taken after rounding: 999.96 is 1000, not 1000.0.
    let rounded = format!("{value:.3e}");
    let exponent: i32 = rounded
        .rsplit_once('e')
        .and_then(|(_, exponent)| exponent.parse().ok())
        .unwrap_or(0);
    let decimals = usize::try_from(3 - exponent).unwrap_or(0);
    format!("{value:.decimals$}")
}

/// [`significant`] without zeros at the end of the fraction, for axes and limits.
pub(crate) fn short(value: f64) -> String {
    let text = significant(value);
    if text.contains('.') && !text.contains('e') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A share as percent: two decimals, one from 10 on. `0.81`, `0.07`, `12.5`.
pub(crate) fn percent(share: f64) -> String {
    let value = share * 100.0;
    match value.abs() {
        v if !v.is_finite() => "not a number".to_owned(),
        v if v >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A small share as percent with two significant digits: `0.034`, `0.0021`.
pub(crate) fn small_percent(share: f64) -> String {
    let value = share * 100.0;
    if value.abs() >= 1.0 {
        return percent(share);
    }
    digits(value, 2)
}

/// The digits of a statistic beside a small picture, where room is scarce: four significant ones
/// from 1 on, three from 0.1 on, two below. The JSON report has all.
pub(crate) fn statistic(value: f64) -> String {
    if value.abs() < 0.1 {
        digits(value, 2)
    } else if value.abs() < 1.0 {
        digits(value, 3)
    } else {
        short(value)
    }
}

/// A number with so many significant digits, without zeros at the end; no fewer than the whole
/// part has.
pub(crate) fn digits(value: f64, wanted: i32) -> String {
    if value == 0.0 || !(1e-6..1e4).contains(&value.abs()) {
        return short(value);
    }
    let exponent = value.abs().log10().floor() as i32;
    let decimals = usize::try_from(wanted - 1 - exponent).unwrap_or(0);
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// Pads numbers so that their decimal points stand below each other. All results are equally wide.
pub(crate) fn align(texts: &[Option<String>]) -> Vec<Option<String>> {
    let split = |text: &str| {
        let whole = text.find(['.', 'e']).unwrap_or(text.len());
        (whole, text.len() - whole)
    };
    let parts = || texts.iter().flatten().map(|text| split(text));
    let whole = parts().map(|(whole, _)| whole).max().unwrap_or(0);
    let fraction = parts().map(|(_, fraction)| fraction).max().unwrap_or(0);
    texts
        .iter()
        .map(|text| {
            text.as_ref().map(|text| {
                let (before, after) = split(text);
                format!(
                    "{}{text}{}",
                    " ".repeat(whole - before),
                    " ".repeat(fraction - after)
                )
            })
        })
        .collect()
}

/// Bytes with a binary prefix: `23.4 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    const NAMES: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut name = 0;
    while value >= 1024.0 && name + 1 < NAMES.len() {
        value /= 1024.0;
        name += 1;
    }
    let decimals = usize::from(name > 0 && value < 100.0 && value.fract() != 0.0);
    format!("{value:.decimals$} {}", NAMES[name])
}

/// A length of time: `0.25 s`, `58.3 s`, `3 min 20 s`, `2 h 05 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "an unknown time".to_owned();
    }
    if seconds < 10.0 {
        return format!("{} s", short((seconds * 100.0).round() / 100.0));
    }
    if seconds < 60.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    if whole < 3600 && whole.is_multiple_of(60) {
        format!("{} min", whole / 60)
    } else if whole < 3600 {
        format!("{} min {:02} s", whole / 60, whole % 60)
    } else {
        format!("{} h {:02} min", whole / 3600, whole % 3600 / 60)
    }
}

/// A count with its word: `1 socket`, `2 sockets`.
pub(crate) fn count(count: usize, word: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {word}{plural}")
}

/// A moment to the second, in UTC: `2026-11-23 14:46:16 UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0)).map_or_else(
        |_| format!("{} ns since 1970", at.0),
        |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
    )
}

/// A moment as RFC 3339 in UTC, with as many digits of the second as it has.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(at.0))
        .map_or_else(|_| at.0.to_string(), |at| at.to_string())
}

/// An argument vector as one could type it into a POSIX shell.
pub(crate) fn shell(argv: &[String]) -> String {
    argv.iter()
        .map(|word| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
            if !word.is_empty() && word.chars().all(plain) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', r"'\''"))
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn four_significant_digits() {
        for (value, text) in [
            (0.0, "0"),
            (0.104_22, "0.1042"),
            (21.349, "21.35"),
            (999.96, "1000"),
            (99.996, "100.0"),
            (1234.4, "1234"),
            (123_456.7, "123457"),
            (-3.725_49, "-3.725"),
            (0.000_012_3, "1.230e-5"),
            (2.5e9, "2.500e9"),
            (f64::NAN, "not a number"),
        ] {
            assert_eq!(significant(value), text);
        }
        assert_eq!(short(100.0), "100");
        assert_eq!(short(2.5), "2.5");
    }

    #[test]
    fn times_sizes_and_shares() {
        assert_eq!(duration(0.25), "0.25 s");
        assert_eq!(duration(58.33), "58.3 s");
        assert_eq!(duration(200.0), "3 min 20 s");
        assert_eq!(duration(300.0), "5 min");
        assert_eq!(duration(7500.0), "2 h 05 min");
        assert_eq!(bytes(512), "512 B");
        assert_eq!(bytes(32 << 20), "32 MiB");
        assert_eq!(bytes(25_122_000_000), "23.4 GiB");
        assert_eq!(percent(0.000_34), "0.03");
        assert_eq!(percent(0.008), "0.80");
        assert_eq!(percent(0.124_9), "12.5");
        assert_eq!(percent(0.099_96), "10.0");
        assert_eq!(small_percent(0.000_34), "0.034");
        assert_eq!(small_percent(0.000_000_2), "0.00002");
        assert_eq!(small_percent(0.0), "0");
        assert_eq!(statistic(0.023_21), "0.023");
        assert_eq!(statistic(0.275_31), "0.275");
        assert_eq!(statistic(97.753), "97.75");
        assert_eq!(digits(0.006_985, 2), "0.007");
        assert_eq!(digits(822.41, 2), "822");
        assert_eq!(moment(Timestamp(0)), "1970-01-01 00:00:00 UTC");
        assert_eq!(rfc3339(Timestamp(1_500_000_000)), "1970-01-01T00:00:01.5Z");
    }

    #[test]
    fn words_are_quoted_for_a_shell() {
        let argv = ["a", "b c", "d'e", ""].map(str::to_owned);
        assert_eq!(shell(&argv), r"a 'b c' 'd'\''e' ''");
    }

    proptest! {
        #[test]
        fn points_stand_below_each_other(values in prop::collection::vec(-1e9f64..1e9, 1..20)) {
            let texts: Vec<_> = values.iter().map(|v| Some(significant(*v))).collect();
            let aligned = align(&texts);
            let place = |t: &Option<String>| {
                let t = t.as_deref().unwrap();
                (t.len(), t.find(['.', 'e']))
            };
            let width = place(&aligned[0]).0;
            prop_assert!(aligned.iter().all(|t| place(t).0 == width));
            let mut points: Vec<_> = aligned.iter().filter_map(|t| place(t).1).collect();
            points.dedup();
            prop_assert!(points.len() <= 1);
        }

        #[test]
        fn rounding_keeps_four_digits(value in prop::num::f64::NORMAL) {
            let back: f64 = significant(value).parse().unwrap();
            prop_assert!((back - value).abs() <= value.abs() * 0.000_500_1);
        }
    }
}
