use std::path::Path;

use flagperf_config::classic::{
    BaseProgram, LogLevel, SuiteConfig, SuiteKind, SuiteReading, to_toml,
};
use flagperf_config::parse_settings;
use flagperf_model::NodeName;
use proptest::prelude::*;

use super::{BASE, CLUSTER, TEST, read_base, read_training};

fn read(text: &str) -> SuiteReading {
    let settings = parse_settings(Path::new("flagperf.toml"), text);
    let settings = settings.unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    settings.suite().expect("there is a suite")
}

fn refusal(text: &str) -> Vec<String> {
    let errors = parse_settings(Path::new("flagperf.toml"), text).unwrap_err();
    let lines = errors
        .0
        .iter()
        .map(|error| format!("{}:{}: {}", error.line, error.column, error.message));
    lines.collect()
}

#[test]
fn old_files_and_what_is_made_of_them_say_the_same() {
    let old = read_base(BASE, &[]).unwrap().config;
    let text = to_toml(&old);
    assert_eq!(
        text,
        r#"nodes = ["10.0.0.1", "10.0.0.2"]  # HOSTS, by rank
master_port = 29501               # MASTER_PORT: where the ranks of a case meet

[defaults]
port = 22  # SSH_PORT

[suite]
name = "base"                                   # base, operation, inference or training
path = "/opt/FlagPerf/base"                     # FLAGPERF_PATH: the directory of the suite, from the directory of this file
vendor = "nvidia"                               # VENDOR
program = "benchmark"                           # BENCHMARKS_OR_TOOLKITS: benchmark or toolkit
nproc_per_node = 8                              # NPROC_PER_NODE: ranks a node
log_path = "result"                             # FLAGPERF_LOG_PATH: where results go, from the directory of the suite
log_level = "info"                              # FLAGPERF_LOG_LEVEL
shm_size = "32G"                                # SHM_SIZE: shared memory of a container
container_options = ["--gpus", "all"]           # ACCE_CONTAINER_OPT: further options for starting a container
pip_source = "https://pypi.example.org/simple"  # PIP_SOURCE: the package index
clear_caches = true                             # CLEAR_CACHES: drop the page cache before each case
visible_devices_env = "CUDA_VISIBLE_DEVICES"    # ACCE_VISIBLE_DEVICE_ENV_NAME
hosts_ports = [2222]                            # HOSTS_PORTS: for the workers of TensorFlow

# The cases, and the framework of each
[suite.cases]
"computation-FP64:A100" = "torch_2"
"main_memory-bandwidth" = "torch_3"
"#
    );
    let reading = read(&text);
    assert_eq!(reading.config, old);
    let places: Vec<_> = reading
        .case_places
        .iter()
        .map(|place| (place.line, place.column))
        .collect();
    assert_eq!(places, [(24, 1), (25, 1)]);
    let old = read_training(CLUSTER, TEST, &[]).unwrap().config;
    assert_eq!(read(&to_toml(&old)).config, old);
}

#[test]
fn little_has_to_be_said() {
    let config = read("[suite]\nname = \"operation\"\nvendor = \"nvidia\"\n[suite.cases]\n\"mm:FP16:312:nativetorch:A100\" = \"image\"\n").config;
    let expected = SuiteConfig {
        kind: SuiteKind::Operation {
            nproc_per_node: 1,
            device: 0,
        },
        vendor: "nvidia".to_owned(),
        path: None,
        log_path: "result".to_owned(),
        log_level: LogLevel::Info,
        hosts: Vec::new(),
        ssh_port: None,
        master_port: None,
        hosts_ports: Vec::new(),
        shm_size: None,
        container_options: Vec::new(),
        pip_source: None,
        clear_caches: true,
        visible_devices_env: None,
        cases: vec![(
            "mm:FP16:312:nativetorch:A100".to_owned(),
            "image".to_owned(),
        )],
    };
    assert_eq!(config, expected);
    assert_eq!(
        parse_settings(Path::new("flagperf.toml"), "")
            .unwrap()
            .suite(),
        None
    );
    let line = "[suite]\nname = \"inference\"\nvendor = \"v\"\ncontainer_options = \"--env 'A=b c'\"\npath = \"x\"\ncases = { z = \"1\", a = \"2\" }\n";
    let settings = parse_settings(Path::new("lab/flagperf.toml"), line).unwrap();
    let config = settings.suite().unwrap().config;
    assert_eq!(config.container_options, ["--env", "A=b c"]);
    assert_eq!(config.path.as_deref(), Some("lab/x"));
    assert_eq!(
        config.kind,
        SuiteKind::Inference {
            log_call_information: true
        }
    );
    // The order is that of the file.
    let names: Vec<&str> = config.cases.iter().map(|(case, _)| &**case).collect();
    assert_eq!(names, ["z", "a"]);
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    assert_eq!(
        refusal(
            "[suite]\nvendor = \"a/b\"\nnam = 1\nshm_size = \"big\"\nvisible_devices_env = \"A B\"\ncases = {}\n"
        ),
        [
            "1:1: [suite] lacks the key `name`: base, operation, inference or training",
            "2:10: `a/b` is not the name of a vendor such as \"nvidia\"",
            "3:1: [suite] has no key `nam`; did you mean `name`?",
            "4:12: `big` is not a size such as \"32G\"",
            "5:23: `A B` is not the name of an environment variable such as \"CUDA_VISIBLE_DEVICES\"",
            "6:9: no case is named; expected lines such as `\"computation-FP32:A100\" = \"pytorch_2.3\"`",
        ]
    );
    assert_eq!(
        refusal(
            "[suite]\nname = \"training\"\nvendor = \"v\"\ndevice = 1\nhosts_ports = [0]\nlog_level = \"INFO\"\n[suite.cases]\na = 1\n\" \" = \"b\"\n"
        ),
        [
            "4:10: `device` means nothing to the suite training; leave it out",
            "5:16: 0 is out of range; expected a port from 1 to 65535",
            "6:13: `INFO` is none of `debug`, `info`, `warning`, `error`, `trace`, `success`, `critical`; did you mean `info`?",
            "8:5: this is an integer; expected the framework or the directory of the data, as a text",
            "9:1: this case has no name; expected lines such as `\"computation-FP32:A100\" = \"pytorch_2.3\"`",
        ]
    );
    assert_eq!(
        refusal("[suite]\nname = \"base\"\nvendor = \"v\"\ncases.a = \"b\"\n"),
        ["1:1: [suite] lacks the key `nproc_per_node`: the number of ranks a node, such as 8"]
    );
}

