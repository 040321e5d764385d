//! The signals that ask a run to stop.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::exit::Exit;
use crate::output::warn;

/// Ctrl-Z. The numbers are those of x86 and Arm, see signal(7).
const SIGTSTP: i32 = 20;

/// A file grew beyond the limit of `ulimit -f`.
const SIGXFSZ: i32 = 25;

/// Ctrl-C, and what service managers and closed terminals send. The third ends this process on the
/// spot; its agent then sees the channel close and ends everything.
pub(super) fn listen() -> std::io::Result<UnboundedReceiver<()>> {
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
