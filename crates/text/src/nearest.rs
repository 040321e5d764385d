//! The nearest valid name to one that was mistyped.

/// Names at least this similar are offered, on the scale of the normalised Damerau-Levenshtein
/// distance where 1 is equal. Below it a suggestion is more often wrong than helpful: two typing
/// errors in a word of six letters give 0.67.
const SIMILAR: f64 = 0.6;

/// The candidate most like `text`, letter case aside, if one is similar enough. Of equally similar
/// ones the first wins.
pub fn nearest<'a>(text: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // The distance costs the product of both lengths, and no name is anywhere near this long.
    if text.len() > 300 {
        return None;
    }
    let wanted = text.to_lowercase();
    let mut best: Option<(f64, &str)> = None;
    for candidate in candidates {
        let score = strsim::normalized_damerau_levenshtein(&wanted, &candidate.to_lowercase());
        if score >= SIMILAR && best.is_none_or(|(highest, _)| score > highest) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, name)| name)
}

/// Names in backticks with commas between, as error texts list them.
pub fn quoted<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

/// A text that came from outside, cut to a length that an error line can carry.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 200;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The text with a mark in the place of each character that steers a terminal or turns the
/// direction of the line round. What a case prints must not move the cursor of whoever reads it.
pub fn printable(text: String) -> String {
    let steers =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(steers) {
        text.replace(steers, "\u{fffd}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_mistyped_name() {
        let names = ["summary", "suite", "entry", "ranks"];
        assert_eq!(nearest("sumary", names), Some("summary"));
        assert_eq!(nearest("ENTRY", names), Some("entry"));
        assert_eq!(nearest("rnaks", names), Some("ranks"));
        assert_eq!(nearest("wavelength", names), None);
        assert_eq!(nearest("", names), None);
    }

    #[test]
    fn what_steers_a_terminal_is_marked() {
        assert_eq!(
            printable("a\u{1b}[2J\tb\u{9b}c\u{202e}".to_owned()),
            "a�[2J�b�c�"
        );
        assert_eq!(printable("Ünïcode …".to_owned()), "Ünïcode …");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shown("short"), "short");
        let long = "é".repeat(300);
        assert_eq!(shown(&long).chars().count(), 201);
    }
}
