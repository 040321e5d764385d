//! What a packed directory holds, as one number.

use std::io;

/// BLAKE3 of the archive inside the stream, in hexadecimal: the same for the same names, permissions and
/// contents, whenever and by whichever version they were packed.
///
/// # Errors
///
/// It is no stream that [`pack`](crate::pack()) has written.
pub fn digest(packed: &[u8]) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut zstd::Decoder::new(packed)?, &mut hasher)?;
    Ok(hasher.finalize().to_hex().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn of(directory: &std::path::Path) -> String {
        let mut packed = Vec::new();
        crate::pack(directory, &mut packed).unwrap();
        digest(&packed).unwrap()
    }

    #[test]
    fn only_what_a_directory_holds_counts() {
        let made = || {
            let directory = tempfile::tempdir().unwrap();
            fs::write(directory.path().join("Dockerfile"), "FROM scratch\n").unwrap();
            directory
        };
        let (one, other) = (made(), made());
        let first = of(one.path());
        let file = fs::File::options()
            .write(true)
            .open(other.path().join("Dockerfile"))
            .unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(of(other.path()), first, "another date is no other content");
        fs::write(other.path().join("Dockerfile"), "FROM scratch\n\n").unwrap();
        assert_ne!(of(other.path()), first);
        assert!(digest(b"nothing of the kind").is_err());
    }
}
