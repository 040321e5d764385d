//! Why a run directory cannot be made, with advice.

use std::io;
use std::path::{Path, PathBuf};

/// Why a run cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// Something on the path to the results is not a directory.
    #[error("results cannot go to `{}`: it, or a part of its path, is not a directory; name another results directory", path.display())]
    NotADirectory {
        /// The results directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The user may not write there.
    #[error("results cannot go to `{}`: no permission to write there; change its permissions or name another results directory", path.display())]
    Permission {
        /// The results directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// Nobody may write there.
    #[error("results cannot go to `{}`: its file system is read-only; name another results directory", path.display())]
    ReadOnly {
        /// The results directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The disk is full.
    #[error("results cannot go to `{}`: less than 1 MB is left on the disk; free some space or name another results directory", path.display())]
    NoSpace {
        /// The results directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The directory of this run is there already.
    #[error("the run directory `{}` exists already; every run needs a name of its own", path.display())]
    Exists {
        /// The run directory.
        path: PathBuf,
    },
    /// Anything else.
    #[error("results cannot go to `{}`", path.display())]
    Other {
        /// The results directory.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl CreateError {
    pub(crate) fn new(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
                Self::NotADirectory { path, source }
            }
            io::ErrorKind::PermissionDenied => Self::Permission { path, source },
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly { path, source },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path, source }
            }
            _ => Self::Other { path, source },
        }
    }
}
