//! The files of a session: copies of case directories that were sent, and what tasks leave.
//!
//! ```text
//! <scratch>/flagperf-<user>-<name>/     mode 700, made when it is first needed
//!     lock            held while the agent lives
//!     tree-<n>/       a copy of a case directory
//!     task-<n>/out/   `FLAGPERF_OUT` of a task; fetched, then removed
//! ```
//!
//! All of it may take its time, or for ever where the disk is stuck: it is used by [`filing`](crate::filing)
//! alone, on a thread of its own.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use flagperf_archive::{Links, Unpacker};
use flagperf_wire::{TaskId, TreeId};
use rustix::fs::StatVfsMountFlags;

use crate::scratch::Scratch;

/// The files of a session.
pub(crate) struct SessionFiles {
    /// Where to make the directory.
    place: PathBuf,
    /// What to call it, if that is free.
    name: String,
    made: Option<Scratch>,
    trees: BTreeMap<TreeId, Tree>,
}

/// A directory that was sent.
enum Tree {
    Arriving(Unpacker),
    There(PathBuf),
    Broken(String),
}

impl SessionFiles {
    /// `place` is the directory to work in; absent for the system's own place for temporary files. `name` is what to
    /// call the session's own directory there, if that is free.
    pub(crate) fn new(place: Option<String>, name: String) -> Self {
        Self {
            name,
            place: place.map_or_else(usual_place, PathBuf::from),
            made: None,
            trees: BTreeMap::new(),
        }
    }

    /// A part of a directory.
    pub(crate) fn put(&mut self, tree: TreeId, bytes: Vec<u8>, last: bool) {
        if !self.trees.contains_key(&tree) {
            let begun = match self.directory(&format!("tree-{}", tree.0)) {
                Ok(path) => match Unpacker::new(&path, Links::AsTheyAre) {
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
            Some(Tree::Broken(why)) => Err(format!(
                "the directory that was sent there could not be copied: {why}"
            )),
            Some(Tree::Arriving(_)) | None => {
                Err("the directory that was sent there has not arrived".to_owned())
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
            .map_or(self.place.as_path(), Scratch::path)
            .join(name)
    }

    fn directory(&mut self, name: &str) -> Result<PathBuf, String> {
        let path = self.made()?.join(name);
        fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path)
    }

    fn made(&mut self) -> Result<&Path, String> {
        if self.made.is_none() {
            let made = Scratch::make(&self.place, &self.name)
                .map_err(|error| format!("{}: {error}", self.place.display()))?;
            self.made = Some(made);
        }
        self.made
            .as_ref()
            .map(Scratch::path)
            .ok_or_else(|| "no directory".to_owned())
    }
}

impl Drop for SessionFiles {
    fn drop(&mut self) {
        // Nobody may write into the directory any more when it is removed.
        for tree in std::mem::take(&mut self.trees).into_values() {
            if let Tree::Arriving(unpacker) = tree {
                unpacker.finish();
            }
        }
    }
}

/// The system's place for temporary files: one from which programs can be run, if there is any, since cases build some.
fn usual_place() -> PathBuf {
    let usual = std::env::temp_dir();
    let runs = |place: &Path| {
        rustix::fs::statvfs(place)
            .is_ok_and(|found| !found.f_flag.contains(StatVfsMountFlags::NOEXEC))
    };
    let other = PathBuf::from("/var/tmp");
    if !runs(&usual) && runs(&other) {
        other
    } else {
        usual
    }
}

fn ended(unpacker: Unpacker, path: PathBuf) -> Tree {
    match unpacker.finish().problems.into_iter().next() {
        None => Tree::There(path),
        Some(problem) => Tree::Broken(problem),
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
    fn a_directory_that_is_still_arriving_goes_with_the_session() {
        let from = tempfile::tempdir().unwrap();
        for number in 0..1000 {
            fs::write(from.path().join(number.to_string()), [7; 99]).unwrap();
        }
        let mut packed = Vec::new();
        flagperf_archive::pack(from.path(), &mut packed).unwrap();
        let place = tempfile::tempdir().unwrap();
        let here = place.path().to_str().unwrap().to_owned();
        let mut files = SessionFiles::new(Some(here), String::new());
        files.put(TreeId(1), packed, false);
        let copy = files.path("tree-1");
        // In the middle of it.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while fs::read_dir(&copy).unwrap().count() < 9 {
            assert!(std::time::Instant::now() < deadline);
            std::thread::yield_now();
        }
        drop(files);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_never_came_is_told() {
        let files = SessionFiles::new(None, String::new());
        assert_eq!(
            files.tree(TreeId(1)).unwrap_err(),
            "the directory that was sent there has not arrived"
        );
    }
}
