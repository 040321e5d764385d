//! Texts in quotes.

use std::ops::Range;

use tree_sitter::Node;

use super::Unknown;
use super::statement::Evaluator;
use crate::data::Data;

/// What stands before the quotes.
#[derive(Debug, Clone, Copy)]
struct Prefix {
    raw: bool,
    format: bool,
}

impl Evaluator<'_, '_> {
    /// The value of a text in quotes.
    pub(super) fn string(&mut self, node: Node<'_>, depth: usize) -> Result<Data, Unknown> {
        let (Some(start), Some(end)) = (node.child(0), last_child(node)) else {
            return Err(Unknown::of(node, "a text that is not closed"));
        };
        let prefix = self.prefix(start)?;
        let mut text = String::new();
        let mut at = start.end_byte();
        let mut cursor = node.walk();
        for part in node.children(&mut cursor) {
            if part.kind() == "interpolation" {
                self.content(at..part.start_byte(), prefix, &mut text)?;
                text.push_str(&self.interpolation(part, depth)?);
                at = part.end_byte();
            }
        }
        self.content(at..end.start_byte().max(at), prefix, &mut text)?;
        Ok(Data::Text(text))
    }

    fn prefix(&self, start: Node<'_>) -> Result<Prefix, Unknown> {
        let letters = self
            .text(start)
            .trim_end_matches(['"', '\''])
            .to_lowercase();
        let prefix = Prefix {
            raw: letters.contains('r'),
            format: letters.contains('f'),
        };
        if letters.contains('b') {
            return Err(Unknown::of(start, "these are bytes and no text"));
        }
        if letters.contains('t') {
            return Err(Unknown::of(start, "a template"));
        }
        Ok(prefix)
    }

    /// Adds what stands between quotes and braces.
    fn content(
        &self,
        span: Range<usize>,
        prefix: Prefix,
        text: &mut String,
    ) -> Result<(), Unknown> {
        // To Python every end of a line is one character.
        let mut raw = self.source[span.clone()].replace("\r\n", "\n");
        if prefix.format {
            raw = raw.replace("{{", "{").replace("}}", "}");
        }
        if prefix.raw {
            text.push_str(&raw);
            return Ok(());
        }
        unescape(&raw, text).map_err(|what| Unknown {
            span,
            message: format!("{what} in this text cannot be read; write the character itself"),
        })
    }
}

fn last_child(node: Node<'_>) -> Option<Node<'_>> {
    let last = node.child_count().checked_sub(1)?;
    node.child(last)
}

/// Adds a text with its escapes replaced. The error is the escape that has no meaning.
fn unescape(raw: &str, text: &mut String) -> Result<(), String> {
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        text.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let Some(letter) = escape.chars().next() else {
            text.push('\\');
            return Ok(());
        };
        rest = &escape[letter.len_utf8()..];
        let plain = match letter {
            '\n' => continue,
            '\\' | '\'' | '"' => letter,
            'a' => '\u{7}',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            '0'..='7' => {
                let digits = leading(escape, 3, |c| c.is_digit(8));
                rest = &escape[digits.len()..];
                code(digits, 8).ok_or_else(|| format!("`\\{digits}`"))?
            }
            'x' | 'u' | 'U' => {
                let length = match letter {
                    'x' => 2,
                    'u' => 4,
                    _ => 8,
                };
                let digits = leading(rest, length, |c| c.is_ascii_hexdigit());
                rest = &rest[digits.len()..];
                let found = code(digits, 16).filter(|_| digits.len() == length);
                found.ok_or_else(|| format!("`\\{letter}{digits}`"))?
            }
            'N' => return Err("`\\N`".to_owned()),
            // Any other letter keeps its backslash.
            other => {
                text.push('\\');
                other
            }
        };
        text.push(plain);
    }
    text.push_str(rest);
    Ok(())
}

fn leading(text: &str, most: usize, fits: impl Fn(char) -> bool) -> &str {
    let length = text.chars().take(most).take_while(|c| fits(*c)).count();
    // Digits are of one byte.
    &text[..length]
}

fn code(digits: &str, radix: u32) -> Option<char> {
    char::from_u32(u32::from_str_radix(digits, radix).ok()?)
}
