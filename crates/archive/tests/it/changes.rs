//! Directories that are packed with changes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use flagperf_archive::{Changes, Packed, pack_changed, unpack};
use tempfile::TempDir;

/// Packs with changes, and unpacks.
fn changed(
    root: &Path,
    without: &[&str],
    files: &[(&str, &str)],
    unix_lines: &[&str],
) -> (TempDir, Packed) {
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|&word| word.into()).collect() };
    let files: BTreeMap<String, String> = files
        .iter()
        .map(|&(path, text)| (path.into(), text.into()))
        .collect();
    let mut stream = Vec::new();
    let changes = Changes {
        without: &words(without),
        files: &files,
        unix_lines: &words(unix_lines),
    };
    let packed = pack_changed(root, &changes, &mut stream).unwrap();
    let into = tempfile::tempdir().unwrap();
    let unpacked = unpack(&stream[..], into.path()).unwrap();
    assert_eq!(unpacked.problems, [""; 0]);
    assert_eq!(
        (unpacked.files, unpacked.bytes),
        (packed.files, packed.bytes)
    );
    (into, packed)
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_left_out_is_not_there_and_all_else_is() {
    let root = tempfile::tempdir().unwrap();
    for name in [
        "result/run1/log",
        "results",
        "a/result/kept",
        ".git/HEAD",
        "a/__pycache__/x.pyc",
        "a/b/__pycache__/y.pyc",
        "a/b/__pycache__.txt",
        "models/one/x",
        "models/two/x",
    ] {
        write(root.path(), name, name);
    }
    let without = ["result/", "./.git", "**/__pycache__", "models/two"];
    let (copy, packed) = changed(root.path(), &without, &[], &[]);
    assert_eq!(packed.problems, [""; 0]);
    let there = |name: &str| copy.path().join(name).exists();
    for name in [
        "results",
        "a/result/kept",
        "a/b/__pycache__.txt",
        "models/one/x",
    ] {
        assert!(there(name), "{name}");
    }
    for name in [
        "result",
        ".git",
        "a/__pycache__",
        "a/b/__pycache__",
        "models/two",
    ] {
        assert!(!there(name), "{name}");
    }
    assert_eq!(packed.files, 4);
}

#[test]
fn files_are_replaced_and_added_and_keep_their_permissions() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "configs/host.yaml", "VENDOR: old\n");
    write(root.path(), "main.sh", "old");
    write(root.path(), "elsewhere", "kept");
    symlink("elsewhere", root.path().join("link.yaml")).unwrap();
    let program = fs::Permissions::from_mode(0o751);
    fs::set_permissions(root.path().join("main.sh"), program).unwrap();
    let files = [
        ("configs/host.yaml", "VENDOR: new\n"),
        ("main.sh", "new"),
        ("link.yaml", "no link\n"),
        ("new/deep/file", ""),
    ];
    let (copy, packed) = changed(root.path(), &["new"], &files, &[]);
    for (name, text) in files {
        let path = copy.path().join(name);
        assert!(fs::symlink_metadata(&path).unwrap().is_file(), "{name}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name}");
    }
    assert_eq!(mode(&copy.path().join("main.sh")), 0o751);
    assert_eq!(mode(&copy.path().join("new/deep/file")), 0o644);
    let elsewhere = fs::read_to_string(copy.path().join("elsewhere")).unwrap();
    assert_eq!((elsewhere.as_str(), packed.files), ("kept", 5));
    let original = fs::read_to_string(root.path().join("configs/host.yaml")).unwrap();
    assert_eq!(original, "VENDOR: old\n");
}

#[test]
fn only_the_line_ends_of_the_files_that_are_named_change() {
    let root = tempfile::tempdir().unwrap();
    let text = "#!/bin/sh\r\necho a\rb\r\r\n\r";
    write(root.path(), "ascend/main.sh", text);
    write(root.path(), "ascend/data.bin", text);
    let program = fs::Permissions::from_mode(0o755);
    fs::set_permissions(root.path().join("ascend/main.sh"), program).unwrap();
    let (copy, _) = changed(root.path(), &[], &[], &["ascend/main.sh", "absent"]);
    let read = |name: &str| fs::read_to_string(copy.path().join(name)).unwrap();
    assert_eq!(read("ascend/main.sh"), "#!/bin/sh\necho a\rb\r\n\r");
    assert_eq!(read("ascend/data.bin"), text);
    assert_eq!(mode(&copy.path().join("ascend/main.sh")), 0o755);
}

#[test]
fn links_inside_stay_and_what_cannot_be_copied_is_named() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a/file", "x");
    let at = |name: &str| root.path().join(name);
    symlink("file", at("a/inside")).unwrap();
    symlink("../a/file", at("a/around")).unwrap();
    symlink("/etc/passwd", at("a/absolute")).unwrap();
    symlink("../../up", at("a/up")).unwrap();
    let _socket = UnixListener::bind(at("socket")).unwrap();
    let (copy, packed) = changed(root.path(), &[], &[], &[]);
    for name in ["a/inside", "a/around"] {
        assert_eq!(fs::read_to_string(copy.path().join(name)).unwrap(), "x");
    }
    for name in ["a/absolute", "a/up", "socket"] {
        assert!(fs::symlink_metadata(copy.path().join(name)).is_err());
    }
    assert_eq!(
        packed.problems,
        [
            "`socket` is a socket and left out",
            "`a/absolute` is left out: it is a link to \"/etc/passwd\", which is not inside",
            "`a/up` is left out: it is a link to \"../../up\", which is not inside",
        ]
    );
}

#[test]
fn files_keep_the_dates_by_which_builds_tell_what_is_old() {
    let root = tempfile::tempdir().unwrap();
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_500_000_007);
    for (name, age) in [("product", 10), ("source", 5)] {
        write(root.path(), name, name);
        let file = fs::File::options()
            .write(true)
            .open(root.path().join(name))
            .unwrap();
        file.set_modified(long_ago - Duration::from_secs(age))
            .unwrap();
    }
    let (copy, _) = changed(root.path(), &[], &[], &[]);
    let date = |name: &str| {
        let facts = fs::metadata(copy.path().join(name)).unwrap();
        facts.modified().unwrap()
    };
    assert_eq!(date("product"), long_ago - Duration::from_secs(10));
    assert_eq!(date("source"), long_ago - Duration::from_secs(5));
}
