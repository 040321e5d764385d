//! A small tree in the layout of FlagPerf's, with one case for each thing that the contract asks of a harness,
//! and plans made of it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flagperf_library::{
    PlanNode, SuiteTree, TreeRequest, TreeSettings, WantedCase, find_suite, replan, resolve_cases,
};
use flagperf_model::{
    Environment, Launcher, MachineFacts, MonitorSpec, NodeName, NodeSpec, NodeTask, Plan,
    PlannedCase, ProgramSource, Remark, RemarkKind, RunId, Suite,
};

/// Files of the tree whose text matters; the others are empty.
const TEXTS: &[(&str, &str)] = &[
    (
        "base/configs/host.yaml",
        "FLAGPERF_PATH: \"/home/FlagPerf/base\"\r\nVENDOR: \"other\"\r\nHOSTS_PORTS: [\"2222\"]\r\nHOSTS:\r\n    - one\r\n    - two\r\nNPROC_PER_NODE: 4\r\nCASES:\r\n    \"computation-FP16\": \"pytorch_2.3\"\r\n",
    ),
    (
        "base/benchmarks/drivers/utils.py",
        "def set_ieee_float32(vendor):\n    if vendor == \"nvidia\":\n        pass\n    elif \"mthreads\" in vendor:\n        pass\n\ndef unset_ieee_float32(vendor):\n    if vendor == \"nvidia\":\n        pass\n    elif \"mthreads\" in vendor:\n        pass\n\ndef sync(vendor):\n    if \"metax\" in vendor:\n        pass\n",
    ),
    (
        "base/benchmarks/computation-FP16/ascend/env.sh",
        "export A=1\r\n",
    ),
    (
        "base/toolkits/computation-FP16/ascend/A3/main.sh",
        "ascend-dmi -f > test_result.log 2>&1\r\n",
    ),
    (
        "base/toolkits/interconnect-P2P_interserver/cambricon/MLU/main.sh",
        "# root\necho 'root:123456' | sudo chpasswd\nrm -rf ~/.ssh/*\nsed -i 's/#Port 22/Port 1234/g' /etc/ssh/sshd_config\nwhile [ ! -f ${ip}_run_log ]; do sleep 1; done\n",
    ),
    (
        "base/toolkits/interconnect-P2P_interserver/nvidia/A100/main.sh",
        "service ssh restart\nmpirun -x NCCL_IB_HCA=mlx5_2 ./bdtest\n",
    ),
    (
        "base/toolkits/main_memory-capacity/nvidia/A100/main.sh",
        "./capacity\nsleep 300\n",
    ),
    ("operation/benchmarks/mm/main.py", "torch.mm(a, b)\n"),
    (
        "operation/benchmarks/mm/iluvatar/BI150/env.sh",
        "export P=/x:$P\r\n",
    ),
    (
        "operation/benchmarks/mm/iluvatar/BI150/requirements.txt",
        "loguru\r\n",
    ),
    (
        "operation/benchmarks/add/main.py",
        "set_ieee_float32(config.vendor)\n",
    ),
    (
        "operation/benchmarks/drivers/utils.py",
        "def adapt(vendor):\n    if vendor == \"iluvatar\":\n        pass\n\ndef set_ieee_float32(vendor):\n    if vendor == \"nvidia\":\n        pass\n",
    ),
    (
        "inference/configs/resnet50/configurations.yaml",
        "batch_size: 256\nfp16: true\ncompiler: tensorrt\nexist_onnx_path: null\n",
    ),
    (
        "inference/configs/resnet50/vendor_config/kunlunxin_configurations.yaml",
        "batch_size: 256 # the same\nfp16: false\ncompiler: xtcl\nexist_onnx_path: onnxs/r.onnx\n",
    ),
    (
        "inference/configs/resnet50/vendor_config/iluvatar_configurations.yaml",
        "repeat: 1\n",
    ),
    (
        "training/benchmarks/chatglm3_6b/deepspeed/ds_config.json",
        "{\"a\": 1, \"b\": {\"c\": \"auto\"}, \"lr\": 1e-5}",
    ),
    (
        "training/nvidia/chatglm3_6b-deepspeed/config/ds_config.json",
        "{\"b\": 2, \"d\": [1.5]}",
    ),
    (
        "training/nvidia/chatglm3_6b-deepspeed/config/net.sh",
        "export NET=1;export IB=0;\r\nexport LATER=1\n",
    ),
    (
        "training/benchmarks/llama3_8B/megatron/run_pretraining.py",
        "if \"elapsed time per iteration (ms): \" in line:\n    pass\n",
    ),
];

