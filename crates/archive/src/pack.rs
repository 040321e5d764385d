//! From a directory to a stream.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};

use crate::changes::{Changes, Changing, is_foreign, unix_lines};
use crate::header::{BLOCK, Entry, Kind, padding, write_entry};
use crate::problems::Problems;

/// Level 1 costs less than the network does; higher levels gain little on logs.
const LEVEL: i32 = 1;

/// What went into an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packed {
    /// Number of regular files and symbolic links.
    pub files: u64,
    /// Bytes of content of the regular files.
    pub bytes: u64,
    /// What is not in the archive, or not whole, in words; at most 21 lines.
    pub problems: Vec<String>,
}

/// Writes everything below a directory as a tar archive in one zstd stream: regular files,
/// directories and symbolic links, with their permissions, in the order of their names.
///
/// Sockets, FIFOs and devices, and what cannot be read, are left out and named. A file that
/// shrinks meanwhile is filled up with zeros and named; one that grows has its first size.
///
/// # Errors
///
/// The directory itself cannot be opened, or the stream cannot be written.
pub fn pack(root: &Path, to: impl Write) -> io::Result<Packed> {
    pack_all(root, None, to)
}

/// As [`pack`], but what is packed differs from the directory by `changes`, and files keep their dates. Links that do
/// not lead to something inside are left out and named too.
///
/// # Errors
///
/// See [`pack`].
pub fn pack_changed(root: &Path, changes: &Changes<'_>, to: impl Write) -> io::Result<Packed> {
    pack_all(root, Some(changes), to)
}

fn pack_all(root: &Path, changes: Option<&Changes<'_>>, to: impl Write) -> io::Result<Packed> {
    let root = rustix::fs::openat(CWD, root, DIRECTORY, Mode::empty())?;
    let mut to = zstd::Encoder::new(to, LEVEL)?;
    to.include_checksum(true)?;
    let mut packer = Packer {
        to,
        changing: changes.map(Changing::new),
        buffer: vec![0; 1 << 16],
        packed: Packed::default(),
        problems: Problems::default(),
        waiting: Vec::new(),
    };
    packer.directory(&root, b"")?;
    // A list of names in the place of recursion: a tree may be deeper than the stack.
    while let Some(name) = packer.waiting.pop() {
        let flags = DIRECTORY | OFlags::NOFOLLOW;
        match rustix::fs::openat(&root, &*name, flags, Mode::empty()) {
            Ok(directory) => packer.directory(&directory, &name)?,
            Err(error) => packer.unreadable(&name, error),
        }
    }
    packer.added()?;
    packer.to.write_all(&[0; 2 * BLOCK])?;
    packer.to.finish()?.flush()?;
    packer.packed.problems = packer.problems.into_texts();
    Ok(packer.packed)
}

const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::CLOEXEC);

struct Packer<'c, W: Write> {
    to: zstd::Encoder<'static, W>,
    changing: Option<Changing<'c>>,
    buffer: Vec<u8>,
    packed: Packed,
    problems: Problems,
    /// Directories still to be read.
    waiting: Vec<Vec<u8>>,
}

