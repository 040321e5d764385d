//! Orchestration: brings up the nodes of a run, runs its cases one after another on all of them,
//! and tells what happens.
//!
//! One loop owns all state. It takes what the agents say and what the user asks for, and gives
//! [`Emission`]s to one [`Consumer`]; who records, prints or forwards them is not known here.

#![forbid(unsafe_code)]

mod active;
mod alias;
mod case_run;
mod clean;
mod context;
mod desk;
mod emission;
mod environment;
mod node;
mod round;
mod run;
mod setup;
mod steps;
mod tail;
mod trees;
mod verdict;

pub use clean::{Fate, Left, clean};
pub use emission::{Consumer, Emission};
pub use flagperf_transport::now;
pub use node::{BringUp, Node, close_all, connect_all};
pub use run::{RunRequest, Totals, run};
pub use trees::Trees;
