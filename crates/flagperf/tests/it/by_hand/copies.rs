//! Private copies: what is in them, who sees them, and that the original stays as it was.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flagperf_model::{Launcher, PrivateCopy, ProcessSpec};
use tempfile::TempDir;

use super::{ByHand, Done, RESULT, here, node, shell};
use crate::support::everything;

/// A suite of cases.
fn suite() -> TempDir {
    let suite = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = suite.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write("configs/host.yaml", "VENDOR: theirs\r\n");
    write("toolkits/x/main.sh", "echo built >product\r\n");
    write("result/run1/log", "of another run");
    write("benchmarks/x/main.py", "");
    symlink("../configs/host.yaml", suite.path().join("benchmarks/link")).unwrap();
    symlink("/etc/hostname", suite.path().join("benchmarks/absolute")).unwrap();
    suite
}

fn changes() -> PrivateCopy {
    PrivateCopy {
        without: vec!["result".to_owned()],
        files: BTreeMap::from([("configs/host.yaml".to_owned(), "VENDOR: ours\n".to_owned())]),
        unix_lines: vec!["toolkits/x/main.sh".to_owned()],
    }
}

/// What a case prints behind a word.
#[track_caller]
fn said(done: &Done, case: &str, word: &str) -> String {
    let output = done.output(case, "here");
    let found = output.lines().find_map(|line| line.strip_prefix(word));
    found.unwrap_or_else(|| panic!("{output}")).to_owned()
}

#[test]
fn even_this_machine_gets_a_copy_that_the_cases_of_a_run_share_and_that_goes_with_it() {
    let suite = suite();
    let before = everything(suite.path());
    let mut hand = ByHand::new(vec![here()]);
    hand.case(
        "first",
        "each",
        &format!(
            "echo at=$(pwd -P); ls -R; cat configs/host.yaml benchmarks/link; cd toolkits/x; sh main.sh; ls; {RESULT}"
        ),
    );
    let again = format!("echo at=$(pwd -P); cat toolkits/x/product; {RESULT}");
    hand.case("second", "each", &again);
    hand.copy(suite.path(), &changes());
    let done = hand.run();
    done.assert_passed();
    let output = done.output("first", "here");
    assert!(!output.contains("result"), "{output}");
    assert!(!output.contains("absolute"), "{output}");
    assert_eq!(output.matches("VENDOR: ours\n").count(), 2, "{output}");
    // With its line ends it would be called otherwise.
    assert!(output.contains("\nproduct\n"), "{output}");
    let second = done.output("second", "here");
    assert!(second.contains("built\n"), "{second}");
    let place = said(&done, "first", "at=");
    assert_eq!(place, said(&done, "second", "at="));
    assert!(!place.starts_with(suite.path().to_str().unwrap()));
    assert!(!Path::new(&place).exists(), "{place} is left");
    assert_eq!(everything(suite.path()), before);
}

#[test]
fn runs_at_the_same_time_do_not_see_each_others_products() {
    let suite = suite();
    let meet = tempfile::tempdir().unwrap();
    let run = |own: &str, other: &str| {
        let mut hand = ByHand::new(vec![here()]);
        let meet = meet.path().display();
        hand.case(
            "build",
            "each",
            &format!(
                "echo {own} >of-{own}; touch {meet}/{own}; while [ ! -e {meet}/{other} ]; do sleep 0.05; done; echo there=$(ls -d of-*); {RESULT}"
            ),
        );
        hand.copy(suite.path(), &changes());
        let done = hand.run();
        done.assert_passed();
        said(&done, "build", "there=")
    };
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(|| run("one", "other"));
        let other = run("other", "one");
        (one.join().unwrap(), other)
    });
    assert_eq!((one.as_str(), other.as_str()), ("of-one", "of-other"));
    assert!(!suite.path().join("of-one").exists());
}