/// Files that only have to be there.
const EMPTY: &[&str] = &[
    "README.md",
    ".git/config",
    "base/container_main.py",
    "base/vendors/nvidia/pytorch_2.3/Dockerfile",
    "base/vendors/nvidia/pytorch_ssh/Dockerfile",
    "base/vendors/ascend/pytorch_2.1/Dockerfile",
    "base/vendors/mthreads/pytorch_2.2/Dockerfile",
    "base/benchmarks/computation-FP16/main.py",
    "base/benchmarks/computation-FP16/case_config.yaml",
    "base/benchmarks/computation-FP16/nvidia/A100/case_config.yaml",
    "base/benchmarks/computation-FP16/nvidia/A100/env.sh",
    "base/benchmarks/computation-FP16/nvidia/A100/requirements.txt",
    "base/benchmarks/computation-FP16/mthreads/S4000/case_config.yaml",
    "base/benchmarks/computation-FP16/mthreads/S5000/case_config.yaml",
    "base/benchmarks/computation-FP16/ascend/case_config.yaml",
    "base/benchmarks/computation-FP32/main.py",
    "base/benchmarks/computation-FP32/nvidia/A100/case_config.yaml",
    "base/benchmarks/computation-FP32/metax/C550/case_config.yaml",
    "base/benchmarks/computation-TF32/main.py",
    "base/benchmarks/computation-TF32/nvidia/A100/case_config.yaml",
    "base/benchmarks/computation-TF32/mthreads/S4000/case_config.yaml",
    "base/benchmarks/interconnect-P2P_intraserver/main.py",
    "base/benchmarks/interconnect-P2P_intraserver/nvidia/A100/case_config.yaml",
    "base/benchmarks/interconnect-P2P_interserver/main.py",
    "base/benchmarks/interconnect-P2P_interserver/nvidia/A100/case_config.yaml",
    "base/benchmarks/interconnect-MPI_interserver/main.py",
    "base/benchmarks/interconnect-MPI_interserver/nvidia/A100/case_config.yaml",
    "base/toolkits/computation-FP16/nvidia/A100/main.sh",
    "base/toolkits/computation-FP64/nvidia/A100/main.sh",
    "base/result/run20260101000000/flagperf_run.log",
    "operation/container_main.py",
    "operation/configs/host.yaml",
    "operation/vendors/nvidia/ngctorch2403/Dockerfile",
    "operation/benchmarks/mm/nvidia/A100_40_SXM/case_config.yaml",
    "operation/benchmarks/mm/nvidia/A100_40_SXM/env.sh",
    "operation/benchmarks/mm/iluvatar/BI150/case_config.yaml",
    "operation/benchmarks/add/nvidia/A100_40_SXM/case_config.yaml",
    "inference/run_inference.py",
    "inference/docker_images/nvidia/pytorch_1.13/Dockerfile",
    "inference/docker_images/nvidia/pytorch_2.1/Dockerfile",
    "inference/benchmarks/resnet50/pytorch/__init__.py",
    "inference/benchmarks/resnet50/pytorch/requirements.txt",
    "inference/benchmarks/resnet50/pytorch/nvidia_requirements.txt",
    "inference/inference_engine/nvidia/tensorrt.py",
    "inference/inference_engine/nvidia/csrc/setup.py",
    "inference/inference_engine/kunlunxin/xtcl.py",
    "inference/inference_engine/iluvatar/ixrt.py",
    "inference/onnxs/r.onnx",
    "inference/onnxs/other.onnx",
    "training/run_benchmarks/run.py",
    "training/nvidia/docker_image/pytorch_1.13/Dockerfile",
    "training/nvidia/nvidia_monitor.py",
    "training/benchmarks/resnet50/pytorch/run_pretraining.py",
    "training/benchmarks/resnet50/tensorflow2/run_pretraining.py",
    "training/benchmarks/resnet50/mindspore/cluster_offline_run.sh",
    "training/benchmarks/bert/paddle/run_pretraining.py",
    "training/benchmarks/llama2_7b/megatron-deepspeed/run_pretraining.py",
    "training/benchmarks/llama3_70B/flagscale/run_pretraining.py",
    "training/benchmarks/chatglm3_6b/deepspeed/run_pretraining.py",
    "training/benchmarks/llava1.5_7b/deepspeed-torch/run_pretraining.py",
    "training/benchmarks/aquila2_7B_container/in_container/run_pretraining.py",
    "training/benchmarks/aquila2_7B_container/in_cluster/run_pretraining.py",
    "training/nvidia/resnet50-pytorch/config/config_common.py",
    "training/nvidia/resnet50-pytorch/config/config_A100x1x2.py",
    "training/nvidia/resnet50-pytorch/config/config_A100x2x2.py",
    "training/nvidia/resnet50-pytorch/config/environment_variables.sh",
    "training/nvidia/resnet50-pytorch/config/requirements.txt",
    "training/nvidia/resnet50-pytorch/csrc/setup.py",
    "training/nvidia/resnet50-pytorch/extern/__init__.py",
    "training/nvidia/resnet50-tensorflow2/config/config_A100x1x8.py",
    "training/ascend/resnet50-mindspore/config/config_9100x1x8.py",
    "training/ascend/resnet50-mindspore/extern/__init__.py",
    "training/nvidia/bert-paddle/config/config_A100x1x2.py",
    "training/nvidia/bert-paddle/extern/__init__.py",
    "training/nvidia/llama3_8B-megatron/config/config_A100x1x8.py",
    "training/nvidia/llama2_7b-megatron-deepspeed/config/config_A100x1x8.py",
    "training/nvidia/llama3_70B-flagscale/config/config_H100x2x8.py",
    "training/nvidia/chatglm3_6b-deepspeed/config/config_H100x1x8.py",
    "training/nvidia/llava1.5_7b-deepspeed-torch/config/config_A800x1x8.py",
    "training/nvidia/aquila2_7B_container-in_container/config.py",
    "training/result/run20260101000000/flagperf_run.log",
    "utils/run_cmd.py",
];

