//! What runs for cases of suite training: every row of the contract's table of start programs.

use std::collections::BTreeMap;

use flagperf_model::{PlannedCase, Suite};

use super::made::{Made, line, variables};

fn planned(made: &Made, vendor: &str, case: &str, hosts: &[&str]) -> PlannedCase {
    made.wish(Suite::Training, vendor, &[case]).on(hosts).only()
}

#[test]
fn pytorch_has_a_process_for_each_rank() {
    let made = Made::new();
    let case = planned(
        &made,
        "nvidia",
        "resnet50:pytorch_1.13:A100:2:2:1 = /data",
        &["a", "b", "c"],
    );
    assert_eq!(case.tasks.len(), 2);
    let task = &case.tasks[1];
    assert_eq!(task.processes.len(), 2);
    assert_eq!(
        line(task, 1),
        "bash -c TASK flagperf {out} '' {copy}/nvidia/resnet50-pytorch/config/environment_variables.sh source_env.rank3.log.txt '' '' {copy} python3 -u {copy}/benchmarks/resnet50/pytorch/run_pretraining.py --extern_config_dir {copy}/nvidia/resnet50-pytorch/config --extern_config_file config_A100x2x2.py --vendor nvidia --data_dir /data --enable_extern_config --extern_module_dir {copy}/nvidia/resnet50-pytorch/extern"
    );
    assert_eq!(
        variables(task, 1),
        BTreeMap::from([
            ("MASTER_ADDR", "a"),
            ("MASTER_PORT", "29501"),
            ("WORLD_SIZE", "4"),
            ("NODE_RANK", "1"),
            ("RANK", "3"),
            ("LOCAL_RANK", "1"),
            ("CUDA_VISIBLE_DEVICES", "0,1"),
        ])
    );
    let ranks: Vec<u32> = task.processes.iter().map(|process| process.rank).collect();
    assert_eq!(ranks, [2, 3]);
    let logs = BTreeMap::from([
        (2, "rank2.out.log".to_owned()),
        (3, "rank3.out.log".to_owned()),
    ]);
    assert_eq!(
        (&task.rank_logs, task.log.as_str()),
        (&logs, "start_pytorch_task.log")
    );
    assert!(line(&case.tasks[0], 0).contains(" source_env.log.txt "));

    let setup: Vec<&[String]> = case.setup.iter().map(|setup| &setup.argv[3..]).collect();
    let environment = "nvidia/resnet50-pytorch/config/environment_variables.sh";
    assert_eq!(
        setup,
        [
            [
                "flagperf",
                environment,
                "nvidia/resnet50-pytorch/config/requirements.txt",
                "https://packages.invalid/simple"
            ],
            [
                "flagperf",
                environment,
                "nvidia/resnet50-pytorch/csrc",
                "nvidia/sandbox/extension"
            ],
        ]
    );
}

#[test]
fn without_a_variable_of_devices_none_is_set() {
    let made = Made::new();
    let mut wish = made.wish(
        Suite::Training,
        "nvidia",
        &["resnet50:pytorch:A100:1:2:1 = /d"],
    );
    wish.settings.visible_devices = None;
    assert!(!variables(&wish.only().tasks[0], 0).contains_key("CUDA_VISIBLE_DEVICES"));
}

#[test]
fn paddle_has_variables_of_its_own() {
    let made = Made::new();
    let case = planned(&made, "nvidia", "bert:paddle:A100:1:2:1 = /data", &["a"]);
    let task = &case.tasks[0];
    assert_eq!(
        line(task, 1),
        "python3 -u {copy}/benchmarks/bert/paddle/run_pretraining.py --data_dir /data --extern_config_dir {copy}/nvidia/bert-paddle/config --extern_config_file config_A100x1x2.py --vendor nvidia --enable_extern_config --extern_module_dir {copy}/nvidia/bert-paddle/extern"
    );
    assert_eq!(
        variables(task, 1),
        BTreeMap::from([
            ("PADDLE_TRAINERS_NUM", "2"),
            ("PADDLE_RANK_IN_NODE", "0"),
            ("PADDLE_WORLD_DEVICE_IDS", "0,1"),
            ("PADDLE_TRAINER_ENDPOINTS", "a:29501,a:29502,a:29502"),
            ("PADDLE_TRAINER_ID", "1"),
            ("FLAGS_selected_gpus", "1"),
            ("FLAGS_selected_accelerators", "1"),
            ("PADDLE_LOCAL_DEVICE_IDS", "1"),
            ("PADDLE_CURRENT_ENDPOINT", "a:29501"),
            ("CUDA_VISIBLE_DEVICES", "0,1"),
        ])
    );
    assert_eq!(task.processes[1].cwd, None);
    assert_eq!(task.rank_logs[&1], "rank1.out.log");
    assert!(case.setup.is_empty());
}

