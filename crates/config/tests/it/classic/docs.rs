//! The page for the people who write these files tells the truth.

use std::path::Path;

use flagperf_config::classic::{ClassicFiles, SuiteKind, read_classic};
use flagperf_config::parse_settings;

use super::{file, read_base, read_training, refusal, words};

const PAGE: &str = include_str!("../../../../../docs/config-files.md");

fn examples(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let behind = PAGE.split(&*fence).skip(1);
    behind.filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn its_examples_are_right() {
    let [yaml] = examples("yaml")[..] else {
        panic!("expected one example");
    };
    let reading = read_base(yaml, &[]).unwrap();
    assert_eq!(reading.warnings, []);
    let [toml] = examples("toml")[..] else {
        panic!("expected one example");
    };
    let settings =
        parse_settings(Path::new("flagperf.toml"), toml).unwrap_or_else(|e| panic!("{e}"));
    let suite = settings.suite().unwrap().config;
    assert!(matches!(suite.kind, SuiteKind::Base { .. }));
    assert_eq!(suite.hosts, reading.config.hosts);
    let [python] = examples("python")[..] else {
        panic!("expected one example");
    };
    let test = format!(
        "{python}VENDOR = 'v'\nACCE_VISIBLE_DEVICE_ENV_NAME = None\nPIP_SOURCE = 'p'\nFLAGPERF_LOG_LEVEL = 'info'\n\
         SHM_SIZE = '1G'\nCLEAR_CACHES = True\nCASES = {{'a': 'b'}}\n"
    );
    let config = read_training(super::CLUSTER, &test, &[]).unwrap().config;
    assert_eq!(config.log_path, "/opt/FlagPerf/training/result/");
    assert_eq!(config.container_options.len(), 3);
    let [set] = PAGE
        .split("```\n--set")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect::<Vec<_>>()[..]
    else {
        panic!("expected one example");
    };
    let set: Vec<String> = shlex_words(&format!("--set{set}"));
    let config = read_classic(&ClassicFiles::Base(file("host.yaml", yaml)), &set)
        .unwrap()
        .config;
    assert_eq!(
        (&*config.vendor, config.hosts.len(), config.ssh_port),
        ("iluvatar", 2, Some(2222))
    );
    assert_eq!(config.cases[0].0, "computation-FP32:BI150");
}

/// The words behind `--set`, which here stand in single quotes or none.
fn shlex_words(text: &str) -> Vec<String> {
    let words = text.split("--set ").skip(1);
    words
        .map(|word| word.trim().trim_matches('\'').to_owned())
        .collect()
}

/// The table of keys says what happens where a key is left out, and where it is of another suite.
#[test]
fn its_table_of_keys_is_right() {
    let rows: Vec<Vec<&str>> = PAGE
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('|').count() == 7)
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 18);
    for (suite, column) in [
        ("base", 3),
        ("operation", 4),
        ("inference", 5),
        ("training", 6),
    ] {
        let missing = refusal(match suite {
            "base" => read_classic(&ClassicFiles::Base(file("f", "")), &[]),
            "operation" => read_classic(&ClassicFiles::Operation(file("f", "")), &[]),
            "inference" => read_classic(&ClassicFiles::Inference(file("f", "")), &[]),
            _ => read_training("", "", &[]),
        })
        .concat();
        for row in &rows {
            let (name, need) = (row[1], row[column].trim_end_matches(" ¹"));
            assert!(["m", "o", "d", "–"].contains(&need), "{row:?}");
            assert_eq!(need == "m", missing.contains(name), "{name} of {suite}");
            let key = name.trim_matches('`');
            let set = words(&[&format!("{key}=x")]);
            let answer = match suite {
                "base" => read_classic(&ClassicFiles::Base(file("f", "")), &set),
                "operation" => read_classic(&ClassicFiles::Operation(file("f", "")), &set),
                "inference" => read_classic(&ClassicFiles::Inference(file("f", "")), &set),
                _ => read_training("", "", &[&set[0]]),
            };
            let unknown = format!("the suite {suite} has no key {name}");
            assert_eq!(
                need == "–",
                refusal(answer).concat().contains(&unknown),
                "{key} of {suite}"
            );
        }
    }
}
