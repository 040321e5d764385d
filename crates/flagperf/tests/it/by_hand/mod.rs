//! Plans made by hand and run by the engine itself, on real nodes: what no command line asks for by itself.

mod copies;
mod groups;
mod ready;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use flagperf_archive::Changes;
use flagperf_engine::{BringUp, Consumer, Emission, RunRequest, Totals, Trees, connect_all};
use flagperf_model::{
    ContainerOptions, ContainerPlan, Environment, Event, EventKind, ImageSource, Launcher, Limits,
    MonitorSpec, NodeName, NodeRecord, NodeSpec, NodeTask, Plan, PlannedCase, PrivateCopy,
    ProcessSpec, ProgramSource, RUN_SCHEMA, RunId, RunRecord, RunState, SetupCommand, Timestamp,
};
use flagperf_store::Recorder;
use flagperf_transport::Programs;
use flagperf_wire::Timing;
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// The program that agents are.
const PROGRAM: &str = env!("CARGO_BIN_EXE_flagperf");

/// A line that makes a case pass.
const RESULT: &str = "echo \"[FlagPerf Result]Rank 0 x=1 GB/s\"";

/// A plan, what it needs, and where its record goes.
struct ByHand {
    plan: Plan,
    trees: Trees,
    tolerant: bool,
    results: TempDir,
}

/// What came of a run.
struct Done {
    totals: Totals,
    events: Vec<Event>,
    record: RunRecord,
    directory: PathBuf,
}

/// A node that is this machine.
fn here() -> NodeSpec {
    node("here", Launcher::Local)
}

fn node(name: &str, launcher: Launcher) -> NodeSpec {
    NodeSpec {
        name: NodeName::new(name).unwrap(),
        program: match launcher {
            Launcher::Local => ProgramSource::Placed,
            _ => ProgramSource::Installed(PROGRAM.to_owned()),
        },
        launcher,
        address: None,
        env: BTreeMap::new(),
    }
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).into()
}

/// A command that makes a place ready.
fn setup(script: &str) -> SetupCommand {
    SetupCommand {
        argv: shell(script),
        env: BTreeMap::new(),
        directory: None,
        timeout_s: 60,
    }
}

/// A container of an image that is there.
fn container(image: &str) -> ContainerPlan {
    ContainerPlan {
        engine: None,
        image: image.to_owned(),
        source: ImageSource::Present,
        options: ContainerOptions::default(),
        setup: Vec::new(),
        owner: "0@test".to_owned(),
        keep: false,
    }
}

impl ByHand {
    fn new(nodes: Vec<NodeSpec>) -> Self {
        Self {
            plan: Plan {
                run: RunId::new("run20261124000000-hand00").unwrap(),
                nodes,
                environment: Environment::Host,
                monitor: MonitorSpec {
                    interval_ns: 100_000_000,
                    vendor: None,
                },
                duration_s: Some(1.0),
                master_port: None,
                cases: Vec::new(),
            },
            trees: Trees::default(),
            tolerant: false,
            results: tempfile::tempdir().unwrap(),
        }
    }

