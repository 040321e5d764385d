use super::{BASE, CLUSTER, TEST, file, read_base, read_training, refusal, warnings, with};
use flagperf_config::classic::{ClassicFiles, ConfigFile, read_classic};
use std::path::Path;

/// Checks lines of `host.yaml` that have exactly one mistake each.
#[test]
fn a_wrong_value_is_shown_where_it_stands() {
    for (key, line, expected) in [
        (
            "VENDOR",
            "VENDOR: 1",
            "3:9: this is a whole number; expected a text such as \"nvidia\"; put it in quotes",
        ),
        (
            "VENDOR",
            "VENDOR:",
            "3:1: this is nothing; expected a text such as \"nvidia\"",
        ),
        (
            "VENDOR",
            "VENDOR: \" \"",
            "3:9: this is empty; expected a text such as \"nvidia\"",
        ),
        (
            "VENDOR",
            "VENDOR: ../nvidia",
            "3:9: `../nvidia` is not the name of a vendor such as \"nvidia\", of letters, digits and `_ - .`",
        ),
        (
            "FLAGPERF_LOG_LEVEL",
            "FLAGPERF_LOG_LEVEL: inof",
            "4:21: `inof` is none of `debug`, `info`, `warning`, `error`, `trace`, `success`, `critical`; did you mean `info`?",
        ),
        (
            "FLAGPERF_LOG_LEVEL",
            "FLAGPERF_LOG_LEVEL: warn",
            "4:21: `warn` is none of `debug`, `info`, `warning`, `error`, `trace`, `success`, `critical`",
        ),
        (
            "BENCHMARKS_OR_TOOLKITS",
            "BENCHMARKS_OR_TOOLKITS: BENCHMARKS",
            "6:25: `BENCHMARKS` is none of `benchmark`, `toolkit`; did you mean `benchmark`?",
        ),
        (
            "HOSTS:",
            "HOSTS: 10.0.0.1",
            "7:8: this is a text; expected a list of names or addresses such as [\"192.168.1.2\", \"192.168.1.3\"]",
        ),
        (
            "HOSTS:",
            "HOSTS: []",
            "7:8: no node is named; expected a list of names or addresses such as [\"192.168.1.2\", \"192.168.1.3\"]",
        ),
        (
            "HOSTS:",
            "HOSTS:",
            "7:1: this is nothing; expected a list of names or addresses such as [\"192.168.1.2\", \"192.168.1.3\"]",
        ),
        (
            "HOSTS:",
            "HOSTS: [a, 7]",
            "7:12: this is a whole number; expected a text such as \"192.168.1.2\"",
        ),
        (
            "HOSTS:",
            "HOSTS: [root@a]",
            "7:9: node name `root@a` contains a character that is not allowed in a name; expected a name or an address such as \"192.168.1.2\"; a user is no part of it",
        ),
        (
            "HOSTS:",
            "HOSTS: [a, b, \"a\"]",
            "7:15: `a` is named twice, the first time in line 7; a node has one rank, so leave one out",
        ),
        (
            "NPROC_PER_NODE",
            "NPROC_PER_NODE: \"8\"",
            "8:17: this is a text; expected a whole number from 1 to 4096, without quotes",
        ),
        (
            "NPROC_PER_NODE",
            "NPROC_PER_NODE: 0",
            "8:17: 0 is out of range; expected a whole number from 1 to 4096",
        ),
        (
            "SSH_PORT",
            "SSH_PORT: ssh",
            "9:11: `ssh` is no port; expected a port from 1 to 65535, such as \"22\"",
        ),
        (
            "SSH_PORT",
            "SSH_PORT: 70000",
            "9:11: 70000 is out of range; expected a port from 1 to 65535, such as \"22\"",
        ),
        (
            "SSH_PORT",
            "SSH_PORT: [22]",
            "9:11: this is a list; expected a port from 1 to 65535, such as \"22\"",
        ),
        (
            "SHM_SIZE",
            "SHM_SIZE: 32 GB",
            "12:11: `32 GB` is not a size such as \"32G\"",
        ),
        (
            "SHM_SIZE",
            "SHM_SIZE: 32",
            "12:11: this is a whole number; expected a text such as \"32G\"; put it in quotes",
        ),
        (
            "ACCE_CONTAINER_OPT",
            "ACCE_CONTAINER_OPT: \"--env 'A\"",
            "13:21: a quotation mark is never closed, or a backslash ends the text; expected options such as \" --gpus all\"",
        ),
        (
            "ACCE_CONTAINER_OPT",
            "ACCE_CONTAINER_OPT: [--gpus, all]",
            "13:21: this is a list; expected a text such as \" --gpus all\"",
        ),
        (
            "CLEAR_CACHES",
            "CLEAR_CACHES: \"True\"",
            "15:15: this is a text; expected True or False, without quotes",
        ),
    ] {
        let text = with(BASE, key, line);
        assert_eq!(
            refusal(read_base(&text, &[])),
            [format!("configs/host.yaml:{expected}")],
            "{line}"
        );
    }
}

