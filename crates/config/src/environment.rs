//! Whether the nodes are containers that exist already.

use flagperf_model::Environment;
use flagperf_text::{printable, shown};

/// A value of `EXEC_IN_CONTAINER` that says neither yes nor no.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "EXEC_IN_CONTAINER is `{value}`; expected `True`, `true` or `1` for in-container mode, \
     or `False`, `false`, `0` or nothing for none"
)]
pub struct ExecInContainerError {
    value: String,
}

/// Reads the text of the environment variable `EXEC_IN_CONTAINER`. Absent means that it is not set
/// and says nothing; set but empty means no.
///
/// # Errors
///
/// Any other text than the usual ones for yes and no: a mode that is on by mistake skips steps.
pub fn read_exec_in_container(value: Option<&str>) -> Result<Option<bool>, ExecInContainerError> {
    match value {
        None => Ok(None),
        Some("True" | "true" | "1") => Ok(Some(true)),
        Some("False" | "false" | "0" | "") => Ok(Some(false)),
        Some(other) => Err(ExecInContainerError {
            value: printable(shown(other)),
        }),
    }
}

/// Decides the environment of a run: what the command line says counts more than the variable
/// `EXEC_IN_CONTAINER`, and that more than `in_container` of the settings. With it comes how that
/// was decided, in words for the log; absent if none of them says anything.
///
/// # Errors
///
/// A variable that says neither yes nor no, unless the command line has decided.
pub fn decide_environment(
    flag: Option<bool>,
    variable: Option<&str>,
    settings: Option<bool>,
) -> Result<(Environment, Option<String>), ExecInContainerError> {
    let (on, from) = if let Some(on) = flag {
        let from = if on {
            "--in-container"
        } else {
            "--in-container=false"
        };
        (on, from.to_owned())
    } else if let Some(on) = read_exec_in_container(variable)? {
        let from = match variable {
            None | Some("") => "EXEC_IN_CONTAINER is empty".to_owned(),
            Some(text) => format!("EXEC_IN_CONTAINER={text}"),
        };
        (on, from)
    } else if let Some(on) = settings {
        (on, format!("in_container = {on} in flagperf.toml"))
    } else {
        return Ok((Environment::Host, None));
    };
    Ok(if on {
        let reason = format!("{from}: in-container mode");
        (Environment::InContainer, Some(reason))
    } else {
        (Environment::Host, Some(format!("{from}: off")))
    })
}
