//! How much memory may still be taken: the machine's own figure and every control group above us.
//!
//! A control group's use is its working set: `usage` less `inactive_file`, the page cache that the
//! kernel gives back without writing or waiting, as Kubernetes reckons it too. Limits of versions 1
//! and 2 are read; the whole chain of ancestors counts, since each of them can wake its own
//! out-of-memory killer. What is not seen: limits above the mount that a container is given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// Version 1 writes "no limit" as the largest multiple of a page below 2^63.
const UNLIMITED_FROM: u64 = 1 << 60;

/// Why the room cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RoomError {
    /// `/proc/meminfo` cannot be read.
    #[error("{path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// `/proc/meminfo` says nothing about available memory.
    #[error("{path} has no `{key}`")]
    NoKey {
        /// The file.
        path: PathBuf,
        /// The line that is missing.
        key: &'static str,
    },
}

/// A control group with a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its directory.
    pub(crate) path: PathBuf,
    /// The lowest of its limits, in bytes.
    pub(crate) limit: u64,
    /// Its working set, in bytes.
    pub(crate) used: u64,
}

/// What can be taken now, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Room {
    /// `MemTotal`.
    pub(crate) total: u64,
    /// `MemAvailable`: what the kernel thinks can be taken without swapping.
    pub(crate) available: u64,
    /// `SwapFree`.
    pub(crate) swap_free: u64,
    /// The limited control groups from our own up to the root.
    pub(crate) groups: Vec<Group>,
}

impl Room {
    /// Reads it from the tree below `root` (`/`).
    pub(crate) fn read(root: &Path) -> Result<Self, RoomError> {
        let path = root.join("proc/meminfo");
        let text = fs::read_to_string(&path).map_err(|source| RoomError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let entries = meminfo(&text);
        let get = |key: &'static str| {
            entries.get(key).copied().ok_or_else(|| RoomError::NoKey {
                path: path.clone(),
                key,
            })
        };
        Ok(Self {
            total: get("MemTotal")?,
            available: get("MemAvailable")?,
            swap_free: get("SwapFree").unwrap_or(0),
            groups: groups(root),
        })
    }

    /// Bytes that can be taken before the machine or any control group is full.
    pub(crate) fn free(&self) -> u64 {
        self.groups
            .iter()
            .map(|group| group.limit.saturating_sub(group.used))
            .fold(self.available, u64::min)
    }

    /// The lowest limit of all: a control group's, or the machine's memory.
    pub(crate) fn limit(&self) -> u64 {
        self.groups
            .iter()
            .map(|group| group.limit)
            .fold(self.total, u64::min)
    }
}

/// Lines `Key:   123 kB` in bytes.
fn meminfo(text: &str) -> BTreeMap<&str, u64> {
    text.lines()
        .filter_map(|line| {
            let (key, rest) = line.split_once(':')?;
            let kib: u64 = rest.split_whitespace().next()?.parse().ok()?;
            Some((key, kib.checked_mul(1024)?))
        })
        .collect()
}

/// The limited groups that this process is in, own group first.
fn groups(root: &Path) -> Vec<Group> {
    let text = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let memberships = text("proc/self/cgroup");
    let mounts = text("proc/self/mountinfo");
    let mut found = Vec::new();
    for line in memberships.lines() {
        // `4:memory:/path` in version 1, `0::/path` in version 2.
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let version = if controllers.is_empty() {
            Version::Two
        } else if controllers.split(',').any(|c| c == "memory") {
            Version::One
        } else {
            continue;
        };
        for mount in mounts.lines().filter_map(|line| mount_of(line, version)) {
            found.extend(chain(root, &mount, path, version));
        }
    }
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

struct Mount {
    /// The group that is mounted.
    root: String,
    /// Where.
    point: String,
}

/// A line of `mountinfo` if it mounts the memory hierarchy of that version.
fn mount_of(line: &str, version: Version) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut fields = before.split(' ').skip(3);
    let (root, point) = (fields.next()?, fields.next()?);
    let mut kind = after.split(' ');
    let (name, options) = (kind.next()?, kind.nth(1)?);
    let wanted = match version {
        Version::Two => name == "cgroup2",
        Version::One => name == "cgroup" && options.split(',').any(|o| o == "memory"),
    };
    wanted.then(|| Mount {
        root: root.to_owned(),
        point: point.to_owned(),
    })
}

