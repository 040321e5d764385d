//! The library as its users see it: texts of errors, plans, and what is read from output.

mod case_file;
mod classic;
mod collector;
mod plan;
mod select;
