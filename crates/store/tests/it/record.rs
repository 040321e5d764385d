//! What a whole run leaves behind.

use std::fs;

use flagperf_model::{Cause, EventKind, MetricName, Outcome, RunState, Stage, Unit, Window};
use flagperf_store::{CreateError, NodeResult, ReadError, Recorder, read_run};
use serde_json::Value;

use crate::support::{
    begin, case, end_case, event, node, passing_case, planned, record, samples, second, series,
    small_run, start_case,
};

#[test]
fn a_run_is_read_as_it_was_recorded() {
    let results = tempfile::tempdir().unwrap();
    let (directory, problems) = small_run(results.path(), 1);
    assert_eq!(problems, [""; 0]);
    let run = read_run(&directory).unwrap();
    assert_eq!(run.missing, [""; 0]);
    assert_eq!(run.record.state, RunState::Finished);
    assert_eq!(run.record.ended, Some(second(15)));
    assert_eq!(run.record.nodes[0].series, series());
    assert_eq!(run.record.nodes[0].facts, Some(crate::support::facts()));
    assert_eq!(run.record.plan.cases.len(), 2);
    assert_eq!(run.record.warnings, [""; 0]);

    let [passed, failed] = &run.record.results[..] else {
        panic!("{:?}", run.record.results);
    };
    assert_eq!(passed.outcome, Outcome::Passed);
    assert_eq!((passed.started, passed.ended), (second(2), second(12)));
    let window = Window {
        begin: second(5),
        end: second(10),
    };
    assert_eq!(passed.window, Some(window));
    assert_eq!(passed.directories, ["computation-FP64/127.0.0.1_noderank0"]);
    assert_eq!(
        passed.result_lines,
        [(
            node(),
            "[FlagPerf Result]Rank 0's computation-FP64=0.1TFLOPS".to_owned()
        )]
    );
    assert_eq!(
        passed.measurements,
        [(node(), crate::support::measurement(0.1))]
    );
    assert_eq!(passed.notes.len(), 1);
    assert_eq!(passed.monitor_cost[0].1.samples, 10);
    assert_eq!(failed.tail, ["about to", "fall over"]);
    assert_eq!(failed.window, None);

    let read = run.samples(passed, 0).unwrap().unwrap();
    assert_eq!((read.damage, read.block), (None, samples(2, 10)));
    assert_eq!(read.series, series());
    assert_eq!(run.samples(failed, 0).unwrap(), None);
    assert_eq!(run.samples(passed, 7).unwrap(), None);
}

