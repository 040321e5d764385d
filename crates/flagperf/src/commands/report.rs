//! `flagperf report`: the record of a run in a form for people or programs.

use std::io::IsTerminal;
use std::path::Path;

use flagperf_report::{RunData, TerminalOptions};
use flagperf_store::ReadError;

use crate::cli::{Format, ReportArgs};
use crate::exit::{Exit, Failure};
use crate::output::{print, warn};

pub(crate) fn report(args: &ReportArgs) -> Result<Exit, Failure> {
    let data = load(&args.run)?;
    let text = match args.format {
        Format::Terminal => {
            let colour = args.output.is_none() && wants_colour();
            flagperf_report::terminal(&data, &terminal_options(colour, &args.run))
        }
        Format::Html => flagperf_report::html(&data),
        Format::Markdown => flagperf_report::markdown(&data),
        Format::Json => flagperf_report::json(&data),
        Format::Csv => {
            // A table of numbers has no place for what is not there.
            data.missing.iter().for_each(|missing| warn(missing));
            flagperf_report::csv(&data)
        }
    };
    match &args.output {
        Some(path) => write_whole(path, text.as_bytes()).map_err(|error| {
            Failure::usage(format!(
                "the report cannot be written to `{}`: {error}",
                path.display()
            ))
        })?,
        None => print(&text)
            .map_err(|error| Failure::usage(format!("the report cannot be written: {error}")))?,
    }
    Ok(Exit::Success)
}

/// Reads a run directory.
fn load(directory: &Path) -> Result<RunData, Failure> {
    flagperf_store::read_run(directory)
        .map(flagperf_report::load)
        .map_err(|error: ReadError| Failure::usage(error))
}

/// The last page of a run: read back from the directory, so that what is shown is what is recorded.
pub(crate) fn summary(directory: &Path) -> Result<String, Failure> {
    let data = load(directory)?;
    Ok(flagperf_report::terminal(
        &data,
        &terminal_options(wants_colour(), directory),
    ))
}

/// Writes `report.html` into a run directory.
pub(crate) fn write_page(directory: &Path) -> Result<(), Failure> {
    let data = load(directory)?;
    let path = directory.join("report.html");
    write_whole(&path, flagperf_report::html(&data).as_bytes()).map_err(|error| {
        Failure::internal(format!("`{}` cannot be written: {error}", path.display()))
    })
}

/// Writes a file under a temporary name and then gives it its own, so that nobody ever sees half of it.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let is_plain = !path.exists() || path.is_file();
    if !is_plain {
        // A device or a pipe takes bytes, not another name.
        return std::fs::write(path, bytes);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".part{}", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        drop(std::fs::remove_file(&part));
    }
    written
}

fn wants_colour() -> bool {
    anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never
}

fn terminal_options(colour: bool, directory: &Path) -> TerminalOptions {
    let stdout = std::io::stdout();
    let width = if stdout.is_terminal() {
        rustix::termios::tcgetwinsize(&stdout).map_or(80, |size| usize::from(size.ws_col))
    } else {
        100
    };
    TerminalOptions {
        colour,
        // A terminal that does not know its width says 0.
        width: if width == 0 { 80 } else { width },
        location: Some(directory.display().to_string()),
        ..TerminalOptions::default()
    }
}
