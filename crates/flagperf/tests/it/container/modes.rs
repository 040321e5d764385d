//! One case in container mode and in in-container mode, on the same nodes.

use serde_json::Value;

use super::{IMAGE, on_docker};
use crate::cluster::Cluster;

/// A case on one node, and one for which the ranks of both have to meet.
const CASES: [&str; 6] = [
    "main_memory-bandwidth",
    "interconnect-P2P_interserver",
    "--duration",
    "200ms",
    "--param",
    "threads=1",
];

/// What would be done, with nothing in it that differs from run to run.
fn plan(cluster: &Cluster, mode: &[&str]) -> Value {
    let arguments = [&CASES[..], &["--dry-run", "--json"], mode].concat();
    let text = cluster.passes(&arguments).stdout;
    let plan: Value = serde_json::from_str(&text).unwrap();
    let run = plan["run"].as_str().unwrap();
    let mut plan: Value = serde_json::from_str(&text.replace(run, "RUN")).unwrap();
    plan["environment"] = Value::Null;
    plan
}

/// The median of every metric of a run.
fn values(cluster: &Cluster) -> Vec<(String, f64)> {
    let record = cluster.record();
    let results = record["results"].as_array().unwrap();
    assert_eq!(results.len(), 2, "{record}");
    let mut found = Vec::new();
    for result in results {
        assert_eq!(result["outcome"], "passed", "{result}");
        let measurements = result["measurements"].as_array().unwrap();
        assert!(!measurements.is_empty(), "{result}");
        for measured in measurements {
            // Each with its node.
            let [node, measured] = &measured.as_array().unwrap()[..] else {
                panic!("{measured}");
            };
            let name = format!("{node} {} {}", measured["metric"], measured["rank"]);
            found.push((name, measured["value"].as_f64().unwrap()));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

#[test]
fn both_modes_have_the_same_plan_and_measure_the_same() {
    let Some(cluster) = on_docker(2) else { return };
    cluster.installed("master_port = 29519\n");
    let made = ["--image", IMAGE];
    let given = ["--in-container"];
    assert_eq!(plan(&cluster, &made), plan(&cluster, &given));

    cluster.passes(&[&CASES[..], &made].concat());
    let inside = values(&cluster);
    cluster.await_gone();
    cluster.forget();
    cluster.passes(&[&CASES[..], &given].concat());
    let outside = values(&cluster);
    let names = |values: &[(String, f64)]| -> Vec<String> {
        values.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&inside), names(&outside));
    // The machine that tests is busy with others; what a container costs would be seen by far.
    for ((name, inside), (_, outside)) in inside.iter().zip(&outside) {
        let ratio = inside / outside;
        let is_noise = (0.2..5.0).contains(&ratio) || name.contains("share");
        assert!(is_noise, "{name}: {inside} {outside}");
    }
    cluster.await_gone();
}
