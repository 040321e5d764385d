//! A small run with everything in it.

use std::collections::BTreeMap;
use std::path::Path;

use flagperf_model::{
    Absent, Better, CaseName, CaseSpec, Cause, ClockOffset, CpuFacts, Entry, Environment, Event,
    EventKind, Launcher, Limits, MachineFacts, Measurement, MemoryFacts, MetricName, MonitorCost,
    MonitorSpec, NodeName, NodeRecord, NodeScope, NodeSpec, NodeTask, Outcome, Phase, Plan,
    PlannedCase, ProcessSpec, ProgramSource, RUN_SCHEMA, RankLayout, RunRecord, RunState,
    SampleBlock, Scope, SeriesDecl, SeriesKind, Spread, Stage, Suite, Timestamp, Unit,
    Verification,
};
use flagperf_store::{Recorder, new_run_id};

pub(crate) const START: i64 = 1_795_434_006_000_000_000;

pub(crate) fn second(n: i64) -> Timestamp {
    Timestamp(START + n * 1_000_000_000)
}

pub(crate) fn case(name: &str) -> CaseName {
    CaseName::new(name).unwrap()
}

pub(crate) fn node() -> NodeName {
    NodeName::new("127.0.0.1").unwrap()
}

pub(crate) fn planned(name: &str, round: u32, rounds: u32) -> PlannedCase {
    let directory = if rounds > 1 {
        format!("{name}/round{round}/127.0.0.1_noderank0")
    } else {
        format!("{name}/127.0.0.1_noderank0")
    };
    PlannedCase {
        spec: CaseSpec {
            name: case(name),
            suite: Suite::Base,
            summary: "multiplies".into(),
            entry: Entry::Kernel("gemm".into()),
            ranks: RankLayout::Node,
            nodes: NodeScope::Each,
            needs_any: Vec::new(),
            metrics: Vec::new(),
            params: BTreeMap::new(),
        },
        round,
        rounds,
        params: BTreeMap::new(),
        limits: Limits {
            timeout_s: 60.0,
            stall_s: 30.0,
            grace_s: 5.0,
        },
        expected_s: Some(6.5),
        unsupported: None,
        skipped: None,
        left_out: Vec::new(),
        directory: None,
        named: false,
        container: None,
        setup: Vec::new(),
        drop_caches: false,
        remarks: Vec::new(),
        tasks: vec![NodeTask {
            node: node(),
            node_rank: 0,
            directory,
            log: "benchmark.log.txt".into(),
            rank_logs: BTreeMap::new(),
            processes: vec![ProcessSpec {
                rank: 0,
                argv: vec!["flagperf".into(), "case".into(), "gemm".into()],
                env: BTreeMap::new(),
                cwd: None,
                cpus: vec![0, 1],
            }],
            case_directory: None,
            copy: None,
        }],
    }
}

pub(crate) fn node_spec(name: &NodeName) -> NodeSpec {
    NodeSpec {
        name: name.clone(),
        launcher: Launcher::Local,
        address: None,
        env: BTreeMap::new(),
        program: ProgramSource::Placed,
    }
}

pub(crate) fn record(cases: Vec<PlannedCase>, random: u64) -> RunRecord {
    let run = new_run_id(second(0), random);
    RunRecord {
        schema: RUN_SCHEMA.into(),
        run: run.clone(),
        version: "0.1.0".into(),
        command: vec!["flagperf".into(), "run".into()],
        started: second(0),
        ended: None,
        state: RunState::Running,
        plan: Plan {
            run,
            nodes: vec![node_spec(&node())],
            environment: Environment::Host,
            monitor: MonitorSpec {
                interval_ns: 1_000_000_000,
                vendor: None,
            },
            duration_s: None,
            master_port: None,
            cases,
        },
        nodes: vec![NodeRecord {
            name: node(),
            rank: 0,
            facts: None,
            clock: None,
            bad: None,
            steps: Vec::new(),
            series: Vec::new(),
            chip_series: Vec::new(),
            absent: Vec::new(),
        }],
        results: Vec::new(),
        warnings: Vec::new(),
    }
}

pub(crate) fn series() -> Vec<SeriesDecl> {
    let decl = |name: &str, instance: Option<&str>, unit, kind, resolution| SeriesDecl {
        name: name.into(),
        instance: instance.map(Into::into),
        unit,
        kind,
        scope: Scope::Machine,
        resolution,
    };
    vec![
        decl("cpu.busy", None, Unit::SECONDS, SeriesKind::Counter, 0.01),
        decl("memory.used", None, Unit::BYTES, SeriesKind::Gauge, 1024.0),
        decl(
            "power.energy",
            Some("package-0"),
            Unit::JOULES,
            SeriesKind::Counter,
            1e-6,
        ),
    ]
}

/// One sample a second: 3 of 4 processors busy, 1 GiB of 4 in use, 50 W.
pub(crate) fn samples(from: i64, count: i64) -> SampleBlock {
    SampleBlock {
        times: (from..from + count).map(second).collect(),
        columns: vec![
            (from..from + count).map(|n| Some(n * 300)).collect(),
            (0..count).map(|_| Some(1 << 20)).collect(),
            (from..from + count).map(|n| Some(n * 50_000_000)).collect(),
        ],
    }
}