#[test]
fn tensorflow2_has_a_process_for_each_node() {
    let made = Made::new();
    let case = planned(
        &made,
        "nvidia",
        "resnet50:tensorflow2:A100:1:8:1 = /data",
        &["a", "b"],
    );
    let task = &case.tasks[0];
    // The vendor has no modules for it, which is as it may be.
    assert_eq!(
        line(task, 0),
        "python3 -u {copy}/benchmarks/resnet50/tensorflow2/run_pretraining.py --data_dir /data --extern_config_dir {copy}/nvidia/resnet50-tensorflow2/config --extern_config_file config_A100x1x8.py --vendor nvidia"
    );
    assert_eq!(
        variables(task, 0),
        BTreeMap::from([
            ("FLAGPERF_NNODES", "1"),
            ("FLAGPERF_NPROC", "8"),
            ("FLAGPERF_BASE_PORT", "29501"),
            ("FLAGPERF_NODE_RANK", "0"),
            ("FLAGPERF_HOSTS", "a"),
            ("FLAGPERF_HOSTS_PORTS", "2222"),
            ("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7"),
        ])
    );
    assert_eq!(task.rank_logs[&0], "noderank0.out.log");
    made.write(
        "training/nvidia/resnet50-tensorflow2/extern/__init__.py",
        "",
    );
    let case = planned(
        &made,
        "nvidia",
        "resnet50:tensorflow2:A100:1:8:1 = /data",
        &["a"],
    );
    assert!(line(&case.tasks[0], 0).ends_with(
        " --enable_extern_config --extern_module_dir {copy}/nvidia/resnet50-tensorflow2/extern"
    ));
}

#[test]
fn mindspore_is_a_script() {
    let made = Made::new();
    let case = planned(
        &made,
        "ascend",
        "resnet50:mindspore:9100:1:8:1 = /data",
        &["a"],
    );
    let task = &case.tasks[0];
    assert_eq!(
        line(task, 0),
        "bash -x {copy}/benchmarks/resnet50/mindspore/cluster_offline_run.sh --extern_config_dir {copy}/ascend/resnet50-mindspore/config --extern_config_file config_9100x1x8.py --vendor ascend --data_dir /data --enable_extern_config --extern_module_dir {copy}/ascend/resnet50-mindspore/extern"
    );
    assert_eq!(
        variables(task, 0),
        BTreeMap::from([
            ("MASTER_ADDR", "a"),
            ("MASTER_PORT", "29501"),
            ("WORLD_SIZE", "8"),
            ("NODE_RANK", "0"),
            ("CUDA_VISIBLE_DEVICES", "0,1,2,3,4,5,6,7"),
        ])
    );
}

#[test]
fn megatron_and_its_sister_differ_in_the_interpreter() {
    let made = Made::new();
    for (interpreter, model, start) in [
        ("python3", "llama3_8B", "megatron"),
        ("python", "llama2_7b", "megatron-deepspeed"),
    ] {
        let case = planned(
            &made,
            "nvidia",
            &format!("{model}:{start}:A100:1:8:1 = /data"),
            &["a"],
        );
        let task = &case.tasks[0];
        assert_eq!(
            line(task, 0),
            format!(
                "{interpreter} run_pretraining.py --nproc_per_node=8 --nnodes=1 --node_rank=0 --master_addr=a --master_port=29501 --vendor=nvidia --data_dir=/data --log_dir={{out}} --flagperf_config_file={{copy}}/nvidia/{model}-{start}/config/config_A100x1x8.py"
            )
        );
        assert_eq!(
            task.processes[0].cwd,
            Some(format!("benchmarks/{model}/{start}"))
        );
        assert_eq!(task.log, "rank0.log.txt");
        assert!(variables(task, 0).is_empty());
    }
}

