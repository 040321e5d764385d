//! This program's file, and those for other architectures beside it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A program's file as it is placed on nodes.
#[derive(Debug)]
pub struct ProgramFile {
    /// Its content hash (BLAKE3).
    pub hash: [u8; 32],
    /// Its content.
    pub bytes: Vec<u8>,
}

/// The program for every architecture that there is one for.
///
/// The file for an architecture other than this machine's is `flagperf-<architecture>` beside this
/// program's own, where `<architecture>` is what `uname -m` prints there. Files are read when a node
/// first needs one, and once.
#[derive(Debug)]
pub struct Programs {
    own: PathBuf,
    own_hash: [u8; 32],
    read: Mutex<BTreeMap<String, Arc<ProgramFile>>>,
}

/// Why there is no program for a node.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// There is none for its architecture.
    #[error("its architecture is {arch}, and there is no program for that at `{}`", path.display())]
    Foreign {
        /// As the node says.
        arch: String,
        /// Where one is looked for.
        path: PathBuf,
    },
    /// It cannot be read.
    #[error("the program `{}` cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl Programs {
    /// `own` is this program's file, `own_hash` its content hash.
    pub fn new(own: PathBuf, own_hash: [u8; 32]) -> Self {
        Self {
            own,
            own_hash,
            read: Mutex::default(),
        }
    }

    /// Content hash of this program.
    pub fn own_hash(&self) -> [u8; 32] {
        self.own_hash
    }

    /// Content hash of this program, in hexadecimal digits.
    pub fn own_hash_hex(&self) -> String {
        hex(&self.own_hash)
    }

    /// True if a file of this hash is this program, or one of those beside it for other
    /// architectures.
    pub fn has(&self, hash: &[u8; 32]) -> bool {
        if *hash == self.own_hash {
            return true;
        }
        let beside = self.own.parent().map(fs::read_dir);
        beside
            .into_iter()
            .flatten()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let arch = name.to_str()?.strip_prefix("flagperf-")?.to_owned();
                is_plain(&arch).then_some(arch)
            })
            .any(|arch| self.file(&arch).is_ok_and(|file| file.hash == *hash))
    }

    /// The file for an architecture.
    ///
    /// # Errors
    ///
    /// There is none, or it cannot be read.
    pub fn file(&self, arch: &str) -> Result<Arc<ProgramFile>, ProgramError> {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = read.get(arch) {
            return Ok(Arc::clone(file));
        }
        let is_own = arch == std::env::consts::ARCH;
        let path = if is_own {
            // The file of that name may have been replaced by a newer build since this process began.
            PathBuf::from("/proc/self/exe")
        } else {
            let name = if is_plain(arch) { arch } else { "unknown" };
            self.own.with_file_name(format!("flagperf-{name}"))
        };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ProgramError::Foreign {
                    arch: arch.to_owned(),
                    path,
                });
            }
            Err(source) => return Err(ProgramError::Unreadable { path, source }),
        };
        let file = Arc::new(ProgramFile {
            hash: *blake3::hash(&bytes).as_bytes(),
            bytes,
        });
        read.insert(arch.to_owned(), Arc::clone(&file));
        Ok(file)
    }
}

/// Content hash (BLAKE3) of this program's file. Two ends with the same hash are the same version.
///
/// # Errors
///
/// The program's file cannot be read.
pub fn own_hash() -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open("/proc/self/exe")?)?;
    Ok(*hasher.finalize().as_bytes())
}

/// The same for an agent. A copy that a controller has placed lies under its hash and proved it then; reading all of
/// it again would cost every start some milliseconds. That it is still as long as it was, [`own_size`] tells.
///
/// # Errors
///
/// The program's file cannot be read.
pub fn agent_hash() -> io::Result<[u8; 32]> {
    let own = fs::read_link("/proc/self/exe")?;
    let name = own.file_name().and_then(|name| name.to_str());
    match name.and_then(|name| blake3::Hash::from_hex(name).ok()) {
        Some(hash) => Ok(*hash.as_bytes()),
        None => own_hash(),
    }
}

/// Size of this program's file, in bytes.
///
/// # Errors
///
/// The system does not tell.
pub fn own_size() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/exe")?.len())
}

/// The content hash of this program's file in hexadecimal digits, once the file is safe on its disk.
/// With this a copy that was just placed proves that it is whole and can be run where it is.
///
/// # Errors
///
/// The file cannot be read, or the disk has not taken all of it.
pub fn proof() -> io::Result<String> {
    match File::open("/proc/self/exe")?.sync_all() {
        // Not every file system can be asked.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) => {}
        synced => synced?,
    }
    own_hash().map(|hash| hex(&hash))
}

/// True if an architecture's name can be part of a file's name.
fn is_plain(arch: &str) -> bool {
    arch.chars()
        .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

/// A hash as hexadecimal digits.
pub(crate) fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_for_another_architecture_is_known_by_its_hash() {
        let directory =
            std::env::temp_dir().join(format!("flagperf-programs-{}", std::process::id()));
        fs::create_dir(&directory).unwrap();
        let foreign = b"a program for another architecture";
        fs::write(directory.join("flagperf-riscv64"), foreign).unwrap();
        fs::write(directory.join("flagperf-x y"), "no architecture").unwrap();
        let programs = Programs::new(directory.join("flagperf"), [7; 32]);
        let hash = |bytes: &[u8]| *blake3::hash(bytes).as_bytes();
        let known = [
            programs.has(&[7; 32]),
            programs.has(&hash(foreign)),
            programs.has(&hash(b"no architecture")),
            programs.has(&[8; 32]),
        ];
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(known, [true, true, false, false]);
    }
}
