//! Values as Python writes them: JSON of its `json` module, and what `repr` gives for dictionaries.
//!
//! Beside what the two languages have in common: `nan` and `Infinity`, `None` and `null`, both quotes,
//! tuples, and calls such as `np.float64(0.5)` or `tensor(0.5, device='cuda:0')`, which are their first
//! argument.

/// Deepest nesting read. Results have two levels.
const DEEPEST: usize = 32;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Literal {
    /// `None`, `null`.
    None,
    Bool(bool),
    /// May be no finite number.
    Number(f64),
    /// Also a name that stands for itself, such as `torch.float16`.
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Literal {
    /// What kind of value it is, in words.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::None => "nothing",
            Self::Bool(_) => "a truth value",
            Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::List(_) => "a list",
            Self::Map(_) => "a dictionary",
        }
    }
}

/// Why a text is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} at byte {at}")]
pub(crate) struct LiteralError {
    at: usize,
    expected: &'static str,
}

/// Reads the value at the start of a text; the second part is what follows it.
pub(crate) fn read(text: &str) -> Result<(Literal, &str), LiteralError> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(0)?;
    Ok((value, &text[reader.at..]))
}

struct Reader<'a> {
    text: &'a str,
    /// Always between two characters.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn fail<T>(&self, expected: &'static str) -> Result<T, LiteralError> {
        let at = self.at;
        Err(LiteralError { at, expected })
    }

    fn blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Takes this character, blanks before it too.
    fn take(&mut self, wanted: char) -> bool {
        self.blanks();
        let found = self.rest().starts_with(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    /// Takes the characters of which this holds.
    fn take_while(&mut self, holds: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c| !holds(c)).unwrap_or(rest.len());
        self.at += end;
        &rest[..end]
    }

    fn value(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        if depth >= DEEPEST {
            return self.fail("no deeper nesting");
        }
        self.blanks();
        match self.rest().chars().next() {
            Some('{') => self.map(depth),
            Some('[') => self.list(depth, ']'),
            Some('(') => self.list(depth, ')'),
            Some('\'' | '"') => self.string().map(Literal::Text),
            Some('<') => self.angle(),
            Some(c) if c.is_ascii_digit() || matches!(c, '+' | '-' | '.') => self.number(depth),
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.word(depth),
            _ => self.fail("a value"),
        }
    }

    fn map(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        let mut members = Vec::new();
        self.take('{');
        while !self.take('}') {
            let key = match self.value(depth + 1)? {
                Literal::Text(key) => key,
                Literal::Number(key) => key.to_string(),
                _ => return self.fail("a key before this"),
            };
            if !self.take(':') {
                return self.fail("`:`");
            }
            let value = self.value(depth + 1)?;
            members.push((key, value));
            self.after_member('}')?;
        }
        Ok(Literal::Map(members))
    }

    fn list(&mut self, depth: usize, end: char) -> Result<Literal, LiteralError> {
        let mut members = Vec::new();
        self.at += 1;
        while !self.take(end) {
            // The name of an argument: `device='cuda:0'`.
            let start = self.at;
            self.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            if self.at == start || !self.take('=') {
                self.at = start;
            }
            members.push(self.value(depth + 1)?);
            self.after_member(end)?;
        }
        Ok(Literal::List(members))
    }

    /// A comma, or the end of the list, which is not taken.
    fn after_member(&mut self, end: char) -> Result<(), LiteralError> {
        if self.take(',') || self.rest().starts_with(end) {
            Ok(())
        } else {
            self.fail("`,` or the end of the list")
        }
    }

    fn string(&mut self) -> Result<String, LiteralError> {
        let mut text = String::new();
        let mut characters = self.rest().char_indices();
        let quote = characters.next().map(|(_, quote)| quote);
        while let Some((at, c)) = characters.next() {
            if Some(c) == quote {
                self.at += at + c.len_utf8();
                return Ok(text);
            }
            if c != '\\' {
                text.push(c);
                continue;
            }
            let digits = match characters.next() {
                Some((_, 'n')) => {
                    text.push('\n');
                    continue;
                }
                Some((_, 't')) => {
                    text.push('\t');
                    continue;
                }
                Some((_, 'x')) => 2,
                Some((_, 'u')) => 4,
                Some((_, other)) => {
                    text.push(other);
                    continue;
                }
                None => break,
            };
            let mut code = 0;
            for _ in 0..digits {
                let digit = characters.next().and_then(|(_, c)| c.to_digit(16));
                code = code * 16 + digit.unwrap_or(0xfffd);
            }
            text.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        self.fail("the end of the text in quotes that begins here")
    }

    /// How Python shows objects that have no other form: `<class 'int'>`.
    fn angle(&mut self) -> Result<Literal, LiteralError> {
        let rest = self.rest();
        match rest.find('>') {
            Some(end) => {
                self.at += end + 1;
                Ok(Literal::Text(rest[..=end].to_owned()))
            }
            None => self.fail("`>`"),
        }
    }

    fn number(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        let start = self.at;
        self.take_while(|c| matches!(c, '+' | '-'));
        let negative = self.text[start..self.at] == *"-";
        if self.rest().starts_with(|c: char| c.is_ascii_alphabetic()) {
            return match self.word(depth + 1)? {
                Literal::Number(value) => {
                    Ok(Literal::Number(if negative { -value } else { value }))
                }
                _ => self.fail("a number before this"),
            };
        }
        self.take_while(|c| c.is_ascii_digit() || c == '.');
        if self.rest().starts_with(['e', 'E']) {
            self.at += 1;
            self.take_while(|c| matches!(c, '+' | '-'));
            self.take_while(|c| c.is_ascii_digit());
        }
        match self.text[start..self.at].parse() {
            Ok(number) => Ok(Literal::Number(number)),
            Err(_) => self.fail("a number before this"),
        }
    }

    fn word(&mut self, depth: usize) -> Result<Literal, LiteralError> {
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.'));
        Ok(match word {
            "None" | "null" => Literal::None,
            "True" | "true" => Literal::Bool(true),
            "False" | "false" => Literal::Bool(false),
            "nan" | "NaN" => Literal::Number(f64::NAN),
            "inf" | "Infinity" => Literal::Number(f64::INFINITY),
            _ if self.rest().starts_with('(') => {
                if depth >= DEEPEST {
                    return self.fail("no deeper nesting");
                }
                match self.list(depth + 1, ')')? {
                    Literal::List(arguments) => {
                        arguments.into_iter().next().unwrap_or(Literal::None)
                    }
                    other => other,
                }
            }
            _ => Literal::Text(word.to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> Literal {
        let (value, rest) = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(rest, "", "{text}");
        value
    }

    fn text(text: &str) -> Literal {
        Literal::Text(text.to_owned())
    }

    #[test]
    fn a_dictionary_of_python() {
        let value = whole("{'a': 1.5e3, \"b\": None, 'c': True, 'd': [1, -2.], 'e': (), 'f': {}}");
        let Literal::Map(members) = value else {
            panic!("{value:?}");
        };
        let values: Vec<Literal> = members.into_iter().map(|(_, value)| value).collect();
        assert_eq!(
            values,
            [
                Literal::Number(1500.0),
                Literal::None,
                Literal::Bool(true),
                Literal::List(vec![Literal::Number(1.0), Literal::Number(-2.0)]),
                Literal::List(Vec::new()),
                Literal::Map(Vec::new()),
            ]
        );
    }

    #[test]
    fn numbers_that_are_none() {
        for (text, value) in [
            ("Infinity", f64::INFINITY),
            ("-Infinity", f64::NEG_INFINITY),
            ("-inf", f64::NEG_INFINITY),
            ("1e999", f64::INFINITY),
        ] {
            assert_eq!(whole(text), Literal::Number(value), "{text}");
        }
        for text in ["nan", "NaN", "-nan"] {
            assert!(matches!(whole(text), Literal::Number(value) if value.is_nan()));
        }
    }

    #[test]
    fn a_call_is_its_first_argument() {
        for text in [
            "np.float64(0.5)",
            "tensor(0.5, device='cuda:0', dtype=torch.float64)",
            "tensor(0.5, grad_fn=<MeanBackward0>)",
            "numpy.float64(np.float32(0.5))",
        ] {
            assert_eq!(whole(text), Literal::Number(0.5), "{text}");
        }
        assert_eq!(whole("OrderedDict()"), Literal::None);
        assert_eq!(whole("torch.float16"), text("torch.float16"));
        assert_eq!(whole("<class 'int'>"), text("<class 'int'>"));
    }

    #[test]
    fn texts_in_both_quotes() {
        assert_eq!(whole(r#""it's \"1\"\n\u00b5\x41""#), text("it's \"1\"\nµA"));
        assert_eq!(whole(r"'\ud800'"), text("\u{fffd}"));
        assert_eq!(whole("'{[('"), text("{[("));
    }

    #[test]
    fn what_follows_is_left() {
        let (value, rest) = read("{\"a\": 1}\u{1b}[0m and more").unwrap();
        assert!(matches!(value, Literal::Map(members) if members.len() == 1));
        assert_eq!(rest, "\u{1b}[0m and more");
    }

    #[test]
    fn what_is_no_value_is_told_with_its_place() {
        for (text, problem) in [
            ("", "expected a value at byte 0"),
            ("{'a' 1}", "expected `:` at byte 5"),
            ("{'a': 1", "expected `,` or the end of the list at byte 7"),
            (
                "{'a': 'b",
                "expected the end of the text in quotes that begins here at byte 6",
            ),
            ("[1 2]", "expected `,` or the end of the list at byte 3"),
            ("--", "expected a number before this at byte 2"),
            ("{None: 1}", "expected a key before this at byte 5"),
            ("<a", "expected `>` at byte 0"),
            (
                "'\\",
                "expected the end of the text in quotes that begins here at byte 0",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), problem, "{text}");
        }
        for deep in ["[", "{'a':", "f(", "-f("] {
            assert!(read(&deep.repeat(100_000)).is_err(), "{deep}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "[\\[\\](){}:,'\"\\\\<>=a-fnx0-9.+µ -]{0,60}|\\PC{0,40}") {
            if let Ok((_, rest)) = read(&text) {
                prop_assert!(text.ends_with(rest));
            }
        }

        #[test]
        fn json_is_read(values in prop::collection::btree_map("\\PC{0,12}", prop::num::f64::NORMAL, 0..8)) {
            let json = serde_json::to_string(&values).unwrap();
            let expected = values.into_iter().map(|(key, value)| (key, Literal::Number(value)));
            prop_assert_eq!(whole(&json), Literal::Map(expected.collect()));
        }
    }
}
