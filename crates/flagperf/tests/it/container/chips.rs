//! Chips of a node, as its container sees them.

use std::fs;

use flagperf_store::read_run;
use flagperf_testkit::SMI_SCRIPT;
use serde_json::Value;

use super::{IMAGE, on_docker, settings};
use crate::cluster::{Cluster, RESULT};

/// The tool lies in a directory of the node.
const PROFILE: &str = r#"
name = "nvidia"
[status]
command = ["nvidia-smi", "--query-gpu={fields}", "--format=csv"]
fields = ["index", "uuid", "name", "driver_version", "temperature.gpu", "power.draw", "memory.used", "memory.total"]
repeat = ["--loop-ms={interval_ms}"]
search = ["/tmp/smi"]
reader = "nvidia-smi"
interval_s = 0.25
"#;

fn run(cluster: &Cluster) -> Value {
    cluster.forget();
    let vendors = cluster.place.path("vendors");
    let vendors = vendors.to_str().unwrap();
    cluster.passes(&["waits", "--interval", "250ms", "--vendors", vendors]);
    cluster.await_gone();
    cluster.record()
}

#[test]
fn chips_of_a_node_are_sampled_where_the_container_has_their_tool() {
    let Some(cluster) = on_docker(1) else { return };
    cluster.sh(
        "node1",
        "mkdir -p /tmp/smi; echo ok >/tmp/smi/mode; echo 2 >/tmp/smi/chips",
    );
    let write = "printf %s \"$1\" >/tmp/smi/nvidia-smi; chmod +x /tmp/smi/nvidia-smi";
    let written = cluster
        .bed
        .exec("node1", &["sh", "-c", write, "sh", SMI_SCRIPT]);
    assert!(written.status.success(), "{written:?}");
    fs::create_dir_all(cluster.place.path("vendors")).unwrap();
    fs::write(cluster.place.path("vendors/nvidia.toml"), PROFILE).unwrap();
    cluster.case("waits", "each", &format!("sleep 4; {RESULT}"));

    // The image has no such tool: what chips there are is known from the node, and why they are not sampled.
    settings(&cluster, &format!("image = \"{IMAGE}\""));
    let record = run(&cluster);
    let node = &record["nodes"][0];
    let chips = &node["facts"]["chips"];
    assert_eq!(chips.as_array().unwrap().len(), 2, "{node}");
    let absent = node["absent"].as_array().unwrap();
    let told = absent.iter().find(|absent| absent["name"] == "chip");
    assert_eq!(told.unwrap()["reason"], "nvidia-smi not found");
    assert!(node["chip_series"].is_null());

    settings(
        &cluster,
        &format!("image = \"{IMAGE}\"\nmounts = [\"/tmp/smi:/tmp/smi\"]"),
    );
    let record = run(&cluster);
    let node = &record["nodes"][0];
    assert_eq!(node["facts"]["chips"][1]["uuid"], "GPU-1111-test", "{node}");
    let absent = node["absent"].as_array().unwrap();
    assert!(
        absent.iter().all(|absent| absent["name"] != "chip"),
        "{node}"
    );
    let run = read_run(&cluster.place.run_directory()).unwrap();
    let samples = run
        .chip_samples(&run.record.results[0], 0)
        .unwrap()
        .unwrap();
    let power = samples
        .series
        .iter()
        .position(|decl| decl.name == "chip.power" && decl.instance.as_deref() == Some("1"));
    let power = &samples.block.columns[power.unwrap()];
    assert!(power.iter().flatten().count() >= 2, "{power:?}");
    assert!(power.iter().flatten().all(|stored| *stored == 20_050));
}
