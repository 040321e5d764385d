//! From a kernel's name to its run: arguments, the table of kernels, and how a run ends.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::fmt::Write as _;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flagperf_model::Phase;

use crate::net::NetError;
use crate::params::{ParamError, Params};
use crate::reporter::{ReportError, Reporter};
use crate::room::{Room, RoomError};
use crate::shared::{PeerError, Segment};
use crate::{cpus, kernels};

/// What a case is given.
#[derive(Debug)]
pub struct CaseArgs {
    /// One of [`kernel_names`].
    pub kernel: String,
    /// How long to measure, warm-up and checks apart.
    pub duration: Duration,
    /// The kernel's parameters; sizes are in bytes.
    pub params: BTreeMap<String, String>,
    /// This process's place among the ranks of the node.
    pub rank: u32,
    /// How many ranks the node has.
    pub world: u32,
    /// A file in memory (`memfd_create`) that all ranks of the node share, empty at first.
    pub shared: Option<OwnedFd>,
    /// The ranks of all nodes, for a kernel that [spans them](spans_nodes).
    pub cluster: Option<Cluster>,
}

/// The ranks of a case that spans nodes, one on each, seen from one of them.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// This process's place among them, which is also its node's place in the list of nodes.
    pub rank: u32,
    /// How many there are.
    pub world: u32,
    /// Where rank 0 can be reached: an IP address or a host name.
    pub master: String,
    /// The port at which rank 0 listens.
    pub port: u16,
    /// Which run, case and round this is, the same in all ranks and in no other: whoever calls
    /// with another one is turned away. At most 512 bytes count.
    pub token: String,
    /// The names of the nodes by rank, for naming links.
    pub nodes: Vec<String>,
    /// A directory for files to keep, made if it is not there.
    pub out: Option<PathBuf>,
}

/// How a case ended. Its reason was printed as a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CaseEnd {
    /// Measured and checked.
    Passed,
    /// Something went wrong, or nobody reads the output any more.
    Failed,
    /// This machine lacks what the case measures.
    Unsupported,
}

/// Why a kernel did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CaseError {
    /// The machine lacks something; the text names it.
    #[error("not supported by this processor: {0}")]
    Unsupported(String),
    /// The output is gone, or a number cannot be reported.
    #[error("result cannot be reported")]
    Report(#[from] ReportError),
    /// A parameter is wrong.
    #[error(transparent)]
    Param(#[from] ParamError),
    /// The room for memory is unknown.
    #[error("available memory is unknown")]
    Room(#[from] RoomError),
    /// Another rank is missing or failed.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Another rank, on another node, is missing or failed, or the way to it is.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A matrix product cannot be set up.
    #[error(transparent)]
    Product(crate::gemm::Error),
    /// Memory was refused.
    #[error("{bytes} bytes of memory cannot be mapped")]
    Memory {
        /// How many.
        bytes: usize,
        /// Why.
        source: rustix::io::Errno,
    },
    /// Threads cannot be started or pinned.
    #[error("threads cannot be pinned to {device}")]
    Threads {
        /// The processors.
        device: String,
        /// Why.
        source: std::io::Error,
    },
    /// The kernel of the operating system refused something.
    #[error("{what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why not.
        source: rustix::io::Errno,
    },
    /// A wrong result, or a setting that makes no sense; the text says it all.
    #[error("{0}")]
    Wrong(String),
}

/// What a kernel works with.
pub(crate) struct Context<'a> {
    pub(crate) params: Params,
    pub(crate) duration: Duration,
    pub(crate) rank: u32,
    pub(crate) world: u32,
    /// The processors to use, one thread each.
    pub(crate) cpus: Vec<usize>,
    pub(crate) report: Reporter<'a>,
    /// The ranks of all nodes.
    pub(crate) cluster: Option<Cluster>,
    shared: Option<OwnedFd>,
}

impl Context<'_> {
    /// Name of the device measured.
    pub(crate) fn device(&self) -> String {
        cpus::device_name(&self.cpus)
    }

    /// Memory that may be taken now by this rank alone: its share of what is free.
    pub(crate) fn free_memory(&self) -> Result<u64, CaseError> {
        Ok(Room::read(Path::new("/"))?.free() / u64::from(self.world.max(1)))
    }

    /// How long to wait for another rank.
    pub(crate) fn patience(&self) -> Result<Duration, ParamError> {
        let seconds = self.params.integer("peer_timeout", 1..=3600)?;
        Ok(seconds.map_or(PEER_TIMEOUT, Duration::from_secs))
    }

    /// Joins the ranks of this node in their shared memory, with `payload` bytes for each rank.
    /// `None` if this rank is alone.
    pub(crate) fn join(&mut self, payload: usize) -> Result<Option<Segment>, CaseError> {
        if self.world <= 1 {
            return Ok(None);
        }
        let Some(fd) = self.shared.take() else {
            return Err(CaseError::Wrong(format!(
                "{} ranks were asked for, but no shared memory was given",
                self.world
            )));
        };
        let patience = self.patience()?;
        Ok(Some(Segment::join(
            &fd, self.rank, self.world, payload, patience,
        )?))
    }
}

