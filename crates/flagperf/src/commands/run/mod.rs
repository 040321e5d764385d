//! `flagperf run`: from the command line to the record and its summary.

mod asked;
mod bring_up;
pub(crate) mod container;
mod container_hint;
mod dry_run;
mod here;
mod inventory;
mod meeting;
mod packing;
mod resume;
mod secrets;
mod signals;
mod suite;
mod vendor;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flagperf_config::Inventory;
use flagperf_engine::{Consumer, Emission, Node, RunRequest, Totals, Trees, now};
use flagperf_library::{Library, PlanNode, PlanRequest};
use flagperf_model::{
    BadNode, Environment, Event, EventKind, MonitorSpec, NodeName, NodeRecord, NodeSpec, Plan,
    PlannedCase, RUN_SCHEMA, RunId, RunRecord, RunState, Timestamp,
};
use flagperf_store::Recorder;

use crate::cli::{ContainerArgs, NodeArgs, RunArgs};
use crate::commands::consumers::{Listeners, Printer};
use crate::commands::suite::OpenSuite;
use crate::commands::{list, report};
use crate::exit::{Exit, Failure};
use crate::output::{print, warn};
use crate::progress::Progress;
use bring_up::BroughtUp;

/// How long an agent may take to leave.
const LEAVING: Duration = Duration::from_secs(5);

/// A clock that is off by more than this is told, in seconds.
const CLOCK_OFF: f64 = 1.0;

/// The version in records and of agents: the program's own.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where records go if nothing else is said.
const RESULTS: &str = "results";

/// Where the cases come from.
enum Origin {
    /// The built-in ones, and a directory of one's own.
    Library(Library),
    /// A suite of a classic tree.
    Suite(Box<OpenSuite>),
}

impl Origin {
    fn of(args: &RunArgs) -> Result<Self, Failure> {
        let suite = match args.case_directory {
            Some(_) => None,
            None => OpenSuite::find(&args.suite, args.nodes.config.as_deref())?,
        };
        if let Some(suite) = suite {
            if let Some(param) = args.params.first() {
                return Err(Failure::usage(format!(
                    "--param {param} is for built-in cases and those of one's own, and {} has neither",
                    suite.tree
                ))
                .hint("--set KEY=VALUE changes a key of the suite's configuration"));
            }
            return Ok(Self::Suite(Box::new(suite)));
        }
        for (option, given) in [
            ("--set", !args.suite.set.is_empty()),
            (
                "--allow-credential-changes",
                args.suite.allow_credential_changes,
            ),
        ] {
            if given {
                return Err(Failure::usage(format!(
                    "{option} is about a suite of a FlagPerf tree, and this is none"
                ))
                .hint(
                    "go into its directory, `FlagPerf/base` for example, or name it with --tree",
                ));
            }
        }
        let library = list::library(args.case_directory.as_deref())?;
        check_request(args, &library)?;
        Ok(Self::Library(library))
    }

    fn suite(&self) -> Option<&OpenSuite> {
        match self {
            Self::Library(_) => None,
            Self::Suite(suite) => Some(suite),
        }
    }

    /// The directory that receives the run's own.
    fn results(&self, args: &RunArgs) -> PathBuf {
        match (&args.results, self.suite()) {
            (Some(path), _) => path.clone(),
            (None, Some(suite)) => suite.results(),
            (None, None) => RESULTS.into(),
        }
    }
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let origin = match args.resume {
        Some(_) => None,
        None => Some(Origin::of(args)?),
    };
    // Orphans of an agent that was killed become ours, so that they can be ended.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| Failure::internal(std::io::Error::from(error)))?;
    raise_file_limit();
    let runtime = runtime().map_err(Failure::internal)?;
    let exit = match (&args.resume, &origin) {
        (Some(run), _) => runtime.block_on(resume::resume(args, run)),
        (None, Some(origin)) => runtime.block_on(run_on(args, origin)),
        (None, None) => Ok(Exit::Success),
    };
    runtime.shutdown_background();
    let left = flagperf_agent::end_everything_below(std::process::id(), LEAVING);
    if !left.is_empty() {
        warn(&format!(
            "processes that could not be ended are left: {}",
            left.join(", ")
        ));
    }
    exit
}

/// What carries the channels of a run.
pub(super) fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        // One thread carries the channels, so that heartbeats go on while the main one waits for a disk.
        .worker_threads(1)
        .enable_all()
        .build()
}

