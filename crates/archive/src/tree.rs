//! Making files below a directory and nowhere else.
//!
//! Every directory on the way to a name is opened from the one above it and without following
//! links. However the tree looks, and whoever changes it meanwhile, the way cannot lead outside.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::Links;

#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
    /// The directory that was used last: archives hold the files of a directory one after another.
    last: Option<(Vec<u8>, OwnedFd)>,
    /// Permissions that directories get at the end; until then files go into them.
    modes: Vec<(Vec<u8>, u32)>,
}

/// Why a name is not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("is refused: it is an absolute path")]
    Absolute,
    #[error("is refused: it has `..` in its path")]
    Climbs,
    #[error("is refused: it is no name")]
    Empty,
    #[error("is refused: a part of its path is a symbolic link or no directory")]
    NoDirectory,
    #[error("is refused: it is there already")]
    Exists,
    #[error("is refused: it is a link that leads out of the directory")]
    LeadsOut,
    #[error("cannot be written: {0}")]
    System(#[from] io::Error),
}

impl From<Errno> for Refused {
    fn from(error: Errno) -> Self {
        match error {
            Errno::LOOP | Errno::NOTDIR => Self::NoDirectory,
            Errno::EXIST => Self::Exists,
            other => Self::System(other.into()),
        }
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// Of directories that an archive does not mention, and of the others until the end.
const OPEN: Mode = Mode::RWXU;

impl Tree {
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        // The caller chose this one, so that it may well be a link.
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        Ok(Self {
            root: rustix::fs::openat(CWD, root, flags, Mode::empty())?,
            last: None,
            modes: Vec::new(),
        })
    }

    /// Makes an empty file.
    pub(crate) fn file(&mut self, name: &[u8], mode: u32) -> Result<File, Refused> {
        let (above, own) = split(name)?;
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.directory(&above)?, own, flags, Mode::RUSR)?;
        // After the fact, because the process's mask would take its share of it.
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode & 0o777))?;
        Ok(file.into())
    }

    /// Makes a directory, or takes the one that is there.
    pub(crate) fn make_directory(&mut self, name: &[u8], mode: u32) -> Result<(), Refused> {
        let (mut parts, own) = split(name)?;
        parts.push(own);
        self.directory(&parts)?;
        // What cannot be listed cannot be read or removed by the owner of the record either.
        self.modes.push((parts.join(&b'/'), mode & 0o777 | 0o700));
        Ok(())
    }

    /// Makes a symbolic link; where that matters, only one that leads to something inside.
    ///
    /// There `..` is taken only at the beginning of the target: behind a name, which may be a link
    /// itself, it could lead anywhere.
    pub(crate) fn link(&mut self, name: &[u8], target: &[u8], links: Links) -> Result<(), Refused> {
        let (above, own) = split(name)?;
        if links == Links::Inside && leads_out(above.len(), target) {
            return Err(Refused::LeadsOut);
        }
        let directory = self.directory(&above)?;
        Ok(rustix::fs::symlinkat(target, directory, own)?)
    }

    /// Gives the directories their permissions. Returns those that could not have theirs.
    pub(crate) fn finish(mut self) -> Vec<(Vec<u8>, Refused)> {
        let mut refused = Vec::new();
        // What is inside comes first: afterwards the way may be closed.
        for (name, mode) in std::mem::take(&mut self.modes).into_iter().rev() {
            let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
            let result = self.directory(&parts).and_then(|directory| {
                Ok(rustix::fs::fchmod(directory, Mode::from_raw_mode(mode))?)
            });
            if let Err(error) = result {
                refused.push((name, error));
            }
        }
        refused
    }

    /// The directory with this path, made if it is not there.
    fn directory(&mut self, parts: &[&[u8]]) -> Result<&OwnedFd, Refused> {
        if parts.is_empty() {
            return Ok(&self.root);
        }
        let name = parts.join(&b'/');
        let known = self.last.take_if(|(last, _)| *last == name);
        let opened = match known {
            Some((_, known)) => known,
            None => self.walk(parts)?,
        };
        Ok(&self.last.insert((name, opened)).1)
    }

    fn walk(&self, parts: &[&[u8]]) -> Result<OwnedFd, Refused> {
        let mut at: Option<OwnedFd> = None;
        for part in parts {
            let above = at.as_ref().unwrap_or(&self.root);
            let next = match rustix::fs::openat(above, *part, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) => {
                    rustix::fs::mkdirat(above, *part, OPEN)?;
                    rustix::fs::openat(above, *part, DIRECTORY, Mode::empty())?
                }
                other => other?,
            };
            at = Some(next);
        }
        at.ok_or(Refused::Empty)
    }
}

/// True if a link so many directories below the root leads out of it, or may.
pub(crate) fn leads_out(depth: usize, target: &[u8]) -> bool {
    let mut parts = target
        .split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."));
    // The first part that is no `..` goes with them, and is none of those that may not climb.
    let climbs = parts.by_ref().take_while(|part| *part == b"..").count();
    let climbs_again = parts.any(|part| part == b"..");
    target.starts_with(b"/") || climbs > depth || climbs_again
}

/// The directories on the way to a name, and the name itself.
fn split(name: &[u8]) -> Result<(Vec<&[u8]>, &[u8]), Refused> {
    if name.starts_with(b"/") {
        return Err(Refused::Absolute);
    }
    let mut parts: Vec<&[u8]> = name
        .split(|byte| *byte == b'/')
        .filter(|part| !matches!(*part, b"" | b"."))
        .collect();
    if parts.contains(&&b".."[..]) {
        return Err(Refused::Climbs);
    }
    let own = parts.pop().ok_or(Refused::Empty)?;
    Ok((parts, own))
}