/// A tree on disk, which goes when it is dropped.
pub(crate) struct Made {
    place: tempfile::TempDir,
}

impl Made {
    pub(crate) fn new() -> Self {
        let made = Self {
            place: tempfile::tempdir().unwrap(),
        };
        for path in EMPTY {
            made.write(path, "");
        }
        for (path, text) in TEXTS {
            made.write(path, text);
        }
        made
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.place.path().canonicalize().unwrap()
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.place.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.place.path().join(path);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap();
        } else {
            fs::remove_file(path).unwrap();
        }
    }

    pub(crate) fn suite(&self, suite: Suite) -> SuiteTree {
        find_suite(self.place.path(), Some(suite)).unwrap()
    }

    /// A wish for cases of a suite, each a case string or `string = value`.
    pub(crate) fn wish(&self, suite: Suite, vendor: &str, cases: &[&str]) -> Wish {
        let cases = cases.iter().map(|case| match case.split_once(" = ") {
            Some((name, value)) => WantedCase {
                name: name.to_owned(),
                value: Some(value.to_owned()),
            },
            None => WantedCase {
                name: (*case).to_owned(),
                value: None,
            },
        });
        Wish {
            tree: self.suite(suite),
            vendor: vendor.to_owned(),
            cases: cases.collect(),
            toolkits: false,
            nproc: 8,
            hosts: vec!["one".to_owned()],
            missing: Vec::new(),
            rounds: None,
            images: false,
            allow: false,
            settings: TreeSettings {
                pip_source: Some("https://packages.invalid/simple".to_owned()),
                visible_devices: Some("CUDA_VISIBLE_DEVICES".to_owned()),
                hosts_ports: vec!["2222".to_owned()],
                ..TreeSettings::default()
            },
        }
    }
}

/// What somebody wants of the tree.
pub(crate) struct Wish {
    pub(crate) tree: SuiteTree,
    pub(crate) vendor: String,
    pub(crate) cases: Vec<WantedCase>,
    pub(crate) toolkits: bool,
    pub(crate) nproc: u32,
    pub(crate) hosts: Vec<String>,
    pub(crate) missing: Vec<&'static str>,
    pub(crate) rounds: Option<u32>,
    pub(crate) images: bool,
    pub(crate) allow: bool,
    pub(crate) settings: TreeSettings,
}