#[test]
fn paths_come_in_the_place_of_their_names_for_who_has_a_copy() {
    let suite = suite();
    let mut hand = ByHand::new(vec![here()]);
    let script = format!(
        "echo at=$(pwd -P); echo argument=$1; echo variable=$SEES; echo {{copy}} >{{out}}/where; {RESULT}"
    );
    let case = hand.case("with", "each", &script);
    let process = &mut case.tasks[0].processes[0];
    process.cwd = Some("benchmarks/x".to_owned());
    let more = ["sh", "--perf_path={copy}/benchmarks"].map(str::to_owned);
    process.argv.extend(more);
    let sees = "{copy}:{out}".to_owned();
    process.env.insert("SEES".to_owned(), sees);
    hand.copy(suite.path(), &changes());
    let without = format!("echo '{{copy}} {{out}}'; {RESULT}");
    hand.case("without", "each", &without);
    let done = hand.run();
    done.assert_passed();
    let place = said(&done, "with", "at=");
    let copy = place.strip_suffix("/benchmarks/x").unwrap();
    let argument = said(&done, "with", "argument=");
    assert_eq!(argument, format!("--perf_path={copy}/benchmarks"));
    let variable = said(&done, "with", "variable=");
    let (first, out) = variable.split_once(':').unwrap();
    assert_eq!(first, copy);
    assert!(Path::new(out).is_absolute() && !out.starts_with(copy));
    let fetched = done.file("with/here_noderank0/files/where");
    assert_eq!(fetched.trim(), copy);
    let untouched = done.output("without", "here");
    assert!(untouched.contains("{copy} {out}\n"), "{untouched}");
}

#[test]
fn a_directory_that_is_not_in_the_copy_is_a_failure_to_start() {
    for (cwd, said) in [
        (
            "benchmarks/missing",
            "`benchmarks/missing` does not exist in the case's directory",
        ),
        ("../..", "`../..` has `..` in its path"),
        ("/no/such", "/no/such does not exist"),
    ] {
        let suite = suite();
        let mut hand = ByHand::new(vec![here()]);
        let case = hand.case("lost", "each", RESULT);
        case.tasks[0].processes[0].cwd = Some(cwd.to_owned());
        hand.copy(suite.path(), &changes());
        let done = hand.run();
        let outcome = &done.outcomes()[0];
        assert!(outcome.contains("`sh` could not be started"), "{outcome}");
        assert!(outcome.contains(said), "{outcome}");
    }
}

#[test]
fn a_copy_that_was_not_packed_is_never_replaced_by_the_original() {
    let suite = suite();
    let mut hand = ByHand::new(vec![here()]);
    hand.case("never", "each", &format!("touch made; {RESULT}"));
    hand.copy(suite.path(), &changes());
    hand.trees = flagperf_engine::Trees::default();
    let done = hand.run();
    let outcome = &done.outcomes()[0];
    assert!(outcome.contains("was not packed"), "{outcome}");
    assert!(!suite.path().join("made").exists());
}

