use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::{Duration, Instant};

use flagperf_archive::{Links, Unpacked, Unpacker, pack, unpack};
use proptest::prelude::*;

fn packed(root: &Path) -> (Vec<u8>, flagperf_archive::Packed) {
    let mut stream = Vec::new();
    let packed = pack(root, &mut stream).unwrap();
    (stream, packed)
}

/// Everything below a directory: name, permissions, and what it is.
fn tree(root: &Path) -> BTreeMap<Vec<u8>, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let what = if meta.is_dir() {
                waiting.push(path.clone());
                b"directory".to_vec()
            } else if meta.is_symlink() {
                fs::read_link(&path)
                    .unwrap()
                    .as_os_str()
                    .as_bytes()
                    .to_vec()
            } else {
                fs::read(&path).unwrap()
            };
            let name = path.strip_prefix(root).unwrap();
            let name = name.as_os_str().as_bytes().to_vec();
            found.insert(name, (meta.permissions().mode() & 0o7777, what));
        }
    }
    found
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_tree_comes_back_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    fs::create_dir_all(at("a/b")).unwrap();
    fs::create_dir(at("empty")).unwrap();
    fs::write(at("a/b/log"), b"x".repeat(100_000)).unwrap();
    fs::write(at("a/block"), [1; 512]).unwrap();
    fs::write(at("nothing"), "").unwrap();
    fs::write(root.path().join(OsStr::from_bytes(b"caf\xe9\n\x01")), "odd").unwrap();
    // Names and targets beyond the 100 bytes of a header, and as long as Linux allows.
    let long = "l".repeat(255);
    fs::create_dir_all(at(&format!("{long}/{long}"))).unwrap();
    fs::write(at(&format!("{long}/{long}/{long}")), "deep").unwrap();
    symlink(&long, at("to-long")).unwrap();
    symlink("../a/./block", at("a/back")).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    set_mode(&at("a/block"), 0o751);
    set_mode(&at("nothing"), 0o600);
    set_mode(&at("a/b"), 0o500);

    let (stream, packed) = packed(root.path());
    assert_eq!((packed.files, packed.bytes), (8, 100_000 + 512 + 3 + 4));
    assert_eq!(packed.problems, [""; 0]);
    let into = tempfile::tempdir().unwrap();
    let unpacked = unpack(&stream[..], into.path()).unwrap();
    assert_eq!(
        unpacked,
        Unpacked {
            files: packed.files,
            bytes: packed.bytes,
            problems: Vec::new()
        }
    );
    let mut expected = tree(root.path());
    expected.get_mut(&b"a/b"[..]).unwrap().0 = 0o700;
    assert_eq!(tree(into.path()), expected);
}

#[test]
fn what_is_no_file_is_left_out_and_named() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let _socket = UnixListener::bind(at("socket")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, at("fifo"), 0o600.into()).unwrap();
    fs::write(at("set"), "uid").unwrap();
    set_mode(&at("set"), 0o6755);
    let (stream, packed) = packed(root.path());
    assert_eq!(
        packed.problems,
        [
            "`fifo` is a FIFO and left out",
            "`socket` is a socket and left out"
        ]
    );
    let into = tempfile::tempdir().unwrap();
    unpack(&stream[..], into.path()).unwrap();
    assert_eq!(
        tree(into.path()),
        BTreeMap::from([(b"set".to_vec(), (0o755, b"uid".to_vec()))])
    );
    assert!(pack(&root.path().join("nowhere"), Vec::new()).is_err());
}

#[test]
fn a_tree_deeper_than_a_path_is_named_and_the_rest_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let mut at = rustix::fs::open(
        root.path(),
        rustix::fs::OFlags::DIRECTORY,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    for _ in 0..30 {
        let name = "d".repeat(200);
        rustix::fs::mkdirat(&at, &name, 0o755.into()).unwrap();
        at = rustix::fs::openat(
            &at,
            &name,
            rustix::fs::OFlags::DIRECTORY,
            rustix::fs::Mode::empty(),
        )
        .unwrap();
    }
    fs::write(root.path().join("z"), "z").unwrap();
    let (stream, packed) = packed(root.path());
    assert_eq!((packed.files, packed.problems.len()), (1, 1));
    assert!(packed.problems[0].contains("cannot be read"));
    let into = tempfile::tempdir().unwrap();
    assert_eq!(unpack(&stream[..], into.path()).unwrap().files, 1);
}

