//! The reader of Python modules: any text gives names whose values are known or not, each with its
//! place, or mistakes with theirs. Reading it twice gives the same.
#![no_main]

use flagperf_text::python::{evaluate, read};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let mut import = |name: &str| name.strip_prefix("config").map(|_| "A = [1]\n".to_owned());
    let module = read(text, &mut import);
    assert_eq!(format!("{module:?}"), format!("{:?}", read(text, &mut import)));
    match module {
        Ok(module) => {
            for binding in module.bindings() {
                assert!(text.get(binding.name.span.clone()).is_some());
                let span = match &binding.value {
                    Ok(value) => value.span.clone(),
                    Err(unknown) => unknown.span.clone(),
                };
                assert!(text.get(span).is_some());
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            assert!(problems.iter().all(|problem| problem.line >= 1 && problem.column >= 1));
        }
    }
    let _ = evaluate(text);
});
