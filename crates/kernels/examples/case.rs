//! Runs one kernel in this process: `case KERNEL SECONDS [NAME=VALUE ...]`, for trying kernels out
//! without the harness. It is a single rank; kernels for several need the harness or the tests.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Duration;

use flagperf_kernels::{CaseArgs, CaseEnd, run_case};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let (Some(kernel), Some(Ok(seconds))) = (words.next(), words.next().map(|s| s.parse())) else {
        return ExitCode::from(2);
    };
    let params: BTreeMap<String, String> = words
        .filter_map(|word| {
            let (name, value) = word.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        })
        .collect();
    let args = CaseArgs {
        kernel,
        duration: Duration::from_secs_f64(seconds),
        params,
        rank: 0,
        world: 1,
        shared: None,
        cluster: None,
    };
    match run_case(args, &mut std::io::stdout()) {
        CaseEnd::Passed => ExitCode::SUCCESS,
        CaseEnd::Unsupported => ExitCode::from(3),
        CaseEnd::Failed => ExitCode::FAILURE,
    }
}
