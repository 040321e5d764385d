use flagperf_config::classic::{
    BaseProgram, ClassicFiles, LogLevel, SuiteConfig, SuiteKind, read_case_config, read_classic,
};
use flagperf_config::{Choice, NodeSource, Settings, SuiteChoice, parse_settings, resolve};
use flagperf_model::{NodeName, Suite};
use flagperf_text::Data;

use super::{BASE, CLUSTER, TEST, file, read_base, read_training, warnings, with};

fn base(text: &str) -> SuiteConfig {
    read_base(text, &[])
        .unwrap_or_else(|errors| panic!("{errors}"))
        .config
}

fn pairs(cases: &[(&str, &str)]) -> Vec<(String, String)> {
    cases
        .iter()
        .map(|&(case, about)| (case.to_owned(), about.to_owned()))
        .collect()
}

fn nodes(names: &[&str]) -> Vec<NodeName> {
    names
        .iter()
        .map(|&name| NodeName::new(name).unwrap())
        .collect()
}

#[test]
fn everything_of_base() {
    let reading = read_base(BASE, &[]).unwrap();
    assert_eq!(warnings(&reading), [""; 0]);
    let expected = SuiteConfig {
        kind: SuiteKind::Base {
            nproc_per_node: 8,
            program: BaseProgram::Benchmark,
        },
        vendor: "nvidia".to_owned(),
        path: Some("/opt/FlagPerf/base".to_owned()),
        log_path: "result".to_owned(),
        log_level: LogLevel::Info,
        hosts: nodes(&["10.0.0.1", "10.0.0.2"]),
        ssh_port: Some(22),
        master_port: Some(29501),
        hosts_ports: vec![2222],
        shm_size: Some("32G".to_owned()),
        container_options: vec!["--gpus".to_owned(), "all".to_owned()],
        pip_source: Some("https://pypi.example.org/simple".to_owned()),
        clear_caches: true,
        visible_devices_env: Some("CUDA_VISIBLE_DEVICES".to_owned()),
        cases: pairs(&[
            ("computation-FP64:A100", "torch_2"),
            ("main_memory-bandwidth", "torch_3"),
        ]),
    };
    assert_eq!(reading.config, expected);
    let places: Vec<_> = reading
        .case_places
        .iter()
        .map(|place| (place.line, place.column))
        .collect();
    assert_eq!(places, [(18, 6), (21, 6)]);
    assert_eq!(
        reading.case_places[1].wrong("no such case").to_string(),
        "configs/host.yaml:21:6: no such case\n   |\n21 |      \"main_memory-bandwidth\": \"torch_3\"\n   |      ^^^^^^^^^^^^^^^^^^^^^^^"
    );
}

#[test]
fn everything_of_training() {
    let reading = read_training(CLUSTER, TEST, &[]).unwrap();
    assert_eq!(warnings(&reading), [""; 0]);
    let config = reading.config;
    assert_eq!(config.suite(), Suite::Training);
    assert_eq!(config.vendor, "kunlunxin");
    assert_eq!(config.log_path, "/opt/FlagPerf/training/result/");
    assert_eq!(config.log_level, LogLevel::Debug);
    assert_eq!(config.hosts, nodes(&["10.0.0.1", "10.0.0.2"]));
    assert_eq!(
        (config.ssh_port, config.master_port),
        (Some(22), Some(29501))
    );
    assert_eq!(
        config.container_options,
        [
            "--device=/dev/xpu0",
            "--device=/dev/xpu1",
            "--device=/dev/xpuctrl"
        ]
    );
    assert_eq!(
        config.cases,
        pairs(&[
            ("bert:pytorch_1.8:R300:1:8:1", "/data/bert"),
            ("llama3_8B:megatron:R300p:2:8:3", "/data/llama")
        ])
    );
    let lines: Vec<_> = reading
        .case_places
        .iter()
        .map(|place| (place.path.display().to_string(), place.line))
        .collect();
    assert_eq!(
        lines,
        [
            ("config/test_conf.py".to_owned(), 18),
            ("config/test_conf.py".to_owned(), 19)
        ]
    );
}

