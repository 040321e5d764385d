//! Sizes in bytes as people write them.

/// Why a text is not a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// No number at the start.
    #[error("it does not start with a number")]
    NoNumber,
    /// A unit that is none of ours.
    #[error("`{0}` is not a unit of size; the units are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB")]
    Unit(String),
    /// A fraction that is not a whole number of bytes.
    #[error("it is not a whole number of bytes")]
    Fraction,
    /// Beyond 2^63 - 1 bytes.
    #[error("it is too large")]
    TooLarge,
}

/// Units and their bytes. Both `kB` and `KB` are 1000 bytes: the first is the SI's, the second
/// what people type. A lone `K` or `M` is refused, since half of the world means 1024 by it.
const UNITS: [(&str, i64); 11] = [
    ("", 1),
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
];

/// Reads a size: a number of bytes, or a number with a unit, such as `64MiB`, `2 GB`, `1.5GiB`
/// or `1_000`. Returns bytes.
pub fn parse_size(text: &str) -> Result<i64, SizeError> {
    let text = text.trim();
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '_' && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let whole = digits(whole)?;
    let factor = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, bytes)| i128::from(*bytes))
        .ok_or_else(|| SizeError::Unit(flagperf_text::shown(unit)))?;
    let mut bytes = whole.checked_mul(factor).ok_or(SizeError::TooLarge)?;
    if !fraction.is_empty() {
        let scale = u32::try_from(fraction.len())
            .ok()
            .and_then(|places| 10i128.checked_pow(places))
            .ok_or(SizeError::Fraction)?;
        let part = digits(fraction)?
            .checked_mul(factor)
            .ok_or(SizeError::TooLarge)?;
        if part % scale != 0 {
            return Err(SizeError::Fraction);
        }
        bytes += part / scale;
    }
    i64::try_from(bytes).map_err(|_| SizeError::TooLarge)
}

fn digits(text: &str) -> Result<i128, SizeError> {
    if !text.starts_with(|c: char| c.is_ascii_digit()) || text.contains('.') {
        return Err(SizeError::NoNumber);
    }
    // Enough for every i64; more digits are too large whatever they are, and stay within i128.
    text.chars()
        .filter_map(|c| c.to_digit(10))
        .try_fold(0i128, |sum, digit| {
            let sum = sum * 10 + i128::from(digit);
            (sum <= i128::from(i64::MAX)).then_some(sum)
        })
        .ok_or(SizeError::TooLarge)
}

/// Writes bytes with the largest binary unit that divides them, else the largest decimal one.
pub fn format_size(bytes: i64) -> String {
    let binary = [("TiB", 1i64 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20)];
    let decimal = [("TB", 1_000_000_000_000), ("GB", 1_000_000_000)];
    let small = [("MB", 1_000_000), ("KiB", 1 << 10), ("kB", 1_000)];
    for (unit, factor) in binary.into_iter().chain(decimal).chain(small) {
        if bytes != 0 && bytes % factor == 0 {
            return format!("{} {unit}", bytes / factor);
        }
    }
    format!("{bytes} B")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_as_people_write_them() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("2GB", 2_000_000_000),
            ("1_000", 1000),
            ("4096", 4096),
            ("16 KiB", 16384),
            ("1.5GiB", 3 << 29),
            ("0.5 KiB", 512),
            ("3kB", 3000),
            ("3KB", 3000),
            ("1TiB", 1 << 40),
            ("7B", 7),
            ("0", 0),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size() {
        assert_eq!(parse_size(""), Err(SizeError::NoNumber));
        assert_eq!(parse_size("MiB"), Err(SizeError::NoNumber));
        assert_eq!(parse_size("-5"), Err(SizeError::NoNumber));
        assert_eq!(parse_size("1.2.3"), Err(SizeError::NoNumber));
        assert_eq!(parse_size("0.3B"), Err(SizeError::Fraction));
        assert_eq!(parse_size("9999999999TiB"), Err(SizeError::TooLarge));
        assert_eq!(
            parse_size("64M").unwrap_err().to_string(),
            "`M` is not a unit of size; the units are B, kB, MB, GB, TB, KiB, MiB, GiB, TiB"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bytes in 0..=i64::MAX) {
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn written_with_any_unit(number in 0i64..1_000_000, index in 0..UNITS.len()) {
            let (unit, factor) = UNITS[index];
            prop_assert_eq!(parse_size(&format!("{number}{unit}")), Ok(number * factor));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,30}|[0-9_.]{0,50}[A-Za-z]{0,3}") {
            if let Ok(bytes) = parse_size(&text) {
                prop_assert!(bytes >= 0);
            }
        }
    }
}
