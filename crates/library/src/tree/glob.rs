//! Names with `*` and `?` in them.

/// True if a text has a wildcard.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

/// True if the whole name is as the pattern says: `*` is any text, `?` any one character.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut seen) = (0, 0);
    // Where the last star stands, and how much of the name it takes so far.
    let mut star: Option<(usize, usize)> = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(&c) if c == '?' || c == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((place, taken)) = star else {
                    return false;
                };
                star = Some((place, taken + 1));
                at = place + 1;
                seen = taken + 1;
            }
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, name, fits) in [
            ("computation-*", "computation-FP16", true),
            ("computation-*", "computation-", true),
            ("computation-*", "interconnect-h2d", false),
            ("*", "", true),
            ("*inter*server", "interconnect-P2P_interserver", true),
            ("*a*b", "aab", true),
            ("*a*b", "aabc", false),
            ("FP?", "FP8", true),
            ("FP?", "FP16", false),
            ("FP??", "FP16", true),
            ("mm", "mm", true),
            ("mm", "addmm", false),
            ("**", "x", true),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
        assert!(is_pattern("a?") && is_pattern("*") && !is_pattern("a:b"));
    }
}
