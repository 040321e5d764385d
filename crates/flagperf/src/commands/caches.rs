//! `flagperf drop-caches`: run by an agent before a case, so that it finds nothing in memory that others have read.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};

use crate::exit::{Exit, Failure};
use crate::output::print;

/// The kernel drops what is asked for by a number written here, see proc_sys_vm(5).
const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Pages of files, and what is known of directories and files.
const ALL: &[u8] = b"3";

/// Writes to the disk what is not there yet, which could not be dropped, and drops the rest. Why that cannot be done is
/// printed for who asked; nobody is asked for more rights.
pub(crate) fn drop_caches() -> Result<Exit, Failure> {
    // Who may not drop anything need not wait for the disk.
    let dropped = OpenOptions::new()
        .write(true)
        .open(DROP_CACHES)
        .and_then(|mut file| {
            rustix::fs::sync();
            file.write_all(ALL)
        });
    let Err(error) = dropped else {
        return Ok(Exit::Success);
    };
    let why = match error.kind() {
        ErrorKind::PermissionDenied => "only root may".to_owned(),
        ErrorKind::ReadOnlyFilesystem => "a container may not".to_owned(),
        _ => error.to_string(),
    };
    print(&format!("{why} ({DROP_CACHES})\n")).map_err(Failure::internal)?;
    Ok(Exit::CaseFailed)
}
