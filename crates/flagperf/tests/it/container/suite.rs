//! A suite of a classic tree in container mode: its image is built from the vendor's directory, and its cases run in
//! containers of it on every node.

use std::fs;
use std::path::Path;

use super::{IMAGE, on_docker};
use crate::suites::{copy, json};
use crate::support::ran;

#[test]
fn the_cases_of_a_suite_run_in_containers_of_its_own_image() {
    let Some(cluster) = on_docker(2) else {
        return;
    };
    let tree = cluster.place.path("FlagPerf");
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/tree"),
        &tree,
    );
    let base = tree.join("base");
    let image = base.join("vendors/nvidia/pytorch_2.3");
    fs::copy(tree.join("stand-ins/record"), image.join("record")).unwrap();
    let called = ["torchrun", "pip"].map(|name| format!("COPY record /usr/local/bin/{name}"));
    fs::write(
        image.join("Dockerfile"),
        format!("FROM {IMAGE}\n{}\n", called.join("\n")),
    )
    .unwrap();
    let words = ["--set", "HOSTS=[\"node1\", \"node2\"]", "--ssh-config"];
    let mut command = cluster.bare(&words);
    command.arg(cluster.bed.ssh_config()).current_dir(&base);
    let ended = ran(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.contains("2 passed"), "{}", ended.stdout);
    let run = cluster.place.run_directory();
    let plan = &json(&run.join("run.json"))["plan"]["cases"];
    for case in plan.as_array().unwrap() {
        let container = &case["container"];
        assert_eq!(
            container["image"],
            "flagperf-base-nvidia-pytorch_2.3:t_v0.1"
        );
        assert_eq!(container["options"]["privileged"], true);
        assert_eq!(container["options"]["shm_size"], "1G");
    }
    for (rank, node) in cluster.bed.node_names().iter().enumerate() {
        let task = run.join(format!("computation-FP32:A100/{node}_noderank{rank}"));
        let calls = fs::read_to_string(task.join("files/calls.txt")).unwrap();
        let own = format!("argument: --node_rank={rank}\n");
        for text in ["argument: --nnodes=2\n", &own, "FROM_ENV_SH=yes\n"] {
            assert!(calls.contains(text), "{text}: {calls}");
        }
        assert_eq!(cluster.docker(node, &["ps", "-aq"]), "", "on {node}");
    }
    cluster.await_clean();
}
