//! What runs for cases of the suites base, operation and inference.

use std::collections::BTreeMap;

use flagperf_library::image_of;
use flagperf_model::{Entry, PlannedCase, Suite};

use super::made::{Made, line, variables};

fn image(case: &PlannedCase) -> Option<(String, String)> {
    let Entry::Tree(tree) = &case.spec.entry else {
        panic!("{:?}", case.spec.entry);
    };
    let image = image_of(tree)?;
    let directory = image
        .directory
        .strip_prefix(&tree.suite_directory)
        .unwrap()
        .to_owned();
    Some((image.name, directory))
}

#[test]
fn a_benchmark_runs_under_torchrun_on_all_nodes() {
    let made = Made::new();
    let wish = made
        .wish(Suite::Base, "nvidia", &["computation-FP32 = pytorch_2.3"])
        .on(&["10.0.0.1", "10.0.0.2"]);
    let case = wish.only();
    assert_eq!(case.tasks.len(), 2);
    for (rank, task) in case.tasks.iter().enumerate() {
        assert_eq!(
            line(task, 0),
            format!(
                "torchrun --nproc_per_node=8 --nnodes=2 --node_rank={rank} --master_addr=10.0.0.1 --master_port=29501 main.py --vendor=nvidia/A100 --node_size=8"
            )
        );
        let process = &task.processes[0];
        assert_eq!(process.cwd.as_deref(), Some("benchmarks/computation-FP32"));
        assert_eq!(
            (process.rank as usize, task.log.as_str()),
            (rank, "benchmark.log.txt")
        );
        assert_eq!(
            task.directory,
            format!("computation-FP32/n{rank}_noderank{rank}")
        );
        assert_eq!(
            task.case_directory,
            Some(made.root().join("base").to_string_lossy().into_owned())
        );
    }
    assert_eq!(
        image(&case),
        Some((
            "flagperf-base-nvidia-pytorch_2.3:t_v0.1".to_owned(),
            "/vendors/nvidia/pytorch_2.3".to_owned()
        ))
    );
}

#[test]
fn packages_and_variables_stand_before_the_program() {
    let made = Made::new();
    let case = made
        .wish(Suite::Base, "nvidia", &["computation-FP16:A100"])
        .only();
    assert_eq!(
        line(&case.tasks[0], 0),
        "bash -c TASK flagperf {out} {copy}/benchmarks/computation-FP16/nvidia/A100/requirements.txt {copy}/benchmarks/computation-FP16/nvidia/A100/env.sh env.log.txt '' '' {copy}/benchmarks/computation-FP16 torchrun --nproc_per_node=8 --nnodes=1 --node_rank=0 --master_addr=one --master_port=29501 main.py --vendor=nvidia/A100 --node_size=8"
    );
    assert_eq!(case.tasks[0].processes[0].cwd, None);
    // Nothing is measured of them in a step of its own.
    assert!(case.setup.is_empty());
}

#[test]
fn a_vendor_without_chips_is_told_alone_and_ascend_has_the_users_settings() {
    let made = Made::new();
    let case = made
        .wish(Suite::Base, "ascend", &["computation-FP16"])
        .only();
    let line = line(&case.tasks[0], 0);
    assert!(
        line.contains(" {copy}/benchmarks/computation-FP16/ascend/env.sh env.log.txt bashrc '' "),
        "{line}"
    );
    assert!(line.contains(" --vendor=ascend --node_size=8"), "{line}");
}

#[test]
fn a_case_inside_a_server_runs_on_each_by_itself() {
    let made = Made::new();
    let wish = made.wish(Suite::Base, "nvidia", &["interconnect-P2P_intraserver"]);
    assert!(line(&wish.only().tasks[0], 0).contains("--nnodes=1 --node_rank=0 --master_addr=one "));
    let case = wish.on(&["a", "b"]).only();
    let lines: Vec<String> = case.tasks.iter().map(|task| line(task, 0)).collect();
    assert!(
        lines[0].contains("--nnodes=1 --node_rank=0 --master_addr=a "),
        "{lines:?}"
    );
    assert!(
        lines[1].contains("--nnodes=1 --node_rank=0 --master_addr=b "),
        "{lines:?}"
    );
    assert_eq!(
        case.tasks[1].directory,
        "interconnect-P2P_intraserver/n1_noderank1"
    );
}

#[test]
fn a_toolkit_is_a_script_on_every_node() {
    let made = Made::new();
    let wish = made.wish(
        Suite::Base,
        "nvidia",
        &["computation-FP64", "computation-FP16:A100"],
    );
    let cases = wish.toolkits().on(&["a", "b"]).plan();
    for (rank, task) in cases[0].tasks.iter().enumerate() {
        assert_eq!(line(task, 0), "bash main.sh");
        assert_eq!(
            task.processes[0].cwd.as_deref(),
            Some("toolkits/computation-FP64/nvidia/A100")
        );
        assert_eq!(
            variables(task, 0),
            BTreeMap::from([("NODERANK", &*rank.to_string())])
        );
        assert_eq!(task.log, "toolkit.log.txt");
    }
    // What stands with the benchmark of a case holds for its toolkit too.
    assert_eq!(
        line(&cases[1].tasks[0], 0),
        "bash -c TASK flagperf {out} {copy}/benchmarks/computation-FP16/nvidia/A100/requirements.txt {copy}/benchmarks/computation-FP16/nvidia/A100/env.sh env.log.txt '' '' {copy}/toolkits/computation-FP16/nvidia/A100 bash main.sh"
    );
}

