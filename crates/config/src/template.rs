//! The command of the launcher `exec`: words with places for what differs from node to node.

use flagperf_text::{nearest, printable, quoted, shown};

/// A command with places such as `{node}` in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    words: Vec<Vec<Piece>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Place(Place),
}

/// What differs from node to node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Node,
    Address,
    User,
    Port,
}

const PLACES: [(&str, Place); 4] = [
    ("node", Place::Node),
    ("address", Place::Address),
    ("user", Place::User),
    ("port", Place::Port),
];

impl Place {
    /// Its name without braces, which is also that of the key that sets its value.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Address => "address",
            Self::User => "user",
            Self::Port => "port",
        }
    }
}

/// A mistake in a command, and in which of its words; no word means the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TemplateProblem {
    pub(crate) word: Option<usize>,
    pub(crate) message: String,
}

impl TemplateProblem {
    fn whole(message: &str) -> Self {
        Self {
            word: None,
            message: message.to_owned(),
        }
    }
}

impl Template {
    /// Splits a command as a shell would, and reads its words.
    pub(crate) fn from_line(line: &str) -> Result<Self, Vec<TemplateProblem>> {
        match shlex::split(line) {
            Some(words) => Self::from_words(&words),
            None => Err(vec![TemplateProblem::whole(
                "this cannot be split into words: a quote is not closed, or nothing follows the last `\\`",
            )]),
        }
    }

    /// Reads the words of a command.
    pub(crate) fn from_words(words: &[String]) -> Result<Self, Vec<TemplateProblem>> {
        let mut problems = Vec::new();
        let mut read = Vec::new();
        for (index, word) in words.iter().enumerate() {
            match pieces(word) {
                Ok(pieces) => read.push(pieces),
                Err(message) => problems.push(TemplateProblem {
                    word: Some(index),
                    message,
                }),
            }
        }
        if words
            .first()
            .is_none_or(|program| program.trim().is_empty())
        {
            problems.push(TemplateProblem::whole(
                "there is no program to start; expected the program first",
            ));
        }
        let names_node =
            |piece: &Piece| matches!(piece, Piece::Place(Place::Node | Place::Address));
        // A word that could not be read may have been the one that names the node.
        if problems.is_empty() && !read.iter().flatten().any(names_node) {
            problems.push(TemplateProblem::whole(
                "this is the same for every node; expected `{node}` or `{address}` in it",
            ));
        }
        if problems.is_empty() {
            Ok(Self { words: read })
        } else {
            Err(problems)
        }
    }

    /// The words for a node, or the place for which it has no value.
    pub(crate) fn fill<'v>(
        &self,
        value: impl Fn(Place) -> Option<&'v str>,
    ) -> Result<Vec<String>, Place> {
        let mut words = Vec::with_capacity(self.words.len());
        for pieces in &self.words {
            let mut word = String::new();
            for piece in pieces {
                match piece {
                    Piece::Text(text) => word.push_str(text),
                    Piece::Place(place) => word.push_str(value(*place).ok_or(*place)?),
                }
            }
            words.push(word);
        }
        Ok(words)
    }
}

/// Cuts a word at its braces. `{{` and `}}` stand for the braces themselves.
fn pieces(word: &str) -> Result<Vec<Piece>, String> {
    if word.contains('\0') {
        return Err("an argument cannot contain a NUL character".to_owned());
    }
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some(at) = rest.find(['{', '}']) {
        text.push_str(&rest[..at]);
        let (brace, behind) = rest[at..].split_at(1);
        if let Some(after) = behind.strip_prefix(brace) {
            text.push_str(brace);
            rest = after;
            continue;
        }
        let Some((name, after)) = behind.split_once('}').filter(|_| brace == "{") else {
            let message = format!(
                "this `{brace}` has no partner; `{brace}{brace}` stands for the character itself"
            );
            return Err(message);
        };
        if !text.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut text)));
        }
        pieces.push(Piece::Place(place(name)?));
        rest = after;
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Ok(pieces)
}

fn place(name: &str) -> Result<Place, String> {
    let names = || PLACES.iter().map(|(name, _)| *name);
    if let Some((_, place)) = PLACES.iter().find(|(known, _)| *known == name) {
        return Ok(*place);
    }
    let braced: Vec<String> = names().map(|name| format!("{{{name}}}")).collect();
    let hint = nearest(name, names())
        .map(|close| format!("; did you mean `{{{close}}}`?"))
        .unwrap_or_default();
    Err(format!(
        "`{{{}}}` has no meaning here; expected one of {}{hint}",
        printable(shown(name)),
        quoted(braced.iter().map(String::as_str))
    ))
}