/// The limited groups from `path` up to the mount's root.
fn chain(root: &Path, mount: &Mount, path: &str, version: Version) -> Vec<Group> {
    let point = root.join(mount.point.trim_start_matches('/'));
    // Without a namespace of its own a container sees the host's path and a mount of just that
    // path; what is left after the mount's root is the way below the mount point. A path outside
    // of the mount leaves nothing, and then the mount point itself is the nearest group we see.
    let below = Path::new(path)
        .strip_prefix(&mount.root)
        .unwrap_or(Path::new(""));
    let mut groups = Vec::new();
    for part in below.ancestors() {
        let directory = point.join(part);
        if let Some((limit, used)) = limit_and_use(&directory, version) {
            groups.push(Group {
                path: directory,
                limit,
                used,
            });
        }
    }
    groups
}

fn limit_and_use(directory: &Path, version: Version) -> Option<(u64, u64)> {
    let (limits, usage, cache): (&[&str], _, _) = match version {
        Version::One => (
            &["memory.limit_in_bytes"],
            "memory.usage_in_bytes",
            "total_inactive_file",
        ),
        Version::Two => (
            &["memory.max", "memory.high"],
            "memory.current",
            "inactive_file",
        ),
    };
    let number = |file: &str| -> Option<u64> {
        let text = fs::read_to_string(directory.join(file)).ok()?;
        text.trim().parse().ok()
    };
    let limit = limits
        .iter()
        .filter_map(|file| number(file))
        .min()
        .filter(|limit| *limit < UNLIMITED_FROM)?;
    let used = number(usage)?;
    let stat = fs::read_to_string(directory.join("memory.stat")).unwrap_or_default();
    let reclaimable = stat
        .lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == cache)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0);
    Some((limit, used.saturating_sub(reclaimable)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let tree = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        tree
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 900 kB\nSwapFree: 7 kB\n",
    );

    #[test]
    fn version_2_counts_every_ancestor_and_the_lower_of_max_and_high() {
        let tree = tree(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/a/b\n"),
            (
                "proc/self/mountinfo",
                "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
            ),
            ("sys/fs/cgroup/a/memory.max", "500000\n"),
            ("sys/fs/cgroup/a/memory.high", "400000\n"),
            ("sys/fs/cgroup/a/memory.current", "300000\n"),
            (
                "sys/fs/cgroup/a/memory.stat",
                "anon 1\ninactive_file 50000\n",
            ),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "5\n"),
        ]);
        let room = Room::read(tree.path()).unwrap();
        assert_eq!(
            room.groups,
            [Group {
                path: tree.path().join("sys/fs/cgroup/a"),
                limit: 400_000,
                used: 250_000
            }]
        );
        assert_eq!((room.free(), room.limit()), (150_000, 400_000));
        assert_eq!((room.total, room.swap_free), (1_024_000, 7168));
    }

    #[test]
    fn version_1_in_a_container_that_sees_the_path_of_its_host() {
        let tree = tree(&[
            MEMINFO,
            (
                "proc/self/cgroup",
                "9:name=systemd:/x\n4:memory:/docker/abc\n0::/\n",
            ),
            (
                "proc/self/mountinfo",
                "40 30 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "700000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "100000\n"),
        ]);
        let room = Room::read(tree.path()).unwrap();
        assert_eq!(room.free(), 600_000);
        assert_eq!(
            room.groups[0].path,
            tree.path().join("sys/fs/cgroup/memory")
        );
    }

    #[test]
    fn without_a_limit_the_machine_counts() {
        let tree = tree(&[
            MEMINFO,
            ("proc/self/cgroup", "4:memory:/\n"),
            (
                "proc/self/mountinfo",
                "40 30 0:30 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
            ),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "100000\n"),
        ]);
        let room = Room::read(tree.path()).unwrap();
        assert_eq!((room.free(), room.limit()), (921_600, 1_024_000));
        assert!(room.groups.is_empty());
    }

    #[test]
    fn a_missing_figure_is_an_error_not_a_zero() {
        let without = tree(&[("proc/meminfo", "MemTotal: 1000 kB\n")]);
        let error = Room::read(without.path()).unwrap_err().to_string();
        assert!(error.ends_with("has no `MemAvailable`"), "{error}");
        assert!(Room::read(&without.path().join("nowhere")).is_err());
    }

    #[test]
    fn this_machine_has_room() {
        assert!(Room::read(Path::new("/")).unwrap().free() > 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in ".*", path in ".*") {
            let _entries = meminfo(&text);
            let _mount = mount_of(&text, Version::One);
            let tree = tree(&[MEMINFO, ("proc/self/cgroup", &format!("0::{path}\n{text}"))]);
            prop_assert!(Room::read(tree.path()).is_ok());
        }
    }
}
