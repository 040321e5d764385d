//! Reading a tree: names in a directory, and small text files.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::TreeProblem;

/// A file that is read for what it says and is longer than this is not what it seems, in bytes.
const LONGEST: u64 = 4 << 20;

/// The directories in a directory, by name; links to directories are some. None where it does not exist.
/// Hidden ones and those whose names are no text are passed over: no case can be called so.
pub(super) fn directories(path: &Path) -> Result<Vec<String>, TreeProblem> {
    names(path, Path::is_dir)
}

/// The files in a directory, by name, in the same way.
pub(super) fn files(path: &Path) -> Result<Vec<String>, TreeProblem> {
    names(path, Path::is_file)
}

fn names(path: &Path, wanted: impl Fn(&Path) -> bool) -> Result<Vec<String>, TreeProblem> {
    let unreadable = |source| TreeProblem::Unreadable {
        path: path.to_owned(),
        source,
    };
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(unreadable)?;
        if let Ok(name) = entry.file_name().into_string()
            && !name.starts_with('.')
            && name != "__pycache__"
            && wanted(&entry.path())
        {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a file; bytes that are none are replaced. Absent where there is no such file.
pub(super) fn text(path: &Path) -> Result<Option<String>, TreeProblem> {
    let unreadable = |source| TreeProblem::Unreadable {
        path: path.to_owned(),
        source,
    };
    if !path.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
        .map_err(unreadable)?;
    if bytes.len() as u64 > LONGEST {
        return Err(unreadable(io::Error::other("it is longer than 4 MiB")));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

/// True for the name of a shell script.
pub(super) fn is_script(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "sh")
}
