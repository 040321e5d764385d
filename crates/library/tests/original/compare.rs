//! Where two calls differ.

use std::fmt;

use crate::calls::Call;
use crate::jobs::Job;

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The case is not planned here at all.
    Refused,
    /// The calls that were made: names of programs.
    Calls,
    /// The program and its arguments.
    Arguments,
    /// The working directory.
    Directory,
    /// A variable.
    Variable(String),
}

/// A difference.
#[derive(Debug, Clone)]
pub(crate) struct Difference {
    pub(crate) kind: &'static str,
    pub(crate) case: String,
    pub(crate) vendor: String,
    /// The program that was called, if it is about one call.
    pub(crate) program: String,
    pub(crate) part: Part,
    pub(crate) original: String,
    pub(crate) ours: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} `{}` of {}: {} {:?}\n    original {}\n    ours     {}",
            self.kind, self.case, self.vendor, self.program, self.part, self.original, self.ours
        )
    }
}

/// What stands for a variable that is not there.
pub(crate) const ABSENT: &str = "(absent)";

/// The names of the programs that were called.
pub(crate) fn names(calls: &[Call]) -> String {
    let names: Vec<&str> = calls.iter().map(|call| call.program.as_str()).collect();
    names.join(" ")
}

pub(crate) fn compare(
    job: &Job,
    case: &str,
    original: Vec<Call>,
    ours: Vec<Call>,
) -> Vec<Difference> {
    let difference = |program: &str, part, original: String, ours: String| Difference {
        kind: job.kind,
        case: case.to_owned(),
        vendor: job.vendor.clone(),
        program: program.to_owned(),
        part,
        original,
        ours,
    };
    if names(&original) != names(&ours) {
        return vec![difference("", Part::Calls, names(&original), names(&ours))];
    }
    let mut found = Vec::new();
    for (theirs, ours) in original.into_iter().zip(ours) {
        if theirs.arguments != ours.arguments {
            let line = |call: &Call| format!("{} {}", call.program, call.arguments.join(" "));
            found.push(difference(
                &theirs.program,
                Part::Arguments,
                line(&theirs),
                line(&ours),
            ));
        }
        if theirs.directory != ours.directory {
            found.push(difference(
                &theirs.program,
                Part::Directory,
                theirs.directory.clone(),
                ours.directory.clone(),
            ));
        }
        let all = theirs.variables.keys().chain(ours.variables.keys());
        let mut all: Vec<&String> = all.collect();
        all.sort();
        all.dedup();
        for name in all {
            let value = |call: &Call| {
                call.variables
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| ABSENT.to_owned())
            };
            let (before, now) = (value(&theirs), value(&ours));
            if before != now {
                let part = Part::Variable(name.clone());
                found.push(difference(&theirs.program, part, before, now));
            }
        }
    }
    found
}
