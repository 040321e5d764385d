//! FlagPerf's classic result lines, `[FlagPerf Result]…`, in every shape that its cases print.
//!
//! | shape | read as |
//! | --- | --- |
//! | `Rank 0's NAME=1.5GB/s` | a number of rank 0 |
//! | `NAME=1.5 GB/s`, ` NAME=1.5GB/s` | a number without a rank; the unit glued or not |
//! | `NAME= GB/s` | a result whose number is missing |
//! | `Rank 0 WORDS NAME=1.5GB/s` | a number of rank 0 with a subject, such as a whole card of two chips |
//! | `LEAD: A=1%, B=2%` | two numbers, `LEAD A` and `LEAD B` |
//! | `A=1 us, throughput=2 op/s, equals to 3 TFLOPS` | `A`, `A throughput` and `A rate` |
//! | `LEAD: True` | 1 or 0 |
//!
//! Traces of a shell (`+ echo '…'`) repeat a line that follows and are skipped.

use flagperf_model::RESULT_PREFIX;

/// Most results taken from one line. The richest known line has three.
const MOST_IN_A_LINE: usize = 64;

/// A number of a classic result line.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassicResult {
    /// What it is called, as printed.
    pub metric: String,
    /// The rank, where the line names one.
    pub rank: Option<u32>,
    /// What the number is of, where the line says it in words.
    pub subject: Option<String>,
    /// The number; absent if the line has none or one that is not finite.
    pub value: Option<f64>,
    /// Its unit as printed; may be empty.
    pub unit: String,
}

/// Reads all numbers of a line. A line that is no result line, or a heading, has none.
pub fn parse_result_line(line: &str) -> Vec<ClassicResult> {
    let Some((before, body)) = line.split_once(RESULT_PREFIX) else {
        return Vec::new();
    };
    if is_trace(before) {
        return Vec::new();
    }
    // Ranks that share a pipe can glue their lines together.
    body.split(RESULT_PREFIX)
        .flat_map(parse_body)
        .take(MOST_IN_A_LINE)
        .collect()
}

/// True for what a shell under `set -x` puts before a command: plus signs and a blank. `mpirun` may have
/// put the tag of a rank before that.
pub(crate) fn is_trace(before: &str) -> bool {
    let before = before.split_once(">:").map_or(before, |(_, after)| after);
    let before = before.trim_start();
    let after = before.trim_start_matches('+');
    after.len() < before.len() && after.starts_with([' ', '\t'])
}

fn parse_body(body: &str) -> Vec<ClassicResult> {
    let (rank, plain, rest) = split_rank(body.trim());
    let (lead, rest) = split_lead(rest);
    if !rest.contains('=') {
        return truth(lead, rest, rank).into_iter().collect();
    }
    let mut results: Vec<ClassicResult> = Vec::new();
    for segment in rest.split(',').take(MOST_IN_A_LINE) {
        let segment = segment.trim();
        let (name, number) = match (segment.split_once('='), results.first()) {
            // `kerneltime=… us, throughput=… op/s`: the first name says of what. With a lead, the
            // lead does.
            (Some((name, number)), Some(first)) if lead.is_none() => {
                (format!("{} {}", first.metric, collapse(name)), number)
            }
            (Some((name, number)), _) => (collapse(name), number),
            (None, Some(first)) => match segment.strip_prefix("equals to ") {
                Some(number) => (format!("{} rate", first.metric), number),
                None => continue,
            },
            (None, None) => continue,
        };
        let (subject, name) = if rank.is_some() && !plain {
            split_subject(name)
        } else {
            (None, name)
        };
        if name.is_empty() {
            continue;
        }
        let metric = match lead {
            Some(lead) => format!("{} {name}", collapse(lead)),
            None => name,
        };
        let (value, unit) = split_number(number);
        results.push(ClassicResult {
            metric,
            rank,
            subject,
            value,
            unit: unit.to_owned(),
        });
    }
    results
}

/// Takes `Rank <r>'s ` or `Rank <r> ` off the front. The flag is true for the first of the two.
fn split_rank(body: &str) -> (Option<u32>, bool, &str) {
    let none = (None, true, body);
    let Some(rest) = body.strip_prefix("Rank ") else {
        return none;
    };
    let rest = rest.trim_start();
    let end = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let Ok(rank) = rest[..end].parse() else {
        return none;
    };
    match rest[end..].strip_prefix("'s") {
        Some(after) => (Some(rank), true, after.trim_start()),
        None => (Some(rank), false, rest[end..].trim_start()),
    }
}

/// Splits `LEAD: rest`. Only a colon with a blank behind it, before the first number, divides: a
/// name such as `computation-FP16:A100` has a colon too.
fn split_lead(text: &str) -> (Option<&str>, &str) {
    let names = text.split('=').next().unwrap_or(text);
    match names.find(": ") {
        Some(at) => (Some(text[..at].trim()), text[at + 2..].trim()),
        None => (None, text),
    }
}

/// `LEAD: True` as 1 and `LEAD: False` as 0.
fn truth(lead: Option<&str>, rest: &str, rank: Option<u32>) -> Option<ClassicResult> {
    let value = match rest.trim() {
        "True" => 1.0,
        "False" => 0.0,
        _ => return None,
    };
    let metric = collapse(lead?);
    (!metric.is_empty()).then_some(ClassicResult {
        metric,
        rank,
        subject: None,
        value: Some(value),
        unit: String::new(),
    })
}

/// In `BI-V150 has 2 chips and overall GPU NAME` the last word is the name.
fn split_subject(text: String) -> (Option<String>, String) {
    match text.rsplit_once(' ') {
        Some((subject, name)) => (Some(subject.to_owned()), name.to_owned()),
        None => (None, text),
    }
}

fn collapse(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// Splits a number from its unit, glued or not. A number that is missing or not finite is `None`.
fn split_number(text: &str) -> (Option<f64>, &str) {
    let text = text.trim();
    let end = number_end(text);
    let value = text[..end].parse::<f64>().ok().filter(|v| v.is_finite());
    if value.is_some() {
        return (value, text[end..].trim());
    }
    // `nan GB/s` and `-inf GB/s` are missing numbers, and those words are no unit.
    let word = text.split_whitespace().next().unwrap_or_default();
    let bare = word.trim_start_matches(['+', '-']).to_ascii_lowercase();
    if ["nan", "inf", "infinity", "none"].contains(&bare.as_str()) {
        return (None, text[word.len()..].trim());
    }
    (None, text[end..].trim())
}

/// Where the number at the start of a text ends, in bytes.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |mut at: usize| {
        while bytes.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let sign = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let mut end = digits(sign);
    if bytes.get(end) == Some(&b'.') {
        end = digits(end + 1);
    }
    if end > sign && matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        let exponent = end + 1 + sign;
        if bytes.get(exponent).is_some_and(u8::is_ascii_digit) {
            end = digits(exponent);
        }
    }
    if end > sign { end } else { 0 }
}
