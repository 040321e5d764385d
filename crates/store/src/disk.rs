//! Writing to a disk that may fill up or fail: appending, replacing, and a reserve of space that
//! is given up so that the end of a record still fits.
//!
//! Errors end here: they become problems in words, and the run goes on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Name of the file that holds space for the end of the record.
pub(crate) const RESERVE: &str = ".reserve";
/// Least size of the reserve: `run.json` of a dozen cases, twice, and some hundred events.
const RESERVE_BYTES: u64 = 512 << 10;

/// What a file that is replaced must survive. Syncing costs some milliseconds each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of this process at any moment.
    Process,
    /// The end of the machine's power at any moment.
    Power,
}

/// State of the disk that a run is recorded on.
#[derive(Debug)]
pub(crate) struct Disk {
    directory: PathBuf,
    reserve_bytes: u64,
    reserved: bool,
    /// Set when the disk has run full: what still fits belongs to `run.json` and the events.
    full: bool,
    problems: Vec<String>,
}

impl Disk {
    /// Writes the first file of the record and takes the reserve: 512 KiB, or four times that
    /// file if that is more.
    pub(crate) fn create(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<Self> {
        replace(&directory.join(name), bytes, Durability::Process)?;
        Self::open(directory, bytes.len())
    }

    /// Takes the reserve for a record that is there already and is `length` bytes long.
    pub(crate) fn open(directory: &Path, length: usize) -> io::Result<Self> {
        let mut disk = Self {
            directory: directory.to_owned(),
            reserve_bytes: RESERVE_BYTES.max(4 * length as u64),
            reserved: false,
            full: false,
            problems: Vec::new(),
        };
        disk.take_reserve()?;
        Ok(disk)
    }

    fn take_reserve(&mut self) -> io::Result<()> {
        let path = self.directory.join(RESERVE);
        let file = File::create(&path)?;
        let result = rustix::fs::fallocate(
            &file,
            rustix::fs::FallocateFlags::empty(),
            0,
            self.reserve_bytes,
        )
        .map_err(io::Error::from)
        .or_else(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Err(error),
            // The file system cannot preallocate: write the bytes.
            _ => (&file).write_all(&vec![0x5a; self.reserve_bytes as usize]),
        });
        if result.is_err() {
            drop(fs::remove_file(&path));
        }
        self.reserved = result.is_ok();
        result
    }

    /// Gives the reserve back to the disk. True if there was one.
    fn release(&mut self) -> bool {
        std::mem::take(&mut self.reserved) && fs::remove_file(self.directory.join(RESERVE)).is_ok()
    }

    /// Called between cases: if the disk has room for the reserve again, recording goes on in full.
    pub(crate) fn recover(&mut self) {
        if self.full && (self.reserved || self.take_reserve().is_ok()) {
            self.full = false;
        }
    }

    /// The run is over: nothing needs the reserve any more.
    pub(crate) fn close(&mut self) {
        self.release();
    }

    /// True if what still fits belongs to `run.json` and the events.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    pub(crate) fn problem(&mut self, text: String) {
        if !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }

    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }

    /// Remembers that a file could not be written.
    pub(crate) fn lost(&mut self, name: &str, error: &io::Error) {
        self.problem(format!("`{name}` is not complete: {}", plain(error)));
    }

    /// Notes a full disk. True if room was made, so that trying again is worth it.
    fn make_room(&mut self, error: &io::Error) -> bool {
        let full = matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        );
        self.full |= full;
        full && self.release()
    }

    /// Replaces a file of the run directory in one step: a reader sees the old or the new content,
    /// never a mixture.
    pub(crate) fn replace(&mut self, name: &str, bytes: &[u8], durability: Durability) {
        let path = self.directory.join(name);
        let result = replace(&path, bytes, durability).or_else(|error| {
            if self.make_room(&error) {
                replace(&path, bytes, durability)
            } else {
                Err(error)
            }
        });
        if let Err(error) = result {
            self.problem(format!(
                "`{name}` could not be brought up to date: {}",
                plain(&error)
            ));
        }
    }
}

