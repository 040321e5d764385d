//! The test bed itself, on real nodes. Where this machine lets nobody make them, each test says so.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends at the first thing that is not as it must be, and says what it skips"
)]

mod disks;
mod engines;
mod life;
mod links;
mod logins;
mod relay;
mod slurm;
mod support;
