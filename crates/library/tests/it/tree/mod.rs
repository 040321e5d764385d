//! Trees of the classic case libraries.

mod base;
mod copy;
mod made;
mod remarks;
mod scripts;
mod strings;
mod suites;
mod training;
