//! The recorder and the reader together, on real directories and disks.

mod children;
mod damage;
mod full;
mod record;
mod schema;
mod support;