/// Nodes that somebody else than a run wants, and those that cannot be had.
pub(super) async fn nodes_of(args: &NodeArgs) -> Result<(Vec<Node>, Vec<BadNode>), Failure> {
    let mut interrupts = signals::listen().map_err(Failure::internal)?;
    // No container is made, whatever the settings say about one.
    let container = ContainerArgs {
        container: Some(false),
        ..ContainerArgs::default()
    };
    let inventory = inventory::inventory(args, &container, None).await?;
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let chips = std::sync::Arc::default();
    match bring_up::bring_up(&inventory, &program, chips, &mut interrupts, true).await? {
        BroughtUp::Done(nodes, bad) => Ok((nodes, bad)),
        BroughtUp::Interrupted => Err(Failure::new(Exit::Interrupted, "interrupted")),
    }
}

/// A node needs five open files or so here, and the usual limit is 1024. Processes that are started
/// inherit the higher one, which harms none.
fn raise_file_limit() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With the lower limit fewer nodes will do.
    let _ = setrlimit(Resource::Nofile, limit);
}

async fn run_on(args: &RunArgs, origin: &Origin) -> Result<Exit, Failure> {
    let mut interrupts = signals::listen().map_err(Failure::internal)?;
    let started = now();
    let mut inventory = tokio::select! {
        inventory = inventory::inventory(&args.nodes, &args.container, origin.suite()) => inventory?,
        _ = interrupts.recv() => return Ok(nothing_started()),
    };
    let mut trees = Trees::default();
    let profiles = vendor::profiles(args.vendor_directory.as_deref())?;
    let mut words = Vec::new();
    let rounds = match origin {
        Origin::Suite(suite) => {
            words.extend(suite.warnings.iter().cloned());
            suite::rounds(
                suite,
                args,
                &profiles,
                &mut inventory,
                &mut trees,
                &mut words,
            )?
        }
        Origin::Library(_) => {
            words = container::settle(&mut inventory, &mut trees)?;
            Vec::new()
        }
    };
    let vendor = vendor::wanted(args, origin.suite(), &profiles, &mut words);
    let chips = vendor::watch(&profiles, vendor.as_deref())?;
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let (nodes, bad) = match bring_up::bring_up(
        &inventory,
        &program,
        chips,
        &mut interrupts,
        tells(args),
    )
    .await?
    {
        BroughtUp::Done(nodes, bad) => (nodes, bad),
        BroughtUp::Interrupted => return Ok(nothing_started()),
    };
    if !bad.is_empty() && (!args.continue_on_bad_nodes || nodes.is_empty()) {
        flagperf_engine::close_all(nodes, LEAVING).await;
        return Err(bring_up::failure(&bad, inventory.nodes.len()));
    }
    let planned = plan(args, origin, rounds, &inventory, &nodes, started).await;
    let plan = match planned {
        Ok(mut plan) => {
            plan.monitor.vendor = vendor;
            vendor::tell_peaks(&profiles, &mut plan, &nodes);
            plan
        }
        Err(failure) => {
            flagperf_engine::close_all(nodes, LEAVING).await;
            return Err(failure);
        }
    };
    let rounds: Vec<usize> = (0..plan.cases.len()).collect();
    let copied = match packing::pack(&plan, &rounds, &mut trees) {
        Ok(copied) => copied,
        Err(failure) => {
            flagperf_engine::close_all(nodes, LEAVING).await;
            return Err(failure);
        }
    };
    words.extend(packing::warnings(&copied));
    if args.dry_run {
        flagperf_engine::close_all(nodes, LEAVING).await;
        let program = program.display().to_string();
        return dry_run::print_plan(&plan, &bad, &copied, &program, args.json);
    }
    let recorder =
        match Recorder::create(&origin.results(args), record(&plan, &nodes, &bad, started)) {
            Ok(recorder) => recorder,
            Err(error) => {
                flagperf_engine::close_all(nodes, LEAVING).await;
                return Err(Failure::usage(error));
            }
        };
    let directory = recorder.directory().to_owned();
    let mut listeners = Listeners {
        recorder,
        printer: printer(args, &plan),
    };
    tell(
        &mut listeners,
        started,
        EventKind::RunStarted {
            run: plan.run.clone(),
            version: VERSION.to_owned(),
            directory: directory.display().to_string(),
            cases: plan.cases.len() as u32,
            environment: plan.environment.clone(),
            environment_reason: inventory.environment_reason.clone(),
        },
    );
    for message in words {
        tell(&mut listeners, now(), EventKind::Warning { message });
    }
    tell_of_nodes(&mut listeners, &nodes, bad);
    if !args.quiet
        && !args.json
        && plan.environment == Environment::Host
        && !plan.makes_containers()
    {
        container_hint::hint_at_containers(&nodes);
    }
    let request = RunRequest {
        plan: &plan,
        rounds: &rounds,
        trees: &trees,
        tolerant: args.continue_on_bad_nodes,
    };
    let totals = flagperf_engine::run(&request, nodes, interrupts, &mut listeners).await;
    Ok(conclude(args, listeners, totals, &directory))
}

