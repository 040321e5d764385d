//! Archives that somebody made to do harm.

use std::fs;
use std::os::unix::fs::symlink;

use flagperf_archive::{UnpackError, Unpacked, unpack};
use proptest::prelude::*;
use tar::{EntryType, Header};

/// An entry as nobody checked it.
fn entry(kind: EntryType, name: &[u8], target: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.as_old_mut().linkname[..target.len()].copy_from_slice(target);
    header.set_mode(0o4755);
    header.set_uid(12345);
    header.set_gid(12345);
    header.set_size(content.len() as u64);
    header.set_cksum();
    let mut out = header.as_bytes().to_vec();
    out.extend(content);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn file(name: &str, content: &str) -> Vec<u8> {
    entry(EntryType::Regular, name.as_bytes(), b"", content.as_bytes())
}

fn link(name: &str, target: &str) -> Vec<u8> {
    entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), b"")
}

fn stream(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend([0; 1024]);
    zstd::encode_all(&bytes[..], 1).unwrap()
}

/// Unpacks into a directory that has a neighbour, and makes sure that nothing else appears.
fn unpacked(entries: &[Vec<u8>]) -> (Unpacked, Vec<String>) {
    let place = tempfile::tempdir().unwrap();
    let into = place.path().join("into");
    fs::create_dir(&into).unwrap();
    fs::create_dir(place.path().join("outside")).unwrap();
    let unpacked = unpack(&stream(entries)[..], &into).unwrap();
    let names = |path: &std::path::Path| {
        let mut names: Vec<String> = fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    assert_eq!(names(place.path()), ["into", "outside"]);
    assert_eq!(names(&place.path().join("outside")), [""; 0]);
    (unpacked, names(&into))
}

#[test]
fn names_that_lead_outside_are_refused() {
    let (unpacked, names) = unpacked(&[
        file("../outside/a", "1"),
        file("/tmp/flagperf-absolute", "2"),
        file("b/../../outside/c", "3"),
        file("..", "4"),
        file("./", "5"),
        file("././d//e", "6"),
        file("...", "7"),
    ]);
    assert_eq!(names, ["...", "d"]);
    assert_eq!((unpacked.files, unpacked.bytes), (2, 2));
    assert_eq!(
        unpacked.problems,
        [
            "`../outside/a` is refused: it has `..` in its path",
            "`/tmp/flagperf-absolute` is refused: it is an absolute path",
            "`b/../../outside/c` is refused: it has `..` in its path",
            "`..` is refused: it has `..` in its path",
            "`./` is refused: it is no name",
        ]
    );
    assert!(!std::path::Path::new("/tmp/flagperf-absolute").exists());
}

#[test]
fn links_lead_nowhere_else() {
    let (unpacked, names) = unpacked(&[
        link("up", "../outside"),
        file("up/a", "1"),
        link("abs", "/etc"),
        file("abs/passwd", "2"),
        // Each alone looks harmless.
        link("here", "."),
        link("climb", "here/../outside"),
        file("climb/b", "3"),
        file("here/c", "4"),
        link("e/back", "../x"),
        link("e/far", "../../outside"),
        link("dangling", "made-later"),
        file("dangling", "5"),
        file("dangling/f", "6"),
    ]);
    // Names below links that were refused make directories of their own inside.
    assert_eq!(names, ["abs", "climb", "dangling", "e", "here", "up"]);
    assert_eq!(
        unpacked.problems,
        [
            "`up` is refused: it is a link that leads out of the directory",
            "`abs` is refused: it is a link that leads out of the directory",
            "`climb` is refused: it is a link that leads out of the directory",
            "`here/c` is refused: a part of its path is a symbolic link or no directory",
            "`e/far` is refused: it is a link that leads out of the directory",
            "`dangling` is refused: it is there already",
            "`dangling/f` is refused: a part of its path is a symbolic link or no directory",
        ]
    );
}

#[test]
fn links_that_are_there_already_are_not_followed() {
    let place = tempfile::tempdir().unwrap();
    let (into, outside) = (place.path().join("into"), place.path().join("outside"));
    fs::create_dir(&into).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink("../outside", into.join("way")).unwrap();
    symlink("../outside/target", into.join("file")).unwrap();
    let bytes = stream(&[
        file("way/a", "1"),
        file("file", "2"),
        entry(EntryType::Directory, b"way", b"", b""),
        file("good", "3"),
    ]);
    let unpacked = unpack(&bytes[..], &into).unwrap();
    assert_eq!((unpacked.files, unpacked.problems.len()), (1, 3));
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn devices_owners_and_twins_are_refused() {
    let (unpacked, names) = unpacked(&[
        entry(EntryType::Char, b"null", b"", b""),
        entry(EntryType::Block, b"disk", b"", b""),
        entry(EntryType::Fifo, b"fifo", b"", b""),
        entry(EntryType::Link, b"hard", b"/etc/passwd", b""),
        entry(EntryType::XHeader, b"pax", b"", b"11 path=/x\n"),
        file("twin", "first"),
        file("twin", "second"),
        file("twin/below", "x"),
        entry(EntryType::Directory, b"twin", b"", b""),
    ]);
    assert_eq!(names, ["twin"]);
    assert_eq!(
        unpacked.problems,
        [
            "`null` is refused: it is a device",
            "`disk` is refused: it is a device",
            "`fifo` is refused: it is a FIFO",
            "`hard` is refused: it is a hard link",
            "`pax` is refused: it is of the kind `x`",
            "`twin` is refused: it is there already",
            "`twin/below` is refused: a part of its path is a symbolic link or no directory",
            "`twin` is refused: a part of its path is a symbolic link or no directory",
        ]
    );
}

#[test]
fn neither_owner_nor_set_user_id_are_taken() {
    use std::os::unix::fs::MetadataExt;
    let into = tempfile::tempdir().unwrap();
    let bytes = stream(&[
        file("set", "x"),
        entry(EntryType::Directory, b"dir", b"", b""),
    ]);
    unpack(&bytes[..], into.path()).unwrap();
    let own = fs::metadata(into.path()).unwrap();
    for name in ["set", "dir"] {
        let meta = fs::metadata(into.path().join(name)).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o7777), (own.uid(), 0o755));
    }
}

