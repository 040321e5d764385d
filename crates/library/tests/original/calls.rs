//! What the stand-ins wrote down.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// How a program was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) program: String,
    pub(crate) directory: String,
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: BTreeMap<String, String>,
}

/// Variables that shells keep for themselves.
const OF_SHELLS: [&str; 4] = ["PWD", "OLDPWD", "SHLVL", "_"];

/// Takes all calls out of a directory of records, in an order that does not depend on when they were made.
pub(crate) fn take(records: &Path, tree: &Path, out: Option<&Path>) -> Vec<Call> {
    let plain = |text: &str| {
        let mut text = text.replace(&*tree.to_string_lossy(), "{tree}");
        if let Some(out) = out {
            text = text.replace(&*out.to_string_lossy(), "{out}");
        }
        without_log_directory(&text)
    };
    let mut calls = Vec::new();
    for entry in fs::read_dir(records).unwrap() {
        let path = entry.unwrap().path();
        assert!(
            path.extension()
                .is_some_and(|extension| extension == "call"),
            "{}",
            path.display()
        );
        let text = String::from_utf8(fs::read(&path).unwrap()).unwrap();
        fs::remove_file(&path).unwrap();
        let mut parts = text.split_terminator('\0');
        let mut next = || parts.next().unwrap();
        let program = next().to_owned();
        let directory = plain(next());
        let number: usize = next().parse().unwrap();
        let arguments = (0..number).map(|_| plain(next())).collect();
        let variables = parts
            .filter_map(|pair| pair.split_once('='))
            .filter(|(name, _)| !OF_SHELLS.contains(name))
            .map(|(name, value)| (name.to_owned(), plain(value)))
            .collect();
        calls.push(Call {
            program,
            directory,
            arguments,
            variables,
        });
    }
    let rank = |call: &Call| {
        let of = |name: &str| {
            call.variables
                .get(name)
                .and_then(|rank| rank.parse::<u32>().ok())
        };
        of("RANK").or_else(|| of("PADDLE_TRAINER_ID"))
    };
    calls.sort_by_key(|call| (call.program.clone(), rank(call), call.arguments.clone()));
    calls
}

/// The original has a directory for logs of its own in the tree; ours is elsewhere.
fn without_log_directory(text: &str) -> String {
    let at = text.match_indices("/run").find(|(at, _)| {
        let digits = &text[at + 4..];
        digits.len() >= 14 && digits.bytes().take(14).all(|byte| byte.is_ascii_digit())
    });
    match (at, text.find("{tree}")) {
        (Some(_), Some(begin)) => format!("{}{{out}}", &text[..begin]),
        _ => text.to_owned(),
    }
}