fn text() -> impl Strategy<Value = String> {
    "[ -~éß\\t]{0,10}[!-~é]"
}

fn kind() -> impl Strategy<Value = SuiteKind> {
    prop_oneof![
        (
            1u32..=4096,
            prop_oneof![Just(BaseProgram::Benchmark), Just(BaseProgram::Toolkit)]
        )
            .prop_map(|(nproc_per_node, program)| SuiteKind::Base {
                nproc_per_node,
                program
            }),
        (1u32..=4096, 0u32..=4095).prop_map(|(nproc_per_node, device)| SuiteKind::Operation {
            nproc_per_node,
            device
        }),
        any::<bool>().prop_map(|log_call_information| SuiteKind::Inference {
            log_call_information
        }),
        Just(SuiteKind::Training),
    ]
}

fn level() -> impl Strategy<Value = LogLevel> {
    prop_oneof![
        Just(LogLevel::Trace),
        Just(LogLevel::Debug),
        Just(LogLevel::Info),
        Just(LogLevel::Success),
        Just(LogLevel::Warning),
        Just(LogLevel::Error),
        Just(LogLevel::Critical),
    ]
}

fn config() -> impl Strategy<Value = SuiteConfig> {
    use proptest::{collection, option};
    let about_nodes = (
        collection::btree_set("[a-z0-9][a-z0-9.-]{0,6}[a-z0-9]", 0..20),
        option::of(1u16..),
        option::of(1u16..),
        collection::vec(1u16.., 0..3),
    );
    let paths = (
        option::of(text()),
        text(),
        level(),
        "[a-zA-Z0-9][a-z0-9_.-]{0,8}",
    );
    let about_containers = (
        option::of("[1-9][0-9]{0,3}[gGmM]"),
        collection::vec(text(), 0..4),
        option::of(text()),
        any::<bool>(),
        option::of("[A-Z_][A-Z0-9_]{0,8}"),
    );
    let cases = collection::btree_map(text(), text(), 1..5);
    (kind(), about_nodes, paths, about_containers, cases).prop_map(
        |(
            kind,
            (hosts, ssh_port, master_port, hosts_ports),
            (path, log_path, log_level, vendor),
            containers,
            cases,
        )| {
            let (shm_size, container_options, pip_source, clear_caches, visible_devices_env) =
                containers;
            SuiteConfig {
                kind,
                vendor,
                path,
                log_path,
                log_level,
                hosts: hosts
                    .iter()
                    .rev()
                    .map(|name| NodeName::new(name.as_str()).unwrap())
                    .collect(),
                ssh_port,
                master_port,
                hosts_ports,
                shm_size,
                container_options,
                pip_source,
                clear_caches,
                visible_devices_env,
                cases: cases.into_iter().rev().collect(),
            }
        },
    )
}

proptest! {
    #[test]
    fn any_configuration_comes_back(config in config()) {
        let text = to_toml(&config);
        prop_assert_eq!(read(&text).config, config, "{}", text);
    }
}
