//! Suites of a classic tree, run as their users run them: in the suite's directory, with nothing in it changed. The tree is
//! `tests/tree`, whose cases call stand-ins that note how they were called and print what a case would.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Ran, everything, flagperf, ran};

/// What the stand-in stands for.
const CALLED: [&str; 5] = ["torchrun", "python", "python3", "pip", "pip3"];

/// A copy of the tree, and what the stand-ins are called.
struct Tree {
    directory: TempDir,
}

impl Tree {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tree");
        copy(&source, &directory.path().join("FlagPerf"));
        let tree = Self { directory };
        fs::create_dir(tree.stand_ins()).unwrap();
        let stand_in = tree.directory.path().join("FlagPerf/stand-ins/record");
        for name in CALLED {
            symlink(&stand_in, tree.stand_ins().join(name)).unwrap();
        }
        tree
    }

    fn stand_ins(&self) -> PathBuf {
        self.directory.path().join("bin")
    }

    fn suite(&self, name: &str) -> PathBuf {
        self.directory.path().join("FlagPerf").join(name)
    }

    fn command(&self, suite: &str, arguments: &[&str]) -> Command {
        let mut command = flagperf(arguments);
        let path = std::env::var("PATH").unwrap();
        command
            .current_dir(self.suite(suite))
            .env("PATH", format!("{}:{path}", self.stand_ins().display()))
            .env("EXEC_IN_CONTAINER", "True");
        command
    }

    fn run(&self, suite: &str, arguments: &[&str]) -> Ran {
        let mut words = vec!["run"];
        words.extend(arguments);
        ran(self.command(suite, &words).output().unwrap())
    }

    /// The directory of the only run of a suite.
    fn record(&self, suite: &str) -> PathBuf {
        let runs: Vec<_> = fs::read_dir(self.suite(suite).join("result"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs[0].clone()
    }
}

pub(crate) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Everything in a suite but its results.
fn unchanged(suite: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    everything(suite)
        .into_iter()
        .filter(|(path, _)| !path.starts_with(suite.join("result")))
        .collect()
}

pub(crate) fn json(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// How a case's programs were called, on a node.
fn calls(run: &Path, case: &str) -> String {
    fs::read_to_string(run.join(case).join("127.0.0.1_noderank0/files/calls.txt")).unwrap()
}

/// The lines of a call that follow each other without a gap.
fn has(calls: &str, lines: &[&str]) -> bool {
    calls.contains(&lines.join("\n"))
}

#[test]
fn benchmarks_of_suite_base_run_as_they_are() {
    let tree = Tree::new();
    let before = unchanged(&tree.suite("base"));
    let ended = tree.run("base", &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 passed"), "{}", ended.stdout);
    assert_eq!(unchanged(&tree.suite("base")), before);
    let run = tree.record("base");
    let called = calls(&run, "computation-FP32:A100");
    let (pip, torchrun) = called.split_once("== torchrun\n").unwrap();
    assert!(pip.contains("argument: install\nargument: -r\n"), "{pip}");
    assert!(
        has(
            torchrun,
            &[
                "argument: --nproc_per_node=2",
                "argument: --nnodes=1",
                "argument: --node_rank=0",
                "argument: --master_addr=127.0.0.1",
                "argument: --master_port=29501",
                "argument: main.py",
                "argument: --vendor=nvidia/A100",
                "argument: --node_size=2",
            ]
        ),
        "{torchrun}"
    );
    let directory = torchrun.lines().next().unwrap();
    assert!(
        directory.ends_with("/benchmarks/computation-FP32"),
        "{directory}"
    );
    // Variables of env.sh, whose lines end in CR LF in the tree, reach the task.
    assert!(torchrun.contains("FROM_ENV_SH=yes\n"), "{torchrun}");
    assert!(torchrun.contains("NVIDIA_TF32_OVERRIDE=0\n"), "{torchrun}");
    let log = fs::read_to_string(run.join("flagperf_run.log")).unwrap();
    assert!(log.contains("]-== Testcase computation-FP32:A100 starts ==-\n"));
    assert!(log.contains("]  Rank 1's computation-FP32=19.07TFLOPS\n"));
    let detail = json(&run.join("detail_result.json"));
    for (case, results) in [
        ("computation-FP32:A100", 2),
        ("main_memory-bandwidth:A100", 2),
    ] {
        let lines = detail[case]["127.0.0.1"]["flagperf"].as_array().unwrap();
        assert_eq!(lines.len(), results, "{detail}");
    }
    // What the case calls by another name means its own metric.
    let record = json(&run.join("run.json"));
    let text = record["results"][1]["measurements"].to_string();
    assert!(text.contains("main_memory-bandwidth"), "{text}");
    assert!(text.contains("main_memory-bindwidth"), "{text}");
}

#[test]
fn toolkits_find_the_hosts_and_keep_what_they_build_to_themselves() {
    let tree = Tree::new();
    let before = unchanged(&tree.suite("base"));
    let words = ["--set", "BENCHMARKS_OR_TOOLKITS=TOOLKIT"];
    let ended = tree.run("base", &[&words[..], &["main_memory-*:A100"]].concat());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(unchanged(&tree.suite("base")), before);
    let task = tree
        .record("base")
        .join("main_memory-bandwidth:A100/127.0.0.1_noderank0");
    let log = fs::read_to_string(task.join("toolkit.log.txt")).unwrap();
    // CR LF ends the lines of this script in the tree.
    assert!(log.contains("node 0 of \"127.0.0.1\"\n"), "{log:?}");
    assert!(
        log.contains("main_memory-bandwidth=1329.57 GB/s\n"),
        "{log:?}"
    );
}

#[test]
fn all_suites_run_and_say_what_they_measured() {
    let tree = Tree::new();
    for (suite, cases, texts) in [
        ("operation", 1, &["255.94", "Correctness"][..]),
        ("inference", 1, &["12699", "p_inference_whole"]),
        ("training", 9, &["3698.7", "MFU", "final_acc1"]),
    ] {
        let before = unchanged(&tree.suite(suite));
        let ended = tree.run(suite, &[]);
        assert_eq!(ended.code, Some(0), "{suite}: {}", ended.stderr);
        assert_eq!(unchanged(&tree.suite(suite)), before, "{suite}");
        let record = json(&tree.record(suite).join("run.json"));
        let results = record["results"].as_array().unwrap();
        assert_eq!(results.len(), cases, "{suite}");
        let all: String = results
            .iter()
            .map(|result| result["measurements"].to_string())
            .collect();
        for text in texts {
            assert!(all.contains(text), "{suite}: {text} in {all}");
        }
    }
    let training = tree.record("training");
    let called = calls(&training, "resnet50:pytorch_2.0:A100:1:2:1");
    for rank in [
        "RANK=0\n",
        "RANK=1\n",
        "WORLD_SIZE=2\n",
        "FROM_ENVIRONMENT=yes\n",
    ] {
        assert!(called.contains(rank), "{rank}: {called}");
    }
    let task = training.join("resnet50:pytorch_2.0:A100:1:2:1/127.0.0.1_noderank0");
    for log in ["rank0.out.log", "rank1.out.log"] {
        assert!(task.join(log).exists(), "{log}");
    }
    // The two configurations are one in the private copy, where the model is told to look for it.
    let called = calls(&training, "chatglm3_6b:deepspeed:A100:1:2:1");
    assert!(
        called.contains("argument: ds_config_tmp.json\n"),
        "{called}"
    );
    assert!(called.contains("NCCL_IB_DISABLE=1\n"), "{called}");
}

#[test]
fn several_operators_formats_and_libraries_run_in_one_go() {
    let tree = Tree::new();
    let ended = tree.run(
        "operation",
        &["mm,add:FP16,FP32:nativetorch,flaggems:A100_40_SXM"],
    );
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("8 passed"), "{}", ended.stdout);
    let called = calls(&tree.record("operation"), "mm:FP32:flaggems:A100_40_SXM");
    assert!(
        has(
            &called,
            &[
                "argument: main.py",
                "argument: --vendor=nvidia",
                "argument: --case_name=mm",
                "argument: --spectflops=19.5",
                "argument: --dataformat=FP32",
                "argument: --oplib=flaggems",
                "argument: --chip=A100_40_SXM",
            ]
        ),
        "{called}"
    );
}

#[test]
fn two_runs_at_once_do_not_see_each_others_files() {
    let tree = Tree::new();
    let script = tree
        .suite("base")
        .join("toolkits/main_memory-bandwidth/nvidia/A100/main.sh");
    fs::write(
        &script,
        "[ ! -e built ] || { echo 'there is something already'; exit 3; }\ntouch built\nsleep 2\necho '[FlagPerf Result]main_memory-bandwidth=1 GB/s'\n",
    )
    .unwrap();
    let start = || {
        let words = [
            "run",
            "--set",
            "BENCHMARKS_OR_TOOLKITS=TOOLKIT",
            "main_memory-bandwidth:A100",
        ];
        tree.command("base", &words).spawn().unwrap()
    };
    let mut runs = [start(), start()];
    for run in &mut runs {
        assert_eq!(run.wait().unwrap().code(), Some(0));
    }
    assert!(!script.with_file_name("built").exists());
}

#[test]
fn a_failed_program_fails_its_case() {
    let tree = Tree::new();
    for (name, script, said) in [
        ("pip", "echo no such package; exit 1", "no such package"),
        ("torchrun", "echo out of luck >&2; exit 7", "out of luck"),
        ("torchrun", "exit 0", "reported no result"),
    ] {
        let path = tree.stand_ins().join(name);
        fs::remove_file(&path).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let ended = tree.run("base", &["computation-FP32:A100"]);
        assert_eq!(ended.code, Some(1), "{name}: {}", ended.stderr);
        let all = ended.stdout + &ended.stderr;
        assert!(all.contains(said), "{name}: {all}");
        fs::remove_file(&path).unwrap();
        symlink(
            tree.directory.path().join("FlagPerf/stand-ins/record"),
            &path,
        )
        .unwrap();
    }
}

#[test]
fn what_is_wrong_with_cases_and_keys_is_told_before_anything_starts() {
    let tree = Tree::new();
    for (arguments, said) in [
        (&["computation-FP31:A100"][..], "computation-FP32"),
        (&["computation-FP32:A10"], "A100"),
        (&["--set", "NPROC_PER_NOD=2"], "NPROC_PER_NODE"),
        (&["--set", "NPROC_PER_NODE=many"], "NPROC_PER_NODE"),
        (&["--param", "x=1"], "--set KEY=VALUE"),
    ] {
        let ended = tree.run("base", arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
        assert!(
            ended.stderr.contains(said),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    let dangerous = [
        "--set",
        "BENCHMARKS_OR_TOOLKITS=TOOLKIT",
        "--set",
        "VENDOR=cambricon",
        "interconnect-P2P_interserver:MLU",
        "--dry-run",
    ];
    let ended = tree.run("base", &dangerous);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("--allow-credential-changes"),
        "{}",
        ended.stderr
    );
    let allowed = [&dangerous[..], &["--allow-credential-changes"]].concat();
    let ended = tree.run("base", &allowed);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!tree.suite("base").join("result").exists());
    let yaml = tree.suite("base").join("configs/host.yaml");
    let text = fs::read_to_string(&yaml).unwrap();
    fs::write(&yaml, text.replace("SSH_PORT: \"22\"", "SSH_PORT: \"ssh\"")).unwrap();
    let ended = tree.run("base", &[]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("configs/host.yaml:8:"),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_plan_has_every_step_of_either_mode() {
    let tree = Tree::new();
    let ended = tree.run("base", &["--dry-run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for text in [
        "skipped in in-container mode",
        "torchrun",
        "private copy of",
    ] {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
    let mut command = tree.command("base", &["run", "--dry-run"]);
    let ended = ran(command.env_remove("EXEC_IN_CONTAINER").output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for text in [
        "flagperf-base-nvidia-pytorch_2.3:t_v0.1",
        "prepare image",
        "start container",
        "--privileged",
        "--shm-size",
        "stop container",
        "torchrun",
    ] {
        assert!(ended.stdout.contains(text), "{text}: {}", ended.stdout);
    }
}

#[test]
fn the_library_is_listed_and_the_configuration_converted() {
    let tree = Tree::new();
    let listed = ran(tree.command("base", &["list"]).output().unwrap());
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    for text in ["computation-FP32", "nvidia", "A100", "toolkit", "MLU"] {
        assert!(listed.stdout.contains(text), "{text}: {}", listed.stdout);
    }
    let converted = ran(tree
        .command("base", &["config", "convert"])
        .output()
        .unwrap());
    assert_eq!(converted.code, Some(0), "{}", converted.stderr);
    let elsewhere = tree.directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let base = tree.suite("base");
    let text = converted
        .stdout
        .replace("/nowhere/FlagPerf/base", base.to_str().unwrap());
    fs::write(elsewhere.join("flagperf.toml"), text).unwrap();
    let mut command = tree.command("base", &["run"]);
    let ended = ran(command.current_dir(&elsewhere).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 passed"), "{}", ended.stdout);
}
