//! `flagperf case`: one rank of a built-in case, in a process of its own.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use flagperf_kernels::{CaseEnd, Cluster};

use crate::cli::CaseArgs;
use crate::exit::{Exit, Failure};

pub(crate) fn case(args: CaseArgs) -> Result<Exit, Failure> {
    if !flagperf_kernels::kernel_names().contains(&args.kernel.as_str()) {
        return Err(Failure::usage(format!(
            "no kernel is named `{}`; there are {}",
            args.kernel,
            flagperf_kernels::kernel_names().join(", ")
        )));
    }
    let cluster = if flagperf_kernels::spans_nodes(&args.kernel) {
        cluster()?
    } else {
        None
    };
    let case = flagperf_kernels::CaseArgs {
        kernel: args.kernel,
        duration: args.duration.max(Duration::from_millis(1)),
        params: params(&args.params)?,
        rank: number("LOCAL_RANK")?.unwrap_or(0),
        world: number("LOCAL_WORLD_SIZE")?.unwrap_or(1),
        shared: shared_file()?,
        cluster,
    };
    Ok(
        match flagperf_kernels::run_case(case, &mut std::io::stdout().lock()) {
            CaseEnd::Passed | CaseEnd::Unsupported => Exit::Success,
            CaseEnd::Failed => Exit::CaseFailed,
        },
    )
}

fn params(given: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    given
        .iter()
        .map(|param| match param.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(Failure::usage(format!(
                "parameter `{param}` has no value; expected NAME=VALUE"
            ))),
        })
        .collect()
}

/// The ranks of a case that spans nodes; `None` where there is one rank.
fn cluster() -> Result<Option<Cluster>, Failure> {
    let world = number("WORLD_SIZE")?.unwrap_or(1);
    if world < 2 {
        return Ok(None);
    }
    let rank = required("RANK", number("RANK")?)?;
    let count = number("NNODES")?.unwrap_or(world);
    let nodes: Vec<String> = match std::env::var("FLAGPERF_NODES") {
        Ok(names) => names.split(',').map(str::to_owned).collect(),
        Err(_) => (0..count).map(|node| format!("node{node}")).collect(),
    };
    if nodes.len() != count as usize {
        return Err(Failure::usage(format!(
            "environment variable FLAGPERF_NODES names {} nodes, but NNODES is {count}",
            nodes.len()
        )));
    }
    if let Some(node) = number("NODE_RANK")?
        && count == world
        && node != rank
    {
        return Err(Failure::usage(format!(
            "environment variable NODE_RANK is {node} and RANK is {rank}; with one rank on each node \
             they are the same"
        )));
    }
    let port = required("MASTER_PORT", number("MASTER_PORT")?)?;
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    let part = |variable: &str| std::env::var(variable).unwrap_or_default();
    Ok(Some(Cluster {
        rank,
        world,
        master: required("MASTER_ADDR", std::env::var("MASTER_ADDR").ok())?,
        port: port.ok_or_else(|| {
            Failure::usage(format!(
                "environment variable MASTER_PORT is `{}`; expected a port from 1 to 65535",
                part("MASTER_PORT")
            ))
        })?,
        // A process of an earlier round that was slow to end must not be taken for one of this.
        token: ["FLAGPERF_RUN", "FLAGPERF_CASE", "FLAGPERF_ROUND"]
            .map(part)
            .join("/"),
        nodes,
        out: std::env::var_os("FLAGPERF_OUT")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
    }))
}

fn required<T>(variable: &str, value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(|| {
        Failure::usage(format!(
            "environment variable {variable} is not set; a case with more than one rank that spans \
             nodes needs it"
        ))
    })
}

fn number(variable: &str) -> Result<Option<u32>, Failure> {
    let Ok(text) = std::env::var(variable) else {
        return Ok(None);
    };
    text.parse().map(Some).map_err(|_| {
        Failure::usage(format!(
            "environment variable {variable} is `{text}`; expected a whole number"
        ))
    })
}

/// The file in memory that the agent shares between the ranks, opened anew: the number in
/// `FLAGPERF_SHM_FD` was inherited and belongs to nobody, and opening it through /proc gives a file
/// that is ours to close.
fn shared_file() -> Result<Option<OwnedFd>, Failure> {
    let Some(number) = number("FLAGPERF_SHM_FD")? else {
        return Ok(None);
    };
    std::fs::File::options()
        .read(true)
        .write(true)
        .open(format!("/proc/self/fd/{number}"))
        .map(|file| Some(file.into()))
        .map_err(|error| {
            Failure::usage(format!(
                "environment variable FLAGPERF_SHM_FD is {number}, which is no open file: {error}"
            ))
        })
}
