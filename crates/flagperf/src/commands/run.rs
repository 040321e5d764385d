//! `flagperf run`: from the command line to the record and its summary.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flagperf_engine::{Consumer, Emission, Node, Totals};
use flagperf_library::{Library, PlanRequest};
use flagperf_model::{
    Event, EventKind, NodeName, NodeRecord, Plan, RUN_SCHEMA, RunId, RunRecord, RunState, Timestamp,
};
use flagperf_store::Recorder;
use flagperf_transport::Launch;
use flagperf_wire::Timing;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::cli::RunArgs;
use crate::commands::consumers::{Listeners, Printer};
use crate::commands::{list, report};
use crate::exit::{Exit, Failure};
use crate::output::{print, warn};
use crate::progress::Progress;

/// How long an agent may take to leave.
const LEAVING: Duration = Duration::from_secs(5);

/// Ctrl-Z. The numbers are those of x86 and Arm, see signal(7).
const SIGTSTP: i32 = 20;

/// A file grew beyond the limit of `ulimit -f`.
const SIGXFSZ: i32 = 25;

/// The version in records: the program's own.
const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let library = list::library(args.case_directory.as_deref())?;
    check_request(args, &library)?;
    // Orphans of an agent that was killed become ours, so that they can be ended.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .map_err(|error| Failure::internal(std::io::Error::from(error)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One thread carries the channels, so that heartbeats go on while this one waits for a disk.
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(Failure::internal)?;
    let exit = runtime.block_on(run_on(args, &library));
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

