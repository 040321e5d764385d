//! The original's configuration files: any texts give a configuration, or errors that name their
//! place; and a configuration that was accepted comes back from the `flagperf.toml` made of it.
#![no_main]

use std::path::Path;

use flagperf_config::classic::{ClassicFiles, ConfigFile, read_classic, to_toml};
use flagperf_config::parse_settings;

libfuzzer_sys::fuzz_target!(|input: (u8, &[u8], &[u8], &str)| {
    let (suite, first, second, set) = input;
    let file = |bytes| ConfigFile {
        path: Path::new("fuzz"),
        bytes,
    };
    let files = match suite % 4 {
        0 => ClassicFiles::Base(file(first)),
        1 => ClassicFiles::Operation(file(first)),
        2 => ClassicFiles::Inference(file(first)),
        _ => ClassicFiles::Training {
            cluster: file(first),
            test: file(second),
        },
    };
    let set: Vec<String> = set.split('\0').map(str::to_owned).collect();
    match read_classic(&files, &set) {
        Err(errors) => assert!(!errors.0.is_empty()),
        Ok(reading) => {
            assert_eq!(reading.case_places.len(), reading.config.cases.len());
            let text = to_toml(&reading.config);
            let settings = parse_settings(Path::new("flagperf.toml"), &text).expect("what is written is right");
            let back = settings.suite().expect("it has a suite");
            assert_eq!(back.config, reading.config);
        }
    }
});