#[test]
fn flagscale_knows_the_hosts_that_it_spans() {
    let made = Made::new();
    let case = planned(
        &made,
        "nvidia",
        "llama3_70B:flagscale:H100:2:8:1 = /data",
        &["a", "b", "c"],
    );
    let task = &case.tasks[1];
    assert_eq!(
        line(task, 0),
        "python run_pretraining.py --world_size=16 --hosts=a,b --host_addr=b --vendor=nvidia --data_dir=/data --log_dir={out} --flagperf_config_file={copy}/nvidia/llama3_70B-flagscale/config/config_H100x2x8.py"
    );
    assert_eq!(
        task.processes[0].cwd.as_deref(),
        Some("benchmarks/llama3_70B/flagscale")
    );
    assert_eq!(task.log, "rank0.out.log");
    let texts: Vec<&str> = case
        .remarks
        .iter()
        .map(|remark| remark.text.as_str())
        .collect();
    assert!(
        texts.contains(&"the case is told the first 2 hosts, not all of the run"),
        "{texts:?}"
    );
}

#[test]
fn deepspeed_has_its_configuration_merged_in_the_copy() {
    let made = Made::new();
    let case = planned(
        &made,
        "nvidia",
        "chatglm3_6b:deepspeed:H100:1:8:1 = /data",
        &["a"],
    );
    let task = &case.tasks[0];
    assert_eq!(
        line(task, 0),
        "bash -c TASK flagperf {out} '' '' source_env.log.txt '' {copy}/nvidia/chatglm3_6b-deepspeed/config/net.sh {copy}/benchmarks/chatglm3_6b/deepspeed torchrun --nproc_per_node=8 --nnodes=1 --node_rank=0 --master_addr=a --master_port=29501 run_pretraining.py --flagperf_config {copy}/nvidia/chatglm3_6b-deepspeed/config/config_H100x1x8.py --node_rank 0 --nproc_per_node 8 --nnodes 1 --deepspeed --deepspeed_config ds_config_tmp.json --data_dir /data"
    );
    let merged =
        &task.copy.as_ref().unwrap().files["benchmarks/chatglm3_6b/deepspeed/ds_config_tmp.json"];
    let merged: serde_json::Value = serde_json::from_str(merged).unwrap();
    assert_eq!(
        merged,
        serde_json::json!({"a": 1, "b": 2, "lr": 1e-5, "d": [1.5]})
    );
}

#[test]
fn deepspeed_torch_runs_without_torchrun() {
    let made = Made::new();
    let case = planned(
        &made,
        "nvidia",
        "llava1.5_7b:deepspeed-torch:A800:1:8:1 = /data",
        &["a"],
    );
    let task = &case.tasks[0];
    assert_eq!(
        line(task, 0),
        "python3 run_pretraining.py --flagperf_config {copy}/nvidia/llava1.5_7b-deepspeed-torch/config/config_A800x1x8.py --node_rank 0 --nproc_per_node 8 --nnodes 1 --deepspeed ds_config_tmp.json --data_dir /data"
    );
    assert_eq!(
        task.processes[0].cwd.as_deref(),
        Some("benchmarks/llava1.5_7b/deepspeed-torch")
    );
    // Neither of the two has anything to merge.
    assert_eq!(
        task.copy.as_ref().unwrap().files["benchmarks/llava1.5_7b/deepspeed-torch/ds_config_tmp.json"],
        "{}"
    );
}

#[test]
fn cases_that_reach_other_nodes_by_themselves_start_on_the_first() {
    let made = Made::new();
    let root = made.root().to_string_lossy().into_owned();
    for way in ["in_container", "in_cluster"] {
        let case = planned(
            &made,
            "nvidia",
            &format!("aquila2_7B_container:{way}"),
            &["a", "b"],
        );
        let task = &case.tasks[0];
        assert_eq!(
            line(task, 0),
            "python3 run_pretraining.py --vendor_config {copy}/training/nvidia/aquila2_7B_container-in_container/config.py --hosts a b --master_port 29501 --perf_dir {copy} --log_dir {out}"
        );
        assert_eq!(
            task.processes[0].cwd,
            Some(format!("training/benchmarks/aquila2_7B_container/{way}"))
        );
        assert_eq!(
            (task.log.as_str(), task.case_directory.as_ref()),
            ("flagperf.log.txt", Some(&root))
        );
        // The other node only gets its copy.
        assert_eq!(line(&case.tasks[1], 0), "true");
        assert_eq!(case.tasks[0].copy, case.tasks[1].copy);
    }
    let error = made
        .wish(
            Suite::Training,
            "ascend",
            &["aquila2_7B_container:in_container"],
        )
        .wrong();
    assert!(
        error.contains("does not exist for `ascend`; it exists for nvidia"),
        "{error}"
    );
}
