//! Writes every report of a made-up run to a directory, to be looked at:
//! `cargo run -p flagperf-report --example fixture -- DIRECTORY [THREADS [SAMPLES-A-SECOND]]`,
//! or those of a made-up run on many nodes: `-- DIRECTORY nodes NODES`,
//! or those of a run that was recorded: `-- DIRECTORY RUN`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a tool for looking at reports, not part of the program"
)]

#[path = "../tests/it/fixture/mod.rs"]
mod fixture;

use std::path::{Path, PathBuf};

use flagperf_report::{TerminalOptions, csv, html, json, load, markdown, terminal};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let directory = PathBuf::from(arguments.next().expect("a directory is needed"));
    let rest: Vec<String> = arguments.collect();
    let run = match rest.first() {
        Some(run) if Path::new(run).is_dir() => {
            load(flagperf_store::read_run(Path::new(run)).unwrap())
        }
        Some(word) if word == "nodes" => fixture::many::many(rest[1].parse().unwrap()),
        _ => {
            let mut size = fixture::Size::SMALL;
            if let Some(threads) = rest.first() {
                size.threads = threads.parse().unwrap();
            }
            if let Some(rate) = rest.get(1) {
                size.samples_a_second = rate.parse().unwrap();
            }
            fixture::run(size)
        }
    };
    let options = |width, colour| TerminalOptions {
        width,
        colour,
        location: Some(format!("results/{}", run.record.run)),
        ..TerminalOptions::default()
    };
    std::fs::create_dir_all(&directory).unwrap();
    for (name, text) in [
        ("report.html", html(&run)),
        ("report.md", markdown(&run)),
        ("report.json", json(&run)),
        ("report.csv", csv(&run)),
        ("terminal.txt", terminal(&run, &options(80, false))),
        ("terminal-40.txt", terminal(&run, &options(40, false))),
        ("terminal-120.txt", terminal(&run, &options(120, true))),
    ] {
        println!("{:>8} {name}", text.len());
        std::fs::write(directory.join(name), text).unwrap();
    }
}
