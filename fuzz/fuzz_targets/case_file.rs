//! The reader of `case.toml`: any text gives a case, or errors that name their place.
#![no_main]

use std::path::Path;

use flagperf_library::{parse_case, parse_size};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = parse_size(text);
    if let Err(errors) = parse_case("fuzz", Path::new("fuzz/case.toml"), text) {
        assert!(!errors.0.is_empty());
        assert!(errors.to_string().contains("fuzz/case.toml"));
    }
});
