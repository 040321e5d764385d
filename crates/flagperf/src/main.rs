//! The `flagperf` program: reads the command line, hands it to one command, and turns how that
//! ended into an exit code. Only this crate prints, reads the environment, or knows exit codes.

#![forbid(unsafe_code)]

mod cli;
mod commands;
mod exit;
mod output;
mod progress;
mod values;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    commands::run(cli)
        .unwrap_or_else(exit::Failure::report)
        .into()
}
