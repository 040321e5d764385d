//! What can be wrong with a request for cases of a tree.

use std::fmt;
use std::io;
use std::path::PathBuf;

use flagperf_model::NameError;

/// One thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum TreeProblem {
    /// A file or directory of the tree cannot be read.
    #[error("cannot read `{}`: {source}", path.display())]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The suite has nothing of that vendor.
    #[error("no case of suite {suite} is adapted to a vendor `{vendor}`; {hint}")]
    Vendor {
        /// The suite.
        suite: &'static str,
        /// The vendor.
        vendor: String,
        /// The nearest name, or all.
        hint: String,
    },
    /// No case is asked for.
    #[error("no case is named; suite {suite} has {there} for `{vendor}`")]
    NoCases {
        /// The suite.
        suite: &'static str,
        /// The vendor.
        vendor: String,
        /// The cases that there are.
        there: String,
    },
    /// A case string does not have the form of its suite.
    #[error("`{case}` has {found} fields; expected {expected}")]
    Fields {
        /// The case as it was written.
        case: String,
        /// How many fields it has.
        found: usize,
        /// The form that is expected.
        expected: String,
    },
    /// A field of a case string says nothing that is known.
    #[error("`{field}` of `{case}` is no {what}; expected {expected}")]
    Field {
        /// The case as it was written.
        case: String,
        /// The field.
        field: String,
        /// What it stands for.
        what: &'static str,
        /// What was expected.
        expected: String,
    },
    /// No case has that name.
    #[error("no {kind} is named `{case}`; {hint}")]
    Unknown {
        /// What was looked for: `benchmark`, `operator`.
        kind: String,
        /// The name.
        case: String,
        /// The nearest name and for whom it exists.
        hint: String,
    },
    /// No case has a name of that form.
    #[error("no {kind} for `{vendor}` has a name like `{pattern}`; {hint}")]
    NoMatch {
        /// What was looked for.
        kind: String,
        /// The vendor.
        vendor: String,
        /// The pattern.
        pattern: String,
        /// For whom there are some, or what there is.
        hint: String,
    },
    /// The case is not adapted to the vendor, or not to that chip of it.
    #[error("the {kind} `{case}` does not exist for {wanted}; it exists for {available}")]
    NotFor {
        /// What it is.
        kind: String,
        /// Its name.
        case: String,
        /// The vendor, with the chip if one was named.
        wanted: String,
        /// For whom it exists.
        available: String,
    },
    /// The case is not written for that framework.
    #[error(
        "the {kind} `{case}` is not written for `{framework}`; it is for {available}, with or without a version behind `_`"
    )]
    NotWith {
        /// What it is.
        kind: String,
        /// Its name.
        case: String,
        /// The framework as it was written.
        framework: String,
        /// Those that there are.
        available: String,
    },
    /// A chip is named where the vendor's adaptation is not for single chips.
    #[error(
        "`{case}` names the chip `{chip}`, but what `{vendor}` has for it is not for single chips; leave `:{chip}` out"
    )]
    NoChips {
        /// The case as it was written.
        case: String,
        /// The chip.
        chip: String,
        /// The vendor.
        vendor: String,
    },
    /// Several chips would do.
    #[error("`{case}` does not say for which chip, and `{vendor}` has several; write {choices}")]
    Ambiguous {
        /// The case as it was written.
        case: String,
        /// The vendor.
        vendor: String,
        /// The case strings that there are.
        choices: String,
    },
    /// A training case has no configuration of that size.
    #[error("`{case}` has no configuration `{file}`; {hint}")]
    Configuration {
        /// The case as it was written.
        case: String,
        /// The file.
        file: String,
        /// What there is.
        hint: String,
    },
    /// A case spans more nodes than there are.
    #[error("`{case}` spans {needs} nodes, and the run has {there}")]
    TooFewNodes {
        /// The case as it was written.
        case: String,
        /// How many it spans.
        needs: u32,
        /// How many there are.
        there: u32,
    },
    /// Something stands behind no case string that must.
    #[error("`{case}` needs {what}")]
    NoValue {
        /// The case as it was written.
        case: String,
        /// What is missing and where it can be said.
        what: String,
    },
    /// There is no directory that the image could be built from.
    #[error("`{framework}` of `{case}` is no framework of `{vendor}` in suite {suite}; {hint}")]
    Framework {
        /// The case as it was written.
        case: String,
        /// The framework.
        framework: String,
        /// The vendor.
        vendor: String,
        /// The suite.
        suite: &'static str,
        /// The nearest, or all.
        hint: String,
    },
    /// A file or directory that the case cannot do without is not in the tree.
    #[error("`{case}` needs {what} `{}`, which is not there", path.display())]
    Missing {
        /// The case as it was written.
        case: String,
        /// What it is.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
    },
    /// A file of the tree cannot be understood.
    #[error("`{}` {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The case changes credentials of the machine that it runs on.
    #[error(
        "`{case}` is not run: `{}` {what} on every node it runs on, and the way to the node may be lost with it; allow it with `--allow-credential-changes` if the nodes are containers for this run alone",
        path.display()
    )]
    Credentials {
        /// The case as it was written.
        case: String,
        /// The script.
        path: PathBuf,
        /// What it does, with the numbers of the lines.
        what: String,
    },
    /// The case string cannot be a name in a run.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// Everything that is wrong with a request.
#[derive(Debug, thiserror::Error)]
pub struct TreeErrors(
    /// At least one.
    pub Vec<TreeProblem>,
);

impl fmt::Display for TreeErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::select::lines(f, &self.0)
    }
}
