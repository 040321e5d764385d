//! The command line: help, errors by their text, exit codes, plans.

use std::fs;

use crate::support::{Place, flagperf, ran};

fn run(arguments: &[&str]) -> crate::support::Ran {
    ran(flagperf(arguments).output().unwrap())
}

#[test]
fn help_names_the_commands_and_hides_the_inner_ones() {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    for command in ["run", "report", "list"] {
        assert!(
            help.stdout.contains(&format!("\n  {command} ")),
            "{}",
            help.stdout
        );
    }
    assert!(!help.stdout.contains("agent"), "{}", help.stdout);
    let help = run(&["run", "--help"]);
    for code in [
        "  0    every case",
        "  1    a case",
        "  2    the",
        "  3    every",
        "  130  interrupted",
    ] {
        assert!(help.stdout.contains(code), "{}", help.stdout);
    }
}

#[test]
fn options_stand_below_the_heading_that_they_belong_to() {
    let headings = |arguments: &[&str]| {
        let help = run(arguments).stdout;
        let mut heading = String::new();
        let mut found = std::collections::BTreeMap::new();
        for line in help.lines() {
            if let Some(name) = line.strip_suffix(':').filter(|name| !name.starts_with(' ')) {
                name.clone_into(&mut heading);
            }
            let word = line.split_whitespace().find(|word| word.starts_with("--"));
            let is_option = line.trim_start().starts_with('-');
            if let Some(word) = word.filter(|_| is_option) {
                let option = word.split(['=', '[']).next().unwrap();
                found.insert(option.to_owned(), heading.clone());
            }
        }
        found
    };
    let run = headings(&["run", "--help"]);
    for (option, heading) in [
        ("--rounds", "Options"),
        ("--vendor", "Options"),
        ("--continue-on-bad-nodes", "Options"),
        ("--resume", "Options"),
        ("--dry-run", "Options"),
        ("--quiet", "Options"),
        ("--json", "Options"),
        ("--set", "Classic suites"),
        ("--in-container", "Nodes"),
        ("--keep-containers", "Containers"),
    ] {
        assert_eq!(
            run.get(option).map(String::as_str),
            Some(heading),
            "{option}"
        );
    }
    let clean = headings(&["clean", "--help"]);
    assert_eq!(clean["--dry-run"], "Options");
    assert_eq!(clean["--nodes"], "Nodes");
}

#[test]
fn mistakes_say_what_was_expected_and_what_is_nearest() {
    let place = Place::new();
    let results = place.path("results");
    let results = results.to_str().unwrap();
    for (arguments, texts) in [
        (
            &["run", "computation-FP63"][..],
            &["no case is named `computation-FP63`", "computation-FP64"][..],
        ),
        (
            &["run", "--param", "mm=3", "computation-FP64"],
            &["`mm`", "`m`"],
        ),
        (
            &["run", "--param", "m=many", "computation-FP64"],
            &["many", "whole number"],
        ),
        (
            &["run", "--param", "m", "computation-FP64"],
            &["NAME=VALUE"],
        ),
        (
            &["run", "--duration", "soon"],
            &["soon", "expected a time such as `5s`"],
        ),
        (
            &["run", "--interval", "1ms"],
            &["1ms", "expected between `10ms` and `1h`"],
        ),
        (&["run", "--rounds", "0"], &["0", "1..=10000"]),
        (
            &["run", "--quiet", "--json"],
            &["--quiet", "cannot be used with", "--json"],
        ),
        (
            &[
                "run",
                "computation-FP64",
                "--timeout",
                "2s",
                "--duration",
                "5s",
            ],
            &[
                "--timeout 2 s is shorter than --duration 5 s",
                "hint: give a longer --timeout",
            ],
        ),
        (&["run", "--cases", "/nowhere"], &["/nowhere"]),
        (&["runn"], &["runn", "similar subcommand exists: 'run'"]),
        (&["report", "/nowhere"], &["/nowhere"]),
        (
            &["report", "/proc", "--format", "pdf"],
            &["pdf", "terminal", "html", "markdown", "json", "csv"],
        ),
    ] {
        let mut command = flagperf(arguments);
        if arguments[0] == "run" {
            command.args(["--results", results]);
        }
        let ran = ran(command.output().unwrap());
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{arguments:?}");
        for text in texts {
            assert!(ran.stderr.contains(text), "{arguments:?}: {}", ran.stderr);
        }
    }
    assert!(
        !place.path("results").exists(),
        "nothing may be created by a mistake"
    );
}

#[test]
fn a_broken_case_file_is_shown_with_its_place() {
    let place = Place::new();
    place.case("broken", "true");
    fs::write(
        place.path("cases/broken/case.toml"),
        "summary = \"x\"\nsuite = \"base\"\nrank = \"node\"\n[entry]\nargv = [\"./main.sh\"]\n",
    )
    .unwrap();
    let ran = place.run(&["broken"]);
    assert_eq!(ran.code, Some(2));
    for text in ["case.toml", "3", "rank", "ranks"] {
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
    }
}

