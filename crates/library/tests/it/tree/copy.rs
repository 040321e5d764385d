//! What the private copy of a suite on a node differs in.

use flagperf_model::{PrivateCopy, Suite};

use super::made::{Made, Wish};

fn copy(wish: &Wish) -> PrivateCopy {
    let cases = wish.plan();
    let mut copies = cases
        .iter()
        .flat_map(|case| &case.tasks)
        .map(|task| task.copy.clone().unwrap());
    let first = copies.next().unwrap();
    // A node needs one copy for all cases of a run.
    assert!(copies.all(|other| other == first));
    first
}

#[test]
fn results_and_what_tools_leave_are_not_copied() {
    let made = Made::new();
    let mut wish = made.wish(
        Suite::Base,
        "nvidia",
        &["computation-FP16", "computation-FP32"],
    );
    let inside = made
        .root()
        .join("base/logs/of/mine")
        .to_string_lossy()
        .into_owned();
    wish.settings.result_directories = vec![
        "result".to_owned(),
        inside,
        "/somewhere/else".to_owned(),
        ".".to_owned(),
    ];
    assert_eq!(
        copy(&wish).without,
        [
            "**/.git",
            "**/__pycache__",
            "result",
            "results",
            "logs/of/mine"
        ]
    );
}

#[test]
fn hosts_stand_where_scripts_look_for_them() {
    let made = Made::new();
    let wish = made
        .wish(Suite::Base, "nvidia", &["interconnect-P2P_interserver"])
        .toolkits();
    assert_eq!(
        copy(&wish.on(&["10.0.0.1", "10.0.0.2"])).files["configs/host.yaml"],
        "HOSTS: [\"10.0.0.1\", \"10.0.0.2\"]\nVENDOR: \"nvidia\"\nNPROC_PER_NODE: 8\nFLAGPERF_PATH: \"/home/FlagPerf/base\"\nHOSTS_PORTS: [\"2222\"]\nCASES:\n    \"computation-FP16\": \"pytorch_2.3\"\n"
    );
    // A tree that was never configured has no such file.
    made.remove("base/configs/host.yaml");
    let wish = made
        .wish(Suite::Base, "nvidia", &["computation-FP64"])
        .toolkits();
    assert_eq!(
        copy(&wish).files["configs/host.yaml"],
        "HOSTS: [\"one\"]\nVENDOR: \"nvidia\"\nNPROC_PER_NODE: 8\n"
    );
}

#[test]
fn the_three_ways_in_which_scripts_read_hosts_find_them() {
    let made = Made::new();
    let wish = made
        .wish(Suite::Base, "nvidia", &["interconnect-P2P_interserver"])
        .toolkits();
    let text = copy(&wish.on(&["10.0.0.1", "10.0.0.2"])).files["configs/host.yaml"].clone();
    let file = made.root().join("host.yaml");
    std::fs::write(&file, text).unwrap();
    let says = |script: &str| {
        let output = std::process::Command::new("bash")
            .args(["-c", script, "x"])
            .arg(&file)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let grep = r#"hosts=$(grep "HOSTS" "$1" | sed -n 's/.*\[\(.*\)\].*/\1/p'); IFS=',' read -ra ADDR <<< "$hosts"; echo "${ADDR[@]}" | sed 's/"//g'"#;
    assert_eq!(says(grep), "10.0.0.1  10.0.0.2\n");
    let perl = r"cat $1 | egrep -v '^\s*#' | grep HOSTS: | cut -d: -f2 | grep -oE '[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+'";
    assert_eq!(says(perl), "10.0.0.1\n10.0.0.2\n");
}

#[test]
fn scripts_with_carriage_returns_are_named() {
    let made = Made::new();
    let wish = made
        .wish(Suite::Base, "ascend", &["computation-FP16:A3"])
        .toolkits();
    assert_eq!(
        copy(&wish).unix_lines,
        ["toolkits/computation-FP16/ascend/A3/main.sh"]
    );
    let wish = made.wish(Suite::Operation, "iluvatar", &["mm:FP16:192:flaggems"]);
    assert_eq!(
        copy(&wish).unix_lines,
        [
            "benchmarks/mm/iluvatar/BI150/env.sh",
            "benchmarks/mm/iluvatar/BI150/requirements.txt"
        ]
    );
    let wish = made.wish(
        Suite::Training,
        "nvidia",
        &["chatglm3_6b:deepspeed:H100:1:8:1 = /d"],
    );
    assert_eq!(
        copy(&wish).unix_lines,
        ["nvidia/chatglm3_6b-deepspeed/config/net.sh"]
    );
    let wish = made.wish(Suite::Base, "nvidia", &["computation-FP16"]);
    assert!(copy(&wish).unix_lines.is_empty());
}

#[test]
fn models_of_earlier_runs_are_copied_only_where_they_are_used() {
    let made = Made::new();
    let wish = made.wish(Suite::Inference, "nvidia", &["resnet50:pytorch = /d"]);
    let without = copy(&wish).without;
    assert!(
        without.contains(&"onnxs/r.onnx".to_owned())
            && without.contains(&"onnxs/other.onnx".to_owned())
    );
    assert_eq!(copy(&wish).files["onnxs/.keep"], "");
    let wish = made.wish(Suite::Inference, "kunlunxin", &["resnet50:pytorch = /d"]);
    let without = copy(&wish).without;
    assert!(
        !without.contains(&"onnxs/r.onnx".to_owned())
            && without.contains(&"onnxs/other.onnx".to_owned())
    );
}

#[test]
fn a_vendors_configuration_that_repeats_the_common_one_is_mended() {
    let made = Made::new();
    let wish = made.wish(Suite::Inference, "kunlunxin", &["resnet50:pytorch = /d"]);
    assert_eq!(
        copy(&wish).files["configs/resnet50/vendor_config/kunlunxin_configurations.yaml"],
        "fp16: false\ncompiler: xtcl\nexist_onnx_path: onnxs/r.onnx\n"
    );
    let texts = wish.only().remarks;
    assert!(
        texts[0]
            .text
            .ends_with("in the copy that runs it is without `batch_size`"),
        "{texts:?}"
    );
}

#[test]
fn a_case_that_sees_the_whole_tree_gets_its_suite_in_it() {
    let made = Made::new();
    let wish = made.wish(
        Suite::Training,
        "nvidia",
        &["aquila2_7B_container:in_container"],
    );
    assert_eq!(
        copy(&wish).without,
        [
            "**/.git",
            "**/__pycache__",
            "base",
            "inference",
            "operation",
            "utils",
            "README.md",
            "training/result",
            "training/results"
        ]
    );
}
