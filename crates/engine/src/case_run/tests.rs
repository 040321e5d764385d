//! Rounds on nodes that are shells with the words of agents.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flagperf_model::{
    Environment, Event, EventKind, Launcher, Limits, MachineFacts, MonitorCost, MonitorSpec,
    NodeName, NodeSpec, NodeTask, Outcome, Plan, PlannedCase, ProgramSource, RunId, Timestamp,
};
use flagperf_transport::Programs;
use flagperf_wire::{Chunk, ClockAnchor, FromAgent, ProcessEnd, TaskEnd, TaskId, Timing, encode};

use crate::{BringUp, Consumer, Emission, RunRequest, connect_all, run};

const BUILD: [u8; 32] = [7; 32];
const TASK: TaskId = TaskId(1);
const STALE: TaskId = TaskId(99);

/// A shell command that says something as an agent.
fn say(messages: &[FromAgent]) -> String {
    let mut text = String::from("printf '");
    for byte in messages.iter().flat_map(|message| encode(message).unwrap()) {
        write!(text, "\\{byte:03o}").unwrap();
    }
    text + "'\n"
}

/// What every agent says at first.
fn greeting() -> String {
    let clock = ClockAnchor {
        unix: Timestamp(0),
        mono_ns: 0,
    };
    say(&[
        FromAgent::Hello {
            build: BUILD,
            size: 1,
            started: 1,
            program: String::new(),
            version: "1".to_owned(),
            pid: 1,
            clock,
        },
        FromAgent::Facts {
            facts: Box::new(MachineFacts::default()),
            series: Vec::new(),
            chip_series: Vec::new(),
            absent: Vec::new(),
            address: None,
            free_port: None,
            place: None,
        },
    ])
}

fn refused(task: TaskId) -> FromAgent {
    let reason = "no room".to_owned();
    FromAgent::Refused { task, reason }
}

fn monitor_stopped(task: TaskId) -> FromAgent {
    let cost = MonitorCost {
        sampler_cpu_s: 0.0,
        agent_cpu_s: 0.0,
        wall_s: 0.0,
        samples: 0,
        late: 0,
        ..MonitorCost::default()
    };
    FromAgent::MonitorStopped { task, cost }
}

/// What an agent says about a task that passes.
fn passing() -> String {
    let result = b"[FlagPerf Result]Rank 0 x=1 GB/s\n".to_vec();
    let ready = say(&[FromAgent::Prepared {
        task: TASK,
        directory: None,
    }]);
    // Time for the order to start.
    let rest = say(&[
        FromAgent::Started {
            task: TASK,
            mono_ns: 1,
        },
        FromAgent::Output {
            task: TASK,
            rank: 0,
            chunk: Chunk::Plain(result.into()),
        },
        FromAgent::Exited {
            task: TASK,
            rank: 0,
            end: ProcessEnd::Status(0),
            asked: false,
            mono_ns: 2,
        },
        FromAgent::TaskEnded {
            task: TASK,
            end: TaskEnd::Finished,
            mono_ns: 2,
            strays: Vec::new(),
            unkillable: Vec::new(),
            oom_kills: 0,
            has_files: false,
        },
        monitor_stopped(TASK),
    ]);
    format!("{ready}sleep 0.3\n{rest}")
}

/// How a round came out, after how many seconds, and how many monitors stopped.
struct Round {
    outcome: Outcome,
    seconds: f64,
    monitors: usize,
}

#[derive(Default)]
struct Kept(Vec<Event>);

impl Consumer for Kept {
    fn take(&mut self, emission: &Emission<'_>) {
        if let Emission::Event(event) = emission {
            self.0.push((*event).clone());
        }
    }
}

