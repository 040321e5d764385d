//! A directory becomes a stream.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;
use tar::{Builder, EntryType, Header};

use crate::note;

/// The fastest level that still finds what repeats between small files.
const LEVEL: i32 = 1;

/// What was packed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packed {
    /// Regular files.
    pub files: u64,
    /// Their size in bytes.
    pub bytes: u64,
    /// What could not be packed, and why.
    pub problems: Vec<String>,
}

/// Packs all that is in `root`, in the order of names. What cannot be read is named, and the rest goes
/// on.
///
/// # Errors
///
/// `to` cannot be written, or `root` cannot be read at all.
pub fn pack(root: &Path, to: impl Write) -> io::Result<Packed> {
    let mut builder = Builder::new(zstd::Encoder::new(to, LEVEL)?);
    let mut packed = Packed::default();
    directory(&mut builder, root, Path::new(""), &mut packed)?;
    builder.into_inner()?.finish()?.flush()?;
    Ok(packed)
}

fn directory<W: Write>(
    to: &mut Builder<W>,
    root: &Path,
    below: &Path,
    packed: &mut Packed,
) -> io::Result<()> {
    let entries = match fs::read_dir(root.join(below)) {
        Ok(entries) => entries,
        Err(error) if !below.as_os_str().is_empty() => {
            note(
                &mut packed.problems,
                format!("{}: {error}", below.display()),
            );
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort_unstable();
    for name in names {
        let path = below.join(&name);
        let full = root.join(&path);
        let kind = match fs::symlink_metadata(&full) {
            Ok(metadata) => metadata,
            Err(error) => {
                note(&mut packed.problems, format!("{}: {error}", path.display()));
                continue;
            }
        };
        if kind.is_dir() {
            let mut header = header(&kind, EntryType::Directory, 0);
            to.append_data(&mut header, &path, io::empty())?;
            directory(to, root, &path, packed)?;
        } else if kind.is_symlink() {
            match fs::read_link(&full) {
                Ok(target) => {
                    let mut header = header(&kind, EntryType::Symlink, 0);
                    to.append_link(&mut header, &path, target)?;
                }
                Err(error) => note(&mut packed.problems, format!("{}: {error}", path.display())),
            }
        } else if kind.is_file() {
            file(to, &full, &path, packed)?;
        } else {
            note(
                &mut packed.problems,
                format!(
                    "{}: it is no file, directory or link and stays where it is",
                    path.display()
                ),
            );
        }
    }
    Ok(())
}

fn file<W: Write>(
    to: &mut Builder<W>,
    full: &Path,
    path: &Path,
    packed: &mut Packed,
) -> io::Result<()> {
    let opened = File::options()
        .read(true)
        // It may have become a pipe since it was looked at.
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(full)
        .and_then(|file| Ok((file.metadata()?, file)));
    let (metadata, file) = match opened {
        Ok((metadata, file)) if metadata.is_file() => (metadata, file),
        Ok(_) => {
            note(
                &mut packed.problems,
                format!("{}: it changed into something else", path.display()),
            );
            return Ok(());
        }
        Err(error) => {
            note(&mut packed.problems, format!("{}: {error}", path.display()));
            return Ok(());
        }
    };
    let size = metadata.len();
    let mut content = Exactly {
        file,
        left: size,
        trouble: None,
    };
    to.append_data(
        &mut header(&metadata, EntryType::Regular, size),
        path,
        &mut content,
    )?;
    if let Some(trouble) = content.trouble {
        note(
            &mut packed.problems,
            format!("{}: {trouble}", path.display()),
        );
    }
    packed.files += 1;
    packed.bytes += size;
    Ok(())
}

fn header(metadata: &Metadata, kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(metadata.mode() & 0o777);
    header.set_mtime(metadata.mtime().max(0).cast_unsigned());
    header
}

/// As many bytes as the header announced, whatever the file does meanwhile: the stream would be of no
/// use after a file that came out shorter.
struct Exactly {
    file: File,
    left: u64,
    trouble: Option<String>,
}

impl Read for Exactly {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(to.len());
        if most == 0 {
            return Ok(0);
        }
        let to = &mut to[..most];
        let count = match self.file.read(to) {
            Ok(0) => {
                self.trouble.get_or_insert_with(|| {
                    "it became shorter while it was read; the rest is zeros".to_owned()
                });
                to.fill(0);
                most
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => {
                self.trouble
                    .get_or_insert_with(|| format!("{error}; the rest is zeros"));
                to.fill(0);
                most
            }
        };
        self.left -= count as u64;
        Ok(count)
    }
}
