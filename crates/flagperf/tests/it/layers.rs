//! The crates depend downwards only, as ARCHITECTURE.md draws them.

use std::collections::BTreeMap;
use std::process::Command;

/// Each crate with all the crates of the workspace that it may depend on.
const ARROWS: &[(&str, &[&str])] = &[
    ("flagperf-archive", &[]),
    ("flagperf-model", &[]),
    ("flagperf-text", &[]),
    ("flagperf-wire", &["flagperf-model"]),
    ("flagperf-container", &["flagperf-model"]),
    ("flagperf-accel", &["flagperf-model", "flagperf-text"]),
    ("flagperf-config", &["flagperf-model", "flagperf-text"]),
    ("flagperf-library", &["flagperf-model", "flagperf-text"]),
    ("flagperf-host", &["flagperf-model"]),
    ("flagperf-kernels", &["flagperf-model"]),
    ("flagperf-store", &["flagperf-archive", "flagperf-model"]),
    ("flagperf-report", &["flagperf-model", "flagperf-store"]),
    ("flagperf-archive", &[]),
    ("flagperf-transport", &["flagperf-model", "flagperf-wire"]),
    // For tests alone; it knows nodes, and nothing of what runs on them.
    ("flagperf-testkit", &[]),
    (
        "flagperf-agent",
        &[
            "flagperf-accel",
            "flagperf-archive",
            "flagperf-host",
            "flagperf-model",
            "flagperf-wire",
        ],
    ),
    (
        "flagperf-engine",
        &[
            "flagperf-container",
            "flagperf-library",
            "flagperf-model",
            "flagperf-transport",
            "flagperf-wire",
        ],
    ),
];

#[test]
fn no_crate_looks_up() {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        // The program is on top and may use everything.
        if name == "flagperf" {
            continue;
        }
        let below = allowed
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not in ARCHITECTURE.md"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let on = dependency["name"].as_str().unwrap();
            if on.starts_with("flagperf") {
                assert!(below.contains(&on), "{name} looks up to {on}");
            }
        }
    }
}