/// What an operating system's error means, in words.
pub(crate) fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::StorageFull => "no space left on the disk".into(),
        io::ErrorKind::QuotaExceeded => "the disk quota is used up".into(),
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        _ => error.to_string(),
    }
}

/// Writes a file under a temporary name and renames it; syncs both where the power may fail.
fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let result = (|| {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        if durability == Durability::Process {
            return fs::rename(&temporary, path);
        }
        file.sync_data()?;
        fs::rename(&temporary, path)?;
        match path.parent() {
            Some(parent) => File::open(parent)?.sync_all(),
            None => Ok(()),
        }
    })();
    if result.is_err() {
        drop(fs::remove_file(&temporary));
    }
    result
}

/// What becomes of a file when the disk is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Output and samples: the rest is dropped.
    Bulk,
    /// Events and the readable log: they may use the reserve, and are tried again each time.
    Vital,
}

/// A file that grows.
#[derive(Debug)]
pub(crate) struct Appender {
    /// Its name in problems, relative to the run directory.
    name: String,
    file: Option<File>,
    weight: Weight,
    /// True after a write that came through in part: the last line has no end.
    torn: bool,
}

impl Appender {
    /// Opens a file for appending, and creates it if it is not there.
    pub(crate) fn open(disk: &mut Disk, name: &str, weight: Weight) -> Self {
        let path = disk.directory.join(name);
        let open = || OpenOptions::new().create(true).append(true).open(&path);
        let file = if disk.full && weight == Weight::Bulk {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            open().or_else(|error| {
                if disk.make_room(&error) && weight == Weight::Vital {
                    open()
                } else {
                    Err(error)
                }
            })
        };
        let file = file.map_err(|error| disk.lost(name, &error)).ok();
        Self {
            name: name.to_owned(),
            file,
            weight,
            torn: false,
        }
    }

    /// Looks how a file that was there before ends: in the middle of a line, that gets its end first.
    pub(crate) fn continue_after(&mut self, disk: &mut Disk) {
        let path = disk.directory.join(&self.name);
        let last = File::open(&path).and_then(|mut file| {
            let mut last = [b'\n'];
            if file.metadata()?.len() > 0 {
                file.seek(io::SeekFrom::End(-1))?;
                file.read_exact(&mut last)?;
            }
            Ok(last)
        });
        match last {
            Ok(last) => self.torn = last != [b'\n'],
            Err(error) => disk.lost(&self.name, &error),
        }
    }

    /// Appends. After a failure a bulk file takes nothing more.
    pub(crate) fn append(&mut self, disk: &mut Disk, bytes: &[u8]) {
        let Some(file) = &self.file else { return };
        // A torn line gets its end first, so that it spoils no other.
        let mut end = if self.torn { &b"\n"[..] } else { &[] };
        let mut rest = bytes;
        let mut attempt = || write(file, &mut end).and_then(|()| write(file, &mut rest));
        let result = if disk.full && self.weight == Weight::Bulk {
            Err(io::ErrorKind::StorageFull.into())
        } else {
            attempt().or_else(|error| {
                if disk.make_room(&error) && self.weight == Weight::Vital {
                    attempt()
                } else {
                    Err(error)
                }
            })
        };
        self.torn = !end.is_empty() || (!rest.is_empty() && rest.len() < bytes.len());
        if let Err(error) = result {
            disk.lost(&self.name, &error);
            if self.weight == Weight::Bulk {
                self.file = None;
            }
        }
    }

    /// Makes what was appended survive a power cut.
    pub(crate) fn sync(&self, disk: &mut Disk) {
        if let Some(file) = &self.file
            && let Err(error) = file.sync_data()
        {
            disk.lost(&self.name, &error);
        }
    }

    /// True as long as everything that was appended is in the file.
    pub(crate) fn whole(&self) -> bool {
        self.file.is_some() && !self.torn
    }
}

/// Writes all of `rest` and leaves in it what did not get through.
fn write(mut file: &File, rest: &mut &[u8]) -> io::Result<()> {
    while !rest.is_empty() {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => *rest = &rest[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
