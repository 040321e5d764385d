//! Which cases a user's list of names means.

use std::fmt;

use flagperf_model::CaseSpec;
use flagperf_text::{nearest, quoted, shown};

use crate::Library;

/// What is wrong with one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectProblem {
    /// No case has it.
    #[error("no case is named `{name}`; {hint}")]
    Unknown {
        /// The name.
        name: String,
        /// The nearest names, or the family it begins, or all cases.
        hint: String,
    },
    /// It asks for a chip, which built-in cases do not take.
    #[error(
        "`{case}:{chip}` names a chip, but the built-in case `{case}` measures the processor of the machine that it runs on; leave `:{chip}` out"
    )]
    Chip {
        /// The built-in case.
        case: String,
        /// The chip.
        chip: String,
    },
}

/// Everything that is wrong with a list of names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SelectError(
    /// At least one.
    pub Vec<SelectProblem>,
);

impl fmt::Display for SelectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        lines(f, &self.0)
    }
}

/// Writes one problem a line.
pub(crate) fn lines<T: fmt::Display>(f: &mut fmt::Formatter<'_>, all: &[T]) -> fmt::Result {
    for (index, one) in all.iter().enumerate() {
        if index > 0 {
            f.write_str("\n")?;
        }
        one.fmt(f)?;
    }
    Ok(())
}

impl Library {
    /// The cases of those names, each once, in the order they are first named. No names mean all
    /// cases, in the order of the catalogue.
    ///
    /// # Errors
    ///
    /// Every name that no case has, with the nearest that one has.
    pub fn select(&self, names: &[String]) -> Result<Vec<&CaseSpec>, SelectError> {
        if names.is_empty() {
            return Ok(self.cases().collect());
        }
        let mut selected: Vec<&CaseSpec> = Vec::new();
        let mut problems = Vec::new();
        for name in names {
            match self.get(name) {
                Some(spec) if selected.iter().any(|other| other.name == spec.name) => {}
                Some(spec) => selected.push(spec),
                None => problems.push(self.explain(name)),
            }
        }
        if problems.is_empty() {
            Ok(selected)
        } else {
            Err(SelectError(problems))
        }
    }

    fn explain(&self, name: &str) -> SelectProblem {
        if let Some((case, chip)) = name.split_once(':')
            && self.is_builtin(case)
        {
            return SelectProblem::Chip {
                case: case.to_owned(),
                chip: shown(chip),
            };
        }
        let hint = self.hint(name);
        SelectProblem::Unknown {
            name: shown(name),
            hint,
        }
    }

    /// What the user may have meant: the same name in other letters, the family that the name
    /// begins, names that contain it, or a name that differs in a few letters.
    fn hint(&self, name: &str) -> String {
        let names = || self.cases().map(|spec| spec.name.as_str());
        let wanted = name.to_lowercase();
        if let Some(same) = names().find(|other| other.to_lowercase() == wanted) {
            return format!("did you mean `{same}`?");
        }
        let matching = |test: &dyn Fn(&str) -> bool| -> Vec<&str> {
            names()
                .filter(|other| test(&other.to_lowercase()))
                .collect()
        };
        let family = matching(&|other| !wanted.is_empty() && other.starts_with(&wanted));
        if let [only] = family[..] {
            return format!("did you mean `{only}`?");
        }
        if !family.is_empty() {
            return format!("cases whose names begin so: {}", quoted(family));
        }
        // The chip of an unknown case's name would only blur the comparison.
        let stem = name.split(':').next().unwrap_or(name);
        if let Some(close) = nearest(stem, names()) {
            return format!("did you mean `{close}`?");
        }
        // Two letters are part of nearly every name and say nothing.
        let containing = matching(&|other| wanted.len() > 2 && other.contains(&wanted));
        if !containing.is_empty() {
            return format!("cases whose names contain it: {}", quoted(containing));
        }
        format!("the cases are {}", quoted(names()))
    }
}
