//! How what is packed differs from the directory that it is made of.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, FileType};

use crate::tree::leads_out;

/// In front of a name that is left out wherever it stands.
const ANYWHERE: &str = "**/";

/// Permissions of a file that the directory does not have.
const USUAL: u32 = 0o644;

/// How what is packed differs from the directory. Paths are relative to it, with `/` between their parts.
#[derive(Debug, Clone, Copy)]
pub struct Changes<'a> {
    /// Files and directories that are left out, with all that is in them; `**/NAME` means every one of that name.
    pub without: &'a [String],
    /// Files that have another content, or that the directory does not have.
    pub files: &'a BTreeMap<String, String>,
    /// Files whose lines end in CR LF there, and in LF in what is packed.
    pub unix_lines: &'a [String],
}

/// The same, for looking up one path after the other.
pub(crate) struct Changing<'a> {
    without: HashSet<&'a [u8]>,
    anywhere: HashSet<&'a [u8]>,
    /// Text and permissions.
    files: BTreeMap<&'a str, (&'a str, u32)>,
    by_bytes: HashMap<&'a [u8], &'a str>,
    unix_lines: HashSet<&'a [u8]>,
}

impl<'a> Changing<'a> {
    pub(crate) fn new(changes: &Changes<'a>) -> Self {
        let mut without = HashSet::new();
        let mut anywhere = HashSet::new();
        for path in changes.without {
            match path.strip_prefix(ANYWHERE) {
                Some(name) => anywhere.insert(plain(name).as_bytes()),
                None => without.insert(plain(path).as_bytes()),
            };
        }
        let files = changes.files.iter();
        let files: BTreeMap<_, _> = files
            .map(|(path, text)| (plain(path), (text.as_str(), USUAL)))
            .collect();
        Self {
            without,
            anywhere,
            by_bytes: files.keys().map(|path| (path.as_bytes(), *path)).collect(),
            files,
            unix_lines: changes
                .unix_lines
                .iter()
                .map(|path| plain(path).as_bytes())
                .collect(),
        }
    }

    pub(crate) fn leaves_out(&self, path: &[u8]) -> bool {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
        self.without.contains(path) || self.anywhere.contains(name)
    }

    /// True if another file comes in the place of what lies there. It gets the permissions of a file.
    pub(crate) fn replaces(&mut self, path: &[u8], directory: &OwnedFd, own: &CStr) -> bool {
        let Some(path) = self.by_bytes.get(path) else {
            return false;
        };
        let found = rustix::fs::statat(directory, own, AtFlags::SYMLINK_NOFOLLOW);
        if let (Some((_, mode)), Ok(found)) = (self.files.get_mut(path), found)
            && FileType::from_raw_mode(found.st_mode) == FileType::RegularFile
        {
            *mode = found.st_mode;
        }
        true
    }

    pub(crate) fn has_unix_lines(&self, path: &[u8]) -> bool {
        self.unix_lines.contains(path)
    }

    /// Files that take the place of others, or are new: path, permissions, text.
    pub(crate) fn added(&self) -> Vec<(&'a str, u32, &'a str)> {
        let files = self.files.iter();
        files
            .map(|(path, (text, mode))| (*path, *mode, *text))
            .collect()
    }
}

/// A path as it is found in a directory.
fn plain(path: &str) -> &str {
    path.trim_start_matches("./").trim_matches('/')
}

/// The same text with CR LF as LF.
pub(crate) fn unix_lines(text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len());
    for (place, byte) in text.iter().enumerate() {
        if *byte != b'\r' || text.get(place + 1) != Some(&b'\n') {
            lines.push(*byte);
        }
    }
    lines
}

/// True if a link does not lead to something inside.
pub(crate) fn is_foreign(path: &[u8], target: &[u8]) -> bool {
    let depth = path.split(|byte| *byte == b'/').count() - 1;
    leads_out(depth, target)
}
