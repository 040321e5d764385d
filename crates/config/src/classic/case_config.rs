//! `config_*.py`: the configuration of a training case for a vendor's chips.

use std::path::PathBuf;

use flagperf_text::python::{self, Module};
use flagperf_text::{Data, decode, locate};

use super::ConfigFile;
use super::findings::problem_of;
use crate::settings::{SettingsError, SettingsErrors};

/// The names of such a module with their values.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseConfig {
    path: PathBuf,
    source: String,
    module: Module,
}

/// Reads a `config_*.py`. `import` gives the text of another module by the name that the import says, such
/// as `config_common`, which lies beside it; without a text, what is imported is unknown.
///
/// # Errors
///
/// The text is not UTF-8, or no Python.
pub fn read_case_config(
    file: &ConfigFile<'_>,
    import: &mut dyn FnMut(&str) -> Option<String>,
) -> Result<CaseConfig, SettingsErrors> {
    let errors = |problems: Vec<_>| {
        let all = problems.into_iter().map(|it| problem_of(file.path, it));
        SettingsErrors(all.collect())
    };
    let source = decode(file.bytes).map_err(|problem| errors(vec![problem]))?;
    let module = python::read(source, import).map_err(errors)?;
    Ok(CaseConfig {
        path: file.path.to_owned(),
        source: source.to_owned(),
        module,
    })
}

impl CaseConfig {
    /// The value of a name; absent if nothing assigns it.
    ///
    /// # Errors
    ///
    /// The name has a value, or may have one, that is not known without executing something.
    pub fn get(&self, name: &str) -> Result<Option<&Data>, SettingsError> {
        match self.module.get(name) {
            None => Ok(None),
            Some(Ok(value)) => Ok(Some(&value.value)),
            Some(Err(unknown)) => {
                let message = format!("`{name}` is needed, but {}", unknown.message);
                let problem = locate(&self.source, unknown.span.clone(), message);
                Err(problem_of(&self.path, problem))
            }
        }
    }

    /// The names in the order in which they were first assigned, those with unknown values among them.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let bindings = self.module.bindings().iter();
        bindings.map(|binding| &*binding.name.value)
    }
}
