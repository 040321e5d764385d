//! One case in container mode and in in-container mode, on the same nodes: there in containers that
//! were started by hand from the same image.

use std::fs;

use flagperf_testkit::script;
use serde_json::Value;

use super::{IMAGE, on_docker};
use crate::cluster::Cluster;
use crate::support::ran;

/// Arithmetic in registers: what else the machine does disturbs it less than a case that shares the
/// memory's bandwidth and the caches.
const CASE: [&str; 5] = [
    "computation-FP32",
    "--duration",
    "500ms",
    "--param",
    "threads=1",
];

/// What only container mode does.
const STEPS: [&str; 4] = [
    "prepare_image",
    "start_container",
    "configure_container",
    "stop_container",
];

/// The container that a user has started, named alike on every node.
const BOX: &str = "box";

/// Where these containers alone have the program: on the node itself there is none, so that a run that
/// takes it from here has been in a container.
const PROGRAM: &str = "/flagperf-of-the-box";

/// Without a command the third step has nothing to do, and is not recorded.
const SETTINGS: &str = "master_port = 29519\n[container]\nsetup = [\"true\"]\n";

const ROUNDS: usize = 3;

/// Starts the containers that in-container mode finds, with the options that container mode uses.
fn start_boxes(cluster: &Cluster) {
    let program = env!("CARGO_BIN_EXE_flagperf");
    let mount = format!("{program}:{PROGRAM}:ro");
    for node in cluster.bed.node_names() {
        let words = [
            &["run", "-d", "--network", "host", "--ipc", "host"][..],
            &["--name", BOX, "-v", &mount, IMAGE, "sleep", "infinity"],
        ];
        cluster.docker(node, &words.concat());
    }
}

/// One run that must pass: its record and its readable log.
fn round(cluster: &Cluster, is_inside: bool) -> (Value, String) {
    cluster.forget();
    // The containers that were started by hand are on the nodes all the time, for both modes.
    let ended = if is_inside {
        cluster.settings(&format!("{SETTINGS}[defaults]\nprogram = {PROGRAM:?}\n"));
        let testbed = fs::canonicalize(script()).unwrap();
        let (testbed, bed) = (testbed.display(), cluster.bed.dir().display());
        let exec = format!("{testbed} exec {bed} {{node}} docker exec -i {BOX}");
        let mut command = cluster.bare(&CASE);
        command.args([
            "--nodes",
            &cluster.list(),
            "--in-container",
            "--exec",
            &exec,
        ]);
        ran(command.output().unwrap())
    } else {
        cluster.installed(SETTINGS);
        cluster.run_as_they_are(&[&CASE[..], &["--image", IMAGE]].concat())
    };
    assert_eq!(ended.code, Some(0), "{is_inside}: {}", ended.stderr);
    let log = cluster.place.run_directory().join("flagperf_run.log");
    (cluster.record(), fs::read_to_string(log).unwrap())
}

/// The recorded plan without what has to differ: the run's id, the environment, how nodes are reached,
/// and where the program is there.
fn plan(record: &Value) -> Value {
    let run = record["plan"]["run"].as_str().unwrap();
    let text = record["plan"].to_string().replace(run, "RUN");
    let mut plan: Value = serde_json::from_str(&text).unwrap();
    plan["environment"] = Value::Null;
    for node in plan["nodes"].as_array_mut().unwrap() {
        assert!(node["launcher"].is_object(), "{node}");
        node["launcher"] = Value::Null;
        node["program"] = Value::Null;
    }
    plan
}

/// Every metric of a run, by its node and name.
fn values(record: &Value) -> Vec<(String, f64)> {
    let results = record["results"].as_array().unwrap();
    let mut found = Vec::new();
    for result in results {
        assert_eq!(result["outcome"], "passed", "{result}");
        for measured in result["measurements"].as_array().unwrap() {
            let [node, measured] = &measured.as_array().unwrap()[..] else {
                panic!("{measured}");
            };
            let name = format!("{node} {} {}", measured["metric"], measured["rank"]);
            found.push((name, measured["value"].as_f64().unwrap()));
        }
    }
    assert!(!found.is_empty(), "{record}");
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

/// The middle one, and the largest less the smallest.
fn median_and_spread(mut values: Vec<f64>) -> (f64, f64) {
    values.sort_by(f64::total_cmp);
    let spread = values[values.len() - 1] - values[0];
    (values[values.len() / 2], spread)
}

#[test]
fn both_modes_have_the_same_plan_and_measure_the_same() {
    // Two nodes would share the cores of this machine, and each other's figures.
    let Some(cluster) = on_docker(1) else { return };
    start_boxes(&cluster);
    let mut made = Vec::new();
    let mut given = Vec::new();
    for _ in 0..ROUNDS {
        made.push(round(&cluster, false));
        given.push(round(&cluster, true));
    }

    let (record, log) = &made[0];
    let (given_record, given_log) = &given[0];
    assert!(record["plan"]["environment"]["container"].is_object());
    assert_eq!(given_record["plan"]["environment"], "in_container");
    assert_eq!(plan(record), plan(given_record));
    for node in record["nodes"].as_array().unwrap() {
        let steps = node["steps"].as_array().unwrap();
        let names: Vec<_> = steps.iter().map(|step| &step["step"]).collect();
        assert_eq!(names, STEPS, "{node}");
    }
    for node in given_record["nodes"].as_array().unwrap() {
        let steps = node["steps"].as_array();
        assert!(steps.is_none_or(Vec::is_empty), "{node}");
    }
    for step in STEPS {
        let line = format!("skipped in in-container mode: {}", step.replace('_', " "));
        assert!(given_log.contains(&line), "{step}: {given_log}");
        assert!(!log.contains(&line), "{step}: {log}");
    }

    let of = |rounds: &[(Value, String)]| -> Vec<Vec<(String, f64)>> {
        rounds.iter().map(|(record, _)| values(record)).collect()
    };
    let (made, given) = (of(&made), of(&given));
    for (place, (name, _)) in made[0].iter().enumerate() {
        let column = |rounds: &[Vec<(String, f64)>]| {
            let named = rounds.iter().map(|round| {
                assert_eq!(round.len(), made[0].len(), "{round:?}");
                assert_eq!(round[place].0, *name);
                round[place].1
            });
            median_and_spread(named.collect())
        };
        let ((one, one_spread), (other, other_spread)) = (column(&made), column(&given));
        // What the rounds differ by among themselves is what the machine's other work costs.
        let noise = 3.0 * one_spread.max(other_spread) + 0.15 * one.max(other);
        let differ = (one - other).abs();
        assert!(differ <= noise, "{name}: {made:?} {given:?}");
    }

    for node in cluster.bed.node_names() {
        cluster.docker(node, &["rm", "-f", BOX]);
    }
    cluster.await_gone();
}