/// The user asked to stop in time.
fn nothing_started() -> Exit {
    warn("interrupted before anything was started");
    Exit::Interrupted
}

fn tell(listeners: &mut Listeners, at: Timestamp, what: EventKind) {
    listeners.take(&Emission::Event(&Event { at, what }));
}

/// What is to be said of the nodes before the first case.
fn tell_of_nodes(listeners: &mut Listeners, nodes: &[Node], bad: Vec<BadNode>) {
    for node in nodes {
        listeners
            .recorder
            .node_series(&node.spec.name, node.series.clone(), node.absent.clone());
        listeners
            .recorder
            .node_chips(&node.spec.name, &node.facts.chips, node.chip_series.clone());
    }
    for node in bad {
        tell(listeners, now(), EventKind::NodeBad(node));
    }
    let mut warnings = Vec::new();
    for node in nodes {
        let name = &node.spec.name;
        let ahead = node.clock().ahead_s;
        if ahead.abs() > CLOCK_OFF {
            let way = if ahead > 0.0 { "ahead of" } else { "behind" };
            warnings.push(format!(
                "the clock of {name} is {:.1} s {way} this machine's; moments in the record are put right",
                ahead.abs()
            ));
        }
        if let Some(line) = node.noise().lines().next() {
            warnings.push(format!(
                "the login shell of {name} prints where there is no terminal ({line:?}); that is harmless here, but breaks scp and rsync: let its start-up files do so only in interactive shells"
            ));
        }
    }
    for message in warnings {
        tell(listeners, now(), EventKind::Warning { message });
    }
}

/// What can be refused before anything is started.
fn check_request(args: &RunArgs, library: &Library) -> Result<(), Failure> {
    let specs = library.select(&args.cases).map_err(Failure::usage)?;
    flagperf_library::parse_params(&args.params, &specs).map_err(Failure::usage)?;
    if let Some(timeout) = args.timeout
        && timeout < args.duration
        && specs
            .iter()
            .any(|spec| library.is_builtin(spec.name.as_str()))
    {
        return Err(Failure::usage(format!(
            "--timeout {} is shorter than --duration {}: no built-in case could pass",
            seconds(timeout),
            seconds(args.duration)
        ))
        .hint("give a longer --timeout, or a shorter --duration"));
    }
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}

/// `rounds` are those of a suite.
async fn plan(
    args: &RunArgs,
    origin: &Origin,
    rounds: Vec<PlannedCase>,
    inventory: &Inventory,
    nodes: &[Node],
    started: Timestamp,
) -> Result<Plan, Failure> {
    let facts = |name: &NodeName| {
        let node = nodes.iter().find(|node| node.spec.name == *name)?;
        Some(node.facts.clone())
    };
    let (address, port) = meeting::meeting_point(inventory, nodes).await?;
    let run = new_run_id(started);
    let interval_ns = args.interval.as_nanos() as u64;
    let mut plan = match origin {
        Origin::Library(library) => {
            let planned: Vec<PlanNode> = inventory
                .nodes
                .iter()
                .map(|spec| PlanNode {
                    spec: spec.clone(),
                    facts: facts(&spec.name),
                })
                .collect();
            flagperf_library::plan(&PlanRequest {
                run,
                library,
                names: &args.cases,
                params: &args.params,
                rounds: args.rounds.unwrap_or(1),
                duration_s: args.duration.as_secs_f64(),
                timeout_s: args.timeout.map(|timeout| timeout.as_secs_f64()),
                stall_s: args.stall.map(|stall| stall.as_secs_f64()),
                interval_ns,
                nodes: &planned,
                environment: inventory.environment.clone(),
                master: (&address, port),
            })
            .map_err(Failure::usage)?
        }
        Origin::Suite(_) => {
            let places: Vec<usize> = (0..rounds.len()).collect();
            let mut plan = Plan {
                run,
                nodes: inventory.nodes.clone(),
                environment: inventory.environment.clone(),
                monitor: MonitorSpec {
                    interval_ns,
                    vendor: None,
                },
                duration_s: Some(args.duration.as_secs_f64()),
                master_port: None,
                cases: rounds,
            };
            flagperf_library::replan(&mut plan, &places, facts, (&address, port))
                .map_err(Failure::usage)?;
            plan
        }
    };
    plan.master_port = inventory.master_port;
    Ok(plan)
}