#[test]
fn the_files_of_a_task_are_where_tools_look_for_them() {
    let results = tempfile::tempdir().unwrap();
    let (directory, _) = small_run(results.path(), 2);
    let task = directory.join("computation-FP64/127.0.0.1_noderank0");
    assert_eq!(
        fs::read_to_string(task.join("benchmark.log.txt")).unwrap(),
        "[FlagPerf Record]{\"phase\":{}}\nworking hard\n[FlagPerf Result]Rank 0's computation-FP64=0.1TFLOPS\n"
    );
    let cpu = fs::read_to_string(task.join("cpu_monitor.log")).unwrap();
    // Ten samples of a counter make nine rates: 3 of 4 processors.
    assert_eq!(cpu.lines().count(), 9);
    for line in cpu.lines() {
        let (time, value) = line.split_once('\t').unwrap();
        assert_eq!((time.len(), value), ("2026-11-23-11:40:06".len(), "0.7500"));
    }
    let memory = fs::read_to_string(task.join("mem_monitor.log")).unwrap();
    assert_eq!(memory.lines().count(), 10);
    assert!(memory.lines().all(|line| line.ends_with("\t0.250000")));
    let power = fs::read_to_string(task.join("pwr_monitor.log")).unwrap();
    assert!(power.lines().all(|line| line.ends_with("\t50.0")));
    let part: NodeResult =
        serde_json::from_slice(&fs::read(task.join("result.json")).unwrap()).unwrap();
    assert_eq!(part.result.measurements.len(), 1);

    let detail: Value =
        serde_json::from_slice(&fs::read(directory.join("detail_result.json")).unwrap()).unwrap();
    let host = &detail["computation-FP64"]["127.0.0.1"];
    // The window has six samples, from its first moment to its last, and five rates.
    assert_eq!(host["cpu"].as_array().unwrap(), &[0.75; 5]);
    assert_eq!(host["mem"].as_array().unwrap(), &[0.25; 6]);
    assert_eq!(host["pwr"].as_array().unwrap(), &[50.0; 5]);
    assert_eq!(host["vendor"]["max_mem"], Value::Null);
    assert_eq!(
        host["flagperf"][0],
        "[FlagPerf Result]Rank 0's computation-FP64=0.1TFLOPS"
    );
    assert_eq!(
        detail["crash"]["127.0.0.1"]["cpu"]
            .as_array()
            .unwrap()
            .len(),
        0
    );

    let log = fs::read_to_string(directory.join("flagperf_run.log")).unwrap();
    for expected in [
        "FlagperfLogger started.",
        "\t[INFO]\t[flagperf,0]======== Step 1: Check environment and configs. ========\n",
        "]========= Step 2: Prepare and Run test cases. =========\n",
        "]======= Testcase: computation-FP64 =======\n",
        "]-== Testcase computation-FP64 starts ==-\n",
        "]-== Testcase computation-FP64 finished ==-\n",
        "\t[ERROR]\t[flagperf,0]crash round 1 failed on 127.0.0.1: rank 0 ended with exit status 3",
        "]3) analysis logs\n",
        "]Noderank 0 with IP 127.0.0.1\n",
        "]  Rank 0's computation-FP64=0.1TFLOPS\n",
        "]    AVERAGE: 50.0 Watts, MAX: 50.0 Watts, STD DEVIATION: 0.0 Watts\n",
        "]    AVERAGE: 75.0 %, MAX: 75.0 %, STD DEVIATION: 0.0 %\n",
        "]    AVERAGE: 25.0 %, MAX: 25.0 %, STD DEVIATION: 0.0 %\n",
        "]Stop FlagperfLogger.\n",
    ] {
        assert!(log.contains(expected), "{expected}\n{log}");
    }
    // Nothing of the recorder's own is left over.
    let names: Vec<_> = fs::read_dir(&directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with('.') || name.contains(".tmp"))
        .collect();
    assert_eq!(names, [""; 0]);
}

#[test]
fn rounds_have_directories_and_keys_of_their_own() {
    let results = tempfile::tempdir().unwrap();
    let cases: Vec<_> = (1..=2).map(|round| planned("x", round, 2)).collect();
    let mut recorder = begin(results.path(), cases.clone(), 3);
    let directory = recorder.directory().to_owned();
    for (index, planned) in cases.iter().enumerate() {
        passing_case(&mut recorder, planned, 2 + 20 * index as i64);
    }
    recorder.finish(RunState::Finished);
    let detail: Value =
        serde_json::from_slice(&fs::read(directory.join("detail_result.json")).unwrap()).unwrap();
    let keys: Vec<_> = detail.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["x", "x#round2"]);
    assert!(
        directory
            .join("x/round2/127.0.0.1_noderank0/samples.fps")
            .is_file()
    );
    let run = read_run(&directory).unwrap();
    assert_eq!(run.record.results[1].round, 2);
    // No RunEnded was recorded; the end is that of the last event.
    assert_eq!(run.record.ended, Some(second(32)));
}

#[test]
fn what_is_for_watchers_only_is_not_recorded() {
    let results = tempfile::tempdir().unwrap();
    let mut recorder = begin(results.path(), Vec::new(), 4);
    let live = |value| {
        event(
            2,
            EventKind::Live {
                case: case("x"),
                node: node(),
                rank: 0,
                metric: MetricName::new("m").unwrap(),
                value,
                unit: Unit::NONE,
                remaining_s: 1.0,
            },
        )
    };
    recorder.event(&live(1.0));
    recorder.event(&live(f64::NAN));
    let directory = recorder.directory().to_owned();
    assert_eq!(recorder.finish(RunState::Interrupted), [""; 0]);
    let run = read_run(&directory).unwrap();
    assert_eq!(
        (run.events.len(), run.record.state),
        (2, RunState::Interrupted)
    );
}

#[test]
fn a_number_that_is_not_finite_does_not_spoil_the_record() {
    let results = tempfile::tempdir().unwrap();
    let mut recorder = begin(results.path(), Vec::new(), 5);
    let directory = recorder.directory().to_owned();
    let silent = |seconds| EventKind::NodeSilent {
        node: node(),
        seconds,
    };
    recorder.event(&event(2, silent(f64::INFINITY)));
    recorder.event(&event(3, silent(11.0)));
    assert_eq!(recorder.problems().len(), 1);
    assert!(recorder.problems()[0].contains("not finite"));
    recorder.finish(RunState::Finished);
    let run = read_run(&directory).unwrap();
    assert_eq!(run.events.len(), 3);
    assert_eq!(run.record.warnings.len(), 1);
}

