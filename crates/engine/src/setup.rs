//! Commands that make a place ready: a container after its start, or whatever a case runs in before its processes.

use flagperf_model::{SetupCommand, StepKind};
use flagperf_wire::TaskDirectory;

use crate::active::Active;
use crate::desk::Command;
use crate::steps::{Means, StepError};

/// Lines of a command's output that are told when it fails.
const TAIL: usize = 15;

/// Runs one of them. What it prints goes to the log of the step, behind a line with its words.
pub(crate) async fn run(
    node: &mut Active,
    means: &Means,
    step: StepKind,
    command: &SetupCommand,
    directory: TaskDirectory,
) -> Result<(), StepError> {
    let words = shown(&command.argv);
    let heading = format!("$ {words}\n").into_bytes();
    let mut desk = node.desk(means);
    let _ = desk.log.send((desk.place, step, heading)).await;
    let (task, _) = desk.prepare(directory).await?;
    let timeout_s = f64::from(command.timeout_s);
    let command = Command {
        argv: command.argv.clone(),
        env: command.env.clone(),
        timeout_s,
        step: Some(step),
    };
    let answer = desk.run_prepared(task, command).await?;
    if answer.is_good() {
        return Ok(());
    }
    let mut error = StepError::plain(format!("`{words}` failed ({})", answer.status(timeout_s)));
    let lines: Vec<&str> = answer.output.lines().collect();
    let last = &lines[lines.len().saturating_sub(TAIL)..];
    error.tail = last.iter().map(|line| (*line).to_owned()).collect();
    Err(error)
}

/// The words of a command. A script among them is no line.
fn shown(argv: &[String]) -> String {
    let words = argv.iter().map(|word| {
        if word.contains('\n') {
            "…"
        } else {
            word.as_str()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// How many there were, in words.
pub(crate) fn count(commands: usize) -> String {
    match commands {
        1 => "1 command".to_owned(),
        count => format!("{count} commands"),
    }
}
