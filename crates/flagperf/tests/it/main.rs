//! Tests of the built program: real processes, real files, real signals.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test ends at the first thing that is not as it must be, and says what it skips"
)]

mod by_hand;
mod chips;
mod cli;
mod cluster;
mod container;
mod damage;
mod disk;
mod end_to_end;
mod interrupt;
mod layers;
mod misbehaviour;
mod nodes;
mod ranks;
mod resume;
mod suites;
mod support;
