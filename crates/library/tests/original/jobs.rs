//! Every case of a tree, found without asking the code that is tested.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use flagperf_library::WantedCase;
use flagperf_model::Suite;

use crate::world::World;

/// Cases that one run of a launcher takes together.
pub(crate) struct Job {
    pub(crate) kind: &'static str,
    pub(crate) vendor: String,
    pub(crate) toolkits: bool,
    pub(crate) hosts: Vec<String>,
    pub(crate) nproc: u32,
    pub(crate) master_port: u16,
    pub(crate) cases: Vec<WantedCase>,
}

impl Job {
    /// Directory of the suite.
    pub(crate) fn suite(&self) -> &'static str {
        match self.kind {
            "benchmark" | "toolkit" => "base",
            "operation" => "operation",
            "inference" => "inference",
            _ => "training",
        }
    }

    pub(crate) fn tree_suite(&self) -> Suite {
        match self.suite() {
            "base" => Suite::Base,
            "operation" => Suite::Operation,
            "inference" => Suite::Inference,
            _ => Suite::Training,
        }
    }
}

pub(crate) fn all_jobs(world: &World) -> Vec<Job> {
    let tree = world.tree();
    let mut jobs = Vec::new();
    let mut add = |kind, vendor: &str, hosts: usize, cases: Vec<WantedCase>| {
        jobs.push(Job {
            kind,
            vendor: vendor.to_owned(),
            toolkits: kind == "toolkit",
            hosts: (0..hosts).map(|host| format!("h{host}")).collect(),
            nproc: 8,
            // Not the one that the original has as a constant.
            master_port: 29400,
            cases,
        });
    };
    for (kind, place, file) in [
        ("benchmark", "base/benchmarks", "case_config.yaml"),
        ("toolkit", "base/toolkits", "main.sh"),
    ] {
        for (vendor, cases) in adapted(&tree.join(place), file) {
            let mut strings: BTreeSet<String> = BTreeSet::new();
            for (case, chip) in &cases {
                // The chip may be left out where there is only one.
                let of_case = cases.iter().filter(|(other, _)| other == case);
                if chip.is_empty() || of_case.count() == 1 {
                    strings.insert(case.clone());
                }
                if !chip.is_empty() {
                    strings.insert(format!("{case}:{chip}"));
                }
            }
            let strings: Vec<WantedCase> = strings
                .into_iter()
                .map(|name| wanted(name, "framework_1.0"))
                .collect();
            add(kind, &vendor, 2, strings.clone());
            // These run otherwise where there is one node.
            let inside =
                |case: &WantedCase| kind == "benchmark" && case.name.contains("intraserver");
            let inside: Vec<WantedCase> = strings.into_iter().filter(inside).collect();
            if !inside.is_empty() {
                add(kind, &vendor, 1, inside);
            }
        }
    }
    for (vendor, cases) in adapted(&tree.join("operation/benchmarks"), "case_config.yaml") {
        let strings = cases.iter().flat_map(|(case, chip)| {
            ["FP32:19.5:nativetorch", "FP16:312:flaggems"]
                .map(|rest| wanted(format!("{case}:{rest}:{chip}"), "image"))
        });
        add("operation", &vendor, 1, strings.collect());
    }
    for (vendor, cases) in inference(&tree.join("inference")) {
        add("inference", &vendor, 1, cases);
    }
    for vendor in names(&tree.join("training")) {
        let mut strings: BTreeMap<&'static str, Vec<WantedCase>> = BTreeMap::new();
        for model in names(&tree.join("training").join(&vendor)) {
            let place = tree.join("training").join(&vendor).join(&model);
            if let Some(model) = model.strip_suffix("-in_container") {
                for kind in ["in_container", "in_cluster"] {
                    if tree
                        .join("training/benchmarks")
                        .join(model)
                        .join(kind)
                        .is_dir()
                    {
                        strings
                            .entry(kind)
                            .or_default()
                            .push(wanted(format!("{model}:{kind}"), ""));
                    }
                }
            }
            let Some((model, framework)) = model.split_once('-') else {
                continue;
            };
            for file in names(&place.join("config")) {
                let stem = file
                    .strip_prefix("config_")
                    .and_then(|stem| stem.strip_suffix(".py"));
                let size: Vec<&str> = stem.unwrap_or_default().rsplitn(3, 'x').collect();
                if let [nproc, nnodes, hardware] = size[..] {
                    let name = format!("{model}:{framework}:{hardware}:{nnodes}:{nproc}:1");
                    strings
                        .entry("training")
                        .or_default()
                        .push(wanted(name, "/data/set"));
                }
            }
        }
        for (kind, cases) in strings {
            for case in cases {
                let hosts = if kind == "training" { 11 } else { 2 };
                add(kind, &vendor, hosts, vec![case]);
            }
        }
    }
    jobs
}

fn wanted(name: String, value: &str) -> WantedCase {
    WantedCase {
        name,
        value: (!value.is_empty()).then(|| value.to_owned()),
    }
}

/// By vendor, the case and the path below the vendor's directory of every file of that name.
fn adapted(place: &Path, file: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let mut found: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for case in names(place) {
        for vendor in names(&place.join(&case)) {
            let of_vendor = place.join(&case).join(&vendor);
            let mut open = vec![String::new()];
            while let Some(below) = open.pop() {
                let here = of_vendor.join(&below);
                if here.join(file).is_file() {
                    found
                        .entry(vendor.clone())
                        .or_default()
                        .push((case.clone(), below.clone()));
                }
                let deeper = names(&here)
                    .into_iter()
                    .filter(|name| here.join(name).is_dir());
                open.extend(
                    deeper.map(|name| format!("{below}/{name}").trim_start_matches('/').to_owned()),
                );
            }
        }
    }
    found
}

/// By vendor, every case that it has a configuration or an engine for.
fn inference(suite: &Path) -> BTreeMap<String, Vec<WantedCase>> {
    let mut found: BTreeMap<String, Vec<WantedCase>> = BTreeMap::new();
    for case in names(&suite.join("configs")) {
        for file in names(&suite.join("configs").join(&case).join("vendor_config")) {
            if let Some(vendor) = file.strip_suffix("_configurations.yaml") {
                let name = format!("{case}:pytorch_1.13");
                found
                    .entry(vendor.to_owned())
                    .or_default()
                    .push(wanted(name, "/data/set"));
            }
        }
    }
    found
}

fn names(place: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(place) else {
        return Vec::new();
    };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}
