//! The directory for the files of a session.
//!
//! It is removed when the agent leaves. What a killed agent left is removed by the next one of the
//! same user that works in the same place: nobody holds its lock any more.
//!
//! The place is most often `/tmp`, where anybody may put anything under any name. So nothing there is
//! touched that is not the user's own, and nothing is opened in a way that could wait for somebody.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat};

/// First part of the names of such directories.
const PREFIX: &str = "flagperf-";

/// The same while one is being made: it gets its name once it is locked, so that no other agent takes it
/// for one that was left behind.
const UNFINISHED: &str = ".flagperf-";

/// One that is being made is left alone for this long, which is ages for two system calls.
const BEING_MADE: Duration = Duration::from_mins(1);

/// Name of the file whose lock shows that the agent lives.
const LOCK: &str = "lock";

/// A directory of this session's own, which goes with it.
pub(crate) struct Scratch {
    path: PathBuf,
    /// Device and number: what comes to have its path when it is gone is another's.
    id: (u64, u64),
    /// Closing it gives up the lock.
    _lock: File,
}

impl Scratch {
    /// Makes one, and removes those that agents of this user left which nobody could end in order. It gets the name
    /// that is wanted, if that is a word and free.
    pub(crate) fn make(place: &Path, wanted: &str) -> io::Result<Self> {
        let user = rustix::process::getuid().as_raw();
        remove_left_behind(place, user);
        let mono = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let unique = format!("{user}-{}-{}", std::process::id(), mono.tv_nsec);
        let unfinished = place.join(format!("{UNFINISHED}{unique}"));
        DirBuilder::new().mode(0o700).create(&unfinished)?;
        let locked = File::create(unfinished.join(LOCK)).and_then(|lock| {
            rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            let found = fs::metadata(&unfinished)?;
            let path = named(place, &unfinished, user, wanted, &unique)?;
            let id = (found.dev(), found.ino());
            Ok(Self {
                path,
                id,
                _lock: lock,
            })
        });
        if locked.is_err() {
            let _ = fs::remove_dir_all(&unfinished);
        }
        locked
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The thread that sends a task's files removes them too; what it takes away meanwhile is no
        // reason to leave the rest.
        for _ in 0..3 {
            let found = fs::metadata(&self.path).map(|found| (found.dev(), found.ino()));
            if found.ok() != Some(self.id) || fs::remove_dir_all(&self.path).is_ok() {
                return;
            }
        }
    }
}

/// Gives a directory that is locked its name: the one that is wanted, or else one that no other has.
fn named(
    place: &Path,
    unfinished: &Path,
    user: u32,
    wanted: &str,
    unique: &str,
) -> io::Result<PathBuf> {
    let is_word = !wanted.is_empty() && wanted.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_word {
        let path = place.join(format!("{PREFIX}{user}-{wanted}"));
        // Another node of the run may be this machine too. Its directory must not even be replaced when it is empty,
        // which it is when it is about to go.
        let flags = RenameFlags::NOREPLACE;
        if rustix::fs::renameat_with(CWD, unfinished, CWD, &path, flags).is_ok() {
            return Ok(path);
        }
    }
    let path = place.join(format!("{PREFIX}{unique}"));
    fs::rename(unfinished, &path)?;
    Ok(path)
}

