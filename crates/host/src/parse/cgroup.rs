//! Control groups: `/proc/<pid>/cgroup`, `/proc/<pid>/mountinfo`, and limits.

use super::number;

/// One line of `/proc/<pid>/cgroup`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Membership {
    /// Controllers of a v1 hierarchy, `name=systemd` included; empty for the v2 hierarchy.
    pub(crate) controllers: Vec<String>,
    /// Path in the hierarchy, as seen from the reader's control group namespace.
    pub(crate) path: String,
}

/// Parses lines such as `4:memory:/a/b` and `0::/a/b`.
pub(crate) fn memberships(text: &str) -> Vec<Membership> {
    text.lines()
        .filter_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            Some(Membership {
                controllers: controllers
                    .split(',')
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned)
                    .collect(),
                path: path.to_owned(),
            })
        })
        .collect()
}

/// One line of `/proc/<pid>/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Which directory of the file system is mounted.
    pub(crate) root: String,
    /// Where.
    pub(crate) point: String,
    /// File system type.
    pub(crate) kind: String,
    /// Options of the file system; for control groups v1 its controllers.
    pub(crate) options: Vec<String>,
}

/// Parses `31 23 0:28 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw`.
pub(crate) fn mounts(text: &str) -> Vec<Mount> {
    text.lines()
        .filter_map(|line| {
            // The number of optional fields before the lone dash varies.
            let (place, system) = line.split_once(" - ")?;
            let mut place = place.split(' ').skip(3);
            let mut system = system.split(' ');
            Some(Mount {
                root: unescape(place.next()?),
                point: unescape(place.next()?),
                kind: system.next()?.to_owned(),
                options: system.nth(1)?.split(',').map(str::to_owned).collect(),
            })
        })
        .collect()
}

/// Undoes the kernel's octal escapes for space, tab, line end and backslash in paths.
fn unescape(path: &str) -> String {
    let mut result = String::with_capacity(path.len());
    let mut rest = path;
    while let Some(at) = rest.find('\\') {
        result.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 4);
        let byte = code.and_then(|code| u8::from_str_radix(code, 8).ok());
        match byte {
            Some(byte) if byte.is_ascii() => {
                result.push(char::from(byte));
                rest = &rest[at + 4..];
            }
            _ => {
                result.push('\\');
                rest = &rest[at + 1..];
            }
        }
    }
    result.push_str(rest);
    result
}

/// Limits at or above this are none: v1 writes "no limit" as the largest multiple of the page
/// size below 2^63.
const UNLIMITED: u64 = 1 << 62;

/// A memory limit in bytes from `memory.max` (`max` for none) or `memory.limit_in_bytes`.
pub(crate) fn memory_limit(text: &str) -> Option<u64> {
    number(text.trim().as_bytes()).filter(|limit| *limit < UNLIMITED)
}

/// A processor limit in cores from v2's `cpu.max`: `200000 100000`, `max 100000`.
pub(crate) fn cpu_max(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    cores(number(quota.as_bytes())?, number(period.as_bytes())?)
}

/// A processor limit in cores from v1's `cpu.cfs_quota_us` (-1 for none) and `cpu.cfs_period_us`.
pub(crate) fn cfs_limit(quota: &str, period: &str) -> Option<f64> {
    cores(
        number(quota.trim().as_bytes())?,
        number(period.trim().as_bytes())?,
    )
}

fn cores(quota: u64, period: u64) -> Option<f64> {
    (period > 0).then(|| quota as f64 / period as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn memberships_of_all_versions() {
        let hybrid =
            memberships("9:name=systemd:/\n4:memory:/a/b\n2:cpu,cpuacct:/a:b\n0::/\nbroken\n");
        assert_eq!(hybrid.len(), 4);
        assert_eq!(hybrid[1].controllers, ["memory"]);
        assert_eq!(hybrid[2].controllers, ["cpu", "cpuacct"]);
        assert_eq!(hybrid[2].path, "/a:b");
        assert!(hybrid[3].controllers.is_empty());
    }

    #[test]
    fn mounts_of_all_versions() {
        let text = "23 27 0:22 / /sys rw,relatime - sysfs sysfs rw\n\
            35 31 0:32 /docker/x /sys/fs/cgroup/memory ro,nosuid shared:9 master:2 - cgroup cgroup rw,memory\n\
            41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime - cgroup2 cgroup2 rw\nbroken - x\n";
        let mounts = mounts(text);
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[1].root, "/docker/x");
        assert_eq!(mounts[1].options, ["rw", "memory"]);
        assert_eq!(mounts[2].point, "/sys/fs/cgroup/uni fied");
        assert_eq!(mounts[2].kind, "cgroup2");
    }

    #[test]
    fn limits() {
        assert_eq!(memory_limit("1073741824\n"), Some(1 << 30));
        assert_eq!(memory_limit("max\n"), None);
        assert_eq!(memory_limit("9223372036854771712\n"), None);
        assert_eq!(cpu_max("150000 100000\n"), Some(1.5));
        assert_eq!(cpu_max("max 100000\n"), None);
        assert_eq!(cfs_limit("-1\n", "100000\n"), None);
        assert_eq!(cfs_limit("50000\n", "100000\n"), Some(0.5));
        assert_eq!(cfs_limit("50000\n", "0\n"), None);
    }

    proptest! {
        #[test]
        fn paths_round_trip(path in "/[ -~\t]{0,40}") {
            let escaped = path.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011");
            let line = format!("1 2 0:1 {escaped} {escaped} rw - cgroup2 none rw\n");
            let mount = &mounts(&line)[0];
            prop_assert_eq!(&mount.root, &path);
            prop_assert_eq!(&mount.point, &path);
        }

        #[test]
        fn nothing_panics(text in "\\PC*", limit in "[0-9max -]{0,30}") {
            memberships(&text);
            mounts(&text);
            mounts(&format!("1 2 3 {text} - {text} a b"));
            unescape(&text);
            memory_limit(&limit);
            cpu_max(&limit);
        }
    }
}
