//! What comes before the processes of a case: commands that make it ready, and an empty page cache.

use std::fs;
use std::time::{Duration, Instant};

use flagperf_model::{
    Cause, EventKind, Launcher, Outcome, PrivateCopy, SetupCommand, Stage, StepKind, StepOutcome,
};

use super::{ByHand, Done, RESULT, here, node, setup};

/// The commands of a step, as its end tells them, by the case.
fn steps(done: &Done) -> Vec<(String, String)> {
    let steps = &done.record.nodes[0].steps;
    let of_cases = steps.iter().filter(|one| one.step == StepKind::PrepareCase);
    let told = of_cases.map(|one| {
        let what = match &one.outcome {
            StepOutcome::Done { what } => what.clone(),
            StepOutcome::Failed { reason, .. } => reason.clone(),
        };
        (one.case.as_ref().unwrap().to_string(), what)
    });
    told.collect()
}

#[test]
fn a_command_that_went_well_is_not_run_again_in_the_same_place() {
    let suite = tempfile::tempdir().unwrap();
    fs::write(suite.path().join("requirements.txt"), "torch\n").unwrap();
    let mut hand = ByHand::new(vec![here()]);
    let install = SetupCommand {
        // What pip is told comes as an argument.
        argv: [
            "sh",
            "-c",
            "echo installs $(cat {copy}/$1) from $2; echo $1 >>installed",
            "sh",
            "requirements.txt",
            "https://lab.example/simple",
        ]
        .map(str::to_owned)
        .into(),
        ..setup("")
    };
    let look = format!("cat installed; ls extension; {RESULT}");
    let first = hand.case("first", "each", &look);
    first.setup = vec![install.clone(), setup("mkdir extension")];
    let second = hand.case("second", "each", &look);
    second.setup = vec![install.clone(), setup("echo more >extension/more")];
    hand.case("third", "each", &look).setup = vec![install];
    hand.copy(suite.path(), &PrivateCopy::default());
    let done = hand.run();
    done.assert_passed();
    let third = done.output("third", "here");
    assert!(third.starts_with("requirements.txt\nmore\n"), "{third}");
    let told = [("first", "2 commands"), ("second", "1 command")];
    let told = told.map(|(case, what)| (case.to_owned(), what.to_owned()));
    assert_eq!(steps(&done), told);
    let log = done.file("first/here_noderank0/setup.log.txt");
    let lines: Vec<&str> = log.lines().collect();
    let installs = "installs torch from https://lab.example/simple";
    assert!(lines[0].starts_with("$ sh -c echo installs"), "{log}");
    assert_eq!(lines[1..], [installs, "$ sh -c mkdir extension"], "{log}");
    let steps = &done.record.nodes[0].steps;
    let place = steps[0].log.as_deref();
    assert_eq!(place, Some("first/here_noderank0/setup.log.txt"));
    let second = done.file("second/here_noderank0/setup.log.txt");
    assert_eq!(second.lines().count(), 1, "{second}");
}

#[test]
fn a_command_that_fails_is_the_failure_of_its_case_alone() {
    let mut hand = ByHand::new(vec![here()]);
    let mark = hand.results.path().join("mark");
    let flaky = format!(
        "if [ -e {0} ]; then exit 0; fi; touch {0}; echo the last words; exit 4",
        mark.display()
    );
    let first = hand.case("first", "each", RESULT);
    first.setup = vec![setup(&flaky), setup("touch never")];
    hand.case("second", "each", RESULT);
    hand.case("third", "each", RESULT).setup = vec![setup(&flaky)];
    let done = hand.run();
    assert_eq!((done.totals.passed, done.totals.failed), (2, 1));
    let result = &done.record.results[0];
    let Outcome::Failed {
        stage: Stage::Launch,
        cause: Cause::Environment { step, reason },
        ..
    } = &result.outcome
    else {
        panic!("{}", result.outcome);
    };
    assert_eq!(*step, StepKind::PrepareCase);
    assert!(reason.ends_with("failed (exit status 4)"), "{reason}");
    assert_eq!(result.tail, ["the last words"]);
    let log = done.file("first/here_noderank0/setup.log.txt");
    assert!(log.contains("the last words\n") && !log.contains("never"));
    assert_eq!(done.file("first/here_noderank0/benchmark.log.txt"), "");
}

