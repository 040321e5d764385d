//! Writing to standard output, and warnings to standard error.

use std::io::{self, ErrorKind, Write};

use owo_colors::OwoColorize;

/// Writes text to standard output, with its colours if they are wanted there. A reader that has seen
/// enough and closed the pipe is no error.
///
/// # Errors
///
/// Anything else that keeps the text from being written: a full disk, for example.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut stdout = anstream::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Writes a warning to standard error.
pub(crate) fn warn(message: &str) {
    drop(writeln!(
        anstream::stderr().lock(),
        "{} {message}",
        "warning:".yellow().bold()
    ));
}

/// Writes something that may help to standard error.
pub(crate) fn hint(message: &str) {
    drop(writeln!(
        anstream::stderr().lock(),
        "{} {message}",
        "hint:".cyan().bold()
    ));
}
