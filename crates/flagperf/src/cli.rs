//! The command line: types and help texts, no behaviour.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use flagperf_model::{BuildPolicy, EngineKind};

use crate::values;

/// Measures AI hardware: arithmetic rate, memory and interconnects, with processor, memory, power
/// and temperature recorded meanwhile.
#[derive(Debug, Parser)]
#[command(name = "flagperf", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run cases and record what they measure
    Run(Box<RunArgs>),
    /// Show the record of a run
    Report(ReportArgs),
    /// List the cases, and whether this machine can run them
    List(ListArgs),
    /// Say the configuration of a classic suite in another way
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Serve a controller over standard input and output (started by `flagperf run`)
    #[command(hide = true)]
    Agent(AgentArgs),
    /// Remove the containers that earlier runs of yours have left on nodes
    Clean(CleanArgs),
    /// Remove a container if it belongs to a run (started by an agent)
    #[command(hide = true)]
    RemoveContainer(RemoveArgs),
    /// Drop the page cache of this machine (started by an agent)
    #[command(hide = true)]
    DropCaches,
    /// Run one rank of a built-in case (started by an agent)
    #[command(hide = true)]
    Case(CaseArgs),
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the flagperf.toml that says the same as configs/host.yaml, or as the modules of suite training
    Convert(ConvertArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// Directory of the suite [default: the one that this is started in]
    pub(crate) tree: Option<PathBuf>,

    /// Set a key of the configuration first (repeatable): NPROC_PER_NODE=4
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct AgentArgs {
    /// Print the content hash of this program once it is safe on its disk, and stop
    #[arg(long)]
    pub(crate) check: bool,

    /// When the session has ended, wait until this process is ended: the container that it is the first of is to
    /// be looked into
    #[arg(long)]
    pub(crate) stay: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveArgs {
    /// The engine
    #[arg(value_parser = values::engine())]
    pub(crate) engine: EngineKind,

    /// The container
    pub(crate) container: String,

    /// The run that it must belong to
    pub(crate) run: String,

    /// Look for it for some seconds: whoever asked for it was cut off, and its engine may be about to make it
    #[arg(long)]
    pub(crate) awaited: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CleanArgs {
    /// The engine: docker, podman or nerdctl [default: all that a node has]
    #[arg(long, value_name = "NAME", value_parser = values::engine())]
    pub(crate) engine: Option<EngineKind>,

    /// Only tell what would be removed
    #[arg(long)]
    pub(crate) dry_run: bool,

    #[command(flatten)]
    pub(crate) nodes: NodeArgs,
}

const EXIT_CODES: &str = "Exit codes:
  0    every case passed (cases this machine lacks the instructions for do not count,
       unless they were asked for by name)
  1    a case failed, timed out, stalled or was lost, or was skipped because a node that
       it needs is missing
  2    the command line or a setting is wrong; nothing was started
  3    every case passed, but the record is incomplete (a full disk, say)
  4    a node cannot take part; nothing was started
  130  interrupted: once (Ctrl-C) ends the case in order, twice ends everything at once";

#[derive(Debug, Args)]
#[command(after_long_help = EXIT_CODES)]
pub(crate) struct RunArgs {
    /// Cases to run, by name; all of them if none is named. In a suite of a FlagPerf tree: case strings, with `*` and
    /// `?` in their first field [default there: CASES of its configuration]
    pub(crate) cases: Vec<String>,

    /// Run each case this many times [default: 1, or as often as its case string says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds: Option<u32>,

    /// How long a built-in case measures, warm-up and checks apart
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) duration: Duration,

    /// End a case that runs longer than this
    /// [default: 6 × duration + 2m for built-in cases, 1h for others]
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) timeout: Option<Duration>,

    /// End a case that neither writes nor uses a processor for this long [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) stall: Option<Duration>,

    /// Time from one sample of the monitors to the next, from 10ms
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = values::interval, allow_hyphen_values = true)]
    pub(crate) interval: Duration,

    /// Sample the chips of this vendor [default: those that a node has]
    #[arg(long, value_name = "NAME")]
    pub(crate) vendor: Option<String>,

    /// Directory of vendors' profiles of one's own, which come over the built-in ones
    #[arg(long = "vendors", value_name = "DIR")]
    pub(crate) vendor_directory: Option<PathBuf>,

    /// Set a parameter of the cases that have it (repeatable)
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<String>,

    /// Directory of cases of one's own, besides the built-in ones
    #[arg(long = "cases", value_name = "DIR")]
    pub(crate) case_directory: Option<PathBuf>,

    /// Directory that receives the run's own directory [default: results, or as the suite's configuration says]
    #[arg(long, value_name = "DIR")]
    pub(crate) results: Option<PathBuf>,

    /// Run what one node can do alone on the nodes that are there, if others cannot take part
    #[arg(long)]
    pub(crate) continue_on_bad_nodes: bool,

    /// Run what has not passed of an earlier run, in its directory and with its plan
    #[arg(
        long,
        value_name = "RUN",
        conflicts_with_all = ["cases", "rounds", "duration", "timeout", "stall", "interval", "vendor", "params",
            "case_directory", "tree", "set", "allow_credential_changes", "dry_run", "nodes", "nodes_file", "nodes_command", "slurm", "launcher", "exec",
            "ssh_config", "accept_new_host_keys", "in_container", "container", "image", "image_directory",
            "build", "build_once", "pull", "engine", "privileged", "keep_containers"]
    )]
    pub(crate) resume: Option<PathBuf>,

    /// Print what would be done, every process with its arguments, environment and directory, and stop
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print nothing but errors
    #[arg(long, short, conflicts_with_all = ["json", "dry_run"])]
    pub(crate) quiet: bool,

    /// Print what happens as one JSON object a line (with --dry-run: the plan)
    #[arg(long)]
    pub(crate) json: bool,

    // Whatever stands behind these would be shown below their headings.
    #[command(flatten)]
    pub(crate) suite: SuiteArgs,

    #[command(flatten)]
    pub(crate) nodes: NodeArgs,

    #[command(flatten)]
    pub(crate) container: ContainerArgs,
}

