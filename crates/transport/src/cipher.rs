//! Which cipher a channel through ssh has.
//!
//! OpenSSH prefers chacha20-poly1305, which is the right choice for processors that have no instructions for
//! AES. On those that have, AES-GCM takes less than half of the time, and that time is taken at the node as well,
//! beside what is measured there. It is one of OpenSSH's own defaults and is only put first; a user who has said anything
//! about ciphers keeps exactly what he said.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The option that puts AES-GCM first and leaves the others in their order.
pub(crate) const AES_FIRST: &str = "Ciphers=^aes128-gcm@openssh.com";

/// Files looked into at most. Who has more is left alone.
const MOST_FILES: usize = 64;

/// A configuration of a person's is a few kilobytes, and one that was generated may be larger; in bytes.
const LONGEST: u64 = 1 << 20;

/// True if this machine has instructions for AES.
pub(crate) fn has_aes() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return false;
}

/// True if no configuration that ssh would read says anything about ciphers. Where that cannot be told for certain,
/// it is false.
///
/// `config` is the file given in the place of the user's own (`ssh -F`), `home` the user's home directory as his
/// variables have it, and `system` the directory `/etc`.
pub fn leaves_cipher_open(config: Option<&Path>, home: Option<&Path>, system: &Path) -> bool {
    // ssh goes by the list of users, whatever the variables say.
    let listed = listed_home(&system.join("passwd"), rustix::process::getuid().as_raw());
    let users = match (listed, home) {
        (Some(listed), _) => Some(listed.join(".ssh")),
        (None, home) => home.map(|home| home.join(".ssh")),
    };
    let system = &system.join("ssh");
    let mut files = Files {
        users: users.as_deref(),
        system,
        seen: BTreeSet::new(),
    };
    match config {
        Some(file) => files.are_silent(file, users.as_deref()),
        None => {
            users
                .as_deref()
                .is_none_or(|users| files.are_silent(&users.join("config"), Some(users)))
                && files.are_silent(&system.join("ssh_config"), Some(system))
        }
    }
}

/// The home directory of a user in a file such as `/etc/passwd`. Users that a directory service knows are not there.
fn listed_home(passwd: &Path, uid: u32) -> Option<PathBuf> {
    let text = fs::read_to_string(passwd).ok()?;
    text.lines().find_map(|line| {
        let mut fields = line.split(':').skip(2);
        let own = fields.next()?.parse() == Ok(uid);
        let home = fields.nth(2)?;
        (own && !home.is_empty()).then(|| home.into())
    })
}

struct Files<'a> {
    users: Option<&'a Path>,
    system: &'a Path,
    seen: BTreeSet<PathBuf>,
}