fn new_run_id(started: Timestamp) -> RunId {
    let mut random = [0; 8];
    // If the kernel has no random numbers yet, the process id and the moment must do: the name
    // only has to be one that no other run of this directory has.
    if rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::NONBLOCK).is_err() {
        random = (started.0.cast_unsigned() ^ u64::from(std::process::id()) << 40).to_le_bytes();
    }
    flagperf_store::new_run_id(started, u64::from_le_bytes(random))
}

fn record(plan: &Plan, nodes: &[Node], bad: &[BadNode], started: Timestamp) -> RunRecord {
    let of_node = |(rank, spec): (usize, &NodeSpec)| {
        let node = nodes.iter().find(|node| node.spec.name == spec.name);
        NodeRecord {
            name: spec.name.clone(),
            rank: rank as u32,
            facts: node.map(|node| node.facts.clone()),
            clock: node.map(Node::clock),
            bad: bad.iter().find(|bad| bad.node == spec.name).cloned(),
            steps: Vec::new(),
            series: node.map(|node| node.series.clone()).unwrap_or_default(),
            chip_series: node
                .map(|node| node.chip_series.clone())
                .unwrap_or_default(),
            absent: node.map(|node| node.absent.clone()).unwrap_or_default(),
        }
    };
    RunRecord {
        schema: RUN_SCHEMA.to_owned(),
        run: plan.run.clone(),
        version: VERSION.to_owned(),
        command: secrets::concealed_command(),
        started,
        ended: None,
        state: RunState::Running,
        plan: plan.clone(),
        nodes: plan.nodes.iter().enumerate().map(of_node).collect(),
        results: Vec::new(),
        warnings: Vec::new(),
    }
}

/// True if a person is to see what goes on.
fn tells(args: &RunArgs) -> bool {
    !args.quiet && !args.json
}

fn printer(args: &RunArgs, plan: &Plan) -> Printer {
    if args.json {
        Printer::Json { error: None }
    } else if args.quiet {
        Printer::Quiet
    } else {
        let nodes = plan.nodes.iter().map(|node| node.name.clone()).collect();
        let progress = Progress::new(std::io::stderr().is_terminal(), nodes);
        Printer::Progress(Box::new(progress))
    }
}

/// Ends the record, shows the summary, and judges.
fn conclude(args: &RunArgs, listeners: Listeners, totals: Totals, directory: &Path) -> Exit {
    let mut unwritten = match listeners.printer {
        Printer::Json { error } => error,
        Printer::Quiet | Printer::Progress(_) => None,
    };
    let interrupted = totals.interrupts > 0;
    let state = if interrupted {
        RunState::Interrupted
    } else {
        RunState::Finished
    };
    let mut problems = listeners.recorder.finish(state);
    if let Err(failure) = report::write_page(directory) {
        problems.push(failure.text());
    }
    if !args.quiet && !args.json {
        match report::summary(directory) {
            Ok(text) => unwritten = print(&text).err(),
            Err(failure) => problems.push(failure.text()),
        }
    }
    if let Some(error) = unwritten {
        problems.push(format!("standard output cannot be written: {error}"));
    }
    for problem in &problems {
        warn(&format!("the record is incomplete: {problem}"));
    }
    if interrupted {
        Exit::Interrupted
    } else if totals.failed + totals.skipped > 0 {
        Exit::CaseFailed
    } else if !problems.is_empty() {
        Exit::RecordIncomplete
    } else {
        Exit::Success
    }
}