impl<W: Write> Packer<'_, W> {
    fn unreadable(&mut self, name: &[u8], error: rustix::io::Errno) {
        self.problems
            .add(name, format_args!("cannot be read: {error}"));
    }

    /// Writes a directory and what lies in it; directories in it wait for their turn.
    fn directory(&mut self, directory: &OwnedFd, name: &[u8]) -> io::Result<()> {
        if !name.is_empty() {
            let mode = rustix::fs::fstat(directory).map_or(0o755, |stat| stat.st_mode);
            self.entry(Kind::Directory, name, &[], mode, 0, 0)?;
        }
        let mut names = Vec::new();
        match Dir::read_from(directory) {
            Err(error) => self.unreadable(name, error),
            Ok(entries) => {
                for entry in entries {
                    match entry {
                        Ok(entry) => {
                            names.push((entry.file_name().to_owned(), entry.file_type()));
                        }
                        Err(error) => {
                            self.unreadable(name, error);
                            break;
                        }
                    }
                }
            }
        }
        names.retain(|(own, _)| !matches!(own.to_bytes(), b"." | b".."));
        names.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let first_waiting = self.waiting.len();
        for (own, mut kind) in names {
            let mut path = Vec::with_capacity(name.len() + 1 + own.as_bytes().len());
            if !name.is_empty() {
                path.extend_from_slice(name);
                path.push(b'/');
            }
            path.extend_from_slice(own.as_bytes());
            if self
                .changing
                .as_ref()
                .is_some_and(|changing| changing.leaves_out(&path))
            {
                continue;
            }
            if kind == FileType::Unknown {
                match rustix::fs::statat(directory, &own, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => kind = FileType::from_raw_mode(stat.st_mode),
                    Err(error) => {
                        self.unreadable(&path, error);
                        continue;
                    }
                }
            }
            if let Some(changing) = &mut self.changing
                && changing.replaces(&path, directory, &own)
            {
                continue;
            }
            match kind {
                FileType::Directory => self.waiting.push(path),
                FileType::Symlink => match rustix::fs::readlinkat(directory, &own, Vec::new()) {
                    Ok(target)
                        if self.changing.is_some() && is_foreign(&path, target.as_bytes()) =>
                    {
                        let target = String::from_utf8_lossy(target.as_bytes()).into_owned();
                        let what = format_args!(
                            "is left out: it is a link to {target:?}, which is not inside"
                        );
                        self.problems.add(&path, what);
                    }
                    Ok(target) => {
                        self.entry(Kind::Link, &path, target.as_bytes(), 0o777, 0, 0)?;
                        self.packed.files += 1;
                    }
                    Err(error) => self.unreadable(&path, error),
                },
                FileType::RegularFile => {
                    // The name may have come to mean something else: a FIFO must not block.
                    let flags =
                        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                    match rustix::fs::openat(directory, &own, flags, Mode::empty()) {
                        Ok(file) => self.file(file, &path)?,
                        Err(error) => self.unreadable(&path, error),
                    }
                }
                other => self.left_out(&path, other),
            }
        }
        self.waiting[first_waiting..].reverse();
        Ok(())
    }

    fn left_out(&mut self, path: &[u8], kind: FileType) {
        let what = match kind {
            FileType::Socket => "a socket",
            FileType::Fifo => "a FIFO",
            _ => "a device",
        };
        self.problems
            .add(path, format_args!("is {what} and left out"));
    }

    fn file(&mut self, file: OwnedFd, path: &[u8]) -> io::Result<()> {
        let stat = match rustix::fs::fstat(&file) {
            Ok(stat) => stat,
            Err(error) => {
                self.unreadable(path, error);
                return Ok(());
            }
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        if kind != FileType::RegularFile {
            self.left_out(path, kind);
            return Ok(());
        }
        let mut file = std::fs::File::from(file);
        let size = stat.st_size as u64;
        let changed = match &self.changing {
            Some(changing) if changing.has_unix_lines(path) => {
                let mut text = Vec::new();
                if let Err(error) = file.read_to_end(&mut text) {
                    self.problems
                        .add(path, format_args!("cannot be read: {error}"));
                    return Ok(());
                }
                return self.text(path, stat.st_mode, &unix_lines(&text));
            }
            Some(_) => stat.st_mtime as u64,
            None => 0,
        };
        self.entry(Kind::File, path, &[], stat.st_mode, changed, size)?;
        self.content(file, path, size)?;
        self.packed.files += 1;
        self.packed.bytes += size;
        Ok(())
    }

    /// Writes a file that is there in full.
    fn text(&mut self, path: &[u8], mode: u32, text: &[u8]) -> io::Result<()> {
        let size = text.len() as u64;
        self.entry(Kind::File, path, &[], mode, 0, size)?;
        self.content(text, path, size)?;
        self.packed.files += 1;
        self.packed.bytes += size;
        Ok(())
    }

    /// Writes the files that take the place of others, or are new.
    fn added(&mut self) -> io::Result<()> {
        let added = self.changing.as_ref().map(Changing::added);
        for (path, mode, text) in added.unwrap_or_default() {
            self.text(path.as_bytes(), mode, text.as_bytes())?;
        }
        Ok(())
    }

    /// Writes exactly `size` bytes of a file, whatever happens to it, and fills up the block.
    fn content(&mut self, mut file: impl Read, path: &[u8], size: u64) -> io::Result<()> {
        let mut left = size;
        while left > 0 {
            let most = self
                .buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            match file.read(&mut self.buffer[..most]) {
                Ok(0) => {
                    let what = format_args!(
                        "shrank while it was read; its last {left} of {size} bytes are zeros"
                    );
                    self.problems.add(path, what);
                    break;
                }
                Ok(count) => {
                    self.to.write_all(&self.buffer[..count])?;
                    left -= count as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let what = format_args!(
                        "cannot be read on: {error}; its last {left} of {size} bytes are zeros"
                    );
                    self.problems.add(path, what);
                    break;
                }
            }
        }
        let fill = left + padding(size) as u64;
        io::copy(&mut io::repeat(0).take(fill), &mut self.to)?;
        Ok(())
    }

    fn entry(
        &mut self,
        kind: Kind,
        name: &[u8],
        target: &[u8],
        mode: u32,
        changed: u64,
        size: u64,
    ) -> io::Result<()> {
        let entry = Entry {
            kind,
            name: name.to_vec(),
            target: target.to_vec(),
            mode,
            changed,
            size,
        };
        write_entry(&mut self.to, &entry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::unpack;

    #[test]
    fn a_file_that_shrinks_or_fails_does_not_break_the_stream() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is on fire"))
            }
        }
        let mut packer = Packer {
            to: zstd::Encoder::new(Vec::new(), LEVEL).unwrap(),
            changing: None,
            buffer: vec![0; 100],
            packed: Packed::default(),
            problems: Problems::default(),
            waiting: Vec::new(),
        };
        let (name, next, last): (&[u8], &[u8], &[u8]) = (b"shrinks", b"fails", b"whole");
        packer.entry(Kind::File, name, &[], 0o644, 0, 1000).unwrap();
        packer.content(&[7; 600][..], name, 1000).unwrap();
        packer.entry(Kind::File, next, &[], 0o644, 0, 3).unwrap();
        packer.content(Failing, next, 3).unwrap();
        packer.entry(Kind::File, last, &[], 0o644, 0, 3).unwrap();
        // One that grows has the size it had.
        packer.content(&[1; 9][..], last, 3).unwrap();
        packer.to.write_all(&[0; 2 * BLOCK]).unwrap();
        let stream = packer.to.finish().unwrap();
        assert_eq!(
            packer.problems.into_texts(),
            [
                "`shrinks` shrank while it was read; its last 400 of 1000 bytes are zeros",
                "`fails` cannot be read on: the disk is on fire; its last 3 of 3 bytes are zeros"
            ]
        );
        let into = tempfile::tempdir().unwrap();
        let unpacked = unpack(&stream[..], into.path()).unwrap();
        assert_eq!((unpacked.files, unpacked.bytes), (3, 1006));
        let read = |name| std::fs::read(into.path().join(name)).unwrap();
        assert_eq!(read("shrinks"), [vec![7; 600], vec![0; 400]].concat());
        assert_eq!((read("fails"), read("whole")), (vec![0; 3], vec![1; 3]));
    }
}