#[test]
fn the_copy_has_the_same_path_on_all_nodes() {
    // Nodes that are one machine have files of their own there, under different names.
    let places: Vec<TempDir> = (0..2).map(|_| tempfile::tempdir().unwrap()).collect();
    let nodes = places.iter().zip(["a", "b"]).map(|(place, name)| {
        // Each sees its own directory as /tmp.
        let script = format!(
            "mount --bind {} /tmp && exec \"$@\"",
            place.path().display()
        );
        let words = ["unshare", "--mount", "sh", "-c", &script, "sh"].map(str::to_owned);
        let words = words.to_vec();
        node(name, Launcher::Exec { words })
    });
    if crate::support::skip_without_root("nodes with file systems of their own") {
        return;
    }
    let suite = suite();
    let mut hand = ByHand::new(nodes.collect());
    hand.case("where", "all", &format!("echo at={{copy}}; {RESULT}"));
    hand.copy(suite.path(), &changes());
    let done = hand.run();
    done.assert_passed();
    let at = |node: &str| {
        let output = done.output("where", node);
        let found = output.lines().find_map(|line| line.strip_prefix("at="));
        PathBuf::from(found.unwrap())
    };
    assert_eq!(at("a"), at("b"));
    for place in &places {
        let left: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let twice = [node("c", exec()), node("d", exec())];
    let mut hand = ByHand::new(twice.into());
    hand.case("where", "all", &format!("echo at={{copy}}; {RESULT}"));
    hand.copy(suite.path(), &changes());
    let done = hand.run();
    done.assert_passed();
    let of = |node: &str| done.output("where", node);
    assert_ne!(of("c").lines().next(), of("d").lines().next());
}

fn exec() -> Launcher {
    Launcher::Exec {
        words: vec!["env".to_owned()],
    }
}

#[test]
fn ranks_may_have_logs_of_their_own() {
    let mut hand = ByHand::new(vec![here()]);
    let case = hand.case("ranks", "each", "");
    let task = &mut case.tasks[0];
    task.processes = (0..3)
        .map(|rank| ProcessSpec {
            rank,
            argv: shell(&format!(
                "printf 'half '; sleep 0.{rank}; echo of {rank}; echo '[FlagPerf Result]Rank {rank} x{rank}=1 GB/s'"
            )),
            ..task.processes[0].clone()
        })
        .collect();
    let names = [(0, "rank0.out.log"), (1, "rank1.out.log")];
    task.rank_logs = names.map(|(rank, name)| (rank, name.to_owned())).into();
    let done = hand.run();
    done.assert_passed();
    for (rank, name) in [
        (0, "rank0.out.log"),
        (1, "rank1.out.log"),
        (2, "benchmark.log.txt"),
    ] {
        let log = done.file(&format!("ranks/here_noderank0/{name}"));
        let text = format!("half of {rank}\n[FlagPerf Result]Rank {rank} x{rank}=1 GB/s\n");
        assert_eq!(log, text, "{name}");
    }
    let result = &done.record.results[0];
    let measured: Vec<_> = result
        .measurements
        .iter()
        .map(|(_, measured)| (measured.metric.to_string(), measured.rank))
        .collect();
    assert_eq!(measured.len(), 3, "{measured:?}");
    for rank in 0..3 {
        let found = (format!("x{rank}"), Some(rank));
        assert!(measured.contains(&found), "{measured:?}");
    }
    assert_eq!(result.result_lines.len(), 3);
}

#[test]
fn a_copy_that_takes_its_time_is_waited_for_and_given_up_when_the_user_wants() {
    // Stands for a suite of some size: what does not compress takes its time through a slow link.
    let suite = tempfile::tempdir().unwrap();
    let status = std::process::Command::new("head")
        .args(["-c", "30000000", "/dev/urandom"])
        .stdout(fs::File::create(suite.path().join("noise")).unwrap())
        .status();
    assert!(status.unwrap().success());
    let mut hand = ByHand::new(vec![here()]);
    let case = hand.case("late", "each", RESULT);
    case.setup.push(super::setup("true"));
    hand.copy(suite.path(), &PrivateCopy::default());
    let began = std::time::Instant::now();
    let done = hand.run();
    done.assert_passed();
    assert!(began.elapsed() < Duration::from_secs(20));
    let done = hand_again(&suite).run_with(|event, interrupt| {
        if matches!(event, flagperf_model::EventKind::StepStarted { .. }) {
            interrupt.send(()).unwrap();
        }
    });
    let outcome = &done.outcomes()[0];
    assert!(outcome.contains("aborted"), "{outcome}");
}

fn hand_again(suite: &TempDir) -> ByHand {
    let mut hand = ByHand::new(vec![here()]);
    let case = hand.case("late", "each", RESULT);
    case.setup.push(super::setup("true"));
    hand.copy(suite.path(), &PrivateCopy::default());
    hand
}
