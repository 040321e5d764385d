//! Opening files of a run directory without waiting for anybody.
//!
//! A run directory may have been unpacked from anywhere. Opening a FIFO waits until somebody writes
//! to it, a device may never end, and neither is a part of a record.

use std::fs::{self, File, FileType};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading. Anything else is an error of kind
/// [`io::ErrorKind::InvalidInput`] that says what it is.
pub(crate) fn open_regular(path: &Path) -> io::Result<File> {
    // Asked first, because opening a device may already act on it, and again of the open file,
    // because the name may have come to mean something else meanwhile.
    check(fs::metadata(path)?.file_type())?;
    let file = File::options()
        .read(true)
        .custom_flags(OFlags::NONBLOCK.bits() as i32)
        .open(path)?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// The content of a regular file.
pub(crate) fn read_regular(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn check(kind: FileType) -> io::Result<()> {
    if kind.is_file() {
        return Ok(());
    }
    let what = if kind.is_dir() {
        "a directory"
    } else if kind.is_fifo() {
        "a FIFO"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("it is {what}, expected a regular file"),
    ))
}
