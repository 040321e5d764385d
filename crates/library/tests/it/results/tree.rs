//! Every result that the sources of a real FlagPerf checkout print is known. The checkout is named by
//! `FLAGPERF_TREE`; without it there is nothing to compare with.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use flagperf_library::{BaseProgram, Dialect, Peaks, Summary, TrainingStyle};

use super::summary;

fn tree() -> Option<PathBuf> {
    let tree = std::env::var_os("FLAGPERF_TREE").map(PathBuf::from);
    if tree.is_none() {
        eprintln!("skipped: FLAGPERF_TREE names no checkout of FlagPerf");
    }
    tree
}

/// All files below a directory with their text, those that are none left out.
fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_none_or(|extension| extension != "md")
            && let Ok(text) = fs::read_to_string(&path)
        {
            found.push((path, text));
        }
    }
    found
}

/// The files of a suite's cases: case, path below the case, text.
fn cases(tree: &Path, directory: &str) -> Vec<(String, String, String)> {
    let directory = tree.join(directory);
    let mut found = Vec::new();
    for (path, text) in sources(&directory) {
        let below = path.strip_prefix(&directory).unwrap().to_str().unwrap();
        if let Some((case, below)) = below.split_once('/') {
            found.push((case.to_owned(), below.to_owned(), text));
        }
    }
    assert!(found.len() > 10, "{}", directory.display());
    found
}

/// True if there is a number, and all are of declared metrics.
fn is_known(read: &Summary) -> bool {
    let mut numbers = read.measurements.iter();
    !read.measurements.is_empty()
        && numbers.all(|(_, number)| !number.definition.contains("not known"))
}

/// The texts in quotes that end in this and stand behind that.
fn texts<'a>(source: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let parts = source.split(before).skip(1);
    parts
        .filter_map(|part| part.split_once(after))
        .map(|(text, _)| text)
        .filter(|text| text.len() < 60 && !text.contains('\n'))
        .collect()
}

/// The keys of a dictionary with a member or a key on each line.
fn keys(dictionary: &str) -> Vec<String> {
    let lines = dictionary.lines().map(str::trim);
    let quoted = lines.filter_map(|line| line.strip_prefix('"')?.split_once("\":"));
    quoted.map(|(key, _)| key.to_owned()).collect()
}

#[test]
fn every_result_line_of_suite_base() {
    let Some(tree) = tree() else { return };
    let mut unknown = BTreeSet::new();
    let mut seen = 0;
    for (directory, program) in [
        ("base/benchmarks", BaseProgram::Benchmark),
        ("base/toolkits", BaseProgram::Toolkit),
    ] {
        for (case, _, text) in cases(&tree, directory) {
            // In C++ the mark and the name may be two texts.
            let text = text.replace("]\" << \"", "]");
            for printed in texts(&text, "[FlagPerf Result]", "=") {
                let line = format!(
                    "[FlagPerf Result]{}=5.5 TFLOPS\n",
                    printed.replace("{}", "0")
                );
                let dialect = Dialect::Base {
                    case: case.clone(),
                    program,
                };
                seen += 1;
                let read = summary(&dialect, &line);
                if !is_known(&read) || !read.measurements[0].1.metric.as_str().starts_with(&case) {
                    unknown.insert(format!("{directory}/{case}: {printed}"));
                }
            }
        }
    }
    assert!(seen > 100, "{seen}");
    assert_eq!(unknown, BTreeSet::new());
}

#[test]
fn every_key_of_the_logs_of_training() {
    let Some(tree) = tree() else { return };
    let dialect = Dialect::Training {
        model: "m".to_owned(),
        style: TrainingStyle::PerfLog,
    };
    let mut seen = BTreeSet::new();
    for (_, below, text) in cases(&tree, "training/benchmarks") {
        if !below.ends_with("run_pretraining.py") {
            continue;
        }
        for part in text.split("finished_info = {").skip(1) {
            let end = part.find('}').unwrap();
            seen.extend(keys(&part[..end]));
        }
    }
    assert!(seen.len() > 40, "{seen:?}");
    let unknown = seen.iter().filter(|key| {
        let line =
            format!("[PerfLog] {{\"event\": \"FINISHED\", \"value\": {{\"{key}\": 0.5}}}}\n");
        !is_known(&summary(&dialect, &line))
    });
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&String>::new());
}

/// What training prints with a colon before a number, and what is no result.
#[test]
fn every_printed_line_of_training() {
    const OTHERS: [&str; 2] = ["Exec CMD: ", "Tokens num: "];
    let Some(tree) = tree() else { return };
    let mut seen = BTreeSet::new();
    for (model, below, text) in cases(&tree, "training/benchmarks") {
        let program = below.ends_with("run_pretraining.py");
        if !program || text.contains("Event.FINISHED") {
            continue;
        }
        let mut labels = texts(&text, "print(\"", "\",");
        labels.extend(texts(&text, "logger.info(\"", "\" +"));
        labels.extend(texts(&text, "print(f\"", "{mfu}"));
        labels.extend(
            texts(&text, "            \"MFU", ",")
                .iter()
                .map(|_| "MFU: "),
        );
        for label in labels {
            if !OTHERS.contains(&label) {
                seen.insert((model.clone(), label.to_owned()));
            }
        }
    }
    assert!(seen.len() > 50, "{seen:?}");
    let unknown = seen.iter().filter(|(model, label)| {
        let dialect = Dialect::Training {
            model: model.clone(),
            style: TrainingStyle::Printed,
        };
        !is_known(&summary(&dialect, &format!("{label} 0.5\n")))
    });
    assert_eq!(unknown.collect::<Vec<_>>(), Vec::<&(String, String)>::new());
}

#[test]
fn every_key_figure_of_inference() {
    let Some(tree) = tree() else { return };
    let text = fs::read_to_string(tree.join("inference/run_inference.py")).unwrap();
    let (_, part) = text.split_once("infer_info = {").unwrap();
    let end = part.find('}').unwrap();
    let mut keys = keys(&part[..end]);
    keys.retain(|key| !["vendor", "compiler", "precision"].contains(&key.as_str()));
    assert!(keys.len() > 5, "{keys:?}");
    for key in keys {
        let line = format!("| Finish Info | x - {{'{key}': 0.5}}\n");
        let read = summary(&Dialect::Inference(Peaks::default()), &line);
        assert!(is_known(&read), "{key}");
    }
}

#[test]
fn every_line_of_operators() {
    let Some(tree) = tree() else { return };
    let path = tree.join("operation/benchmarks/drivers/calculate.py");
    let text = fs::read_to_string(path).unwrap();
    let mut known = 0;
    for shape in texts_of_any_length(&text, "[FlagPerf Result]", "\"") {
        let shape = shape.replace("Reference: {}", "Reference: True");
        let line = format!("[FlagPerf Result]{}\n", shape.replace("{}", "2.5"));
        let read = summary(&Dialect::Operation, &line);
        if line.contains("Operation ") {
            assert_eq!(read.measurements, []);
        } else {
            assert!(is_known(&read), "{line}");
        }
        known += read.measurements.len();
    }
    assert_eq!(known, 11);
}

fn texts_of_any_length<'a>(source: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    let parts = source.split(before).skip(1);
    let found = parts.filter_map(|part| part.split_once(after));
    found.map(|(text, _)| text).collect()
}
