//! `flagperf case`: one rank of a built-in case, in a process of its own.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::time::Duration;

use flagperf_kernels::CaseEnd;

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
    let case = flagperf_kernels::CaseArgs {
        kernel: args.kernel,
        duration: args.duration.max(Duration::from_millis(1)),
        params: params(&args.params)?,
        rank: number("LOCAL_RANK")?.unwrap_or(0),
        world: number("LOCAL_WORLD_SIZE")?.unwrap_or(1),
        shared: shared_file()?,
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
