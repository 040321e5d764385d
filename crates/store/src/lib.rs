//! The run directory, which is the truth about a run: the recorder that writes it, the samples
//! codec, the classic files, and the reader that gets out of a damaged directory what is there.
//!
//! Nothing here prints, waits, or decides how a case ended. A recorder's failure never changes a
//! run's outcome: it remembers the problem and goes on. `docs/formats.md` describes every file.

#![forbid(unsafe_code)]

mod classic;
mod clock;
mod create;
mod disk;
mod fold;
mod lines;
mod lock;
mod name;
mod read;
mod readable;
mod rebuild;
mod recorder;
mod regular;
mod samples;
mod schema;
mod task;

pub use create::CreateError;
pub use name::new_run_id;
pub use read::{LoadedRun, ReadError, SamplesError, read_run};
pub use recorder::{EarlierRun, Recorder, ReopenError};
pub use samples::{Samples, decode_samples};
pub use schema::run_schema;
pub use task::{NODE_RESULT_SCHEMA, NodeResult};
