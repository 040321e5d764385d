//! What a plain scalar means: the rules of YAML 1.1 in the form that PyYAML gives them.
//!
//! They differ from the rules of YAML 1.2 and of YAML 1.1 itself in places that matter: `4.12e9` is
//! a text since the exponent has no sign, `yes` is true, `010` is eight and `1:30` is ninety.

use crate::data::Data;

/// What a plain scalar is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Plain {
    /// A value.
    Value(Data),
    /// A date or a time, which becomes a text here and a `datetime` there.
    Time,
    /// `<<`, which merges mappings where it is a key.
    Merge,
    /// `=`, which has a meaning of its own, but none that PyYAML knows.
    Equals,
    /// What looks like a number to the rules, but is none.
    Wrong(&'static str),
}

/// Resolves a scalar that stands without quotation marks and without a tag.
pub(super) fn resolve(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Value(Data::None),
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Plain::Value(Data::Bool(true))
        }
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Plain::Value(Data::Bool(false))
        }
        "<<" => Plain::Merge,
        "=" => Plain::Equals,
        _ => number(text),
    }
}

fn number(text: &str) -> Plain {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return Plain::Value(Data::Text(text.to_owned()));
    }
    if let Some(float) = float(text) {
        return Plain::Value(Data::Float(float));
    }
    match int(text) {
        Some(Ok(number)) => Plain::Value(Data::Int(number)),
        Some(Err(problem)) => Plain::Wrong(problem),
        None if is_time(text) => Plain::Time,
        None => Plain::Value(Data::Text(text.to_owned())),
    }
}

/// Takes the characters at the front that fit; absent if fewer than `least` do.
fn take<'t>(text: &mut &'t str, least: usize, fits: impl Fn(u8) -> bool) -> Option<&'t str> {
    let length = text.bytes().take_while(|byte| fits(*byte)).count();
    if length < least {
        return None;
    }
    let (taken, rest) = text.split_at(length);
    *text = rest;
    Some(taken)
}

fn digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

fn digit_or_mark(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'_'
}

/// Takes a sign. True if it is minus.
fn sign(text: &mut &str) -> bool {
    let minus = text.starts_with('-');
    *text = text.strip_prefix(['+', '-']).unwrap_or(text);
    minus
}

fn float(text: &str) -> Option<f64> {
    let mut rest = text;
    let minus = sign(&mut rest);
    let value = match rest {
        ".inf" | ".Inf" | ".INF" => f64::INFINITY,
        ".nan" | ".NaN" | ".NAN" if rest == text => f64::NAN,
        _ => sixties_with_point(rest).or_else(|| decimal(rest, rest != text))?,
    };
    Some(if minus { -value } else { value })
}

/// A number with a point, and an exponent only if that has a sign. Without a digit before the point
/// there may be no sign before it.
fn decimal(text: &str, signed: bool) -> Option<f64> {
    let mut rest = text;
    if rest.starts_with('.') {
        let behind = rest.as_bytes().get(1)?;
        if signed || !digit(*behind) {
            return None;
        }
    } else {
        if !digit(*rest.as_bytes().first()?) {
            return None;
        }
        take(&mut rest, 1, digit_or_mark)?;
    }
    rest = rest.strip_prefix('.')?;
    take(&mut rest, 0, digit_or_mark)?;
    if !rest.is_empty() {
        rest = rest.strip_prefix(['e', 'E'])?.strip_prefix(['+', '-'])?;
        take(&mut rest, 1, digit)?;
    }
    if rest.is_empty() {
        text.replace('_', "").parse().ok()
    } else {
        None
    }
}

/// The parts of a number to the base of sixty, the last of them first, and what follows.
fn sixties(text: &str) -> Option<(Vec<String>, &str)> {
    let mut rest = text;
    if !digit(*rest.as_bytes().first()?) {
        return None;
    }
    let mut parts = vec![take(&mut rest, 1, digit_or_mark)?.replace('_', "")];
    while let Some(behind) = rest.strip_prefix(':') {
        rest = behind;
        let part = take(&mut rest, 1, digit)?;
        if part.len() > 2 || (part.len() == 2 && part > "59") {
            return None;
        }
        parts.insert(0, part.to_owned());
    }
    (parts.len() > 1).then_some((parts, rest))
}

