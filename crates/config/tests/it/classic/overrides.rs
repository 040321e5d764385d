use flagperf_config::classic::{SuiteConfig, SuiteKind, override_suite};

use flagperf_model::NodeName;

use super::{BASE, CLUSTER, TEST, read_base, read_training, refusal, words};

fn base(set: &[&str]) -> SuiteConfig {
    read_base(BASE, set)
        .unwrap_or_else(|errors| panic!("{errors}"))
        .config
}

fn training(set: &[&str]) -> SuiteConfig {
    read_training(CLUSTER, TEST, set)
        .unwrap_or_else(|errors| panic!("{errors}"))
        .config
}

#[test]
fn texts_need_no_quotes() {
    for read in [base, training] {
        assert_eq!(read(&["VENDOR=iluvatar"]).vendor, "iluvatar");
        assert_eq!(read(&["VENDOR=\"dcu\""]).vendor, "dcu");
        assert_eq!(read(&["VENDOR='dcu'"]).vendor, "dcu");
        assert_eq!(read(&["VENDOR=a", "VENDOR=b"]).vendor, "b");
        assert_eq!(read(&["SHM_SIZE=64G"]).shm_size.as_deref(), Some("64G"));
        assert_eq!(read(&["SHM_SIZE=64"]).shm_size.as_deref(), Some("64"));
        assert_eq!(
            read(&["ACCE_CONTAINER_OPT= --gpus '\"device=0,1\"' # x"]).container_options,
            ["--gpus", "\"device=0,1\""]
        );
        for none in ["", "null", "None", "\"\""] {
            assert_eq!(
                read(&[&format!("ACCE_CONTAINER_OPT={none}")]).container_options,
                [""; 0]
            );
        }
        assert_eq!(read(&["FLAGPERF_LOG_PATH=/a b=c"]).log_path, "/a b=c");
    }
}

#[test]
fn other_values_are_written_as_in_the_file() {
    for read in [base, training] {
        let config = read(&[
            "HOSTS=[n1, n2]",
            "SSH_PORT=2222",
            "MASTER_PORT=\"29502\"",
            "CLEAR_CACHES=False",
            "CASES={\"a:b:1\": \"c d\", e: f}",
            "HOSTS_PORTS=[1, '2']",
        ]);
        let hosts: Vec<&str> = config.hosts.iter().map(NodeName::as_str).collect();
        assert_eq!(hosts, ["n1", "n2"]);
        assert_eq!(
            (config.ssh_port, config.master_port),
            (Some(2222), Some(29502))
        );
        assert!(!config.clear_caches);
        let cases =
            [("a:b:1", "c d"), ("e", "f")].map(|(case, about)| (case.to_owned(), about.to_owned()));
        assert_eq!(config.cases, cases);
        assert_eq!(config.hosts_ports, [1, 2]);
    }
    assert_eq!(training(&["HOSTS=['n' + str(1)]"]).hosts.len(), 1);
    assert_eq!(
        base(&["CASES={mm:FP16:312:nativetorch:A100: x}"]).cases[0].0,
        "mm:FP16:312:nativetorch:A100"
    );
}

#[test]
fn mistakes_are_shown_in_the_word() {
    for (set, expected) in [
        (
            "VENDOR",
            "--set:1:1: expected KEY=VALUE, such as SSH_PORT=2222",
        ),
        (
            "HOST=[a]",
            "--set:1:1: the suite base has no key `HOST`; did you mean `HOSTS`?",
        ),
        (
            "DEVICE=1",
            "--set:1:1: the suite base has no key `DEVICE`; the keys are `FLAGPERF_PATH`, `FLAGPERF_LOG_PATH`, `VENDOR`, `FLAGPERF_LOG_LEVEL`, `BENCHMARKS_OR_TOOLKITS`, `HOSTS`, `NPROC_PER_NODE`, `SSH_PORT`, `HOSTS_PORTS`, `MASTER_PORT`, `SHM_SIZE`, `ACCE_CONTAINER_OPT`, `PIP_SOURCE`, `CLEAR_CACHES`, `ACCE_VISIBLE_DEVICE_ENV_NAME`, `CASES`",
        ),
        (
            "HOSTS=a,b",
            "--set:1:7: this is a text; expected a list of names or addresses such as [\"192.168.1.2\", \"192.168.1.3\"]",
        ),
        (
            "HOSTS=[a, a]",
            "--set:1:11: `a` is named twice, the first time in line 1; a node has one rank, so leave one out",
        ),
        (
            "SSH_PORT=0",
            "--set:1:10: 0 is out of range; expected a port from 1 to 65535, such as \"22\"",
        ),
        (
            "CASES={a: 1}",
            "--set:1:11: this is a whole number; expected a text behind `a`, the framework that names its image, such as \"pytorch_2.3\"",
        ),
        (
            "HOSTS=[a",
            "--set:1:7: this cannot be read: the `[` of line 1 is not closed; expected `,` or `]` here",
        ),
    ] {
        assert_eq!(refusal(read_base(BASE, &[set])), [expected], "{set}");
    }
}

#[test]
fn a_configuration_from_elsewhere_is_overridden_as_well() {
    let reading = read_base(BASE, &[]).unwrap();
    let set = words(&["NPROC_PER_NODE=4", "CASES={x: y}"]);
    let changed =
        override_suite(reading.config.clone(), reading.case_places.clone(), &set).unwrap();
    let expected = SuiteConfig {
        kind: match reading.config.kind.clone() {
            SuiteKind::Base { program, .. } => SuiteKind::Base {
                nproc_per_node: 4,
                program,
            },
            other => other,
        },
        cases: vec![("x".to_owned(), "y".to_owned())],
        ..reading.config.clone()
    };
    assert_eq!(changed.config, expected);
    assert_eq!(changed.case_places[0].path.display().to_string(), "--set");
    let same = override_suite(reading.config.clone(), reading.case_places.clone(), &[]).unwrap();
    assert_eq!(
        (same.config, same.case_places),
        (reading.config.clone(), reading.case_places.clone())
    );
    let errors = override_suite(reading.config, reading.case_places, &words(&["X=1"]));
    assert_eq!(errors.unwrap_err().0.len(), 1);
}
