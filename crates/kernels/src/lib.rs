//! Built-in measurements on processors: matrix products, memory bandwidth and capacity, and the
//! traffic between processes of one machine and between machines.
//!
//! A kernel runs in a process of its own, one for each measured rank, pinned to the processors of
//! that process's affinity mask, and prints what it finds as records of the model. What each one
//! counts, how it warms up and repeats, and which biases remain stands at the top of its module.
//! Nothing here starts processes, and there is no accelerator in this crate.

mod allreduce;
mod capacity;
mod clock;
mod cpus;
mod driver;
pub mod features;
pub mod gemm;
mod kernels;
pub mod net;
mod pair;
mod params;
mod pattern;
pub mod peak;
mod products;
mod region;
mod reporter;
mod room;
mod shared;
mod stream;
mod sums;
mod team;

pub use driver::{CaseArgs, CaseEnd, Cluster, kernel_names, run_case, spans_nodes};