#[test]
fn an_operator_is_told_all_of_its_string() {
    let made = Made::new();
    let case = made
        .wish(
            Suite::Operation,
            "nvidia",
            &["mm:FP16:312:nativetorch:A100_40_SXM = ngctorch2403"],
        )
        .only();
    assert_eq!(
        line(&case.tasks[0], 0),
        "bash -c TASK flagperf {out} '' {copy}/benchmarks/mm/nvidia/A100_40_SXM/env.sh env.log.txt '' '' {copy}/benchmarks/mm python3 main.py --vendor=nvidia --case_name=mm --spectflops=312 --dataformat=FP16 --oplib=nativetorch --chip=A100_40_SXM"
    );
    assert_eq!(case.tasks[0].log, "operation.log.txt");
    assert_eq!(
        image(&case),
        Some((
            "flagperf-operation-nvidia-ngctorch2403:t_v0.1".to_owned(),
            "/vendors/nvidia/ngctorch2403".to_owned()
        ))
    );
    let mut wish = made.wish(
        Suite::Operation,
        "iluvatar",
        &["mm:FP16:192:flaggems:BI150"],
    );
    wish.settings.device = Some(1);
    assert_eq!(
        variables(&wish.only().tasks[0], 0),
        BTreeMap::from([("CUDA_VISIBLE_DEVICES", "1")])
    );
    let mut wish = made.wish(Suite::Operation, "nvidia", &["mm:FP16:192:flaggems"]);
    wish.settings.device = Some(1);
    assert!(variables(&wish.only().tasks[0], 0).is_empty());
}

#[test]
fn inference_runs_on_one_node_after_its_packages_are_there() {
    let made = Made::new();
    let wish = made
        .wish(
            Suite::Inference,
            "nvidia",
            &["resnet50:pytorch_1.13 = /data/val"],
        )
        .on(&["a", "b"]);
    let case = wish.only();
    assert_eq!(case.tasks.len(), 1);
    assert_eq!(
        line(&case.tasks[0], 0),
        "python3 run_inference.py --perf_dir {copy} --loglevel INFO --vendor nvidia --case resnet50 --data_dir /data/val --framework pytorch_1.13 --log_dir {out}"
    );
    assert_eq!(
        (
            case.tasks[0].processes[0].cwd.as_deref(),
            case.tasks[0].log.as_str()
        ),
        (None, "stdout_err.out.log")
    );
    let setup: Vec<&[String]> = case.setup.iter().map(|setup| &setup.argv[3..]).collect();
    assert_eq!(
        setup,
        [
            [
                "flagperf",
                "",
                "benchmarks/resnet50/pytorch/nvidia_requirements.txt",
                "https://packages.invalid/simple"
            ],
            [
                "flagperf",
                "",
                "inference_engine/nvidia/csrc",
                "inference_engine/nvidia/sandbox/extension"
            ],
        ]
    );
    assert_eq!(
        image(&case),
        Some((
            "flagperf-inference-nvidia-pytorch_1.13:t_v0.1".to_owned(),
            "/docker_images/nvidia/pytorch_1.13".to_owned()
        ))
    );
}

#[test]
fn a_node_that_is_missing_takes_only_its_own_part_with_it() {
    let made = Made::new();
    let mut spans = made
        .wish(Suite::Base, "nvidia", &["computation-FP32"])
        .on(&["a", "b"]);
    spans.missing = vec!["n1"];
    let case = spans.only();
    assert_eq!(
        case.skipped.as_deref(),
        Some("it needs the node n1, which is missing")
    );
    assert!(case.tasks.is_empty());
    let mut alone = made
        .wish(Suite::Base, "nvidia", &["computation-FP64"])
        .toolkits()
        .on(&["a", "b"]);
    alone.missing = vec!["n0"];
    let case = alone.only();
    assert_eq!((case.tasks.len(), case.tasks[0].node.as_str()), (1, "n1"));
    assert_eq!(variables(&case.tasks[0], 0)["NODERANK"], "1");
    alone.missing = vec!["n0", "n1"];
    assert_eq!(
        alone.only().skipped.as_deref(),
        Some("every node is missing")
    );
}

#[test]
fn every_process_is_told_what_it_belongs_to() {
    let made = Made::new();
    let mut wish = made.wish(Suite::Base, "nvidia", &["computation-FP32"]);
    wish.rounds = Some(2);
    let cases = wish.plan();
    let env = &cases[1].tasks[0].processes[0].env;
    assert_eq!(env["FLAGPERF_RUN"], "run20261123120000-abc123");
    assert_eq!(
        (
            &*env["FLAGPERF_CASE"],
            &*env["FLAGPERF_ROUND"],
            &*env["FLAGPERF_NODE"]
        ),
        ("computation-FP32", "2", "n0")
    );
    assert_eq!(
        cases[1].tasks[0].directory,
        "computation-FP32/round2/n0_noderank0"
    );
}