impl Files<'_> {
    /// Of a file and all that it includes. `base` is where relative names in it begin. A file that is not there
    /// says nothing; one that cannot be read may say anything.
    fn are_silent(&mut self, file: &Path, base: Option<&Path>) -> bool {
        if !self.seen.insert(file.to_owned()) {
            return true;
        }
        if self.seen.len() > MOST_FILES {
            return false;
        }
        match fs::metadata(file) {
            Err(error) => return error.kind() == std::io::ErrorKind::NotFound,
            Ok(meta) if !meta.is_file() || meta.len() > LONGEST => return false,
            Ok(_) => {}
        }
        let Ok(bytes) = fs::read(file) else {
            return false;
        };
        let text = String::from_utf8_lossy(&bytes);
        text.lines().all(|line| self.is_silent(line, base))
    }

    fn is_silent(&mut self, line: &str, base: Option<&Path>) -> bool {
        let line = line.trim();
        if line.starts_with('#') {
            return true;
        }
        let (key, rest) = line
            .split_once(|c: char| c.is_whitespace() || c == '=')
            .unwrap_or((line, ""));
        match key.trim_matches('"').to_ascii_lowercase().as_str() {
            "ciphers" | "cipher" => false,
            // How quotes, blanks in them and variables are read differs between versions.
            "include" if rest.contains(['"', '\'', '\\', '$', '%']) => false,
            "include" => rest
                .split_whitespace()
                .all(|pattern| self.included(pattern.trim_matches('='), base)),
            _ => true,
        }
    }

    /// Of the files that a pattern may mean: where it has wildcards, all of the directory.
    fn included(&mut self, pattern: &str, base: Option<&Path>) -> bool {
        if pattern.is_empty() {
            return true;
        }
        let path = match (pattern.strip_prefix("~/"), base) {
            (Some(rest), _) => match self.users.and_then(Path::parent) {
                Some(home) => home.join(rest),
                None => return false,
            },
            (None, Some(base)) => base.join(pattern),
            (None, None) if pattern.starts_with('/') => pattern.into(),
            (None, None) => return false,
        };
        let base = if path.starts_with(self.system) {
            Some(self.system)
        } else {
            base
        };
        let is_pattern = |text: &str| text.contains(['*', '?', '[', '%', '$', '~']);
        if !is_pattern(&path.to_string_lossy()) {
            return self.are_silent(&path, base);
        }
        let Some(directory) = path.parent() else {
            return false;
        };
        if is_pattern(&directory.to_string_lossy()) {
            return false;
        }
        let entries = match fs::read_dir(directory) {
            Err(error) => return error.kind() == std::io::ErrorKind::NotFound,
            Ok(entries) => entries,
        };
        for entry in entries {
            let Ok(entry) = entry else {
                return false;
            };
            if entry.path().is_file() && !self.are_silent(&entry.path(), base) {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(files: &[(&str, &str)], config: Option<&str>) -> bool {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let text = text.replace("ROOT", root.path().to_str().unwrap());
            fs::write(path, text).unwrap();
        }
        let config = config.map(|path| root.path().join(path));
        leaves_cipher_open(
            config.as_deref(),
            Some(&root.path().join("home")),
            &root.path().join("etc"),
        )
    }

    #[test]
    fn a_word_about_ciphers_anywhere_is_found() {
        let debian = (
            "etc/ssh/ssh_config",
            "Include ROOT/etc/ssh/ssh_config.d/*.conf\nHost *\n    SendEnv LANG LC_*\n",
        );
        let plain = (
            "home/.ssh/config",
            "Include ~/lab more\nHost gpu*\n  User root\n",
        );
        assert!(open(&[], None));
        assert!(open(&[debian, plain, ("home/lab", "Host a")], None));
        for files in [
            vec![("home/.ssh/config", "Host old\n\tciphers=aes256-ctr\n")],
            vec![("home/.ssh/config", "\"Ciphers\" aes256-ctr\n")],
            vec![("etc/ssh/ssh_config", "Ciphers aes256-ctr\r\n")],
            vec![
                debian,
                ("etc/ssh/ssh_config.d/50-policy.conf", "Ciphers a\n"),
            ],
            vec![
                ("home/.ssh/config", "Include work/*\n"),
                ("home/.ssh/work/lab", "Ciphers a\n"),
            ],
            vec![
                ("home/.ssh/config", "Include ~/lab\n"),
                ("home/lab", "Include ROOT/home/deeper\n"),
                ("home/deeper", "  Ciphers a"),
            ],
            vec![("home/.ssh/config", "Include ROOT/*/config\n")],
            // What these lead to is not looked for.
            vec![("home/.ssh/config", "Include \"/x y\"\n")],
            vec![("home/.ssh/config", "Include '/x'\n")],
            vec![("home/.ssh/config", "Include ${LAB}/ssh\n")],
        ] {
            assert!(!open(&files, None), "{files:?}");
        }
    }

    #[test]
    fn the_list_of_users_counts_more_than_variables() {
        let uid = rustix::process::getuid().as_raw();
        let passwd = format!(
            "other:x:{}:0::/nowhere:\nme:x:{uid}:0::ROOT/real:/bin/sh\n",
            uid + 1
        );
        let files = [
            ("etc/passwd", &*passwd),
            ("home/.ssh/config", "Host a\n"),
            ("real/.ssh/config", "Ciphers a\n"),
        ];
        assert!(!open(&files, None));
        assert!(open(&files[1..2], None));
    }

    #[test]
    fn only_what_ssh_reads_counts() {
        let files = [
            ("home/.ssh/config", "Ciphers a\n"),
            ("etc/ssh/ssh_config", "Ciphers a\n"),
            (
                "bed",
                "Include ROOT/parts/*\nInclude bed ROOT/bed\n# Ciphers a\n",
            ),
            ("parts/one", "Host a\n  HostName ciphers\n"),
        ];
        assert!(open(&files, Some("bed")));
        assert!(!open(&files, None));
    }
}
