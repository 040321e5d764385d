//! The reader of `flagperf.toml`: any text gives settings, or errors that name their place; and
//! settings that were accepted resolve to their nodes or to a reason.
#![no_main]

use std::path::Path;

use flagperf_config::{Choice, parse_settings, resolve};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match parse_settings(Path::new("fuzz/flagperf.toml"), text) {
        Ok(settings) => {
            if let Err(errors) = resolve(&settings, &Choice::default()) {
                assert!(!errors.0.is_empty());
            }
        }
        Err(errors) => {
            assert!(!errors.0.is_empty());
            assert!(errors.to_string().starts_with("fuzz/flagperf.toml:"));
        }
    }
});