#[test]
fn a_dry_run_shows_every_process_and_starts_none() {
    let place = Place::new();
    place.case("mine", "touch started");
    let ran = place.run(&["mine", "computation-FP64", "--dry-run", "--param", "m=512"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for text in [
        "[1/2]",
        "[2/2]",
        "rank 0: ./main.sh",
        "/cases/mine\n",
        "case gemm-fp64",
        "m=512",
        "RANK=0",
        "directory: ",
        "cores: ",
    ] {
        assert!(ran.stdout.contains(text), "{text}: {}", ran.stdout);
    }
    assert!(!place.path("results").exists());
    assert!(!place.path("cases/mine/started").exists());
    let ran = place.run(&["mine", "--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let program = plan["cases"][0]["tasks"][0]["processes"][0]["argv"][0].as_str();
    assert_eq!(program.unwrap(), "./main.sh");
}

#[test]
fn json_is_one_event_a_line() {
    let place = Place::new();
    place.case("mine", "echo '[FlagPerf Result]Rank 0 nothing=1.0 GB/s'");
    let ran = place.run(&["mine", "--json"]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let events: Vec<serde_json::Value> = ran
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(events[0]["what"]["run_started"].is_object());
    assert_eq!(events.last().unwrap()["what"]["run_ended"]["passed"], 1);
    assert!(
        events
            .iter()
            .any(|event| event["what"]["measured"].is_object())
    );
}

#[test]
fn quiet_prints_nothing() {
    let place = Place::new();
    place.case("mine", "echo '[FlagPerf Result]Rank 0 nothing=1.0 GB/s'");
    let ran = place.run(&["mine", "--quiet"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (Some(0), "", "")
    );
}

#[test]
fn a_named_case_that_the_processor_cannot_run_is_a_failure() {
    let place = Place::new();
    place.case("exotic", "echo unreachable");
    fs::write(
        place.path("cases/exotic/case.toml"),
        "summary = \"x\"\nsuite = \"base\"\nranks = \"node\"\nneeds_any = [[\"warp_drive\"]]\n[entry]\nargv = [\"./main.sh\"]\n",
    )
    .unwrap();
    let ran = place.run(&["exotic"]);
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.stderr
            .contains("not supported by this processor: warp_drive"),
        "{}",
        ran.stderr
    );
}

#[test]
fn list_shows_every_case_in_a_line_and_why_one_cannot_run() {
    let place = Place::new();
    place.case("exotic", "true");
    fs::write(
        place.path("cases/exotic/case.toml"),
        "summary = \"Goes where no case has gone\"\nsuite = \"base\"\nranks = \"node\"\nneeds_any = [[\"warp_drive\"]]\n[entry]\nargv = [\"./main.sh\"]\n",
    )
    .unwrap();
    let ran = run(&["list", "--cases", place.path("cases").to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for name in [
        "computation-FP64",
        "main_memory-bandwidth",
        "interconnect-MPI_intraserver",
        "exotic",
    ] {
        assert!(ran.stdout.contains(&format!("{name} ")), "{}", ran.stdout);
    }
    assert!(
        ran.stdout
            .contains("not supported by this processor: warp_drive"),
        "{}",
        ran.stdout
    );
}

#[test]
fn a_path_that_is_not_text_is_a_path_all_the_same() {
    use std::os::unix::ffi::OsStrExt;
    let place = Place::new();
    place.case("mine", "echo '[FlagPerf Result]Rank 0 nothing=1.0 GB/s'");
    let results = place
        .path("r")
        .join(std::ffi::OsStr::from_bytes(b"\xff\xfe and a blank"));
    let mut command = flagperf(&["run", "mine", "--cases"]);
    command
        .arg(place.path("cases"))
        .arg("--results")
        .arg(&results);
    let ran = ran(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(fs::read_dir(&results).unwrap().count(), 1);
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    let full = || fs::File::options().write(true).open("/dev/full").unwrap();
    let list = flagperf(&["list"]).stdout(full()).output().unwrap();
    assert_eq!(list.status.code(), Some(2));
    let said = String::from_utf8(list.stderr).unwrap();
    assert!(
        said.contains("the list cannot be written: No space left on device"),
        "{said}"
    );

    let place = Place::new();
    place.case("mine", "echo '[FlagPerf Result]Rank 0 nothing=1.0 GB/s'");
    for arguments in [&["mine"][..], &["mine", "--json"]] {
        let run = place.command(arguments).stdout(full()).output().unwrap();
        let said = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(3), "{said}");
        assert!(said.contains("standard output cannot be written"), "{said}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let place = Place::new();
    place.case("mine", "echo '[FlagPerf Result]Rank 0 nothing=1.0 GB/s'");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let run = place
        .command(&["mine", "--json"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(run.status.code(), Some(0));
}
