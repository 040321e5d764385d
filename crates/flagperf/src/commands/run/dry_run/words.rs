//! Argument vectors as one line that a person can read and a shell could run.

use flagperf_model::OWN_PROGRAM;

/// The argument vector with this program's path in its place, so that it can be tried by hand.
pub(super) fn own(argv: &[String], program: &str) -> Vec<String> {
    let path = |word: &String| {
        if word == OWN_PROGRAM {
            program.to_owned()
        } else {
            word.clone()
        }
    };
    argv.iter().map(path).collect()
}

/// What stands for the script of a shell that is not shown whole, because it has many lines: `…task.sh…`.
pub(super) fn abridgement(argv: &[String]) -> Option<String> {
    let [shell, option, script, ..] = argv else {
        return None;
    };
    let shell = shell.rsplit('/').next();
    if !matches!(shell, Some("bash" | "sh")) || option != "-c" || !script.trim().contains('\n') {
        return None;
    }
    Some(match flagperf_library::script_name(script) {
        Some(name) => format!("…{name}…"),
        None => format!("…{} lines…", script.lines().count()),
    })
}

/// The argument vector without the many lines of a script.
pub(super) fn abridged(argv: &[String]) -> Vec<String> {
    let mut words = argv.to_vec();
    if let (Some(short), Some(script)) = (abridgement(argv), words.get_mut(2)) {
        *script = short;
    }
    words
}

/// Words as a shell would need them, so that a line of the plan can be tried by hand.
pub(in crate::commands::run) fn quoted(words: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    let quote = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', "'\\''"))
        }
    };
    words.iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_script_of_many_lines_abridgement() {
        let words = |words: &[&str]| {
            words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>()
        };
        let shown = |argv: &[&str]| quoted(&abridged(&words(argv)));
        assert_eq!(
            shown(&["bash", "-c", "a\nb\nc\n", "flagperf", "x y"]),
            "bash -c '…3 lines…' flagperf 'x y'"
        );
        assert_eq!(shown(&["bash", "-c", "a b\n"]), "bash -c 'a b\n'");
        assert_eq!(shown(&["bash", "main.sh"]), "bash main.sh");
        assert_eq!(shown(&["/bin/bash", "-x", "a\nb"]), "/bin/bash -x 'a\nb'");
        let short = "bash -c 'it'\\''s'";
        assert_eq!(shown(&["bash", "-c", "it's"]), short);
    }
}