/// How long a rank waits for another before it gives up, unless `peer_timeout` (seconds) says
/// otherwise.
const PEER_TIMEOUT: Duration = Duration::from_secs(30);

/// A kernel: its name, its parameters beside the common ones, what it does.
pub(crate) struct Kernel {
    pub(crate) name: &'static str,
    pub(crate) params: &'static [&'static str],
    /// Whether its ranks are on different nodes.
    pub(crate) spans_nodes: bool,
    pub(crate) run: fn(&mut Context<'_>) -> Result<(), CaseError>,
}

/// Parameters that every kernel accepts: how many threads (at most one for each processor that the
/// process may use), and how many seconds to wait for another rank.
const COMMON_PARAMS: [&str; 2] = ["threads", "peer_timeout"];

/// The names of all kernels.
pub fn kernel_names() -> &'static [&'static str] {
    &kernels::NAMES
}

/// Whether a kernel measures between nodes, so that its ranks are those of a [`Cluster`].
pub fn spans_nodes(kernel: &str) -> bool {
    let mut kernels = kernels::TABLE.iter();
    kernels.any(|known| known.name == kernel && known.spans_nodes)
}

/// Runs one rank of a kernel, printing records and classic result lines to `out`.
///
/// The threads are pinned to the processors of the calling thread's affinity mask. Everything that
/// goes wrong ends as a `Failure` record; when `out` itself is gone, the case just ends.
pub fn run_case(args: CaseArgs, out: &mut dyn Write) -> CaseEnd {
    // Records name a rank by its place in the whole case.
    let rank = match &args.cluster {
        Some(cluster) if spans_nodes(&args.kernel) => cluster.rank,
        _ => args.rank,
    };
    let mut report = Reporter::new(out, rank);
    // A panic is our own mistake; the harness shall still read which case it was, and why.
    match catch_unwind(AssertUnwindSafe(|| run(args, &mut report))) {
        Ok(Ok(())) => CaseEnd::Passed,
        Ok(Err(CaseError::Report(ReportError::Output(_)))) => CaseEnd::Failed,
        Ok(Err(CaseError::Unsupported(feature))) => match report.unsupported(&feature) {
            Ok(()) => CaseEnd::Unsupported,
            Err(_) => CaseEnd::Failed,
        },
        Ok(Err(error)) => {
            // If the output is gone as well, nobody is left to tell.
            let _reported = report.failure(&chain(&error));
            CaseEnd::Failed
        }
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no message");
            let _reported = report.failure(&format!("the kernel panicked: {text}"));
            CaseEnd::Failed
        }
    }
}

fn run(args: CaseArgs, report: &mut Reporter<'_>) -> Result<(), CaseError> {
    let Some(kernel) = kernels::TABLE.iter().find(|k| k.name == args.kernel) else {
        return Err(CaseError::Wrong(format!(
            "unknown kernel `{}`; expected one of {}",
            args.kernel,
            kernel_names().join(", ")
        )));
    };
    if args.world == 0 || args.rank >= args.world {
        return Err(CaseError::Wrong(format!(
            "rank {} of {} ranks does not exist",
            args.rank, args.world
        )));
    }
    if let Some(cluster) = &args.cluster
        && cluster.rank >= cluster.world
    {
        return Err(CaseError::Wrong(format!(
            "rank {} of {} ranks does not exist",
            cluster.rank, cluster.world
        )));
    }
    let accepted: Vec<&str> = kernel
        .params
        .iter()
        .chain(&COMMON_PARAMS)
        .copied()
        .collect();
    let params = Params::new(args.params, &accepted)?;
    let mut cpus = cpus::allowed().map_err(|source| CaseError::System {
        what: "the affinity mask cannot be read",
        source,
    })?;
    if let Some(threads) = params.integer("threads", 1..=cpus.len() as u64)? {
        cpus.truncate(threads as usize);
    }
    let mut context = Context {
        params,
        duration: args.duration,
        rank: args.rank,
        world: args.world,
        cpus,
        report: report.reborrow(),
        cluster: args.cluster,
        shared: args.shared,
    };
    context.report.phase(Phase::Prepare)?;
    context.report.note("device", context.device())?;
    (kernel.run)(&mut context)?;
    context.report.phase(Phase::End)?;
    Ok(())
}

/// The error with its causes, outermost first.
pub(crate) fn chain(error: &CaseError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        // Writing to a string cannot fail.
        let _written = write!(text, ": {inner}");
        cause = inner.source();
    }
    text
}
