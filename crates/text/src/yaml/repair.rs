//! What YAML 1.2 refuses, but PyYAML reads: a comment right behind a text in quotes, and lines in
//! brackets that are not indented. Both are put right in a copy, character for character, so that
//! every place stays where it is.

/// What can be put right, with the character where it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repair {
    /// A comment without a blank before it.
    Comment(usize),
    /// A list or mapping in brackets over several lines.
    Brackets(usize),
}

/// The text with one thing put right; absent if that would change nothing.
pub(super) fn repaired(text: &str, repair: Repair) -> Option<String> {
    let mut chars: Vec<char> = text.chars().collect();
    match repair {
        Repair::Comment(at) => {
            if chars.get(at) != Some(&'#') {
                return None;
            }
            blank_line(&mut chars, at);
        }
        Repair::Brackets(at) => {
            if !join_lines(&mut chars, at) {
                return None;
            }
        }
    }
    Some(chars.into_iter().collect())
}

/// Puts blanks in the place of everything up to the end of the line.
fn blank_line(chars: &mut [char], at: usize) {
    for c in chars[at..].iter_mut().take_while(|c| !is_end(**c)) {
        *c = ' ';
    }
}

fn is_end(c: char) -> bool {
    matches!(c, '\n' | '\r')
}

/// Puts blanks in the place of the ends of lines between the values in brackets. True if there
/// were any.
fn join_lines(chars: &mut [char], open: usize) -> bool {
    let mut depth = 0;
    let mut changed = false;
    // The last character that was no blank, up to which a value may reach.
    let mut before = '[';
    let mut at = open;
    while at < chars.len() {
        let c = chars[at];
        let behind_blank = at > 0 && (chars[at - 1] == ' ' || is_end(chars[at - 1]));
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' => depth -= 1,
            '"' | '\'' if begins_value(before) => {
                at = closing(chars, at);
                before = c;
                at += 1;
                continue;
            }
            '#' if behind_blank || ends_value(before) => {
                blank_line(chars, at);
                continue;
            }
            _ if is_end(c) => {
                let next = chars[at..].iter().find(|c| !is_end(**c) && **c != ' ');
                if ends_value(before) || next.is_some_and(|next| "[]{},\"'".contains(*next)) {
                    chars[at] = ' ';
                    changed = true;
                }
            }
            _ => {}
        }
        if depth == 0 {
            break;
        }
        if c != ' ' && !is_end(c) {
            before = c;
        }
        at += 1;
    }
    changed
}

fn begins_value(before: char) -> bool {
    "[{,:?".contains(before)
}

fn ends_value(before: char) -> bool {
    "[]{},:\"'".contains(before)
}

/// Where a text in quotes ends, or the end of everything.
fn closing(chars: &[char], open: usize) -> usize {
    let quote = chars[open];
    let mut at = open + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' if quote == '"' => at += 1,
            c if c == quote && quote == '\'' && chars.get(at + 1) == Some(&'\'') => at += 1,
            c if c == quote => return at,
            _ => {}
        }
        at += 1;
    }
    chars.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_becomes_blanks() {
        let text = "a: \"b\"#模型\nc: d";
        let expected = Some("a: \"b\"   \nc: d".to_owned());
        assert_eq!(repaired(text, Repair::Comment(6)), expected);
        assert_eq!(repaired(text, Repair::Comment(5)), None);
    }

    #[test]
    fn lines_in_brackets_become_one() {
        let text = "h: [\n\"a\", # x\n'b]''', c\n d,\n]\ni: [\n]";
        let expected = "h: [ \"a\",     'b]''', c\n d, ]\ni: [\n]";
        assert_eq!(
            repaired(text, Repair::Brackets(3)).as_deref(),
            Some(expected)
        );
        assert_eq!(repaired("h: [a]", Repair::Brackets(3)), None);
        assert_eq!(repaired("h: [\"\\\"]", Repair::Brackets(3)), None);
        assert_eq!(repaired("", Repair::Brackets(3)), None);
    }
}
