//! `flagperf.toml`.

use std::path::{Path, PathBuf};

use flagperf_config::Settings;

use crate::exit::Failure;

/// The file that is read where none is named.
const USUAL: &str = "flagperf.toml";

/// The file with settings: the one that is named, or the usual one if there is one.
pub(crate) fn file(named: Option<&Path>) -> Option<PathBuf> {
    match named {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(USUAL)).filter(|path| path.exists()),
    }
}

/// What a file with settings says.
pub(crate) fn read(path: &Path) -> Result<Settings, Failure> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("`{shown}` cannot be read: {error}")))?;
    flagperf_config::parse_settings(path, &text).map_err(Failure::usage)
}

/// The settings of a run.
pub(crate) fn of(named: Option<&Path>) -> Result<Settings, Failure> {
    match file(named) {
        Some(path) => read(&path),
        None => Ok(Settings::default()),
    }
}
