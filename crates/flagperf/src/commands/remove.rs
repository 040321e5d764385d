//! `flagperf remove-container`: run by an agent on a node, to take away a container of its run and no other.

use std::process::{Command, Output};
use std::thread::sleep;
use std::time::{Duration, Instant};

use flagperf_container as container;
use flagperf_container::Invocation;

use crate::cli::RemoveArgs;
use crate::exit::{Exit, Failure};

/// An engine that was asked for a container makes it even if who asked is gone. It takes this long at most.
const MAKING: Duration = Duration::from_secs(3);

/// From one look to the next.
const PAUSE: Duration = Duration::from_millis(200);

pub(crate) fn remove(args: &RemoveArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + MAKING;
    let looking = container::inspect_container(args.engine, &args.container);
    let mut inspect = output(&looking)?;
    while args.awaited && !inspect.status.success() && Instant::now() < deadline {
        sleep(PAUSE);
        inspect = output(&looking)?;
    }
    if !inspect.status.success() {
        let words = String::from_utf8_lossy(&inspect.stderr);
        if container::is_unknown(&words) {
            // There is none: it went by itself, or was never made.
            return Ok(Exit::Success);
        }
        let refusal = container::refusal(&looking, &inspect.status.to_string(), &words);
        return Err(Failure::new(Exit::CaseFailed, refusal.reason));
    }
    let answer = String::from_utf8_lossy(&inspect.stdout);
    let state = container::container_state(&answer).map_err(Failure::internal)?;
    if state.labels.is_none_or(|labels| labels.run != args.run) {
        return Ok(Exit::Success);
    }
    let removing = container::remove_container(args.engine, &args.container);
    let done = output(&removing)?;
    let words = String::from_utf8_lossy(&done.stderr);
    // One that is on its way out of its own accord is as good as gone.
    if done.status.success()
        || words.contains("already in progress")
        || container::is_unknown(&words)
    {
        return Ok(Exit::Success);
    }
    let refusal = container::refusal(&removing, &done.status.to_string(), &words);
    Err(Failure::new(Exit::CaseFailed, refusal.reason))
}

fn output(invocation: &Invocation) -> Result<Output, Failure> {
    let argv = invocation.argv();
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| Failure::internal("no command"))?;
    Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| Failure::usage(format!("`{program}` could not be started: {error}")))
}
