//! The agent: the side of FlagPerf that lives on a node for as long as its channel does.
//!
//! It starts the processes of a task, streams their output, samples the machine, and ends
//! everything below it when it is told to, when a bound is reached, or when the channel closes for
//! whatever reason. It decides nothing about cases: what output means is read by the controller.
//!
//! One thread owns the state and takes [`Input`](input::Input)s in turn. Around it stand threads that
//! only wait: for the channel, for each rank's pipe, for children, for disks, for the next sample. Nothing
//! here is asynchronous, so that an agent costs a few small threads and no runtime beside the
//! processes it measures.

mod at_end;
mod channel;
mod cleaning;
mod collect;
mod ending;
mod files;
mod filing;
mod input;
mod placeholders;
mod reaper;
mod relay;
mod sampling;
mod scratch;
mod serve;
mod spawn;
mod starting;
mod task;

pub use ending::end_everything_below;
pub use serve::{AgentError, serve, stay};

/// `CLOCK_MONOTONIC`, in nanoseconds.
fn mono_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    (now.tv_sec * 1_000_000_000 + now.tv_nsec).cast_unsigned()
}
