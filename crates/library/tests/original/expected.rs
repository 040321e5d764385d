//! Why what is planned here differs from what the original does. A difference that is not here is a mistake.

use crate::compare::{Difference, Part};

/// Why a difference is right; absent if nobody expects it.
pub(crate) fn reason(difference: &Difference) -> Option<&'static str> {
    let Difference { part, .. } = difference;
    if let Part::Variable(name) = part
        && matches!(
            name.as_str(),
            "FLAGPERF_RUN" | "FLAGPERF_CASE" | "FLAGPERF_ROUND" | "FLAGPERF_NODE"
        )
    {
        return Some("cases are told what run, case, round and node they belong to");
    }
    None
}