#[test]
fn what_only_operation_and_inference_have() {
    let shared = with(BASE, "BENCHMARKS_OR_TOOLKITS", "");
    let text = with(&shared, "NPROC_PER_NODE", "NPROC_PER_NODE: 1\nDEVICE: 1");
    let reading = read_classic(&ClassicFiles::Operation(file("host.yaml", &text)), &[]).unwrap();
    let kind = SuiteKind::Operation {
        nproc_per_node: 1,
        device: 1,
    };
    assert_eq!(reading.config.kind, kind);
    assert_eq!(warnings(&reading), [""; 0]);
    let text = with(&shared, "NPROC_PER_NODE", "NPROC_PER_NODE: 1");
    let reading = read_classic(&ClassicFiles::Operation(file("host.yaml", &text)), &[]).unwrap();
    assert_eq!(
        reading.config.kind,
        SuiteKind::Operation {
            nproc_per_node: 1,
            device: 0
        }
    );

    let text = with(&shared, "NPROC_PER_NODE", "LOG_CALL_INFORMATION: False");
    let text = with(&text, "FLAGPERF_LOG_LEVEL", "FLAGPERF_LOG_LEVEL: \"INFO\"");
    let text = with(&text, "FLAGPERF_PATH", "");
    let reading = read_classic(&ClassicFiles::Inference(file("host.yaml", &text)), &[]).unwrap();
    assert_eq!(
        reading.config.kind,
        SuiteKind::Inference {
            log_call_information: false
        }
    );
    assert_eq!(
        (reading.config.log_level, reading.config.path),
        (LogLevel::Info, None)
    );
}

