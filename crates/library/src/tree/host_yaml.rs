//! `configs/host.yaml` in the form in which scripts of toolkits look for it.
//!
//! They read the file with whatever is at hand: one takes the first line with `HOSTS` and brackets, one takes
//! addresses from the line `HOSTS:`, one asks `yq`. What suits all of them is a first line with the hosts in
//! brackets. The rest of the file stays as it was, without carriage returns.

use std::fmt::Write;

/// The text, with no hosts yet, made of the user's own file if there is one. `keys` are set in any case.
pub(super) fn canonical(original: Option<&str>, keys: &[(&str, String)]) -> String {
    let mut text = format!("{}\n", hosts_line(&[]));
    for (key, value) in keys {
        let _ = writeln!(text, "{key}: {value}");
    }
    let original = original.unwrap_or_default().trim_start_matches('\u{feff}');
    let lines: Vec<&str> = original
        .lines()
        .map(|line| line.trim_end_matches('\r'))
        .collect();
    let mut at = 0;
    while let Some(line) = lines.get(at) {
        let known = keys.iter().map(|(key, _)| *key).chain(["HOSTS"]);
        if known.into_iter().any(|key| is_key(line, key)) {
            at = end_of_value(&lines, at);
            continue;
        }
        at += 1;
        // A mark of a document's beginning would make what stands above it another document.
        if *line != "---" && !line.starts_with('%') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The text with the hosts in.
pub(super) fn with_hosts(text: &str, hosts: &[&str]) -> String {
    let rest = text.split_once('\n').map_or("", |(_, rest)| rest);
    format!("{}\n{rest}", hosts_line(hosts))
}

fn hosts_line(hosts: &[&str]) -> String {
    let quoted: Vec<String> = hosts.iter().map(|host| text_value(host)).collect();
    format!("HOSTS: [{}]", quoted.join(", "))
}

/// A text as a YAML value in quotes.
pub(super) fn text_value(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn is_key(line: &str, key: &str) -> bool {
    let bare = line.strip_prefix(key).or_else(|| {
        line.strip_prefix(['"', '\''])?
            .strip_prefix(key)?
            .strip_prefix(['"', '\''])
    });
    let Some(rest) = bare.and_then(|rest| rest.trim_start().strip_prefix(':')) else {
        return false;
    };
    rest.is_empty() || rest.starts_with(char::is_whitespace)
}

/// Where the lines of the value that begins in line `at` end: behind its brackets, or behind what is indented
/// or listed under it.
fn end_of_value(lines: &[&str], at: usize) -> usize {
    let mut end = at + 1;
    let mut depth = depth_after(lines[at], 0);
    while depth > 0 && end < lines.len() {
        depth = depth_after(lines[end], depth);
        end += 1;
    }
    loop {
        // Blank lines and comments belong to the value only if more of it follows.
        let next = lines[end..].iter().position(|line| {
            let text = line.trim_start();
            !text.is_empty() && !text.starts_with('#')
        });
        match next {
            Some(skipped) if lines[end + skipped].starts_with([' ', '\t', '-']) => {
                end += skipped + 1;
            }
            _ => return end,
        }
    }
}

/// How many brackets are open behind a line.
fn depth_after(line: &str, before: usize) -> usize {
    let mut depth = before;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '#') => break,
            (None, '[') => depth += 1,
            (None, ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What every form of a list of hosts comes to.
    const WANTED: &str = "HOSTS: [\"a\", \"b\"]\nVENDOR: \"x\"\n# one HOSTS: [\"none\"]\nHOSTS_PORTS: [\"2222\"]\nCASES:\n    \"c:d\": \"e\"\n";

    #[test]
    fn hosts_come_first_and_in_brackets_however_they_were_written() {
        let forms = [
            "HOSTS: [\"p\", \"q\"]\n",
            "HOSTS: [\"p\",\n    \"q\"]\n",
            "HOSTS: [\n\"p\", # [\n]\n",
            "HOSTS:\n- p\n\n# between\n- q\n",
            "HOSTS:\n    - p\n    - q\n",
            "\"HOSTS\" : [p]\n",
            "'HOSTS':\n  [p]\n",
            "HOSTS:\n",
        ];
        for hosts in forms {
            for (before, after) in [
                ("", "HOSTS_PORTS: [\"2222\"]\n"),
                ("HOSTS_PORTS: [\"2222\"]\n", ""),
            ] {
                let text = format!(
                    "---\nVENDOR: y\n# one HOSTS: [\"none\"]\n{before}{hosts}{after}CASES:\n    \"c:d\": \"e\"\n"
                );
                for text in [
                    text.clone(),
                    text.replace('\n', "\r\n"),
                    format!("\u{feff}{text}"),
                ] {
                    let text = canonical(Some(&text), &[("VENDOR", text_value("x"))]);
                    assert_eq!(with_hosts(&text, &["a", "b"]), WANTED, "{hosts}");
                }
            }
        }
    }

    #[test]
    fn without_a_file_there_are_the_keys() {
        let text = canonical(
            None,
            &[
                ("VENDOR", text_value("a\"b")),
                ("NPROC_PER_NODE", "8".to_owned()),
            ],
        );
        assert_eq!(
            with_hosts(&text, &["h"]),
            "HOSTS: [\"h\"]\nVENDOR: \"a\\\"b\"\nNPROC_PER_NODE: 8\n"
        );
    }
}