#[test]
fn sizes_and_names_without_end_are_damage() {
    let mut endless = file("endless", "");
    let mut header = Header::from_byte_slice(&endless).clone();
    header.set_size(u64::MAX / 2);
    header.set_cksum();
    endless = header.as_bytes().to_vec();
    endless.extend([1; 4096]);
    let mut name = entry(EntryType::GNULongName, b"x", b"", b"");
    let mut header = Header::from_byte_slice(&name).clone();
    header.set_size(1 << 40);
    header.set_cksum();
    name = header.as_bytes().to_vec();
    let mut sum = file("sum", "x");
    sum[0] = b'S';
    for (bytes, files) in [(endless, 1), (name, 0), (sum, 0)] {
        let into = tempfile::tempdir().unwrap();
        match unpack(&stream(&[file("good", "x"), bytes])[..], into.path()) {
            Err(UnpackError::Damaged { arrived, .. }) => assert_eq!(arrived.files, 1 + files),
            other => panic!("{other:?}"),
        }
    }
    let into = tempfile::tempdir().unwrap();
    assert!(unpack(&b"no archive at all"[..], into.path()).is_err());
    assert!(unpack(&b""[..], into.path()).is_err());
}

proptest! {
    #[test]
    fn any_entries_stay_inside(
        entries in prop::collection::vec(
            (0u8..7, "(\\.\\./|/|a/|b/|\\./){0,4}[ab.]{0,2}", "(\\.\\./|/|a/|b/|\\./){0,4}[ab.]{0,2}"),
            0..30,
        ),
    ) {
        let entries: Vec<Vec<u8>> = entries
            .iter()
            .map(|(kind, name, target)| match kind {
                0 | 1 => file(name, "content"),
                2 | 3 => link(name, target),
                4 => entry(EntryType::Directory, name.as_bytes(), b"", b""),
                5 => entry(EntryType::Link, name.as_bytes(), target.as_bytes(), b""),
                _ => entry(EntryType::GNULongName, b"x", b"", name.as_bytes()),
            })
            .collect();
        let place = tempfile::tempdir().unwrap();
        let into = place.path().join("into");
        fs::create_dir(&into).unwrap();
        let _ = unpack(&stream(&entries)[..], &into);
        prop_assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
        // No link that was made leads outside, whatever other links it goes through.
        let root = fs::canonicalize(&into).unwrap();
        let mut waiting = vec![into];
        while let Some(directory) = waiting.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                let meta = fs::symlink_metadata(&path).unwrap();
                if meta.is_dir() {
                    waiting.push(path);
                } else if meta.is_symlink() && let Ok(real) = fs::canonicalize(&path) {
                    prop_assert!(real.starts_with(&root), "{path:?} leads to {real:?}");
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..3000)) {
        let into = tempfile::tempdir().unwrap();
        let _ = unpack(&bytes[..], into.path());
        let _ = unpack(&zstd::encode_all(&bytes[..], 1).unwrap()[..], into.path());
    }
}

#[test]
fn links_that_are_kept_as_they_are_lead_no_file_outside() {
    let root = tempfile::tempdir().unwrap();
    let (into, outside) = (root.path().join("into"), root.path().join("outside"));
    fs::create_dir(&into).unwrap();
    fs::create_dir(&outside).unwrap();
    let target = outside.to_str().unwrap();
    let entries = [
        link("abs", target),
        link("up", "../outside"),
        link("nowhere", "/no/such"),
        file("abs/x", "written"),
        file("up/x", "written"),
        file("abs", "written"),
    ];
    let mut unpacker =
        flagperf_archive::Unpacker::new(&into, flagperf_archive::Links::AsTheyAre).unwrap();
    unpacker.push(stream(&entries));
    let unpacked = unpacker.finish();
    assert_eq!(unpacked.files, 3);
    assert_eq!(unpacked.problems.len(), 3, "{:?}", unpacked.problems);
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let leads = |name: &str| fs::read_link(into.join(name)).unwrap();
    assert_eq!(leads("abs"), outside);
    assert_eq!(leads("nowhere"), std::path::Path::new("/no/such"));
}
