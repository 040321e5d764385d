//! Values of options: durations as people write them.

use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use flagperf_model::{BuildPolicy, EngineKind};
use jiff::SignedDuration;

/// Reads `5`, `5s`, `1.5s`, `250ms`, `2m`, `1h 30m`. A bare number is seconds.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let expected = "expected a time such as `5s`, `250ms` or `2m`";
    let bare: Result<f64, _> = text.trim().parse();
    let duration = match bare {
        Ok(seconds) => Duration::try_from_secs_f64(seconds)
            .map_err(|_| format!("{seconds} seconds are not possible; {expected}"))?,
        Err(_) => SignedDuration::from_str(text)
            .ok()
            .and_then(|signed| Duration::try_from(signed).ok())
            .ok_or_else(|| expected.to_owned())?,
    };
    if duration.is_zero() {
        return Err(format!("it must be longer than nothing; {expected}"));
    }
    if duration > Duration::from_hours(24 * 365) {
        return Err("it must be at most a year".to_owned());
    }
    Ok(duration)
}

/// The name of a container engine.
pub(crate) fn engine() -> impl TypedValueParser<Value = EngineKind> {
    PossibleValuesParser::new(EngineKind::ALL.map(EngineKind::command)).map(|name| {
        let named = EngineKind::ALL
            .into_iter()
            .find(|kind| kind.command() == name);
        named.unwrap_or(EngineKind::Docker)
    })
}

/// When an image is built.
pub(crate) fn policy() -> impl TypedValueParser<Value = BuildPolicy> {
    PossibleValuesParser::new(["never", "auto", "always"]).map(|name| match name.as_str() {
        "never" => BuildPolicy::Never,
        "always" => BuildPolicy::Always,
        _ => BuildPolicy::Auto,
    })
}

/// A duration between two samples: 10 ms to one hour.
pub(crate) fn interval(text: &str) -> Result<Duration, String> {
    let interval = duration(text)?;
    if interval < Duration::from_millis(10) || interval > Duration::from_hours(1) {
        return Err("expected between `10ms` and `1h`".to_owned());
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("5", ms(5000)),
            ("0.25", ms(250)),
            ("1.5s", ms(1500)),
            ("250ms", ms(250)),
            ("2m", ms(120_000)),
            ("1h 30m", ms(5_400_000)),
        ] {
            assert_eq!(duration(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "x",
            "-3",
            "-3s",
            "0",
            "nan",
            "inf",
            "5 parsecs",
            "900000h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
        assert_eq!(
            duration("soon").unwrap_err(),
            "expected a time such as `5s`, `250ms` or `2m`"
        );
        assert_eq!(
            interval("5ms").unwrap_err(),
            "expected between `10ms` and `1h`"
        );
    }
}
