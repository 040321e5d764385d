//! What is to be said about a printed result, in place of a number or beside it.

use flagperf_text::shown;

/// Something about a printed result that whoever reads it should know.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub(crate) enum ResultRemark {
    /// There is a name and no number.
    #[error("the tool printed no number for `{}`", shown(.metric))]
    NoNumber { metric: String },
    /// There is a number that cannot be. Cases that find no time in their log divide by −1.
    #[error("the tool printed a number below zero for `{}`, which cannot be; it is left out", shown(.metric))]
    Negative { metric: String },
    /// There is a number, and its name is none.
    #[error("the tool printed a number for `{}`, which is no name; it is left out", shown(.printed))]
    NoName { printed: String },
    /// There is something else where a number should be.
    #[error("the tool printed {what} for `{}`, not a number; it is left out", shown(.metric))]
    NotANumber { metric: String, what: &'static str },
    /// A unit says something else than the case measures.
    #[error("the tool printed `{}` in {printed}; what it counts is {unit}", shown(.metric))]
    OtherUnit {
        metric: String,
        printed: String,
        unit: &'static str,
    },
    /// A result that was printed before came again.
    #[error("`{}` was printed {times} times; the last one counts", shown(.metric))]
    Repeated { metric: String, times: u32 },
    /// A line that carries results cannot be read.
    #[error("a line with results (`{mark}`) cannot be read: {problem}")]
    Unreadable { mark: &'static str, problem: String },
    /// There is nothing to divide by.
    #[error("there is no MFU: the peak rate of this chip in {} is not known", shown(.precision))]
    NoPeak { precision: String },
}

impl ResultRemark {
    /// The metric that has no number, if that is what it says.
    pub(crate) fn blank(&self) -> Option<&str> {
        match self {
            Self::NoNumber { metric }
            | Self::Negative { metric }
            | Self::NotANumber { metric, .. } => Some(metric),
            _ => None,
        }
    }
}
