//! Facts and time series of a Linux machine, read from /proc, /sys and control group files.
//!
//! The root of the file system is injected, so tests run against made-up machines. Nothing here
//! starts a thread, waits on a timer, runs a program or writes: the caller decides when to sample
//! and where the numbers go. Chips of vendors and board controllers (IPMI) are read elsewhere.

#![forbid(unsafe_code)]

mod address;
mod cgroup;
mod clock;
mod cpu;
mod facts;
mod monitor;
mod parse;
mod place;
mod process;
mod root;
mod virt;

pub use address::{address, addresses};
pub use cgroup::oom_kills;
pub use clock::{own_cpu_ns, thread_cpu_ns};
pub use facts::facts;
pub use monitor::{Monitor, SourceCost};
pub use place::place;
pub use process::{ProcessStat, descendants, process, process_cpu_seconds};
pub use root::Root;