/// A round of a case for `nodes` (`each` or `all`) on agents that say this.
async fn round(nodes: &str, scripts: &[String]) -> Round {
    let specs: Vec<NodeSpec> = scripts
        .iter()
        .enumerate()
        .map(|(number, script)| NodeSpec {
            name: NodeName::new(format!("node{}", number + 1)).unwrap(),
            launcher: Launcher::Exec {
                words: ["sh", "-c", &format!("{}{script}", greeting())]
                    .map(str::to_owned)
                    .to_vec(),
            },
            address: None,
            env: BTreeMap::new(),
            program: ProgramSource::Installed("installed".to_owned()),
        })
        .collect();
    let text = format!(
        "summary = \"a test case\"\nsuite = \"base\"\nranks = \"node\"\nnodes = \"{nodes}\"\n[entry]\nargv = [\"./main.sh\"]\n"
    );
    let spec = flagperf_library::parse_case("x", Path::new("case.toml"), &text).unwrap();
    let tasks = specs.iter().enumerate().map(|(rank, node)| NodeTask {
        node: node.name.clone(),
        node_rank: rank as u32,
        directory: format!("x/{}", node.name),
        log: "log".to_owned(),
        processes: Vec::new(),
        case_directory: None,
    });
    let case = PlannedCase {
        spec,
        round: 1,
        rounds: 1,
        params: BTreeMap::new(),
        limits: Limits {
            timeout_s: 60.0,
            stall_s: 60.0,
            grace_s: 1.0,
        },
        expected_s: None,
        unsupported: None,
        skipped: None,
        left_out: Vec::new(),
        named: true,
        directory: None,
        tasks: tasks.collect(),
    };
    let bring_up = BringUp {
        programs: Arc::new(Programs::new(PathBuf::from("/own"), BUILD)),
        secret: String::new(),
        timing: Timing::default(),
        patience: Duration::from_secs(20),
        chips: Arc::default(),
        max_parallel: 9,
        version: "1",
        home: None,
    };
    let connected = connect_all(&specs, Path::new("/own"), &bring_up).await;
    let ready = connected.into_iter().map(Result::unwrap).collect();
    let plan = Plan {
        run: RunId::new("run1").unwrap(),
        nodes: specs,
        environment: Environment::Host,
        duration_s: None,
        master_port: None,
        monitor: MonitorSpec {
            interval_ns: 1_000_000_000,
            vendor: None,
        },
        cases: vec![case],
    };
    let request = RunRequest {
        plan: &plan,
        rounds: &[0],
        trees: &BTreeMap::new(),
        tolerant: false,
    };
    let (_interrupt, interrupts) = tokio::sync::mpsc::unbounded_channel();
    let mut kept = Kept::default();
    run(&request, ready, interrupts, &mut kept).await;
    let monitors = |event: &&Event| matches!(event.what, EventKind::MonitorStopped { .. });
    let monitors = kept.0.iter().filter(monitors).count();
    let ended = kept.0.into_iter().find_map(|event| match event.what {
        EventKind::CaseEnded {
            outcome, seconds, ..
        } => Some((outcome, seconds)),
        _ => None,
    });
    let (outcome, seconds) = ended.unwrap();
    Round {
        outcome,
        seconds,
        monitors,
    }
}

/// Gets on with making ready for longer than a node may be without getting on.
fn slowly() -> String {
    let taken = say(&[FromAgent::Taken { bytes: 1 }]);
    format!("for i in 1 2 3 4 5; do sleep 0.5\n{taken}done\n")
}

#[tokio::test]
async fn a_node_that_gets_on_is_waited_for() {
    let quick = format!("sleep 0.2\n{}", passing());
    // The quick one says that it has ended when it has been started.
    let quick = quick.replace("sleep 0.3", "sleep 3");
    let slow = slowly() + &passing();
    let round = round("all", &[quick, slow]).await;
    assert_eq!(round.outcome, Outcome::Passed);
    assert!(round.seconds > 2.0, "{}", round.seconds);
}

#[tokio::test]
async fn a_node_that_does_not_get_on_is_lost() {
    let stuck = "sleep 3".to_owned();
    let round = round("each", &[stuck]).await;
    let Outcome::Lost { reason, .. } = &round.outcome else {
        panic!("{}", round.outcome);
    };
    assert!(
        reason.contains("did not get on with making ready"),
        "{reason}"
    );
    assert!(round.seconds < 2.5, "{}", round.seconds);
}

#[tokio::test]
async fn nobody_is_waited_for_once_a_task_of_all_nodes_cannot_start() {
    let refuses = format!(
        "sleep 0.3\n{}",
        say(&[refused(TASK), monitor_stopped(TASK)])
    );
    let slow = format!("sleep 0.3\n{}{}", say(&[monitor_stopped(TASK)]), slowly());
    let round = round("all", &[refuses, slow]).await;
    assert!(
        matches!(&round.outcome, Outcome::Failed { node, .. } if node.as_str() == "node1"),
        "{}",
        round.outcome
    );
    assert!(round.seconds < 2.2, "{}", round.seconds);
}

#[tokio::test]
async fn late_words_about_another_task_count_for_none() {
    let stale = say(&[refused(STALE), monitor_stopped(STALE)]);
    let late = format!("sleep 0.2\n{stale}{}", passing());
    let round = round("each", &[late]).await;
    assert_eq!(round.outcome, Outcome::Passed);
    assert_eq!(round.monitors, 1);
}