#[test]
fn wrong_cases() {
    let before = BASE.split("CASES").next().unwrap();
    for (cases, expected) in [
        (
            "CASES:\n  # a: b\n",
            "17:1: no case is named, or all are comments; expected cases such as \"computation-FP32:A100\": \"pytorch_2.3\"",
        ),
        (
            "CASES: {}\n",
            "17:8: no case is named, or all are comments; expected cases such as \"computation-FP32:A100\": \"pytorch_2.3\"",
        ),
        (
            "CASES: [a]\n",
            "17:8: this is a list; expected cases such as \"computation-FP32:A100\": \"pytorch_2.3\"",
        ),
        (
            "CASES:\n  a: 2.3\n",
            "18:6: this is a number; expected a text behind `a`, the framework that names its image, such as \"pytorch_2.3\"",
        ),
        (
            "CASES:\n  a:\n",
            "18:3: this is nothing; expected a text behind `a`, the framework that names its image, such as \"pytorch_2.3\"",
        ),
        (
            "CASES:\n  \" \": b\n",
            "18:3: this case has no name; expected cases such as \"computation-FP32:A100\": \"pytorch_2.3\"",
        ),
        (
            "CASES:\n  a: b\n  a: c\n",
            "19:3: `a` is said twice, the first time in line 18; PyYAML would take the last without a word, so leave one out",
        ),
        (
            "CASES:\n\ta: b\n",
            "18:2: a tab is not allowed here; indent and separate with blanks",
        ),
    ] {
        let text = format!("{before}{cases}");
        assert_eq!(
            refusal(read_base(&text, &[])),
            [format!("configs/host.yaml:{expected}")],
            "{cases}"
        );
    }
}

#[test]
fn all_mistakes_come_at_once() {
    let text = with(BASE, "VENDOR", "VENDOR: [x]");
    let text = with(&text, "SSH_PORT", "");
    let text = with(&text, "SHM_SIZE", "");
    let text = with(&text, "HOSTS:", "HOSTS: [a, a]");
    assert_eq!(
        refusal(read_base(&text, &["VENDR=x", "NPROC_PER_NODE=eight"])),
        [
            "configs/host.yaml:1:1: `SSH_PORT`, `SHM_SIZE` are missing; for example `SSH_PORT: \"22\"`, `SHM_SIZE: \"32G\"`",
            "configs/host.yaml:3:9: this is a list; expected a text such as \"nvidia\"",
            "configs/host.yaml:7:12: `a` is named twice, the first time in line 7; a node has one rank, so leave one out",
            "--set:1:1: the suite base has no key `VENDR`; did you mean `VENDOR`?",
            "--set:1:16: this is a text; expected a whole number from 1 to 4096, without quotes",
        ]
    );
    let missing = refusal(read_base("", &[]));
    assert_eq!(missing.len(), 1);
    assert!(
        missing[0]
            .starts_with("configs/host.yaml:1:1: `FLAGPERF_PATH`, `FLAGPERF_LOG_PATH`, `VENDOR`, ")
    );
    assert!(missing[0].contains("`HOSTS: [\"192.168.1.2\", \"192.168.1.3\"]`"));
    let list = refusal(read_base("- a\n", &[]));
    assert_eq!(
        list,
        ["configs/host.yaml:1:1: this is a list; expected lines such as `VENDOR: \"nvidia\"`"]
    );
    let bytes = b"VENDOR: \"\xb0\"\n";
    let files = ClassicFiles::Base(ConfigFile {
        path: Path::new("h.yaml"),
        bytes,
    });
    let errors = refusal(read_classic(&files, &[]));
    assert_eq!(
        errors,
        ["h.yaml:1:10: the byte 0xb0 is not UTF-8; save the file as UTF-8"]
    );
}

#[test]
fn an_error_shows_the_line() {
    let text = with(BASE, "SSH_PORT", "SSH_PORT: \"no\"");
    let errors = read_base(&text, &[]).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "configs/host.yaml:9:11: `no` is no port; expected a port from 1 to 65535, such as \"22\"\n  |\n9 | SSH_PORT: \"no\"\n  |           ^^^^"
    );
}

