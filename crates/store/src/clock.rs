//! Moments as local time in the forms that the files use.

use flagperf_model::Timestamp;
use jiff::tz::TimeZone;

/// The machine's time zone, looked up once.
#[derive(Debug, Clone)]
pub(crate) struct Clock(TimeZone);

impl Clock {
    pub(crate) fn local() -> Self {
        Self(TimeZone::system())
    }

    /// A moment in a `strftime` form. Moments lie between the years 1677 and 2262, which the
    /// calendar covers.
    pub(crate) fn format(&self, at: Timestamp, form: &str) -> String {
        let moment = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default();
        moment
            .to_zoned_datetime(self.0.clone())
            .strftime(form)
            .to_string()
    }

    /// `2026-11-23-11:40:06`, as the classic monitor logs have it.
    pub(crate) fn monitor(&self, at: Timestamp) -> String {
        self.format(at, "%Y-%m-%d-%H:%M:%S")
    }
}
