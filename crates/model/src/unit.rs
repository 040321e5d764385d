//! Units of measured numbers.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A unit as it is printed behind a number. Cases of other people bring their own, so this is
/// text; the ones we print ourselves are constants.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Unit(Cow<'static, str>);

macro_rules! units {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Unit {
            $($(#[$doc])* pub const $name: Self = Self(Cow::Borrowed($text));)*
        }
    };
}

units! {
    /// 10^12 floating point operations per second.
    TFLOPS = "TFLOPS";
    /// 10^12 integer operations per second.
    TOPS = "TOPS";
    /// 10^9 bytes per second.
    GB_PER_S = "GB/s";
    /// 10^9 bytes.
    GB = "GB";
    /// 2^30 bytes.
    GIB = "GiB";
    /// Bytes.
    BYTES = "B";
    /// Bytes per second.
    BYTES_PER_S = "B/s";
    /// Hundredths of a whole.
    PERCENT = "%";
    /// Seconds.
    SECONDS = "s";
    /// 10^-6 seconds.
    MICROSECONDS = "us";
    /// Degrees Celsius.
    CELSIUS = "°C";
    /// Watts.
    WATTS = "W";
    /// Joules.
    JOULES = "J";
    /// 10^6 cycles per second.
    MEGAHERTZ = "MHz";
    /// A bare number.
    NONE = "";
    /// Events per second.
    PER_SECOND = "1/s";
}

impl Unit {
    /// A unit by its printed form.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Cow::Owned(text.into()))
    }

    /// The printed form.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