#[test]
fn what_is_ignored_is_warned_of() {
    let text = with(
        BASE,
        "HOSTS_PORTS",
        "HOSTS_PORTS: many\nHOST: [a]\nDEVICE: 0\nwhatever: 1",
    );
    let text = with(
        &text,
        "ACCE_CONTAINER_OPT",
        "ACCE_CONTAINER_OPT: \"-v $HOME:/h\"",
    );
    let reading = read_base(&text, &[]).unwrap();
    assert_eq!(
        warnings(&reading),
        [
            "configs/host.yaml:10:14: this is a text; expected a list of ports such as [\"2222\"]; ignored, since the suite base does not use it",
            "configs/host.yaml:11:1: the suite base has no key `HOST`, so it is ignored; did you mean `HOSTS`?",
            "configs/host.yaml:12:1: `DEVICE` means nothing to the suite base and is ignored",
            "configs/host.yaml:13:1: the suite base has no key `whatever`, so it is ignored",
            "configs/host.yaml:16:21: this is split into words as a shell would, but no shell reads it: `$` and backquotes stand for themselves",
        ]
    );
    assert_eq!(reading.config.container_options, ["-v", "$HOME:/h"]);
    let dated = with(BASE, "VENDOR", "VENDOR: 2026-11-24");
    assert_eq!(warnings(&read_base(&dated, &[]).unwrap()).len(), 1);
}

#[test]
fn modules_of_training() {
    let cluster = with(
        CLUSTER,
        "SSH_PORT",
        "SSH_PROT = \"22\"\nhelper = 1\nUSED = 2\nVENDOR = 'x'",
    );
    let cluster = format!("{cluster}_x = USED\n");
    let test = with(TEST, "VENDOR", "import os\nVENDOR = os.environ['V']");
    assert_eq!(
        refusal(read_training(&cluster, &test, &[])),
        [
            "config/cluster_conf.py:1:1: `SSH_PORT` is missing; for example `SSH_PORT = \"22\"`",
            "config/test_conf.py:4:10: `VENDOR` is needed, but `os` is another module, and nothing is executed; write the value itself, or say --set VENDOR=VALUE",
        ]
    );
    let reading = read_training(&cluster, &test, &["SSH_PORT=22", "VENDOR=iluvatar"]).unwrap();
    assert_eq!(reading.config.vendor, "iluvatar");
    assert_eq!(
        warnings(&reading),
        [
            "config/cluster_conf.py:5:1: the suite training has no key `SSH_PROT`, so it is ignored; did you mean `SSH_PORT`?",
            "config/cluster_conf.py:8:1: `VENDOR` is read from test_conf.py, and ignored here",
        ]
    );
    let twice = with(
        TEST,
        "    'llama3",
        "    'bert:pytorch_1.8:R300:1:8:1': '/other',",
    );
    let reading = read_training(CLUSTER, &twice, &[]).unwrap();
    assert_eq!(
        warnings(&reading),
        [
            "config/test_conf.py:19:5: `bert:pytorch_1.8:R300:1:8:1` is there twice, the first time in line 18; Python takes the last"
        ]
    );
    assert_eq!(
        reading.config.cases,
        [(
            "bert:pytorch_1.8:R300:1:8:1".to_owned(),
            "/other".to_owned()
        )]
    );
    let empty = with(&with(TEST, "    \"bert", ""), "    'llama3", "");
    assert_eq!(
        refusal(read_training(CLUSTER, &empty, &[])),
        [
            "config/test_conf.py:16:9: no case is named, or all are comments; expected cases such as \"llama3_8B:megatron_core060:A100:1:8:1\": \"/data/llama3_8b\""
        ]
    );
    let both = refusal(read_training("HOSTS = [\n", "CASES = {\n", &[]));
    assert_eq!(both.len(), 2);
    let star = format!(
        "from site_conf import *\n{}",
        with(CLUSTER, "MASTER_PORT", "")
    );
    let missing = refusal(read_training(&star, TEST, &[]));
    assert_eq!(
        missing,
        [
            "config/cluster_conf.py:1:1: `MASTER_PORT` is needed, but what is not assigned behind this comes from the module `site_conf`, which is not read; write the value itself, or say --set MASTER_PORT=VALUE"
        ]
    );
}

#[test]
fn an_inference_file_has_its_own_keys() {
    let files = ClassicFiles::Inference(file("host.yaml", BASE));
    assert_eq!(
        refusal(read_classic(&files, &[])),
        [
            "host.yaml:1:1: `LOG_CALL_INFORMATION` is missing; for example `LOG_CALL_INFORMATION: True`"
        ]
    );
    let reading = read_classic(&files, &["LOG_CALL_INFORMATION=yes".to_owned()]).unwrap();
    assert_eq!(
        warnings(&reading),
        [
            "host.yaml:6:1: `BENCHMARKS_OR_TOOLKITS` means nothing to the suite inference and is ignored",
            "host.yaml:8:1: `NPROC_PER_NODE` means nothing to the suite inference and is ignored",
        ]
    );
}