#[test]
fn where_others_go_on_a_case_runs_on_those_that_are_ready() {
    for (tolerant, nodes) in [(true, "each"), (false, "each"), (true, "all")] {
        let exec = || Launcher::Exec {
            words: vec!["env".to_owned()],
        };
        let mut hand = ByHand::new(vec![node("good", exec()), node("bad", exec())]);
        hand.tolerant = tolerant;
        // Only one of them can be the first.
        let first = hand.results.path().join("first");
        let script = format!("mkdir {} || {{ echo no; exit 1; }}", first.display());
        hand.case("case", nodes, RESULT).setup = vec![setup(&script)];
        let done = hand.run();
        let outcome = &done.record.results[0].outcome;
        assert!(
            outcome.to_string().contains("prepare case: `sh -c mkdir"),
            "{outcome}"
        );
        let goes_on = tolerant && nodes == "each";
        let measured = done.record.results[0].measurements.len();
        assert_eq!(measured, usize::from(goes_on), "{tolerant} {nodes}");
        assert!(!done.record.results[0].tail.is_empty());
        assert_eq!(done.totals.failed, 1);
    }
}

#[test]
fn ctrl_c_ends_a_command_and_the_run() {
    for times in [1, 2] {
        let mut hand = ByHand::new(vec![here()]);
        let trap = if times == 2 { "trap '' TERM;" } else { "" };
        let case = hand.case("first", "each", RESULT);
        case.setup = vec![setup(&format!("{trap} sleep 67; true"))];
        case.drop_caches = true;
        hand.case("second", "each", RESULT);
        let began = Instant::now();
        let done = hand.run_with(|event, interrupt| {
            if matches!(event, EventKind::StepStarted { .. }) {
                let interrupt = interrupt.clone();
                std::thread::spawn(move || {
                    for _ in 0..times {
                        std::thread::sleep(Duration::from_millis(700));
                        interrupt.send(()).unwrap();
                    }
                });
            }
        });
        assert!(began.elapsed() < Duration::from_secs(9), "{times}");
        let outcomes = done.outcomes();
        assert!(outcomes[0].contains("aborted"), "{outcomes:?}");
        assert!(outcomes[1].contains("not run"), "{outcomes:?}");
        assert_eq!(done.totals.interrupts, times);
        let left = std::process::Command::new("pgrep")
            .args(["-f", "^sleep 67$"])
            .output();
        let left = String::from_utf8(left.unwrap().stdout).unwrap();
        assert_eq!(left, "", "{times}");
    }
}

#[test]
fn the_page_cache_is_dropped_after_all_that_fills_it() {
    if crate::support::skip_without_root("dropping the page cache") {
        return;
    }
    let mut hand = ByHand::new(vec![here()]);
    let file = hand.results.path().join("data");
    fs::write(&file, vec![7; 30_000_000]).unwrap();
    let file = file.display();
    let look = format!("fincore --bytes --noheadings --output RES {file}; {RESULT}");
    let kept = hand.case("kept", "each", &look);
    kept.setup = vec![setup(&format!("cat {file} >/dev/null"))];
    let dropped = hand.case("dropped", "each", &look);
    dropped.setup = vec![setup(&format!("cat {file} {file} >/dev/null"))];
    dropped.drop_caches = true;
    let done = hand.run();
    done.assert_passed();
    let resident = |case: &str| -> u64 {
        let output = done.output(case, "here");
        let first = output.lines().next().unwrap();
        first.trim().parse().unwrap_or_else(|_| panic!("{output}"))
    };
    let (kept, dropped) = (resident("kept"), resident("dropped"));
    if kept == 0 {
        println!("skipped: this file system does not tell what is in the page cache");
        return;
    }
    assert!(kept > 20_000_000 && dropped < 1_000_000, "{kept} {dropped}");
    assert_eq!(done.warnings(), [""; 0]);
}

#[test]
fn who_may_not_drop_it_is_told_once_why() {
    // Nobody in particular, who may not write what root may, and whose files are where all may have some.
    if crate::support::skip_without_root("becoming another user") {
        return;
    }
    let nobody = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
    ];
    let words = nobody.map(str::to_owned).to_vec();
    let mut hand = ByHand::new(vec![node("nobody", Launcher::Exec { words })]);
    for name in ["first", "second"] {
        hand.case(name, "each", RESULT).drop_caches = true;
    }
    let done = hand.run();
    done.assert_passed();
    let told = done.warnings();
    assert_eq!(told.len(), 1, "{told:?}");
    let expected = "the page cache of nobody was not dropped before the case";
    assert!(told[0].starts_with(expected), "{told:?}");
    assert!(told[0].contains("only root may"), "{told:?}");
}
