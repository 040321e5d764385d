//! Nodes to test against, on this machine alone: `scripts/testbed` for tests in Rust.
//!
//! ```no_run
//! use flagperf_testkit::TestBed;
//!
//! let Some(bed) = TestBed::hosts(3).banner("node2").up() else {
//!     return; // no rights for it here, which `up` has said
//! };
//! let output = bed.ssh("node2").arg("hostname").output().unwrap();
//! bed.cut("node2");
//! ```
//!
//! With [`Builder::engine`] each node also has a container engine of its own, and an image without a
//! registry:
//!
//! ```no_run
//! use flagperf_testkit::{BaseImage, Engine, TestBed};
//!
//! let Some(bed) = TestBed::hosts(2).engine(Engine::Docker).up() else {
//!     return;
//! };
//! let run = format!("docker run -d --net=host {} sleep infinity", BaseImage::Busybox.name());
//! bed.ssh("node1").arg(run).status().unwrap();
//! assert_eq!(bed.containers("node1")[0].state, "running");
//! bed.kill_engine("node1");
//! ```
//!
//! [`StandInSmi`] stands in for the status tool of chips that no test machine has.
//!
//! A test bed ends when its [`TestBed`] is dropped, and also when the test's process ends in any other
//! way, SIGKILL included. Everything here panics where a test could only give up.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "used by tests alone: they end at the first thing that is not as it must be, and say what they skip"
)]

mod bed;
mod builder;
mod engine;
mod faults;
mod process;
mod script;
mod smi;

pub use bed::TestBed;
pub use builder::Builder;
pub use engine::{BaseImage, Container, Engine, Image};
pub use process::Process;
pub use script::script;
pub use smi::{SMI_SCRIPT, StandInSmi};