fn remove_left_behind(place: &Path, user: u32) {
    let finished = format!("{PREFIX}{user}-");
    let unfinished = format!("{UNFINISHED}{user}-");
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let least_age = if name.starts_with(&finished) {
            Duration::ZERO
        } else if name.starts_with(&unfinished) {
            BEING_MADE
        } else {
            continue;
        };
        let path = entry.path();
        if let Ok(lock) = lock_of(&path, user, least_age)
            && rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok()
        {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// The lock file of a directory, if both are this user's and what they look like.
fn lock_of(path: &Path, user: u32, least_age: Duration) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags | OFlags::DIRECTORY, Mode::empty())?;
    let found = rustix::fs::fstat(&directory)?;
    if found.st_uid != user || age(&found) < least_age {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let lock = rustix::fs::openat(&directory, LOCK, flags | OFlags::NONBLOCK, Mode::empty())?;
    let found = rustix::fs::fstat(&lock)?;
    if found.st_uid != user || FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(lock)
}

fn age(found: &Stat) -> Duration {
    let changed = UNIX_EPOCH + Duration::from_secs(u64::try_from(found.st_mtime).unwrap_or(0));
    SystemTime::now()
        .duration_since(changed)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::thread;

    fn user() -> u32 {
        rustix::process::getuid().as_raw()
    }

    fn count(place: &Path) -> usize {
        fs::read_dir(place).unwrap().count()
    }

    /// A directory as an agent leaves it that was killed.
    fn left_in(place: &Path, name: &str) -> PathBuf {
        let left = place.join(name);
        fs::create_dir(&left).unwrap();
        fs::write(left.join(LOCK), "").unwrap();
        left
    }

    #[test]
    fn it_goes_with_the_session_and_what_a_killed_one_left_goes_too() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        let left = left_in(place, &format!("{PREFIX}{}-1-2", user()));
        let first = Scratch::make(place, "").unwrap();
        assert!(!left.exists(), "what a killed agent left is gone");
        let second = Scratch::make(place, "").unwrap();
        assert!(first.path().is_dir(), "what a living agent has stays");
        drop((first, second));
        assert_eq!(count(place), 0);
    }

    #[test]
    fn it_has_the_name_that_is_wanted_unless_another_has_it() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        let name = place.join(format!("{PREFIX}{}-f00d", user()));
        let first = Scratch::make(place, "f00d").unwrap();
        assert_eq!(first.path(), name);
        let second = Scratch::make(place, "f00d").unwrap();
        assert_ne!(second.path(), name);
        drop(second);
        assert!(name.is_dir());
        // It does not take what has come into its place.
        fs::rename(&name, place.join("gone")).unwrap();
        let third = Scratch::make(place, "f00d").unwrap();
        assert_eq!(third.path(), name);
        drop(first);
        assert!(name.is_dir());
        drop(third);
        fs::remove_dir_all(place.join("gone")).unwrap();
        let odd = Scratch::make(place, "../f00d").unwrap();
        assert_eq!(odd.path().parent(), Some(place));
        drop(odd);
        assert_eq!(count(place), 0);
    }

    #[test]
    fn one_that_is_being_made_stays() {
        let place = tempfile::tempdir().unwrap();
        let unfinished = left_in(place.path(), &format!("{UNFINISHED}{}-1-2", user()));
        drop(Scratch::make(place.path(), "").unwrap());
        assert!(unfinished.is_dir());
        let long_ago = SystemTime::now() - 2 * BEING_MADE;
        File::open(&unfinished)
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        drop(Scratch::make(place.path(), "").unwrap());
        assert!(!unfinished.exists());
    }

    #[test]
    fn nothing_that_waits_or_leads_elsewhere_is_opened() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join(LOCK), "").unwrap();
        let own = |name: &str| place.join(format!("{PREFIX}{}-{name}", user()));
        fs::create_dir(own("fifo")).unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            own("fifo").join(LOCK),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), own("link")).unwrap();
        fs::create_dir(own("deep")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join(LOCK), own("deep").join(LOCK)).unwrap();
        let (done, made) = channel();
        let there = place.to_owned();
        thread::spawn(move || done.send(Scratch::make(&there, "").map(drop)));
        made.recv_timeout(Duration::from_secs(5))
            .expect("it does not wait")
            .unwrap();
        assert!(elsewhere.path().join(LOCK).exists());
        assert_eq!(count(place), 3, "what is none of ours stays");
    }

    #[test]
    fn what_others_own_is_none_of_ours() {
        if user() != 0 {
            println!("skipped: only root can give a directory away");
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let foreign = left_in(place.path(), &format!("{PREFIX}0-evil"));
        std::os::unix::fs::chown(&foreign, Some(65534), Some(65534)).unwrap();
        drop(Scratch::make(place.path(), "").unwrap());
        assert!(foreign.is_dir());
    }
}
