//! From a stream to a directory.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use crate::header::{Entry, Kind, padding, read_entry};
use crate::problems::Problems;
use crate::tree::Tree;

/// Largest window of a stream, as a power of two: what a decoder may take of the memory.
const WINDOW_LOG: u32 = 24;

/// What came out of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unpacked {
    /// Number of regular files and symbolic links.
    pub files: u64,
    /// Bytes of content of the regular files.
    pub bytes: u64,
    /// What was refused or could not be written, in words; at most 21 lines.
    pub problems: Vec<String>,
}

/// Which symbolic links are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Those that lead to something in the directory; the others are refused. For what comes from elsewhere: whoever
    /// reads it here would read anything.
    Inside,
    /// All, as they are. For what was sent here to be used.
    AsTheyAre,
}

/// Why unpacking came to no good end.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The directory to unpack into cannot be opened.
    #[error("cannot unpack into `{}`", path.display())]
    Directory {
        /// The directory.
        path: std::path::PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The stream ends too early or is damaged.
    #[error("the archive ends early or is damaged after {} files", arrived.files)]
    Damaged {
        /// What came out of it before; the last file may not be whole and is then named.
        arrived: Unpacked,
        /// What is wrong with the stream.
        #[source]
        source: io::Error,
    },
}

/// Reads what [`pack`](crate::pack()) wrote and makes it anew below an existing directory.
///
/// Names that lead outside, links that do, names that are there already, hard links, devices and
/// the like are refused and named; the rest goes on. Files get their permissions but neither owner
/// nor set-user-id; directories stay open to their owner.
///
/// # Errors
///
/// The directory cannot be opened, or the stream is cut off or damaged.
pub fn unpack(from: impl Read, into: &Path) -> Result<Unpacked, UnpackError> {
    unpack_with(from, into, Links::Inside)
}

/// As [`unpack`], with these links. However they lead, nothing is written through them.
pub(crate) fn unpack_with(
    from: impl Read,
    into: &Path,
    links: Links,
) -> Result<Unpacked, UnpackError> {
    let tree = Tree::open(into).map_err(|source| UnpackError::Directory {
        path: into.to_owned(),
        source,
    })?;
    let mut run = Unpacking {
        tree,
        links,
        buffer: vec![0; 1 << 16],
        unpacked: Unpacked::default(),
        problems: Problems::default(),
    };
    let result = run.all(from);
    for (name, error) in run.tree.finish() {
        run.problems.add(&name, error);
    }
    let mut arrived = run.unpacked;
    arrived.problems = run.problems.into_texts();
    match result {
        Ok(()) => Ok(arrived),
        Err(source) => Err(UnpackError::Damaged { arrived, source }),
    }
}

struct Unpacking {
    tree: Tree,
    links: Links,
    buffer: Vec<u8>,
    unpacked: Unpacked,
    problems: Problems,
}

impl Unpacking {
    fn all(&mut self, from: impl Read) -> io::Result<()> {
        let mut decoder = zstd::Decoder::new(from)?;
        decoder.window_log_max(WINDOW_LOG)?;
        // Headers are read in small pieces.
        let mut from = io::BufReader::with_capacity(1 << 16, decoder);
        while let Some(entry) = read_entry(&mut from)? {
            let made = match entry.kind {
                Kind::File => match self.tree.file(&entry.name, entry.mode) {
                    Ok(file) => {
                        self.unpacked.files += 1;
                        self.content(&mut from, &file, &entry)?;
                        date(&file, entry.changed);
                        continue;
                    }
                    Err(error) => Err(error),
                },
                Kind::Directory => self.tree.make_directory(&entry.name, entry.mode),
                Kind::Link => {
                    let made = self.tree.link(&entry.name, &entry.target, self.links);
                    self.unpacked.files += u64::from(made.is_ok());
                    made
                }
                Kind::Other(letter) => {
                    let what = match letter {
                        b'1' => "a hard link".to_owned(),
                        b'3' | b'4' => "a device".to_owned(),
                        b'6' => "a FIFO".to_owned(),
                        other => format!("of the kind `{}`", other.escape_ascii()),
                    };
                    self.problems
                        .add(&entry.name, format_args!("is refused: it is {what}"));
                    Ok(())
                }
            };
            if let Err(error) = made {
                self.problems.add(&entry.name, error);
            }
            pass_over(&mut from, entry.size)?;
        }
        // The second empty block, and what the stream needs to tell that it is whole.
        io::copy(&mut from, &mut io::sink())?;
        Ok(())
    }

    /// Reads a file's content to its end, and writes it as far as that goes.
    fn content(
        &mut self,
        from: &mut impl Read,
        mut file: impl Write,
        entry: &Entry,
    ) -> io::Result<()> {
        let mut left = entry.size;
        while left > 0 {
            let most = self
                .buffer
                .len()
                .min(usize::try_from(left).unwrap_or(usize::MAX));
            let piece = &mut self.buffer[..most];
            if let Err(error) = from.read_exact(piece) {
                self.problems.add(&entry.name, "is not whole");
                return Err(error);
            }
            left -= most as u64;
            if let Err(error) = file.write_all(piece) {
                self.problems
                    .add(&entry.name, format_args!("is not whole: {error}"));
                skip(from, left)?;
                break;
            }
            self.unpacked.bytes += most as u64;
        }
        skip(from, padding(entry.size) as u64)
    }
}

/// Gives a file the date that it had. One that cannot have it has that of today, as it would have had anyway.
fn date(file: &File, changed: u64) {
    if changed > 0
        && let Some(changed) = UNIX_EPOCH.checked_add(Duration::from_secs(changed))
    {
        let _ = file.set_modified(changed);
    }
}

/// Reads past a content and what fills up its last block.
fn pass_over(from: &mut impl Read, size: u64) -> io::Result<()> {
    skip(from, size)?;
    skip(from, padding(size) as u64)
}

fn skip(from: &mut impl Read, size: u64) -> io::Result<()> {
    let skipped = io::copy(&mut from.take(size), &mut io::sink())?;
    if skipped < size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
