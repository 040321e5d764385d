//! A case's parameters: text in, checked numbers out.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// Why a parameter is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParamError {
    /// The kernel has no such parameter.
    #[error("unknown parameter `{name}`; this kernel accepts {accepted}")]
    Unknown {
        /// The name given.
        name: String,
        /// The names it could have been.
        accepted: String,
    },
    /// The value is no whole number in the range.
    #[error(
        "parameter `{name}` is `{value}`; expected a whole number from {min} to {max}",
        min = .range.start(), max = .range.end()
    )]
    NotInRange {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: String,
        /// What is accepted, both ends included.
        range: RangeInclusive<u64>,
    },
}

/// The parameters given, all of them known to the kernel.
#[derive(Debug)]
pub(crate) struct Params(BTreeMap<String, String>);

impl Params {
    /// Refuses names that are not in `accepted`.
    pub(crate) fn new(
        given: BTreeMap<String, String>,
        accepted: &[&str],
    ) -> Result<Self, ParamError> {
        match given.keys().find(|name| !accepted.contains(&name.as_str())) {
            Some(name) => Err(ParamError::Unknown {
                name: name.clone(),
                accepted: accepted.join(", "),
            }),
            None => Ok(Self(given)),
        }
    }

    /// The whole number called `name`; `None` if it was not given.
    pub(crate) fn integer(
        &self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, ParamError> {
        let Some(text) = self.0.get(name) else {
            return Ok(None);
        };
        match text.parse::<u64>() {
            Ok(value) if range.contains(&value) => Ok(Some(value)),
            _ => Err(ParamError::NotInRange {
                name,
                value: text.chars().take(40).collect(),
                range,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn params(name: &str, value: &str) -> Params {
        let given = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        Params::new(given, &["bytes", "threads"]).unwrap()
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let given = BTreeMap::from([("byts".to_owned(), "1".to_owned())]);
        assert_eq!(
            Params::new(given, &["bytes", "threads"])
                .unwrap_err()
                .to_string(),
            "unknown parameter `byts`; this kernel accepts bytes, threads"
        );
    }

    #[test]
    fn a_bad_value_is_answered_with_the_range() {
        for bad in ["", "-1", "9", "1.5", "ten", "99999999999999999999999"] {
            assert_eq!(
                params("threads", bad)
                    .integer("threads", 1..=8)
                    .unwrap_err()
                    .to_string(),
                format!("parameter `threads` is `{bad}`; expected a whole number from 1 to 8")
            );
        }
        assert_eq!(params("threads", "8").integer("bytes", 1..=8), Ok(None));
    }

    proptest! {
        #[test]
        fn numbers_come_back(value: u64) {
            let read = params("bytes", &value.to_string()).integer("bytes", 0..=u64::MAX);
            prop_assert_eq!(read, Ok(Some(value)));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _result = params("bytes", &text).integer("bytes", 1..=u64::MAX);
        }
    }
}
