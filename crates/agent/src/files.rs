//! The files of a session: copies of case directories that were sent, and what tasks leave.
//!
//! ```text
//! <scratch>/flagperf-<user>-<pid>-<time>/     mode 700, made when it is first needed
//!     lock            held while the agent lives
//!     tree-<n>/       a copy of a case directory
//!     task-<n>/out/   `FLAGPERF_OUT` of a task; fetched, then removed
//! ```
//!
//! It is removed when the agent leaves. What a killed agent left is removed by the next one of the
//! same user that works in the same place: nobody holds its lock any more.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use flagperf_archive::Unpacker;
use flagperf_wire::{TaskId, TreeId};
use rustix::fs::FlockOperation;

/// First part of the names of such directories.
const PREFIX: &str = "flagperf-";

/// Name of the file whose lock shows that the agent lives.
const LOCK: &str = "lock";

/// The files of a session.
pub(crate) struct SessionFiles {
    /// Where to make the directory.
    place: PathBuf,
    made: Option<Made>,
    trees: BTreeMap<TreeId, Tree>,
}

struct Made {
    path: PathBuf,
    /// Closing it gives up the lock.
    _lock: File,
}

/// A directory that was sent.
enum Tree {
    Arriving(Unpacker),
    There(PathBuf),
    Broken(String),
}

impl SessionFiles {
    /// `place` is the directory to work in; absent for the system's own place for temporary files.
    pub(crate) fn new(place: Option<String>) -> Self {
        Self {
            place: place.map_or_else(std::env::temp_dir, PathBuf::from),
            made: None,
            trees: BTreeMap::new(),
        }
    }

    /// A part of a directory.
    pub(crate) fn put(&mut self, tree: TreeId, bytes: Vec<u8>, last: bool) {
        if !self.trees.contains_key(&tree) {
            let begun = match self.directory(&format!("tree-{}", tree.0)) {
                Ok(path) => match Unpacker::new(&path) {
                    Ok(unpacker) => Tree::Arriving(unpacker),
                    Err(error) => Tree::Broken(error.to_string()),
                },
                Err(error) => Tree::Broken(error),
            };
            self.trees.insert(tree, begun);
        }
        if let Some(Tree::Arriving(unpacker)) = self.trees.get_mut(&tree) {
            unpacker.push(bytes);
        }
        if last && let Some(Tree::Arriving(_)) = self.trees.get(&tree) {
            let path = self.path(&format!("tree-{}", tree.0));
            if let Some(Tree::Arriving(unpacker)) = self.trees.remove(&tree) {
                self.trees.insert(tree, ended(unpacker, path));
            }
        }
    }

    /// Where the copy of a directory lies.
    pub(crate) fn tree(&self, tree: TreeId) -> Result<&Path, String> {
        match self.trees.get(&tree) {
            Some(Tree::There(path)) => Ok(path),
            Some(Tree::Broken(why)) => {
                Err(format!("the case's directory could not be copied: {why}"))
            }
            Some(Tree::Arriving(_)) | None => {
                Err("the case's directory has not arrived".to_owned())
            }
        }
    }

    /// Makes the directory for what a task leaves.
    pub(crate) fn make_out(&mut self, task: TaskId) -> Result<PathBuf, String> {
        self.directory(&format!("task-{}/out", task.0))
    }

    /// Where that is.
    pub(crate) fn out(&self, task: TaskId) -> PathBuf {
        self.path(&format!("task-{}/out", task.0))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.made
            .as_ref()
            .map_or_else(|| self.place.clone(), |made| made.path.clone())
            .join(name)
    }

    fn directory(&mut self, name: &str) -> Result<PathBuf, String> {
        let path = self.made()?.join(name);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    fn made(&mut self) -> Result<&Path, String> {
        if self.made.is_none() {
            let made =
                make(&self.place).map_err(|error| format!("{}: {error}", self.place.display()))?;
            self.made = Some(made);
        }
        self.made
            .as_ref()
            .map(|made| made.path.as_path())
            .ok_or_else(|| "no directory".to_owned())
    }
}

impl Drop for SessionFiles {
    fn drop(&mut self) {
        if let Some(made) = self.made.take() {
            let _ = fs::remove_dir_all(&made.path);
        }
    }
}

fn ended(unpacker: Unpacker, path: PathBuf) -> Tree {
    match unpacker.finish().problems.into_iter().next() {
        None => Tree::There(path),
        Some(problem) => Tree::Broken(problem),
    }
}

fn make(place: &Path) -> io::Result<Made> {
    let user = rustix::process::getuid().as_raw();
    let own = format!("{PREFIX}{user}-");
    remove_left_behind(place, &own);
    let mono = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let name = format!("{own}{}-{}", std::process::id(), mono.tv_nsec);
    let path = place.join(name);
    DirBuilder::new().mode(0o700).create(&path)?;
    let lock = File::create(path.join(LOCK));
    let lock = lock.and_then(|lock| {
        rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(lock)
    });
    match lock {
        Ok(lock) => Ok(Made { path, _lock: lock }),
        Err(error) => {
            let _ = fs::remove_dir_all(&path);
            Err(error)
        }
    }
}

/// Removes what agents of this user left that nobody could end in order.
fn remove_left_behind(place: &Path, own: &str) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(own);
        let path = entry.path();
        // A directory without a lock file is being made this very moment, or is none of ours.
        if is_ours
            && let Ok(lock) = File::open(path.join(LOCK))
            && rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// True if there is anything in the directory.
pub(crate) fn has_files(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_goes_with_the_session_and_what_a_killed_one_left_goes_too() {
        let place = tempfile::tempdir().unwrap();
        let names = || fs::read_dir(place.path()).unwrap().count();
        let here = Some(place.path().to_str().unwrap().to_owned());
        let user = rustix::process::getuid().as_raw();
        let left = place.path().join(format!("{PREFIX}{user}-1-2"));
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        let mut files = SessionFiles::new(here.clone());
        assert_eq!(names(), 1, "nothing is made before it is needed");
        let out = files.make_out(TaskId(3)).unwrap();
        assert!(out.ends_with("task-3/out") && out.is_dir());
        assert!(!left.exists(), "what a killed agent left is gone");
        let mut other = SessionFiles::new(here);
        other.make_out(TaskId(1)).unwrap();
        assert!(out.is_dir(), "what a living agent has stays");
        drop((files, other));
        assert_eq!(names(), 0);
    }

    #[test]
    fn a_directory_that_never_came_is_told() {
        let files = SessionFiles::new(None);
        assert_eq!(
            files.tree(TreeId(1)).unwrap_err(),
            "the case's directory has not arrived"
        );
    }
}
