//! The reports of a made-up run, and of runs that are damaged or hostile.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "the helpers of tests fail as tests do"
)]

mod chips;
mod damage;
mod fixture;
mod formats;
mod hostile;
mod loading;
mod many;
mod pages;
mod screens;
