//! How the program ends: exit codes, and the errors behind them.

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use owo_colors::OwoColorize;

/// The exit codes, also listed in `flagperf run --help` and in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything asked for was done; every case passed.
    Success = 0,
    /// A case failed, timed out, stalled, was lost or skipped, or one asked for by name is not supported.
    CaseFailed = 1,
    /// The command line or a setting is wrong; nothing was started.
    Usage = 2,
    /// Every case passed, but the record of the run is incomplete: a full disk, for example.
    RecordIncomplete = 3,
    /// A node cannot take part, and the user did not say to go on without it; nothing was started.
    BadNodes = 4,
    /// The user interrupted the run.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    error: Box<dyn Error + Send + Sync>,
    hint: Option<String>,
}

impl Failure {
    /// An error with an exit code of its own.
    pub(crate) fn new(exit: Exit, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit,
            error: error.into(),
            hint: None,
        }
    }

    /// A mistake in what the user asked for.
    pub(crate) fn usage(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit: Exit::Usage,
            error: error.into(),
            hint: None,
        }
    }

    /// Something that went wrong although the request was right.
    pub(crate) fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            exit: Exit::CaseFailed,
            error: error.into(),
            hint: None,
        }
    }

    /// Adds what the user can do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The error with its causes, in one line.
    pub(crate) fn text(&self) -> String {
        let mut text = self.error.to_string();
        let mut cause = self.error.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    /// Prints the error and gives the exit code.
    pub(crate) fn report(self) -> Exit {
        let mut stderr = anstream::stderr().lock();
        let text = self.text();
        // Nothing can be done when even this cannot be printed.
        let _ = writeln!(stderr, "{} {text}", "error:".red().bold());
        if let Some(hint) = self.hint {
            let _ = writeln!(stderr, "{} {hint}", "hint:".cyan().bold());
        }
        self.exit
    }
}
