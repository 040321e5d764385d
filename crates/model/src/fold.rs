//! Names of nodes into the short text that people read.

use crate::NodeName;

/// More digits in a row are text: as numbers they would not fit.
const MOST_DIGITS: usize = 18;

/// A piece of a name, or of several names that have it in common.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece<'n> {
    Text(&'n str),
    Number(&'n str),
    /// Numbers in brackets.
    Set(String),
}

/// The shortest usual text for those nodes, in their order: `node[01-04,07]`. Names that have
/// nothing in common with their neighbour stand alone. Read as a list of nodes it is the same list
/// again, except for the empty one.
pub fn fold(names: &[NodeName]) -> String {
    let mut elements: Vec<Vec<Piece<'_>>> =
        names.iter().map(|name| pieces(name.as_str())).collect();
    // Each pass folds one more number, from the last of a name to its first.
    loop {
        let before = elements.len();
        elements = fold_once(elements);
        if elements.len() == before {
            break;
        }
    }
    let texts: Vec<String> = elements
        .iter()
        .map(|element| {
            element
                .iter()
                .map(|piece| match piece {
                    Piece::Text(text) | Piece::Number(text) => text,
                    Piece::Set(text) => text.as_str(),
                })
                .collect()
        })
        .collect();
    texts.join(",")
}

/// A name cut where digits begin and end.
fn pieces(name: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != digit)
            .unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        pieces.push(if digit && piece.len() <= MOST_DIGITS {
            Piece::Number(piece)
        } else {
            Piece::Text(piece)
        });
        rest = behind;
    }
    pieces
}

/// Joins neighbours that differ in one and the same number.
fn fold_once<'n>(elements: Vec<Vec<Piece<'n>>>) -> Vec<Vec<Piece<'n>>> {
    let mut folded = Vec::new();
    let mut rest = elements.into_iter().peekable();
    while let Some(mut element) = rest.next() {
        let mut varying = None;
        let mut numbers: Vec<&'n str> = Vec::new();
        while let Some((at, first, next)) = rest
            .peek()
            .and_then(|next| only_difference(&element, next))
            .filter(|(at, ..)| varying.is_none_or(|known| known == *at))
        {
            if varying.is_none() {
                varying = Some(at);
                numbers.push(first);
            }
            numbers.push(next);
            rest.next();
        }
        if let Some(at) = varying {
            element[at] = Piece::Set(bracket(&numbers));
        }
        folded.push(element);
    }
    folded
}

/// Where two elements differ and by which numbers, if that is a single place. It must lie before
/// every bracket, since the last bracket of a name runs fastest.
fn only_difference<'n>(
    left: &[Piece<'n>],
    right: &[Piece<'n>],
) -> Option<(usize, &'n str, &'n str)> {
    if left.len() != right.len() {
        return None;
    }
    let mut differing = (0..left.len()).filter(|&at| left[at] != right[at]);
    let (at, None) = (differing.next()?, differing.next()) else {
        return None;
    };
    let bracket_before = left[..at]
        .iter()
        .any(|piece| matches!(piece, Piece::Set(_)));
    match (&left[at], &right[at]) {
        (Piece::Number(one), Piece::Number(other)) if !bracket_before => Some((at, one, other)),
        _ => None,
    }
}

/// Numbers in brackets, those that follow each other as ranges.
fn bracket(numbers: &[&str]) -> String {
    let mut ranges: Vec<(&str, &str)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((first, last)) if follows(first.len(), last, number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let texts: Vec<String> = ranges
        .iter()
        .map(|(first, last)| {
            if first == last {
                (*first).to_owned()
            } else {
                format!("{first}-{last}")
            }
        })
        .collect();
    format!("[{}]", texts.join(","))
}

/// True if a range whose numbers have at least `width` digits goes on from `last` with `next`.
fn follows(width: usize, last: &str, next: &str) -> bool {
    last.parse::<u64>()
        .is_ok_and(|last| format!("{:0width$}", last + 1) == next)
}