pub(crate) fn facts() -> MachineFacts {
    MachineFacts {
        hostname: "host".into(),
        kernel: "6.1".into(),
        arch: "x86_64".into(),
        cpu: CpuFacts {
            model: Some("A processor".into()),
            sockets: 1,
            cores: 2,
            threads: 4,
            max_mhz: Some(2_899.999_999_7),
            ..CpuFacts::default()
        },
        memory: MemoryFacts {
            total: 4 << 30,
            available: 3 << 30,
            ..MemoryFacts::default()
        },
        ..MachineFacts::default()
    }
}

pub(crate) fn measurement(value: f64) -> Measurement {
    Measurement {
        metric: MetricName::new("computation-FP64").unwrap(),
        printed: None,
        value,
        unit: Unit::TFLOPS,
        better: Better::Higher,
        definition: "2MNK a product".into(),
        rank: Some(0),
        device: None,
        spread: Spread::of(&[value, value * 1.01]),
        repetitions: vec![value, value * 1.01],
        verification: Verification::Checked("a product in higher precision".into()),
    }
}

pub(crate) fn event(at: i64, what: EventKind) -> Event {
    Event {
        at: second(at),
        what,
    }
}

fn phase(at: i64, name: &str, phase: Phase) -> Event {
    event(
        at,
        EventKind::Phase {
            case: case(name),
            node: node(),
            rank: 0,
            phase,
        },
    )
}

pub(crate) fn begin(results: &Path, cases: Vec<PlannedCase>, random: u64) -> Recorder {
    let count = cases.len() as u32;
    let mut recorder = Recorder::create(results, record(cases, random)).unwrap();
    let directory = recorder.directory().display().to_string();
    recorder.event(&event(
        0,
        EventKind::RunStarted {
            run: recorder.record().run.clone(),
            version: "0.1.0".into(),
            directory,
            cases: count,
            environment: Environment::Host,
            environment_reason: None,
        },
    ));
    recorder.event(&event(
        1,
        EventKind::NodeReady {
            node: node(),
            facts: Box::new(facts()),
            clock: ClockOffset::default(),
            here: false,
        },
    ));
    let absent = vec![Absent {
        name: "pressure.cpu".into(),
        reason: "no /proc/pressure".into(),
    }];
    recorder.node_series(&node(), series(), absent);
    recorder
}

pub(crate) fn start_case(recorder: &mut Recorder, planned: &PlannedCase, at: i64) {
    recorder.begin_case(planned);
    recorder.event(&event(
        at,
        EventKind::CaseStarted {
            case: planned.name().clone(),
            round: planned.round,
            index: 1,
            expected_s: planned.expected_s,
        },
    ));
}

/// A case of ten seconds that measures from its third to its eighth second and passes.
pub(crate) fn passing_case(recorder: &mut Recorder, planned: &PlannedCase, at: i64) {
    let name = planned.name().as_str();
    start_case(recorder, planned, at);
    recorder.output(0, 0, b"[FlagPerf Record]{\"phase\":{}}\nworking");
    for tick in at..at + 10 {
        recorder.samples(0, &samples(tick, 1));
        if tick == at + 3 {
            recorder.event(&phase(tick, name, Phase::Measure));
        }
        if tick == at + 8 {
            recorder.event(&phase(tick, name, Phase::Verify));
        }
    }
    recorder.output(
        0,
        0,
        b" hard\n[FlagPerf Result]Rank 0's computation-FP64=0.1TFLOPS\n",
    );
    recorder.event(&event(
        at + 9,
        EventKind::Note {
            case: case(name),
            node: node(),
            rank: 0,
            key: "isa".into(),
            value: "avx512f".into(),
        },
    ));
    recorder.event(&event(
        at + 9,
        EventKind::Measured {
            case: case(name),
            round: planned.round,
            node: node(),
            measurement: Box::new(measurement(0.1)),
        },
    ));
    recorder.event(&event(
        at + 10,
        EventKind::MonitorStopped {
            case: case(name),
            node: node(),
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
    end_case(recorder, planned, at + 10, Outcome::Passed);
}

pub(crate) fn end_case(recorder: &mut Recorder, planned: &PlannedCase, at: i64, outcome: Outcome) {
    let tail = if outcome.is_failure() {
        recorder.tail()
    } else {
        Vec::new()
    };
    recorder.event(&event(
        at,
        EventKind::CaseEnded {
            case: planned.name().clone(),
            round: planned.round,
            outcome,
            seconds: 10.0,
            tail,
        },
    ));
}

pub(crate) fn exit_3() -> Outcome {
    Outcome::Failed {
        node: node(),
        stage: Stage::Run,
        cause: Cause::Exit { rank: 0, status: 3 },
        also: Vec::new(),
    }
}

/// A whole run: one case that passes, one that fails. Returns the problems.
pub(crate) fn small_run(results: &Path, random: u64) -> (std::path::PathBuf, Vec<String>) {
    let cases = vec![planned("computation-FP64", 1, 1), planned("crash", 1, 1)];
    let mut recorder = begin(results, cases.clone(), random);
    let directory = recorder.directory().to_owned();
    passing_case(&mut recorder, &cases[0], 2);
    start_case(&mut recorder, &cases[1], 13);
    recorder.output(0, 0, b"about to\nfall over\n");
    end_case(&mut recorder, &cases[1], 14, exit_3());
    recorder.event(&event(
        15,
        EventKind::RunEnded {
            passed: 1,
            failed: 1,
            skipped: 0,
            unsupported: 0,
            seconds: 15.0,
        },
    ));
    (directory, recorder.finish(RunState::Finished))
}