#[test]
fn values_in_every_form_that_is_in_use() {
    let changed = |key: &str, line: &str| base(&with(BASE, key, line));
    for line in [
        "SSH_PORT: 2222",
        "SSH_PORT: \"2222\"",
        "SSH_PORT: '2222' # text",
    ] {
        assert_eq!(changed("SSH_PORT", line).ssh_port, Some(2222), "{line}");
    }
    assert_eq!(
        changed("MASTER_PORT", "MASTER_PORT: 29501").master_port,
        Some(29501)
    );
    for (line, level) in [
        ("\"DEBUG\"", LogLevel::Debug),
        ("Warning", LogLevel::Warning),
        ("error", LogLevel::Error),
        ("TRACE", LogLevel::Trace),
        ("Success", LogLevel::Success),
        ("critical", LogLevel::Critical),
    ] {
        let config = changed("FLAGPERF_LOG_LEVEL", &format!("FLAGPERF_LOG_LEVEL: {line}"));
        assert_eq!(config.log_level, level);
        assert_eq!(level.name(), line.trim_matches('"').to_lowercase());
    }
    for (line, words) in [
        ("\"\"", &[][..]),
        ("", &[]),
        ("null", &[]),
        (
            "\" --device=/dev/kfd -v /a:/a \"",
            &["--device=/dev/kfd", "-v", "/a:/a"],
        ),
        (
            r#"'--gpus ''"device=0,1"'''"#,
            &["--gpus", "\"device=0,1\""],
        ),
        (r#""--env 'A=b c'""#, &["--env", "A=b c"]),
    ] {
        let config = changed("ACCE_CONTAINER_OPT", &format!("ACCE_CONTAINER_OPT: {line}"));
        assert_eq!(config.container_options, words, "{line}");
    }
    for line in [
        "HOSTS:\n  - a\n  - \"b\"",
        "HOSTS:\n- a\n- b",
        "HOSTS: [\n\"a\",\n\"b\"\n]",
        "HOSTS: [a, b,]",
    ] {
        assert_eq!(changed("HOSTS:", line).hosts, nodes(&["a", "b"]), "{line}");
    }
    for (line, clear) in [("yes", true), ("off", false), ("false", false)] {
        assert_eq!(
            changed("CLEAR_CACHES", &format!("CLEAR_CACHES: {line}")).clear_caches,
            clear
        );
    }
    for size in ["32G", "512m", "1.5g", "64gb", "100000"] {
        let config = changed("SHM_SIZE", &format!("SHM_SIZE: \"{size}\""));
        assert_eq!(config.shm_size.as_deref(), Some(size));
    }
    let config = changed("BENCHMARKS_OR_TOOLKITS", "BENCHMARKS_OR_TOOLKITS: toolkit");
    assert_eq!(
        config.kind,
        SuiteKind::Base {
            nproc_per_node: 8,
            program: BaseProgram::Toolkit
        }
    );
    let config = changed("FLAGPERF_PATH", "FLAGPERF_PATH: \"../base\"");
    assert_eq!(config.path.as_deref(), Some("configs/../base"));
    // Nobody reads these, so they need not be there.
    for key in ["HOSTS_PORTS", "PIP_SOURCE", "ACCE_VISIBLE_DEVICE_ENV_NAME"] {
        base(&with(BASE, key, ""));
    }
}

#[test]
fn nodes_and_ports_complete_the_settings() {
    let config = base(&with(BASE, "SSH_PORT", "SSH_PORT: 2022"));
    let choice = Choice {
        suite: Some(SuiteChoice {
            hosts: config.hosts.clone(),
            port: config.ssh_port,
            master_port: config.master_port,
        }),
        ..Choice::default()
    };
    let inventory = resolve(&Settings::default(), &choice).unwrap();
    let reached: Vec<_> = inventory
        .nodes
        .iter()
        .map(|node| node.name.to_string())
        .collect();
    assert_eq!(reached, ["10.0.0.1", "10.0.0.2"]);
    assert_eq!(inventory.master_port, Some(29501));
    assert!(
        format!("{:?}", inventory.nodes[0]).contains("2022"),
        "{:?}",
        inventory.nodes[0]
    );
    // What flagperf.toml says itself counts more.
    let own = parse_settings(
        std::path::Path::new("flagperf.toml"),
        "nodes = \"n1\"\nmaster_port = 1000\n[defaults]\nport = 23\n",
    )
    .unwrap();
    let inventory = resolve(&own, &choice).unwrap();
    assert_eq!(inventory.nodes.len(), 1);
    assert_eq!(inventory.master_port, Some(1000));
    assert!(format!("{:?}", inventory.nodes[0]).contains("Some(23)"));
    // As does the command line.
    let line = Choice {
        nodes: Some(NodeSource::List("other".to_owned())),
        ..choice
    };
    let inventory = resolve(&Settings::default(), &line).unwrap();
    assert_eq!(inventory.nodes[0].name.as_str(), "other");
}

#[test]
fn the_configuration_of_a_training_case() {
    let text = "from config_common import *\nimport os\n\ntrain_batch_size = 4 * 8\nlr: float = 4.12e-5\nname = f\"{vendor}_x8\"\nhome = os.getcwd()\n";
    let mut import =
        |name: &str| (name == "config_common").then(|| "vendor = 'v'\nseed = 9\n".to_owned());
    let config = read_case_config(&file("config_X1x1x8.py", text), &mut import).unwrap();
    let get = |name: &str| config.get(name).unwrap().cloned();
    assert_eq!(get("train_batch_size"), Some(Data::Int(32)));
    assert_eq!(get("lr"), Some(Data::Float(4.12e-5)));
    assert_eq!(get("name"), Some(Data::Text("v_x8".to_owned())));
    assert_eq!(get("seed"), Some(Data::Int(9)));
    assert_eq!(get("none"), None);
    assert_eq!(
        config.get("home").unwrap_err().to_string(),
        "config_X1x1x8.py:7:8: `home` is needed, but `os` is another module, and nothing is executed; \
         write the value itself\n  |\n7 | home = os.getcwd()\n  |        ^^^^^^^^^^^"
    );
    let names: Vec<&str> = config.names().collect();
    assert_eq!(
        names,
        [
            "vendor",
            "seed",
            "os",
            "train_batch_size",
            "lr",
            "name",
            "home"
        ]
    );
    let alone = read_case_config(&file("config_X1x1x8.py", text), &mut |_| None).unwrap();
    assert!(alone.get("seed").is_err() && alone.get("lr").is_ok());
    let broken = read_case_config(&file("config_X1x1x8.py", "a = [\n"), &mut |_| None);
    assert!(
        broken
            .unwrap_err()
            .to_string()
            .starts_with("config_X1x1x8.py:1:5: this `[` is not closed")
    );
}
