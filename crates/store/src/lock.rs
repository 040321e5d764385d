//! One writer for a run directory.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::io::Errno;

/// Name of the file that the writer of a run directory holds locked.
const LOCK: &str = ".lock";

/// Attempts to lock a file that others remove at the same moment.
const ATTEMPTS: u32 = 100;

/// The right to write a run directory. Dropping it gives it back and removes its file; when the process
/// ends in any other way, the system takes it back.
#[derive(Debug)]
pub(crate) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock, or fails with [`io::ErrorKind::WouldBlock`] if somebody has it.
    pub(crate) fn take(directory: &Path) -> io::Result<Self> {
        let path = directory.join(LOCK);
        for _ in 0..ATTEMPTS {
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)?;
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(io::ErrorKind::WouldBlock.into()),
                // A file system without locks: nobody else can be kept out.
                Err(_) => return Ok(Self { path, _file: file }),
            }
            // Its last owner may have removed it between the opening and the locking.
            let own = file.metadata()?;
            if fs::metadata(&path)
                .is_ok_and(|there| there.ino() == own.ino() && there.dev() == own.dev())
            {
                return Ok(Self { path, _file: file });
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.path));
    }
}
