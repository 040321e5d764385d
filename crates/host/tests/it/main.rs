//! Facts and monitors of made-up machines, and of this one.

#![expect(
    clippy::unwrap_used,
    reason = "the lint spares tests, but not the helpers that they share"
)]

mod cgroups;
mod devices;
mod facts;
mod monitor;
mod sensors;
mod tree;
mod watched;
