//! Unpacking: whatever the bytes are, nothing appears outside, and what is inside is what was told.
#![no_main]

use flagperf_archive::unpack;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(place) = tempfile::tempdir() else {
        return;
    };
    let into = place.path().join("into");
    if std::fs::create_dir(&into).is_err() {
        return;
    }
    let _ = unpack(bytes, &into);
    // As a tar archive without its compression, which random bytes seldom have.
    if let Ok(stream) = zstd::encode_all(bytes, 1) {
        let _ = unpack(&stream[..], &into);
    }
    let beside = std::fs::read_dir(place.path()).map_or(1, Iterator::count);
    assert_eq!(beside, 1);
});
