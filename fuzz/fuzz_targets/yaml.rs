//! The reader of YAML: any text gives a value with its place, or mistakes with theirs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = flagperf_text::decode(bytes) else {
        return;
    };
    match flagperf_text::yaml::read(text) {
        Ok(document) => assert!(text.get(document.root.span).is_some()),
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1));
        }
    }
});
