//! Names as types: a string that was checked once and stays valid.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a string is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{text}` {problem}")]
pub struct NameError {
    what: &'static str,
    text: String,
    problem: &'static str,
}

/// Longest name accepted, in bytes. Names become directory names, which Linux limits to 255 bytes.
const LONGEST: usize = 200;

fn check(what: &'static str, text: &str, extra: &str) -> Result<(), NameError> {
    let error = |problem| {
        Err(NameError {
            what,
            text: text.chars().take(60).collect(),
            problem,
        })
    };
    if text.is_empty() {
        return error("is empty");
    }
    if text.len() > LONGEST {
        return error("is longer than 200 bytes");
    }
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return error("does not start with a letter or digit");
    }
    if !text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
    {
        return error("contains a character that is not allowed in a name");
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $extra:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schemars(with = "String")]
        pub struct $type(String);

        impl $type {
            /// Checks the text and takes it as a name.
            pub fn new(text: impl Into<String>) -> Result<Self, NameError> {
                let text = text.into();
                check($what, &text, $extra)?;
                Ok(Self(text))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(text: String) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name!(
    /// A case as users name it: `computation-FP16`, or with a chip `computation-FP16:A100`.
    CaseName, "case name", "_-.:+"
);
name!(
    /// What a measured number is called: `computation-FP64`, `main_memory-bandwidth-copy`.
    MetricName, "metric name", "_-.:+/ "
);
name!(
    /// A node of a run: a host name, an address or a pod name.
    NodeName, "node name", "_-.:"
);
name!(
    /// The name of a run and of its directory: `run<YYYYMMDDHHMMSS>-<6 random>`.
    RunId, "run id", "-"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_is_wrong_with_it() {
        assert_eq!(
            CaseName::new("../etc").unwrap_err().to_string(),
            "case name `../etc` does not start with a letter or digit"
        );
        assert_eq!(
            CaseName::new("a/b").unwrap_err().to_string(),
            "case name `a/b` contains a character that is not allowed in a name"
        );
        assert_eq!(
            NodeName::new("").unwrap_err().to_string(),
            "node name `` is empty"
        );
        assert!(CaseName::new("x".repeat(201)).is_err());
        assert!(CaseName::new("mm:FP16:312:nativetorch:A100_40_SXM").is_ok());
    }
}