fn sixties_with_point(text: &str) -> Option<f64> {
    let (parts, rest) = sixties(text)?;
    let mut fraction = rest.strip_prefix('.')?;
    let digits = take(&mut fraction, 0, digit_or_mark)?.replace('_', "");
    if !fraction.is_empty() {
        return None;
    }
    let mut sum: f64 = format!("{}.{digits}", parts[0]).parse().ok()?;
    let mut weight = 60.0;
    for part in &parts[1..] {
        sum += part.parse::<f64>().ok()? * weight;
        weight *= 60.0;
    }
    Some(sum)
}

/// A whole number, or why it is none although the rules take it for one.
fn int(text: &str) -> Option<Result<i64, &'static str>> {
    const LARGE: &str = "this number is larger than 64 bits";
    let mut rest = text;
    let minus = sign(&mut rest);
    let of = |digits: &str, radix: u32| {
        let digits = digits.replace('_', "");
        if digits.is_empty() {
            return Err("this number has no digits");
        }
        // With its sign, since the smallest number has no positive counterpart.
        let signed = if minus { format!("-{digits}") } else { digits };
        i64::from_str_radix(&signed, radix).map_err(|_| LARGE)
    };
    let all = |digits: &str, fits: fn(u8) -> bool| {
        !digits.is_empty() && digits.bytes().all(|byte| byte == b'_' || fits(byte))
    };
    if let Some(digits) = rest.strip_prefix("0b") {
        return all(digits, |byte| matches!(byte, b'0' | b'1')).then(|| of(digits, 2));
    }
    if let Some(digits) = rest.strip_prefix("0x") {
        return all(digits, |byte| byte.is_ascii_hexdigit()).then(|| of(digits, 16));
    }
    if rest == "0" {
        return Some(Ok(0));
    }
    if let Some(digits) = rest.strip_prefix('0') {
        return all(digits, |byte| matches!(byte, b'0'..=b'7')).then(|| of(rest, 8));
    }
    if !digit(*rest.as_bytes().first()?) {
        return None;
    }
    if all(rest, digit) {
        return Some(of(rest, 10));
    }
    let (parts, behind) = sixties(rest)?;
    if !behind.is_empty() {
        return None;
    }
    let mut sum: i64 = 0;
    let mut weight = Some(1_i64);
    for part in &parts {
        let add = part.parse::<i64>().ok().zip(weight);
        let Some(more) = add
            .and_then(|(part, weight)| part.checked_mul(weight))
            .and_then(|part| sum.checked_add(part))
        else {
            return Some(Err(LARGE));
        };
        sum = more;
        weight = weight.and_then(|weight| weight.checked_mul(60));
    }
    Some(Ok(if minus { -sum } else { sum }))
}

/// `2026-11-24`, or with a time and a zone behind it.
fn is_time(text: &str) -> bool {
    fn digits(text: &mut &str, count: std::ops::RangeInclusive<usize>) -> Option<usize> {
        let length = text.bytes().take_while(|byte| digit(*byte)).count();
        let taken = length.min(*count.end());
        *text = &text[taken..];
        count.contains(&taken).then_some(taken)
    }
    fn parse(text: &str) -> Option<()> {
        let mut rest = text;
        digits(&mut rest, 4..=4)?;
        rest = rest.strip_prefix('-')?;
        let month = digits(&mut rest, 1..=2)?;
        rest = rest.strip_prefix('-')?;
        let day = digits(&mut rest, 1..=2)?;
        if rest.is_empty() {
            return (month == 2 && day == 2).then_some(());
        }
        rest = match rest.strip_prefix(['T', 't']) {
            Some(rest) => rest,
            None => rest
                .strip_prefix([' ', '\t'])?
                .trim_start_matches([' ', '\t']),
        };
        digits(&mut rest, 1..=2)?;
        for _ in 0..2 {
            rest = rest.strip_prefix(':')?;
            digits(&mut rest, 2..=2)?;
        }
        if let Some(fraction) = rest.strip_prefix('.') {
            rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        }
        rest = rest.trim_start_matches([' ', '\t']);
        if rest.is_empty() {
            // Blanks at the end are no part of a plain scalar, so there were none.
            return Some(());
        }
        if rest == "Z" {
            return Some(());
        }
        rest = rest.strip_prefix(['+', '-'])?;
        digits(&mut rest, 1..=2)?;
        if let Some(minutes) = rest.strip_prefix(':') {
            rest = minutes;
            digits(&mut rest, 2..=2)?;
        }
        rest.is_empty().then_some(())
    }
    parse(text).is_some()
}