    /// Adds a case for `nodes` (`each` or `all`), one process a node that runs a shell script.
    fn case(&mut self, name: &str, nodes: &str, script: &str) -> &mut PlannedCase {
        let text = format!(
            "summary = \"a test case\"\nsuite = \"base\"\nranks = \"node\"\nnodes = \"{nodes}\"\n[entry]\nargv = [\"sh\"]\n"
        );
        let spec = flagperf_library::parse_case(name, Path::new("case.toml"), &text).unwrap();
        let tasks = self.plan.nodes.iter().enumerate().map(|(rank, node)| {
            let env = [
                ("FLAGPERF_RUN".to_owned(), self.plan.run.to_string()),
                ("NODE".to_owned(), node.name.to_string()),
            ];
            NodeTask {
                node: node.name.clone(),
                node_rank: rank as u32,
                directory: format!("{name}/{}_noderank{rank}", node.name),
                log: "benchmark.log.txt".to_owned(),
                rank_logs: BTreeMap::new(),
                processes: vec![ProcessSpec {
                    rank: 0,
                    argv: shell(script),
                    env: env.into(),
                    cwd: None,
                    cpus: Vec::new(),
                }],
                case_directory: None,
                copy: None,
            }
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
            directory: None,
            container: None,
            setup: Vec::new(),
            drop_caches: false,
            named: true,
            remarks: Vec::new(),
            tasks: tasks.collect(),
        };
        self.plan.cases.push(case);
        self.plan.cases.last_mut().unwrap()
    }

    /// Gives all cases so far a private copy of a directory.
    fn copy(&mut self, directory: &Path, copy: &PrivateCopy) {
        let directory = directory.to_str().unwrap();
        for task in self.plan.cases.iter_mut().flat_map(|case| &mut case.tasks) {
            task.case_directory = Some(directory.to_owned());
            task.copy = Some(copy.clone());
        }
        let changes = Changes {
            without: &copy.without,
            files: &copy.files,
            unix_lines: &copy.unix_lines,
        };
        let mut packed = Vec::new();
        flagperf_archive::pack_changed(Path::new(directory), &changes, &mut packed).unwrap();
        self.trees.add(directory, Some(copy), packed.into());
    }

    fn run(&self) -> Done {
        self.run_with(|_, _| ())
    }

    /// Runs it. `hears` is told what happens, and may ask to stop.
    fn run_with(&self, hears: impl FnMut(&EventKind, &UnboundedSender<()>)) -> Done {
        let record = self.record();
        let recorder = Recorder::create(self.results.path(), record).unwrap();
        let directory = recorder.directory().to_owned();
        let (interrupt, interrupts) = unbounded_channel();
        let mut watching = Watching {
            recorder,
            events: Vec::new(),
            hears,
            interrupt,
        };
        let bring_up = BringUp {
            programs: Arc::new(Programs::new(PathBuf::from(PROGRAM), hash())),
            secret: "0123456789abcdefx".to_owned(),
            name: format!("{:x}", rand()),
            timing: Timing::default(),
            patience: Duration::from_mins(1),
            max_parallel: 9,
            version: env!("CARGO_PKG_VERSION"),
            chips: Arc::default(),
            home: None,
        };
        let rounds: Vec<usize> = (0..self.plan.cases.len()).collect();
        let request = RunRequest {
            plan: &self.plan,
            rounds: &rounds,
            trees: &self.trees,
            tolerant: self.tolerant,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let totals = runtime.block_on(async {
            let nodes = connect_all(&self.plan.nodes, Path::new(PROGRAM), &bring_up).await;
            let nodes: Vec<_> = nodes.into_iter().map(Result::unwrap).collect();
            for node in &nodes {
                let (series, absent) = (node.series.clone(), node.absent.clone());
                let recorder = &mut watching.recorder;
                recorder.node_series(&node.spec.name, series, absent);
            }
            flagperf_engine::run(&request, nodes, interrupts, &mut watching).await
        });
        runtime.shutdown_background();
        let record = watching.recorder.record().clone();
        let problems = watching.recorder.finish(RunState::Finished);
        assert_eq!(problems, [""; 0]);
        Done {
            totals,
            events: watching.events,
            record,
            directory,
        }
    }

    fn record(&self) -> RunRecord {
        let nodes = self.plan.nodes.iter().enumerate();
        RunRecord {
            schema: RUN_SCHEMA.to_owned(),
            run: self.plan.run.clone(),
            version: String::new(),
            command: Vec::new(),
            started: Timestamp(0),
            ended: None,
            state: RunState::Running,
            plan: self.plan.clone(),
            nodes: nodes
                .map(|(rank, node)| NodeRecord {
                    name: node.name.clone(),
                    rank: rank as u32,
                    facts: None,
                    clock: None,
                    bad: None,
                    steps: Vec::new(),
                    series: Vec::new(),
                    chip_series: Vec::new(),
                    absent: Vec::new(),
                })
                .collect(),
            results: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Done {
    /// How each round ended, in words.
    fn outcomes(&self) -> Vec<String> {
        let ended = self.events.iter().filter_map(|event| match &event.what {
            EventKind::CaseEnded { outcome, .. } => Some(outcome.to_string()),
            _ => None,
        });
        ended.collect()
    }

    #[track_caller]
    fn assert_passed(&self) {
        let cases = self.record.plan.cases.len();
        assert_eq!(self.outcomes(), vec!["passed"; cases], "{:#?}", self.events);
    }

    /// A file of the run directory.
    #[track_caller]
    fn file(&self, name: &str) -> String {
        let path = self.directory.join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// What a case printed on a node.
    #[track_caller]
    fn output(&self, case: &str, node: &str) -> String {
        let nodes = &self.record.plan.nodes;
        let rank = nodes.iter().position(|one| one.name.as_str() == node);
        let rank = rank.unwrap();
        self.file(&format!("{case}/{node}_noderank{rank}/benchmark.log.txt"))
    }

    fn warnings(&self) -> Vec<&str> {
        let told = self.events.iter().filter_map(|event| match &event.what {
            EventKind::Warning { message } => Some(message.as_str()),
            _ => None,
        });
        told.collect()
    }
}

/// Records what happens, and lets the test hear it.
struct Watching<H> {
    recorder: Recorder,
    events: Vec<Event>,
    hears: H,
    interrupt: UnboundedSender<()>,
}

impl<H: FnMut(&EventKind, &UnboundedSender<()>)> Consumer for Watching<H> {
    fn take(&mut self, emission: &Emission<'_>) {
        match emission {
            Emission::Event(event) => {
                self.recorder.event(event);
                self.events.push((*event).clone());
                (self.hears)(&event.what, &self.interrupt);
            }
            Emission::CaseBegins(case) => self.recorder.begin_case(case),
            Emission::Output { node, rank, bytes } => {
                self.recorder.output(*node as u32, *rank, bytes);
            }
            Emission::StepOutput {
                node,
                step,
                group,
                bytes,
            } => {
                let node = *node as u32;
                self.recorder.step_output(node, *step, *group, bytes);
            }
            Emission::Series {
                node,
                series,
                absent,
                chips,
                chip_series,
            } => {
                self.recorder
                    .node_series(node, series.to_vec(), absent.to_vec());
                self.recorder.node_chips(node, chips, chip_series.to_vec());
            }
            Emission::Files { node, bytes } => self.recorder.files(*node as u32, bytes.to_vec()),
            Emission::FilesEnded { node } => {
                self.recorder.files_ended(*node as u32);
            }
            Emission::Samples { node, block } => self.recorder.samples(*node as u32, block),
            Emission::ChipSamples { node, block } => {
                self.recorder.chip_samples(*node as u32, block);
            }
        }
    }
}

/// The content hash of the program, as it says itself.
fn hash() -> [u8; 32] {
    let output = Command::new(PROGRAM).args(["agent", "--check"]).output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    let mut hash = [0; 32];
    for (place, byte) in hash.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * place..2 * place + 2], 16).unwrap();
    }
    hash
}

/// A number that other runs do not have.
fn rand() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new()
        .build_hasher()
        .finish()
}
