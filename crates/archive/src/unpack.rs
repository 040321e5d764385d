//! A stream becomes a directory.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::OFlags;
use tar::{Archive, EntryType};

use crate::note;

/// What was unpacked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// Regular files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// What could not be unpacked, or was refused, and why.
    pub problems: Vec<String>,
}

/// Unpacks a stream into a directory, which is made if it is not there. Nothing outside of it is
/// touched, whatever the stream says; nothing that is there already is replaced.
///
/// # Errors
///
/// The directory cannot be made. A stream that is damaged or ends early is a problem of
/// [`Unpacked`]: what came before it is kept.
pub fn unpack(from: impl Read, into: &Path) -> io::Result<Unpacked> {
    fs::create_dir_all(into)?;
    let mut unpacked = Unpacked::default();
    let mut made = Made {
        root: into.to_owned(),
        directories: HashSet::from([PathBuf::new()]),
    };
    if let Err(error) = entries(from, &mut made, &mut unpacked) {
        note(
            &mut unpacked.problems,
            format!("the stream of files is damaged or ends early: {error}"),
        );
    }
    Ok(unpacked)
}

fn entries(from: impl Read, made: &mut Made, unpacked: &mut Unpacked) -> io::Result<()> {
    let mut archive = Archive::new(zstd::Decoder::new(from)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let shown = path.display().to_string();
        let Some(path) = inside(&path) else {
            note(
                &mut unpacked.problems,
                format!("{shown}: it does not lie inside and is refused"),
            );
            continue;
        };
        let header = entry.header();
        let mode = header.mode().unwrap_or(0o644) & 0o777;
        let kind = header.entry_type();
        let done = match kind {
            EntryType::Directory => made.directory(&path),
            EntryType::Regular => made.parent(&path).and_then(|()| {
                let mut file = File::options()
                    .write(true)
                    .create_new(true)
                    .mode(mode | 0o600)
                    .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
                    .open(made.root.join(&path))?;
                unpacked.bytes += io::copy(&mut entry, &mut file)?;
                unpacked.files += 1;
                Ok(())
            }),
            EntryType::Symlink => match entry.link_name() {
                Ok(Some(target)) => made
                    .parent(&path)
                    .and_then(|()| std::os::unix::fs::symlink(target, made.root.join(&path))),
                _ => Err(io::Error::other("it is a link to nothing")),
            },
            _ => Err(io::Error::other(
                "it is no file, directory or link and is refused",
            )),
        };
        if let Err(error) = done {
            note(&mut unpacked.problems, format!("{shown}: {error}"));
        }
    }
    Ok(())
}

/// The path if all its parts are plain names.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::RootDir | Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    (!clean.as_os_str().is_empty()).then_some(clean)
}

/// The directories that are known to be real ones and no links to elsewhere.
struct Made {
    root: PathBuf,
    directories: HashSet<PathBuf>,
}

impl Made {
    fn parent(&mut self, path: &Path) -> io::Result<()> {
        self.directory(path.parent().unwrap_or(Path::new("")))
    }

    fn directory(&mut self, path: &Path) -> io::Result<()> {
        if self.directories.contains(path) {
            return Ok(());
        }
        self.parent(path)?;
        let full = self.root.join(path);
        match DirBuilder::new().mode(0o755).create(&full) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                if !fs::symlink_metadata(&full)?.is_dir() {
                    return Err(io::Error::other(
                        "a part of its path is no directory, and it is refused",
                    ));
                }
            }
            other => other?,
        }
        self.directories.insert(path.to_owned());
        Ok(())
    }
}
