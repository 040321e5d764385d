//! Configurations of suite inference, as far as the harness has to understand them: which key stands in which
//! line, and whether a vendor's value only repeats the common one, at which the suite's program gives up.

/// A key of the top level: its name, its value without comments and quotes, and the lines that are its own,
/// from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key<'a> {
    pub(super) name: &'a str,
    pub(super) value: String,
    pub(super) lines: std::ops::Range<usize>,
}

/// The keys of a configuration.
pub(super) fn keys(text: &str) -> Vec<Key<'_>> {
    let mut keys: Vec<Key<'_>> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim_end();
        let begins = line.starts_with(|c: char| c.is_alphabetic() || c == '_');
        if let (true, Some((name, rest))) = (begins, line.split_once(':')) {
            keys.push(Key {
                name: name.trim_end(),
                value: value(rest),
                lines: at..at + 1,
            });
        } else if line.starts_with([' ', '\t', '-'])
            && let Some(key) = keys.last_mut()
        {
            key.lines.end = at + 1;
            key.value.push('\n');
            key.value.push_str(line);
        }
    }
    keys
}

/// The names of keys whose value in the vendor's configuration is that of the common one, and the vendor's
/// configuration without them.
pub(super) fn without_repeated<'a>(common: &str, vendors: &'a str) -> (Vec<&'a str>, String) {
    let common = keys(common);
    let repeated: Vec<Key<'_>> = keys(vendors)
        .into_iter()
        .filter(|key| {
            let same = common.iter().find(|other| other.name == key.name);
            same.is_some_and(|other| is_same(&other.value, &key.value))
        })
        .collect();
    let kept = vendors.lines().enumerate().filter(|(at, _)| {
        let mut of_repeated = repeated.iter().map(|key| &key.lines);
        !of_repeated.any(|lines| lines.contains(at))
    });
    let mut text = String::new();
    for (_, line) in kept {
        text.push_str(line.trim_end_matches('\r'));
        text.push('\n');
    }
    (repeated.iter().map(|key| key.name).collect(), text)
}

/// The value behind a colon, without comment and quotes.
fn value(text: &str) -> String {
    let text = text.trim();
    for quote in ['"', '\''] {
        let inside = text
            .strip_prefix(quote)
            .and_then(|rest| rest.split_once(quote));
        if let Some((inside, _)) = inside {
            return inside.to_owned();
        }
    }
    let end = text.find(" #").unwrap_or(text.len());
    let end = if text.starts_with('#') { 0 } else { end };
    text[..end].trim_end().to_owned()
}

/// True if both are the same scalar: `false` and `False`, `1.0` and `1.0`, nothing and `null`.
fn is_same(one: &str, other: &str) -> bool {
    let plain = |text: &str| match text.to_lowercase().as_str() {
        "" | "~" | "null" => "null".to_owned(),
        "true" | "yes" | "on" => "true".to_owned(),
        "false" | "no" | "off" => "false".to_owned(),
        _ => text.to_owned(),
    };
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_values_are_left_out() {
        let common =
            "batch_size: 256\n# x\nflops: 1.55e10\nfp16: true\nexist: null\nlist:\n    - a\n";
        let vendors = "batch_size: 256 # same\r\nflops: \"1.55e10\"\r\nfp16: false\r\nexist:\r\nlist:\r\n    - b\r\nnew: 1\r\n";
        let (names, text) = without_repeated(common, vendors);
        assert_eq!(names, ["batch_size", "flops", "exist"]);
        assert_eq!(text, "fp16: false\nlist:\n    - b\nnew: 1\n");
        let (names, _) = without_repeated(common, "list:\n    - a\nfp16: True\n");
        assert_eq!(names, ["list", "fp16"]);
        assert!(without_repeated(common, "#batch_size: 256\n").0.is_empty());
    }
}
