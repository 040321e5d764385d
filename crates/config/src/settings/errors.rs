//! What is said about a wrong configuration file.

use std::fmt;
use std::path::PathBuf;

/// One mistake in a configuration file, or a warning about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}\n{excerpt}", path.display())]
pub struct SettingsError {
    /// The file.
    pub path: PathBuf,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line with a mark under the place.
    pub excerpt: String,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Every mistake in configuration files, in their order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct SettingsErrors(
    /// At least one.
    pub Vec<SettingsError>,
);

impl fmt::Display for SettingsErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::lines(f, &self.0)
    }
}