/// A suite of a classic tree of cases.
#[derive(Debug, Args)]
#[command(next_help_heading = "Classic suites")]
pub(crate) struct SuiteArgs {
    /// Directory of the suite, `FlagPerf/base` for example [default: the one that this is started in]
    #[arg(long, value_name = "DIR")]
    pub(crate) tree: Option<PathBuf>,

    /// Set a key of the suite's configuration (repeatable): NPROC_PER_NODE=4
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,

    /// Run cases that reset passwords, delete ssh keys or change the ssh server of the nodes
    #[arg(long)]
    pub(crate) allow_credential_changes: bool,
}

/// The nodes of a run.
#[derive(Debug, Args)]
#[command(next_help_heading = "Nodes")]
pub(crate) struct NodeArgs {
    /// Nodes, with ranges as Slurm writes them: node[01-64],gpu-a [default: this machine]
    #[arg(
        long = "nodes",
        value_name = "LIST",
        group = "source",
        allow_hyphen_values = true
    )]
    pub(crate) nodes: Option<String>,

    /// File with such lists, one or more a line
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) nodes_file: Option<PathBuf>,

    /// Shell command that prints such lists
    #[arg(long, value_name = "COMMAND", group = "source")]
    pub(crate) nodes_command: Option<String>,

    /// The nodes of the Slurm job that this is started in, reached by srun
    #[arg(long, group = "source")]
    pub(crate) slurm: bool,

    /// Settings and nodes [default: flagperf.toml, if there is one]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// How nodes are reached: ssh, exec or local [default: ssh]
    #[arg(long, value_name = "KIND")]
    pub(crate) launcher: Option<flagperf_config::LauncherKind>,

    /// Command that reaches a node: 'kubectl exec -i {node} --'
    #[arg(long, value_name = "COMMAND")]
    pub(crate) exec: Option<String>,

    /// Configuration file for ssh, in the place of your own
    #[arg(long, value_name = "FILE")]
    pub(crate) ssh_config: Option<String>,

    /// Take and remember the key of a host that is not known yet
    #[arg(long)]
    pub(crate) accept_new_host_keys: bool,

    /// The nodes are containers that exist already; also EXEC_IN_CONTAINER=True
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) in_container: Option<bool>,
}

/// The container that is made on every node.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Containers")]
pub(crate) struct ContainerArgs {
    /// Run the cases in a container that is made on every node and removed at the end
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) container: Option<bool>,

    /// The image: one that the nodes have, or how the one that is built is called
    #[arg(long, value_name = "NAME")]
    pub(crate) image: Option<String>,

    /// Build the image from this directory, which has a Dockerfile and may have an install script
    #[arg(long, value_name = "DIR")]
    pub(crate) image_directory: Option<String>,

    /// When to build it; auto: if it is not there, or the directory has changed [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = values::policy())]
    pub(crate) build: Option<BuildPolicy>,

    /// Build it on one node and send it to the others
    #[arg(long)]
    pub(crate) build_once: bool,

    /// Fetch the image from its registry before the run
    #[arg(long)]
    pub(crate) pull: bool,

    /// The engine: docker, podman or nerdctl [default: the first that a node has]
    #[arg(long, value_name = "NAME", value_parser = values::engine())]
    pub(crate) engine: Option<EngineKind>,

    /// Further options for the engine's `run`, split into words as a shell would: '--gpus all';
    /// with --resume only secrets are taken from them, which the record has not kept
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub(crate) container_options: Option<String>,

    /// Give the container all rights on all devices
    #[arg(long)]
    pub(crate) privileged: bool,

    /// Leave the containers running at the end, and say how to look into them
    #[arg(long)]
    pub(crate) keep_containers: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Directory of a run
    pub(crate) run: PathBuf,

    /// What to write
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Terminal)]
    pub(crate) format: Format,

    /// File to write to, instead of standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// The summary shown at the end of a run
    Terminal,
    /// A page of its own with all time series, readable offline
    Html,
    /// Tables for a document
    Markdown,
    /// Everything, for programs
    Json,
    /// One line a number, for spreadsheets
    Csv,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Cases to list, with `*` and `?`; all of them if none is named
    pub(crate) cases: Vec<String>,

    /// Directory of the suite of a FlagPerf tree, or of the tree [default: the one that this is started in]
    #[arg(long, value_name = "DIR", conflicts_with = "case_directory")]
    pub(crate) tree: Option<PathBuf>,

    /// Directory of cases of one's own, besides the built-in ones
    #[arg(long = "cases", value_name = "DIR")]
    pub(crate) case_directory: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CaseArgs {
    /// The kernel
    pub(crate) kernel: String,
    /// How long to measure
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = values::duration, allow_hyphen_values = true)]
    pub(crate) duration: Duration,
    /// Set a parameter (repeatable)
    #[arg(long = "param", value_name = "NAME=VALUE")]
    pub(crate) params: Vec<String>,
}
