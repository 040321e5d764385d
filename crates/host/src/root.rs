//! The injected root of the file system, and files held open below it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Where `/proc` and `/sys` are looked for: `/` on a real machine, a made-up tree in tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root(PathBuf);

impl Root {
    /// A root at a path.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// True for the machine that this program runs on, where system calls tell the same story as
    /// the files.
    pub(crate) fn is_this_machine(&self) -> bool {
        self.0 == Path::new("/")
    }

    /// The real path of a path below the root; a leading slash is ignored.
    pub(crate) fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        let below = below.as_ref();
        self.0.join(below.strip_prefix("/").unwrap_or(below))
    }

    /// A whole file of whatever size.
    pub(crate) fn bytes(&self, below: impl AsRef<Path>) -> Option<Vec<u8>> {
        fs::read(self.path(below)).ok()
    }

    /// A whole file as text, with space and NULs at the ends taken off; absent when empty or
    /// unreadable. Device-tree files end in a NUL.
    pub(crate) fn text(&self, below: impl AsRef<Path>) -> Option<String> {
        let bytes = self.bytes(below)?;
        let text = String::from_utf8_lossy(&bytes);
        let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\0');
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// A file that holds one whole number.
    pub(crate) fn number(&self, below: impl AsRef<Path>) -> Option<u64> {
        self.text(below)?.parse().ok()
    }

    /// Whether something is there.
    pub(crate) fn exists(&self, below: impl AsRef<Path>) -> bool {
        self.path(below).exists()
    }

    /// The names in a directory, in natural order (`cpu2` before `cpu10`). Empty when there is no
    /// such directory.
    pub(crate) fn names(&self, below: impl AsRef<Path>) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(below)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort_by(|a, b| natural(a).cmp(&natural(b)));
        names
    }

    /// Opens a file for repeated reading, after one reading as a proof that it can be read.
    /// The error is a reason for people: `permission denied: /sys/…`.
    pub(crate) fn hold(&self, below: impl AsRef<Path>) -> Result<Held, String> {
        let below = below.as_ref();
        let reason = |error: &io::Error| reason(below, error);
        let held = Held {
            file: File::open(self.path(below)).map_err(|e| reason(&e))?,
        };
        let mut probe = [0; 256];
        held.read_at(&mut probe, 0).map_err(|e| reason(&e))?;
        Ok(held)
    }
}

/// Why a file below the root cannot be read, in words.
fn reason(below: &Path, error: &io::Error) -> String {
    let path = Path::new("/").join(below);
    let path = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!("{path} does not exist"),
        ErrorKind::PermissionDenied => format!("permission denied: {path}"),
        _ => format!("{path} cannot be read: {error}"),
    }
}

/// A sort key that splits a name into its text and its trailing number.
fn natural(name: &str) -> (&str, u64, &str) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (stem, name[stem.len()..].parse().unwrap_or(0), name)
}

/// The last part of a path that a symbolic link points to.
pub(crate) fn link_name(path: &Path) -> Option<String> {
    let target = fs::read_link(path).ok()?;
    target
        .file_name()
        .and_then(OsStr::to_str)
        .map(str::to_owned)
}

/// A buffer that every reading of a monitor goes through, so that sampling does not allocate.
#[derive(Debug)]
pub(crate) struct Scratch(Vec<u8>);

impl Scratch {
    /// Enough for every single file of an ordinary machine; it grows where one is larger.
    pub(crate) fn new() -> Self {
        Self(vec![0; 16 * 1024])
    }
}

/// Nothing read here is larger; `/proc/stat` of 8192 processors stays below 2 MiB.
const LARGEST: usize = 4 << 20;

/// A file that is open and is read again and again from its beginning.
#[derive(Debug)]
pub(crate) struct Held {
    file: File,
}

impl Held {
    /// Content of a file that the kernel makes in one piece: everything in sysfs, control group
    /// files, `/proc/stat`, `/proc/meminfo`. A reading shorter than the buffer is the whole of it,
    /// which saves the second system call that finds the end. `None` when the reading fails.
    pub(crate) fn read<'s>(&self, scratch: &'s mut Scratch) -> Option<&'s [u8]> {
        self.fill(scratch, false)
    }

    /// Content of a file that the kernel hands out page by page: `/proc/diskstats`,
    /// `/proc/net/dev`. Reads until nothing more comes.
    pub(crate) fn read_to_end<'s>(&self, scratch: &'s mut Scratch) -> Option<&'s [u8]> {
        self.fill(scratch, true)
    }

    /// The first bytes of a file, at most as many as asked for and in one system call.
    pub(crate) fn read_start<'s>(&self, scratch: &'s mut Scratch, most: usize) -> Option<&'s [u8]> {
        if scratch.0.len() < most {
            scratch.0.resize(most.min(LARGEST), 0);
        }
        let most = most.min(scratch.0.len());
        let read = self.read_at(&mut scratch.0[..most], 0).ok()?;
        Some(&scratch.0[..read])
    }

    fn fill<'s>(&self, scratch: &'s mut Scratch, to_end: bool) -> Option<&'s [u8]> {
        let mut length = 0;
        loop {
            let read = self.read_at(&mut scratch.0[length..], length as u64).ok()?;
            length += read;
            let full = length == scratch.0.len();
            if read == 0 || !(full || to_end) || (full && length >= LARGEST) {
                return Some(&scratch.0[..length]);
            }
            if full {
                scratch.0.resize(length * 2, 0);
            }
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, offset) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn names_come_in_natural_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["cpu10", "cpu2", "cpu", "online"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(
            Root::new(dir.path()).names("/"),
            ["cpu", "cpu2", "cpu10", "online"]
        );
    }

    #[test]
    fn a_large_file_is_read_whole_and_the_buffer_grows() {
        let dir = tempfile::tempdir().unwrap();
        let content: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        fs::write(dir.path().join("f"), &content).unwrap();
        let held = Root::new(dir.path()).hold("f").unwrap();
        for _ in 0..2 {
            let mut scratch = Scratch::new();
            assert_eq!(held.read(&mut scratch).unwrap(), content);
            assert_eq!(held.read_to_end(&mut scratch).unwrap(), content);
            assert_eq!(held.read_start(&mut scratch, 10).unwrap(), &content[..10]);
        }
    }

    #[test]
    fn reasons_name_the_path_without_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::new(dir.path());
        assert_eq!(
            root.hold("proc/stat").unwrap_err(),
            "/proc/stat does not exist"
        );
        fs::create_dir(dir.path().join("energy_uj")).unwrap();
        let reason = root.hold("energy_uj").unwrap_err();
        assert!(
            reason.starts_with("/energy_uj cannot be read: "),
            "{reason}"
        );
        let denied = io::Error::from(ErrorKind::PermissionDenied);
        assert_eq!(
            super::reason(Path::new("sys/x"), &denied),
            "permission denied: /sys/x"
        );
    }

    #[test]
    fn a_file_of_the_kernel_that_goes_away_gives_nothing() {
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let held = Root::new("/")
            .hold(format!("proc/{}/stat", child.id()))
            .unwrap();
        let mut scratch = Scratch::new();
        assert!(held.read(&mut scratch).is_some());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(held.read(&mut scratch).is_none());
    }
}
