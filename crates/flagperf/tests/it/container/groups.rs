//! A run of several containers that is taken up again.

use std::fs;

use serde_json::{Value, json};

use super::{IMAGE, on_docker};
use crate::cluster::RESULT;
use crate::support::ran;

/// A container as plans have it.
fn container(image: &str) -> Value {
    json!({"image": image, "source": "present", "options": {}, "owner": "0@test"})
}

#[test]
fn only_containers_of_which_rounds_are_left_are_made_again() {
    let Some(cluster) = on_docker(1) else { return };
    let inside = format!("test -e /.flagperf || exit 3; {RESULT}");
    cluster.case("a", "each", RESULT).case("b", "each", &inside);
    cluster.case("c", "each", RESULT).case("d", "each", &inside);
    let first = cluster.run(&["a", "b", "c", "d"]);
    assert_eq!(first.code, Some(1), "{}", first.stderr);
    // Had they had containers from the start: those of `a` and `c`, which have passed, cannot be made.
    let path = cluster.place.run_directory().join("run.json");
    let mut record = cluster.record();
    for (place, image) in [(0, "lab/gone:1"), (1, IMAGE), (2, "lab/gone:2"), (3, IMAGE)] {
        record["plan"]["cases"][place]["container"] = container(image);
    }
    fs::write(&path, record.to_string()).unwrap();
    let mut command = cluster.bed.controller(env!("CARGO_BIN_EXE_flagperf"));
    command.args(["run", "--resume"]);
    command.arg(cluster.place.run_directory());
    let resumed = ran(command.output().unwrap());
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    let record = cluster.record();
    let steps = record["nodes"][0]["steps"].as_array().unwrap();
    let told: Vec<_> = steps
        .iter()
        .map(|step| (step["step"].as_str().unwrap(), step["group"].as_u64()))
        .collect();
    // The two that are left share one.
    let expected = ["prepare_image", "start_container", "stop_container"];
    assert_eq!(told, expected.map(|step| (step, Some(2))));
    let said = "prepare image (group 2): started";
    assert!(resumed.stderr.contains(said), "{}", resumed.stderr);
    cluster.await_gone();
}
