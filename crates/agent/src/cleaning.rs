//! Copies of the program that nobody uses any more.
//!
//! A program that was placed lies in a directory of the user's own, under its content hash. Every
//! version leaves a file there, and so does an upload that was killed.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_hours(24);

/// A copy that was not used for so long is removed.
const UNUSED: Duration = Duration::from_hours(30 * 24);

/// Marks the place of this program as used, and removes what others of its kind left there long ago.
/// Does nothing if this program was not placed there by a controller.
pub(crate) fn clean_place() {
    if let Ok(own) = fs::read_link("/proc/self/exe") {
        clean(&own, SystemTime::now());
    }
}

fn clean(own: &Path, now: SystemTime) {
    let (Some(place), Some(name)) = (own.parent(), own.file_name()) else {
        return;
    };
    if !is_copy(name) {
        return;
    }
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let (path, file) = (entry.path(), entry.file_name());
        let after = match () {
            () if is_copy(&file) => UNUSED,
            () if is_upload(&file) => DAY,
            () => continue,
        };
        // Links are not followed.
        let Ok(facts) = entry.metadata() else {
            continue;
        };
        if !facts.is_file() || facts.uid() != user {
            continue;
        }
        // A moment in the future is no reason to remove anything.
        let age = |moment: std::io::Result<SystemTime>| {
            moment
                .ok()
                .and_then(|moment| now.duration_since(moment).ok())
                .unwrap_or_default()
        };
        let unused = age(facts.accessed()).min(age(facts.modified()));
        if file == *name {
            // Many file systems do not record when a file was read. Once a day is enough.
            if unused > DAY
                && let Ok(file) = File::open(&path)
            {
                let _ = file.set_modified(now);
            }
        } else if unused > after {
            let _ = fs::remove_file(&path);
        }
    }
}

/// True for the name of a copy: a content hash in hexadecimal digits.
fn is_copy(name: &OsStr) -> bool {
    let name = name.as_encoded_bytes();
    name.len() == 64 && name.iter().all(u8::is_ascii_hexdigit)
}

/// True for the name under which a copy arrives: `.<word of the connection>.new`.
fn is_upload(name: &OsStr) -> bool {
    name.to_str()
        .and_then(|name| name.strip_prefix('.')?.strip_suffix(".new"))
        .is_some_and(|word| {
            word.len() > 16 && word.bytes().all(|byte| byte.is_ascii_alphanumeric())
        })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn aged(path: PathBuf, now: SystemTime, days: u32) -> PathBuf {
        let moment = now - DAY * days;
        fs::write(&path, "x").unwrap();
        let times = fs::FileTimes::new()
            .set_accessed(moment)
            .set_modified(moment);
        File::open(&path).unwrap().set_times(times).unwrap();
        path
    }

    #[test]
    fn what_was_not_used_for_a_month_goes_and_nothing_else_does() {
        let place = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let make = |name: &str, days| aged(place.path().join(name), now, days);
        let own = make(&"a".repeat(64), 40);
        let old = make(&"b".repeat(64), 31);
        let used = make(&"c".repeat(64), 29);
        let killed = make(".0123456789abcdefx12.new", 2);
        let arriving = make(".0123456789abcdefx13.new", 0);
        let others = ["notes", ".config.new", &"B".repeat(63)].map(|name| make(name, 400));
        let linked = place.path().join("d".repeat(64));
        std::os::unix::fs::symlink(&others[0], &linked).unwrap();
        clean(&own, now);
        assert!(!old.exists() && !killed.exists());
        assert!(own.exists() && used.exists() && arriving.exists() && linked.exists());
        assert!(others.iter().all(|path| path.exists()));
        let touched = fs::metadata(&own).unwrap().modified().unwrap();
        assert!(touched >= now - Duration::from_secs(1), "it is in use");
    }

    #[test]
    fn where_the_program_was_not_placed_nothing_is_touched() {
        let place = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        let own = aged(place.path().join("flagperf"), now, 400);
        let old = aged(place.path().join("b".repeat(64)), now, 400);
        clean(&own, now);
        assert!(old.exists());
        assert!(fs::metadata(&own).unwrap().modified().unwrap() < now - DAY);
    }
}