async fn run_on(args: &RunArgs, library: &Library) -> Result<Exit, Failure> {
    let interrupts = listen().map_err(Failure::internal)?;
    let started = now();
    let program = std::env::current_exe().map_err(Failure::internal)?;
    let build = flagperf_agent::build_id().map_err(Failure::internal)?;
    let name = NodeName::new("localhost").map_err(Failure::internal)?;
    let launch = Launch::local(program.clone());
    let node = flagperf_engine::connect(name, &launch, build, Timing::default())
        .await
        .map_err(Failure::internal)?;
    let plan = match plan(
        args,
        library,
        &node,
        &program.display().to_string(),
        started,
    ) {
        Ok(plan) => plan,
        Err(failure) => {
            node.close(LEAVING).await;
            return Err(failure);
        }
    };
    if args.dry_run {
        node.close(LEAVING).await;
        return print_plan(&plan, &program.display().to_string(), args.json);
    }
    let recorder = match Recorder::create(&args.results, record(&plan, &node, started)) {
        Ok(recorder) => recorder,
        Err(error) => {
            node.close(LEAVING).await;
            return Err(Failure::usage(error));
        }
    };
    let directory = recorder.directory().to_owned();
    let mut listeners = Listeners {
        recorder,
        printer: printer(args),
    };
    listeners.take(&Emission::Event(&Event {
        at: started,
        what: EventKind::RunStarted {
            run: plan.run.clone(),
            version: VERSION.to_owned(),
            directory: directory.display().to_string(),
            cases: plan.cases.len() as u32,
        },
    }));
    listeners
        .recorder
        .node_series(&node.name, node.series.clone(), node.absent.clone());
    let totals = flagperf_engine::run(&plan, vec![node], interrupts, &mut listeners).await;
    Ok(conclude(args, listeners, totals, &directory))
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

fn plan(
    args: &RunArgs,
    library: &Library,
    node: &Node,
    program: &str,
    started: Timestamp,
) -> Result<Plan, Failure> {
    flagperf_library::plan(&PlanRequest {
        run: new_run_id(started),
        library,
        names: &args.cases,
        params: &args.params,
        rounds: args.rounds,
        duration_s: args.duration.as_secs_f64(),
        timeout_s: args.timeout.map(|timeout| timeout.as_secs_f64()),
        stall_s: args.stall.map(|stall| stall.as_secs_f64()),
        interval_ns: args.interval.as_nanos() as u64,
        nodes: &[(node.name.clone(), node.facts.clone())],
        agent_program: program,
    })
    .map_err(Failure::usage)
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

fn record(plan: &Plan, node: &Node, started: Timestamp) -> RunRecord {
    RunRecord {
        schema: RUN_SCHEMA.to_owned(),
        run: plan.run.clone(),
        version: VERSION.to_owned(),
        command: std::env::args_os()
            .map(|argument| argument.to_string_lossy().into_owned())
            .collect(),
        started,
        ended: None,
        state: RunState::Running,
        plan: plan.clone(),
        nodes: vec![NodeRecord {
            name: node.name.clone(),
            rank: 0,
            facts: Some(node.facts.clone()),
            series: node.series.clone(),
            absent: node.absent.clone(),
        }],
        results: Vec::new(),
        warnings: Vec::new(),
    }
}

fn printer(args: &RunArgs) -> Printer {
    if args.json {
        Printer::Json { error: None }
    } else if args.quiet {
        Printer::Quiet
    } else {
        Printer::Progress(Progress::new(std::io::stderr().is_terminal()))
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
    } else if totals.failed > 0 {
        Exit::CaseFailed
    } else if !problems.is_empty() {
        Exit::RecordIncomplete
    } else {
        Exit::Success
    }
}

fn print_plan(plan: &Plan, program: &str, json: bool) -> Result<Exit, Failure> {
    let text = if json {
        serde_json::to_string_pretty(plan).map_err(Failure::internal)? + "\n"
    } else {
        describe(plan, program)
    };
    print(&text)
        .map(|()| Exit::Success)
        .map_err(|error| Failure::usage(format!("the plan cannot be written: {error}")))
}

/// The plan in words: every process with its arguments, environment and directory.
fn describe(plan: &Plan, program: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for node in &plan.nodes {
        let agent = [program.to_owned(), "agent".to_owned()];
        let _ = writeln!(text, "agent on {node}: {}", quoted(&agent));
    }
    text.push('\n');
    let total = plan.cases.len();
    for (index, case) in plan.cases.iter().enumerate() {
        let _ = write!(text, "[{}/{total}] {}", index + 1, case.name());
        if case.rounds > 1 {
            let _ = write!(text, ", round {} of {}", case.round, case.rounds);
        }
        if let Some(feature) = &case.unsupported {
            let _ = writeln!(text, "\n  not run: not supported here: {feature}\n");
            continue;
        }
        let _ = writeln!(
            text,
            "\n  limits: {} s, ended when silent and idle for {} s",
            case.limits.timeout_s, case.limits.stall_s
        );
        for task in &case.tasks {
            let _ = writeln!(
                text,
                "  on {}, output to {}/{}",
                task.node, task.directory, task.log
            );
            for process in &task.processes {
                let _ = writeln!(text, "    rank {}: {}", process.rank, quoted(&process.argv));
                if !process.cpus.is_empty() {
                    let cpus: Vec<String> = process.cpus.iter().map(u32::to_string).collect();
                    let _ = writeln!(text, "      cores: {}", cpus.join(","));
                }
                let directory = process.cwd.as_deref().unwrap_or("the current one");
                let _ = writeln!(text, "      directory: {directory}");
                for (name, value) in &process.env {
                    let _ = writeln!(text, "      {name}={}", quoted(std::slice::from_ref(value)));
                }
            }
        }
        text.push('\n');
    }
    text
}

/// Words as a shell would need them, so that a line of the plan can be tried by hand.
fn quoted(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    let quote = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

/// Ctrl-C, and what service managers and closed terminals send. The third ends this process on the
/// spot; its agent then sees the channel close and ends everything.
fn listen() -> std::io::Result<UnboundedReceiver<()>> {
    let (sender, receiver) = unbounded_channel();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    // Who starts the program with nohup wants it to outlive the terminal.
    let mut hangup = if hangup_is_ignored() {
        None
    } else {
        Some(signal(SignalKind::hangup())?)
    };
    // A file size limit then shows as an error of the write, which is told like a full disk.
    let mut file_too_large = signal(SignalKind::from_raw(SIGXFSZ))?;
    let mut stop = signal(SignalKind::from_raw(SIGTSTP))?;
    tokio::spawn(async move {
        let mut count = 0;
        loop {
            tokio::select! {
                _ = file_too_large.recv() => continue,
                _ = stop.recv() => {
                    warn("a run cannot be suspended, the case would go on; Ctrl-C ends it");
                    continue;
                }
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                Some(()) = async { hangup.as_mut()?.recv().await } => {}
            }
            count += 1;
            if count > 2 {
                leave_now();
            }
            let _ = sender.send(());
        }
    });
    Ok(receiver)
}

/// True if SIGHUP was set to be ignored before this program started: the lowest bit of the mask in
/// `/proc/self/status`, see proc_pid_status(5).
fn hangup_is_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .is_some_and(|mask| mask & 1 == 1)
}

#[expect(clippy::exit, reason = "the user has asked for the third time")]
fn leave_now() -> ! {
    std::process::exit(Exit::Interrupted as i32)
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    Timestamp(since.map_or(0, |duration| duration.as_nanos() as i64))
}
