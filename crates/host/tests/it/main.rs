//! Facts and monitors of made-up machines, and of this one.

mod cgroups;
mod facts;
mod monitor;
mod tree;
