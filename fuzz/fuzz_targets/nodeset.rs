//! Lists of nodes: any text gives names, or an error with its place; and what is folded expands to
//! the same names again.
#![no_main]

use flagperf_config::nodeset::{MOST_NODES, expand, fold};

libfuzzer_sys::fuzz_target!(|text: &str| {
    match expand(text) {
        Ok(names) => {
            assert!(!names.is_empty() && names.len() <= MOST_NODES);
            let again = expand(&fold(&names)).expect("a folded list is a list");
            assert_eq!(again, names);
        }
        Err(error) => assert!(error.line >= 1 && error.column >= 1),
    }
});
