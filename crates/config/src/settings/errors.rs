//! What is said about a wrong `flagperf.toml`.

use std::fmt;
use std::path::PathBuf;

/// One mistake in a `flagperf.toml`.
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

/// Every mistake in a `flagperf.toml`, in the order of the file.
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
