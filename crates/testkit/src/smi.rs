//! A status tool of chips that is none: it prints what a test wants, blocks, fails or changes its layout.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The script, for who brings it to a node of a test bed; the words for `mode` stand in it.
pub const SMI_SCRIPT: &str = include_str!("smi.sh");

/// A stand-in for `nvidia-smi` in a directory of its own.
#[derive(Debug)]
pub struct StandInSmi {
    directory: tempfile::TempDir,
}

impl StandInSmi {
    /// One that tells of so many chips, as it should.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn new(chips: u32) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("flagperf-smi-")
            .tempdir()
            .expect("a directory for the stand-in");
        let path = directory.path().join("nvidia-smi");
        fs::write(&path, SMI_SCRIPT).expect("the stand-in");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("its permissions");
        let smi = Self { directory };
        smi.write("chips", &chips.to_string());
        smi.behave("ok");
        smi
    }

    /// Changes what it does from now on: `ok`, `busy`, `mig`, `lost`, `block`, `garbage`, `buffered`; and for those that are
    /// started from now on `fail`, `none`, `old`, `layout`.
    pub fn behave(&self, mode: &str) {
        self.write("mode", mode);
    }

    /// A value for `PATH` with which it is found before any other.
    pub fn path(&self) -> OsString {
        let before = std::env::var_os("PATH").unwrap_or_default();
        let others = std::env::split_paths(&before).collect::<Vec<PathBuf>>();
        let all = std::iter::once(self.directory.path().to_owned()).chain(others);
        std::env::join_paths(all).expect("no colon in a temporary directory")
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Process id and arguments of each time that it was started.
    pub fn calls(&self) -> Vec<(u32, String)> {
        let calls = fs::read_to_string(self.directory.path().join("calls")).unwrap_or_default();
        let call = |line: &str| {
            let (pid, arguments) = line.split_once(' ')?;
            Some((pid.parse().ok()?, arguments.to_owned()))
        };
        calls.lines().filter_map(call).collect()
    }

    /// How many samples it has printed.
    pub fn printed(&self) -> usize {
        let printed = fs::read_to_string(self.directory.path().join("printed"));
        printed.map_or(0, |lines| lines.lines().count())
    }

    /// Written aside and renamed, so that it never reads half a word.
    fn write(&self, name: &str, text: &str) {
        let aside = self.directory.path().join(format!("{name}.new"));
        fs::write(&aside, text).expect("a word for the stand-in");
        fs::rename(aside, self.directory.path().join(name)).expect("a word for the stand-in");
    }
}
