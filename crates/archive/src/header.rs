//! Blocks of a tar archive: headers with names of any length and any bytes.
//!
//! Names and targets of links that do not fit a header's 100 bytes go before it in entries of
//! their own, as GNU tar does it.

use std::io::{self, Read, Write};

use tar::{EntryType, Header};

/// Bytes of a block; contents are filled up to whole blocks.
pub(crate) const BLOCK: usize = 512;
/// Longest name that is taken from an archive, in bytes. Linux allows 4096.
const LONGEST: u64 = 1 << 14;

/// What an entry of an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Link,
    /// Anything else, with its letter.
    Other(u8),
}

/// An entry without its content.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) kind: Kind,
    pub(crate) name: Vec<u8>,
    /// Where a link leads.
    pub(crate) target: Vec<u8>,
    /// Permissions, without set-user-id and the like.
    pub(crate) mode: u32,
    /// When the content was changed last, in seconds since 1970; 0 if that says nothing.
    pub(crate) changed: u64,
    /// Bytes of content that follow.
    pub(crate) size: u64,
}

/// Writes an entry up to its content.
pub(crate) fn write_entry(to: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(match entry.kind {
        Kind::File => EntryType::Regular,
        Kind::Directory => EntryType::Directory,
        Kind::Link => EntryType::Symlink,
        Kind::Other(letter) => EntryType::new(letter),
    });
    let old = header.as_old_mut();
    let (name, target) = (&mut old.name, &mut old.linkname);
    if !fits(&entry.name, name) {
        write_long(to, EntryType::GNULongName, &entry.name)?;
    }
    if !fits(&entry.target, target) {
        write_long(to, EntryType::GNULongLink, &entry.target)?;
    }
    header.set_mode(entry.mode & 0o777);
    header.set_size(entry.size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(entry.changed);
    header.set_cksum();
    to.write_all(header.as_bytes())
}

/// Puts as much of a name as fits into its field; true if that is all of it.
fn fits(name: &[u8], field: &mut [u8; 100]) -> bool {
    let kept = name.len().min(field.len());
    field[..kept].copy_from_slice(&name[..kept]);
    kept == name.len()
}

fn write_long(to: &mut impl Write, kind: EntryType, name: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    fits(b"././@LongLink", &mut header.as_old_mut().name);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(name.len() as u64 + 1);
    header.set_cksum();
    to.write_all(header.as_bytes())?;
    to.write_all(name)?;
    to.write_all(&[0])?;
    to.write_all(&[0; BLOCK][..padding(name.len() as u64 + 1)])
}

/// Bytes that fill a content of this size up to whole blocks.
pub(crate) fn padding(size: u64) -> usize {
    (BLOCK - (size % BLOCK as u64) as usize) % BLOCK
}

/// Reads the next entry up to its content; `None` at the end of the archive.
pub(crate) fn read_entry(from: &mut impl Read) -> io::Result<Option<Entry>> {
    let (mut long_name, mut long_target) = (None, None);
    loop {
        let mut header = Header::new_old();
        from.read_exact(header.as_mut_bytes())?;
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let sum: u32 = bytes.iter().map(|byte| u32::from(*byte)).sum();
        // The sum counts its own field as spaces.
        let own: u32 = bytes[148..156].iter().map(|byte| u32::from(*byte)).sum();
        if header.cksum()? != sum - own + 8 * 32 {
            return Err(damaged("the checksum of an entry is wrong"));
        }
        let size = header.entry_size()?;
        let kind = match header.entry_type() {
            EntryType::GNULongName => {
                long_name = Some(read_long(from, size)?);
                continue;
            }
            EntryType::GNULongLink => {
                long_target = Some(read_long(from, size)?);
                continue;
            }
            EntryType::Regular => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Link,
            other => Kind::Other(other.as_byte()),
        };
        return Ok(Some(Entry {
            kind,
            name: long_name.unwrap_or_else(|| header.path_bytes().into_owned()),
            target: long_target
                .or_else(|| Some(header.link_name_bytes()?.into_owned()))
                .unwrap_or_default(),
            mode: header.mode()? & 0o777,
            changed: header.mtime()?,
            size,
        }));
    }
}

fn read_long(from: &mut impl Read, size: u64) -> io::Result<Vec<u8>> {
    if size > LONGEST {
        return Err(damaged("a name is longer than 16 KiB"));
    }
    let mut name = vec![0; size as usize + padding(size)];
    from.read_exact(&mut name)?;
    let end = name.iter().position(|byte| *byte == 0);
    name.truncate(end.unwrap_or(size as usize));
    Ok(name)
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
