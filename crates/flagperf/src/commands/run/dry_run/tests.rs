//! What the plan of a tree of cases looks like.

use flagperf_engine::Trees;
use serde_json::{Value, json};

use super::*;
use crate::commands::run::packing;

/// A container of an image that is there.
fn container(image: &str) -> Value {
    json!({"image": image, "source": "present", "options": {"network": "host"}, "owner": "0@test"})
}

/// A case that runs in the suite, with more.
fn case(name: &str, suite: &str, more: &Value) -> Value {
    let processes = [0, 1].map(|rank| {
        json!({
            "rank": rank, "argv": ["bash", "main.sh", "{copy}/a b"], "env": {"OUT": "{out}"},
            "cwd": "toolkits/x", "cpus": []
        })
    });
    let mut case = json!({
        "spec": {"name": name, "suite": "base", "summary": "", "entry": {"argv": ["bash"]},
            "ranks": "node", "needs_any": [], "metrics": [], "params": {}},
        "round": 1, "rounds": 1, "params": {}, "expected_s": null, "unsupported": null, "named": true,
        "limits": {"timeout_s": 60, "stall_s": 60, "grace_s": 1},
        "tasks": [{
            "node": "here", "node_rank": 0, "directory": format!("{name}/here_noderank0"), "log": "benchmark.log.txt",
            "rank_logs": {"1": "rank1.out.log"},
            "case_directory": suite,
            "copy": {"without": ["result", "**/.git"], "files": {"configs/host.yaml": "VENDOR: x\n"},
                "unix_lines": ["main.sh"]},
            "processes": processes,
        }],
    });
    for (name, value) in more.as_object().unwrap() {
        case[name] = value.clone();
    }
    case
}

#[test]
fn every_step_of_a_case_with_a_container_and_a_copy_of_its_own_is_told() {
    let suite = tempfile::tempdir().unwrap();
    std::fs::write(suite.path().join("main.sh"), vec![b'x'; 300_000]).unwrap();
    std::os::unix::fs::symlink("/data", suite.path().join("data")).unwrap();
    let path = suite.path().to_str().unwrap();
    let setup = json!({"argv": ["pip", "install", "-r", "requirements.txt"], "timeout_s": 60});
    let ready = json!({"container": container("one:1"), "setup": [setup], "drop_caches": true});
    let plan = json!({
        "run": "run1", "monitor": {"interval_ns": 1},
        "nodes": [{"name": "here", "launcher": "local"}],
        "cases": [
            case("a", path, &ready),
            case("b", path, &json!({"container": container("two:1")})),
            case("c", path, &json!({})),
        ],
    });
    let plan: Plan = serde_json::from_value(plan).unwrap();
    let mut trees = Trees::default();
    let copied = packing::pack(&plan, &[0, 1, 2], &mut trees).unwrap();
    assert_eq!(copied.len(), 1, "it is packed once");
    let text = describe(&plan, &[], &copied, "/bin/flagperf");
    let text = text.replace(path, "SUITE");
    let lines = [
        "agent on here: /bin/flagperf agent",
        "private copy of SUITE for every node: 2 files, 0.3 MiB (0.0 MiB packed)",
        "  without: result, **/.git",
        "  with other content: configs/host.yaml",
        "  lines that end in CR LF end in LF: main.sh",
        "  warning: `data` is left out: it is a link to \"/data\", which is not inside",
        "prepare image: one:1 must be there",
        "configure container: nothing is to be done",
        "stop container: its agent leaves, and it is removed",
        "[1/3] a",
        "  prepare case (in a copy of SUITE): pip install -r requirements.txt",
        "  the page cache of every node is dropped",
        "  on here, output to a/here_noderank0/benchmark.log.txt",
        "    rank 0: bash main.sh '{copy}/a b'",
        "      directory: toolkits/x in a copy of SUITE",
        "      OUT='{out}'",
        "    rank 1: bash main.sh '{copy}/a b'",
        "      output: a/here_noderank0/rank1.out.log",
        "prepare image: two:1 must be there",
        "[2/3] b",
        "[3/3] c",
    ];
    let mut rest = text.as_str();
    for line in lines {
        let at = rest.find(&format!("{line}\n"));
        let at = at.unwrap_or_else(|| panic!("no `{line}` in\n{rest}\nof\n{text}"));
        rest = &rest[at + line.len()..];
    }
    assert!(text.contains("--name flagperf-run1-RANK "), "{text}");
    assert!(text.contains("--name flagperf-run1-RANK-2 "), "{text}");
    assert_eq!(text.matches("start container").count(), 2);
}
