//! What hundreds of nodes cost.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use flagperf_model::{
    ClockOffset, EventKind, MonitorCost, NodeName, NodeRecord, NodeTask, Outcome, Phase, RunState,
};
use flagperf_store::{NodeResult, Recorder, read_run};

use crate::support::{
    end_case, event, facts, measurement, node_spec, planned, record, samples, series, start_case,
};

const NODES: u32 = 256;
const RANKS: u32 = 16;

#[test]
fn two_hundred_and_fifty_six_nodes_are_recorded_in_little_time() {
    let names: Vec<NodeName> = (0..NODES)
        .map(|rank| NodeName::new(format!("node{rank}")).unwrap())
        .collect();
    let mut case = planned("x", 1, 1);
    let template = case.tasks.remove(0);
    case.tasks = (0..NODES)
        .map(|rank| NodeTask {
            node: names[rank as usize].clone(),
            node_rank: rank,
            directory: format!("x/node{rank}_noderank{rank}"),
            ..template.clone()
        })
        .collect();
    let mut wanted = record(vec![case.clone()], 1);
    wanted.plan.nodes = names.iter().map(node_spec).collect();
    wanted.nodes = names
        .iter()
        .zip(0..)
        .map(|(name, rank)| NodeRecord {
            name: name.clone(),
            rank,
            ..wanted.nodes[0].clone()
        })
        .collect();
    let place = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut recorder = Recorder::create(place.path(), wanted).unwrap();
    let directory = recorder.directory().to_owned();
    let inode = || fs::metadata(directory.join("run.json")).unwrap().ino();
    let first = inode();
    for name in &names {
        recorder.event(&event(
            1,
            EventKind::NodeReady {
                node: name.clone(),
                facts: Box::new(facts()),
                clock: ClockOffset::default(),
                here: false,
            },
        ));
        recorder.node_series(name, series(), Vec::new());
    }
    assert_eq!(inode(), first, "not saved for each node");
    start_case(&mut recorder, &case, 2);
    let saved = read_run(&directory).unwrap().record;
    assert!(saved.nodes.iter().all(|node| node.facts.is_some()));
    assert_eq!(
        saved.nodes[255].series,
        series(),
        "saved when the first case starts"
    );
    let up = begun.elapsed();

    let begun = Instant::now();
    for (name, node_rank) in names.iter().zip(0..) {
        recorder.samples(node_rank, &samples(2, 10));
        for rank in 0..RANKS {
            recorder.output(node_rank, rank, b"[FlagPerf Result]a=1 GB/s\n");
            for phase in [Phase::Prepare, Phase::Measure, Phase::Verify] {
                recorder.event(&event(
                    3,
                    EventKind::Phase {
                        case: case.name().clone(),
                        node: name.clone(),
                        rank,
                        phase,
                    },
                ));
            }
            for key in ["isa", "threads"] {
                recorder.event(&event(
                    3,
                    EventKind::Note {
                        case: case.name().clone(),
                        node: name.clone(),
                        rank,
                        key: key.to_owned(),
                        value: "1".to_owned(),
                    },
                ));
            }
        }
        recorder.event(&event(
            4,
            EventKind::Measured {
                case: case.name().clone(),
                round: 1,
                node: name.clone(),
                measurement: Box::new(measurement(0.1)),
            },
        ));
        recorder.event(&event(
            5,
            EventKind::MonitorStopped {
                case: case.name().clone(),
                node: name.clone(),
                cost: MonitorCost {
                    sampler_cpu_s: 0.001,
                    agent_cpu_s: 0.1,
                    wall_s: 10.0,
                    samples: 10,
                    late: 0,
                    ..MonitorCost::default()
                },
            },
        ));
    }
    let during = begun.elapsed();
    let begun = Instant::now();
    end_case(&mut recorder, &case, 12, Outcome::Passed);
    let closing = begun.elapsed();
    println!("nodes up {up:?}, events {during:?}, end of the case {closing:?}");
    assert_eq!(recorder.finish(RunState::Finished), [""; 0]);
    // Far above what it takes, for machines that are busy with something else.
    assert!(up.max(during).max(closing) < Duration::from_secs(20));

    let run = read_run(&directory).unwrap();
    let result = &run.record.results[0];
    assert_eq!((result.notes.len(), result.measurements.len()), (512, 256));
    assert_eq!(result.result_lines.len(), (NODES * RANKS) as usize);
    let part = fs::read(directory.join("x/node255_noderank255/result.json")).unwrap();
    let part: NodeResult = serde_json::from_slice(&part).unwrap();
    let part = part.result;
    let counts = (
        part.notes.len(),
        part.measurements.len(),
        part.monitor_cost.len(),
    );
    assert_eq!(counts, (2, 1, 1));
}