impl Wish {
    pub(crate) fn on(mut self, hosts: &[&str]) -> Self {
        self.hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
        self
    }

    pub(crate) fn toolkits(mut self) -> Self {
        self.toolkits = true;
        self
    }

    /// The cases without tasks, or what is wrong.
    pub(crate) fn resolve(&self) -> Result<Vec<PlannedCase>, String> {
        let request = TreeRequest {
            tree: &self.tree,
            vendor: &self.vendor,
            cases: &self.cases,
            toolkits: self.toolkits,
            nproc: self.nproc,
            nodes: self.hosts.len() as u32,
            rounds: self.rounds,
            images: self.images,
            allow_credential_changes: self.allow,
            named: true,
            timeout_s: None,
            stall_s: None,
            settings: &self.settings,
        };
        resolve_cases(&request).map_err(|error| error.to_string())
    }

    /// What is wrong.
    pub(crate) fn wrong(&self) -> String {
        self.resolve().unwrap_err()
    }

    /// The cases with their tasks. Names of hosts stand for themselves, and the nodes are called `n0`, `n1`, ….
    pub(crate) fn plan(&self) -> Vec<PlannedCase> {
        let cases = self.resolve().unwrap();
        let node = |(at, host): (usize, &String)| PlanNode {
            spec: NodeSpec {
                name: NodeName::new(format!("n{at}")).unwrap(),
                launcher: Launcher::Local,
                address: Some(host.clone()),
                env: BTreeMap::new(),
                program: ProgramSource::Placed,
            },
            facts: None,
        };
        let nodes = self.hosts.iter().enumerate().map(node);
        let mut plan = Plan {
            run: RunId::new("run20261123120000-abc123").unwrap(),
            nodes: nodes.map(|node| node.spec).collect(),
            environment: Environment::InContainer,
            monitor: MonitorSpec {
                interval_ns: 1_000_000_000,
                vendor: None,
            },
            duration_s: None,
            master_port: None,
            cases,
        };
        let all: Vec<usize> = (0..plan.cases.len()).collect();
        let there = |name: &NodeName| {
            let is_missing = self.missing.contains(&name.as_str());
            (!is_missing).then(MachineFacts::default)
        };
        replan(&mut plan, &all, there, (&self.hosts[0], 29501)).unwrap();
        plan.cases
    }

    /// The only case, planned.
    pub(crate) fn only(&self) -> PlannedCase {
        let mut cases = self.plan();
        assert_eq!(cases.len(), 1);
        cases.remove(0)
    }
}

/// The command line of a process as one text: a script in it is told by its name.
pub(crate) fn line(task: &NodeTask, process: usize) -> String {
    let argv = task.processes[process].argv.iter();
    let words = argv.map(|word| match word {
        script if script.starts_with("# What stands before") => "TASK".to_owned(),
        script if script.starts_with("# Installs what a case") => "REQUIREMENTS".to_owned(),
        script if script.starts_with("# Builds and installs") => "EXTENSION".to_owned(),
        empty if empty.is_empty() => "''".to_owned(),
        word => word.clone(),
    });
    words.collect::<Vec<String>>().join(" ")
}

/// The variables of a process that are not told to every case.
pub(crate) fn variables(task: &NodeTask, process: usize) -> BTreeMap<&str, &str> {
    let env = task.processes[process].env.iter();
    let env = env.map(|(name, value)| (name.as_str(), value.as_str()));
    env.filter(|(name, _)| {
        !matches!(
            *name,
            "FLAGPERF_RUN" | "FLAGPERF_CASE" | "FLAGPERF_ROUND" | "FLAGPERF_NODE"
        )
    })
    .collect()
}

/// The numbers of the defects that remarks of a kind are about.
pub(crate) fn defects(remarks: &[Remark], kind: RemarkKind) -> Vec<u32> {
    let of_kind = remarks.iter().filter(|remark| remark.kind == kind);
    of_kind.filter_map(|remark| remark.defect).collect()
}

/// The path with the root of the tree left out.
pub(crate) fn below(root: &Path, text: &str) -> String {
    text.replace(&*root.to_string_lossy(), "TREE")
}