#[test]
fn a_stream_in_pieces_and_one_that_ends_early() {
    let root = tempfile::tempdir().unwrap();
    for number in 0..50u32 {
        // Content that hardly gets smaller: the stream has many blocks, and each can be read alone.
        let mut state = number + 1;
        let content: Vec<u8> = (0..20_000)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state as u8
            })
            .collect();
        fs::write(root.path().join(format!("f{number:02}")), content).unwrap();
    }
    let (stream, packed) = packed(root.path());
    let into = tempfile::tempdir().unwrap();
    let mut unpacker = Unpacker::new(into.path(), Links::Inside).unwrap();
    for piece in stream.chunks(777) {
        unpacker.push(piece.to_vec());
    }
    let whole = unpacker.finish();
    assert_eq!((whole.files, whole.bytes), (packed.files, packed.bytes));
    assert_eq!(whole.problems, [""; 0]);
    assert_eq!(tree(into.path()), tree(root.path()));

    for cut in [0, 1, stream.len() / 2, stream.len() - 1] {
        let into = tempfile::tempdir().unwrap();
        let mut unpacker = Unpacker::new(into.path(), Links::Inside).unwrap();
        unpacker.push(stream[..cut].to_vec());
        let part = unpacker.finish();
        let last = part.problems.last().unwrap();
        assert!(last.starts_with("the archive ends early or is damaged after "));
        assert_eq!(tree(into.path()).len() as u64, part.files);
        if cut == stream.len() / 2 {
            assert!((5..50).contains(&part.files), "{part:?}");
        }
    }

    // Damage in the middle: nobody waits for the rest.
    let mut damaged = stream.clone();
    damaged[100..200].fill(0xff);
    let into = tempfile::tempdir().unwrap();
    let mut unpacker = Unpacker::new(into.path(), Links::Inside).unwrap();
    for _ in 0..100 {
        unpacker.push(damaged.clone());
    }
    let problems = unpacker.finish().problems;
    let last = problems.last().unwrap();
    assert!(
        last.starts_with("the archive ends early or is damaged"),
        "{problems:?}"
    );
    let mut unpacker = Unpacker::new(&root.path().join("nowhere"), Links::Inside).unwrap();
    unpacker.push(stream);
    assert!(unpacker.finish().problems[0].starts_with("cannot unpack into"));
}

/// Ten thousand files of 1 KiB in a hundred directories, on a file system in memory where there is one.
#[test]
fn many_small_files_take_no_time() {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    };
    let root = tempfile::tempdir_in(&place).unwrap();
    for directory in 0..100 {
        let directory = root.path().join(directory.to_string());
        fs::create_dir(&directory).unwrap();
        for file in 0..100 {
            fs::write(directory.join(format!("part{file}")), [file; 1024]).unwrap();
        }
    }
    let begun = Instant::now();
    let (stream, packed) = packed(root.path());
    let packing = begun.elapsed();
    let into = tempfile::tempdir_in(&place).unwrap();
    let begun = Instant::now();
    let unpacked = unpack(&stream[..], into.path()).unwrap();
    let unpacking = begun.elapsed();
    println!("packed in {packing:?}, unpacked in {unpacking:?}");
    assert_eq!((packed.files, unpacked.files), (10_000, 10_000));
    // Far above what it takes, for machines that are busy with something else.
    assert!(packing.max(unpacking) < Duration::from_secs(5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_files_come_back(
        files in prop::collection::btree_map(
            prop::collection::vec("[a-c]{1,3}|\\PC{1,30}|[\\x01-\\x2d]{1,9}".prop_filter("a name", |name| {
                !name.contains(['/', '\0']) && name != "." && name != ".." && name.len() < 256
            }), 1..4),
            (prop::collection::vec(any::<u8>(), 0..2000), 0u32..0o1000),
            0..20,
        ),
        cut in any::<prop::sample::Index>(),
    ) {
        let root = tempfile::tempdir().unwrap();
        for (parts, (content, mode)) in &files {
            let path = root.path().join(parts.join("/"));
            // Where a file is in the way of a directory, or the other way round, there is one less.
            if fs::create_dir_all(path.parent().unwrap()).is_ok() && fs::write(&path, content).is_ok() {
                set_mode(&path, *mode | 0o400);
            }
        }
        let (stream, packed) = packed(root.path());
        prop_assert_eq!(&packed.problems, &Vec::<String>::new());
        let into = tempfile::tempdir().unwrap();
        let unpacked = unpack(&stream[..], into.path()).unwrap();
        prop_assert_eq!((packed.files, packed.bytes), (unpacked.files, unpacked.bytes));
        prop_assert_eq!(tree(into.path()), tree(root.path()));
        // Cut anywhere, it gives a part and says so.
        let into = tempfile::tempdir().unwrap();
        prop_assert!(unpack(&stream[..cut.index(stream.len())], into.path()).is_err());
        let whole = tree(root.path());
        for (name, (_, content)) in tree(into.path()) {
            prop_assert!(whole[&name].1.starts_with(&content));
        }
    }
}
