//! Paths of this node in the words of processes: where the task's private copy lies, and where it leaves files.

use std::path::Path;

use flagperf_model::{COPY, OUT, ProcessSpec};

/// A process with paths in the place of [`COPY`] and [`OUT`].
///
/// # Errors
///
/// In words: there is no such place, or its name is no text.
pub(crate) fn filled_in(
    spec: &ProcessSpec,
    copy: &Path,
    out: Option<&Path>,
) -> Result<ProcessSpec, String> {
    let fill = |text: &String| filled(text, copy, out);
    let env = spec.env.iter();
    Ok(ProcessSpec {
        argv: spec.argv.iter().map(fill).collect::<Result<_, _>>()?,
        env: env
            .map(|(name, value)| Ok((name.clone(), fill(value)?)))
            .collect::<Result<_, String>>()?,
        cwd: spec.cwd.as_ref().map(fill).transpose()?,
        ..spec.clone()
    })
}

/// One pass from the left: a path is not looked into again.
fn filled(text: &str, copy: &Path, out: Option<&Path>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        rest = if let Some(behind) = from.strip_prefix(COPY) {
            filled.push_str(utf8(copy)?);
            behind
        } else if let Some(behind) = from.strip_prefix(OUT) {
            let out = out.ok_or("there is no directory for files that it leaves (FLAGPERF_OUT)")?;
            filled.push_str(utf8(out)?);
            behind
        } else {
            filled.push('{');
            &from[1..]
        };
    }
    filled.push_str(rest);
    Ok(filled)
}

fn utf8(path: &Path) -> Result<&str, String> {
    path.to_str()
        .ok_or_else(|| format!("the name of {} is no UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn spec(word: &str) -> ProcessSpec {
        ProcessSpec {
            rank: 3,
            argv: vec!["python3".to_owned(), word.to_owned()],
            env: BTreeMap::from([("{out}".to_owned(), word.to_owned())]),
            cwd: Some(word.to_owned()),
            cpus: vec![1],
        }
    }

    #[test]
    fn every_value_gets_its_paths_and_nothing_else_changes() {
        let (copy, out) = (Path::new("/s/{out}"), Path::new("/o"));
        let found = filled_in(&spec("--a={copy}/x:{out}{copy} {other} {"), copy, Some(out));
        let text = "--a=/s/{out}/x:/o/s/{out} {other} {";
        let expected = ProcessSpec {
            argv: vec!["python3".to_owned(), text.to_owned()],
            env: BTreeMap::from([("{out}".to_owned(), text.to_owned())]),
            cwd: Some(text.to_owned()),
            ..spec("")
        };
        assert_eq!(found.unwrap(), expected);
    }

    #[test]
    fn only_who_wants_a_place_for_files_misses_it() {
        let copy = Path::new("/s");
        assert!(filled_in(&spec("{copy}"), copy, None).is_ok());
        let missing = filled_in(&spec("{out}/log"), copy, None).unwrap_err();
        assert!(missing.contains("FLAGPERF_OUT"), "{missing}");
    }
}