#[test]
fn files_stay_inside_the_run_directory() {
    let results = tempfile::tempdir().unwrap();
    for bad in ["../outside", "/tmp/outside", ".", ""] {
        let mut planned = planned("x", 1, 1);
        planned.tasks[0].directory = bad.into();
        let mut recorder = begin(
            results.path(),
            vec![planned.clone()],
            100 + bad.len() as u64,
        );
        recorder.begin_case(&planned);
        recorder.output(0, 0, b"text\n");
        assert!(recorder.problems()[0].contains("does not lie in the run directory"));
    }
    assert!(!results.path().join("outside").exists());
}

#[test]
fn a_results_directory_that_cannot_be_is_refused_with_advice() {
    let results = tempfile::tempdir().unwrap();
    let file = results.path().join("file");
    fs::write(&file, "x").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = Recorder::create(&path, record(Vec::new(), 1)).unwrap_err();
        assert!(
            matches!(error, CreateError::NotADirectory { .. }),
            "{error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains(path.to_str().unwrap()) && text.contains("name another"),
            "{text}"
        );
    }
    let first = Recorder::create(results.path(), record(Vec::new(), 1)).unwrap();
    let error = Recorder::create(results.path(), record(Vec::new(), 1)).unwrap_err();
    assert!(matches!(error, CreateError::Exists { .. }), "{error:?}");
    drop(first);
}

#[test]
fn what_is_no_run_directory_is_said_to_be_none() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    fs::write(&file, "x").unwrap();
    assert!(matches!(
        read_run(&place.path().join("none")),
        Err(ReadError::NotFound { .. })
    ));
    for path in [&file, &file.join("below"), &place.path().to_owned()] {
        let error = read_run(path).unwrap_err();
        assert!(
            matches!(error, ReadError::NotARunDirectory { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains("expected a directory such as"));
    }
}

#[test]
fn ranks_with_a_log_of_their_own_do_not_share_one() {
    let results = tempfile::tempdir().unwrap();
    let mut planned = planned("x", 1, 1);
    let task = &mut planned.tasks[0];
    let mut second_rank = task.processes[0].clone();
    second_rank.rank = 1;
    task.processes.push(second_rank);
    let log = |rank: u32| (rank, format!("rank{rank}.out.log"));
    task.rank_logs = [log(0), log(1)].into();
    let mut recorder = begin(results.path(), vec![planned.clone()], 1);
    start_case(&mut recorder, &planned, 2);
    recorder.output(0, 0, b"of the fi");
    recorder.output(0, 1, b"of the second\n[FlagPerf Result]Rank 1's x=1.0GB/s");
    recorder.output(0, 0, b"rst\n");
    let outcome = Outcome::Failed {
        node: node(),
        stage: Stage::Run,
        cause: Cause::Exit { rank: 1, status: 3 },
        also: Vec::new(),
    };
    end_case(&mut recorder, &planned, 3, outcome);
    let directory = recorder.directory().to_owned();
    drop(recorder);
    let of_task = directory.join(&planned.tasks[0].directory);
    let text = |name: &str| fs::read_to_string(of_task.join(name)).unwrap();
    assert_eq!(text("rank0.out.log"), "of the first\n");
    assert_eq!(
        text("rank1.out.log"),
        "of the second\n[FlagPerf Result]Rank 1's x=1.0GB/s"
    );
    assert!(!of_task.join("benchmark.log.txt").exists());
    let run = read_run(&directory).unwrap();
    assert_eq!(
        run.record.results[0].tail,
        ["of the first", "of the second"]
    );
}

#[test]
fn a_log_of_a_rank_that_leads_out_of_the_run_is_not_written() {
    let results = tempfile::tempdir().unwrap();
    let mut planned = planned("x", 1, 1);
    planned.tasks[0].rank_logs = [(0, "../../../out.log".to_owned())].into();
    let mut recorder = begin(results.path(), vec![planned.clone()], 1);
    recorder.begin_case(&planned);
    recorder.output(0, 0, b"text\n");
    assert!(recorder.problems()[0].contains("does not lie in the run directory"));
    assert!(!results.path().join("out.log").exists());
}
