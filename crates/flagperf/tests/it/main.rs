//! Tests of the built program: real processes, real files, real signals.

mod cli;
mod damage;
mod disk;
mod end_to_end;
mod interrupt;
mod layers;
mod misbehaviour;
mod support;
