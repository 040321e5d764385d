//! What tells the place where this program runs from any other.

use std::fs;

use crate::Root;

/// Namespaces whose sharing makes two places one: processes there share processors, the network and its
/// name. Namespaces of files are left out, since some systems give each login its own `/tmp`.
const NAMESPACES: [&str; 3] = ["net", "pid", "uts"];

/// A text that is the same twice only where two agents live in one place: one boot of one machine, and
/// one container of it. Absent where the system does not say.
pub fn place(root: &Root) -> Option<String> {
    let mut place = root.text("proc/sys/kernel/random/boot_id")?;
    for namespace in NAMESPACES {
        let link = root.path(format!("proc/self/ns/{namespace}"));
        let target = fs::read_link(link).ok()?;
        place.push(' ');
        place.push_str(&target.to_string_lossy());
    }
    Some(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn machine(boot: &str, pid: &str) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let random = directory.path().join("proc/sys/kernel/random");
        fs::create_dir_all(&random).unwrap();
        fs::write(random.join("boot_id"), format!("{boot}\n")).unwrap();
        let spaces = directory.path().join("proc/self/ns");
        fs::create_dir_all(&spaces).unwrap();
        for (name, target) in [("net", "net:[1]"), ("pid", pid), ("uts", "uts:[3]")] {
            symlink(target, spaces.join(name)).unwrap();
        }
        place(&Root::new(directory.path()))
    }

    #[test]
    fn a_place_is_a_boot_and_its_namespaces() {
        let first = machine("abc", "pid:[2]").unwrap();
        assert_eq!(first, "abc net:[1] pid:[2] uts:[3]");
        assert_ne!(machine("abd", "pid:[2]").unwrap(), first);
        assert_ne!(machine("abc", "pid:[9]").unwrap(), first);
    }

    #[test]
    fn a_system_that_does_not_say_has_none() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(place(&Root::new(directory.path())), None);
    }
}
