//! CSV after RFC 4180: one row a measurement, and one for each round of a case that has none.

use flagperf_model::{CaseResult, Measurement, NodeName, Verification};

use crate::RunData;
use crate::number::rfc3339;

const HEADER: [&str; 27] = [
    "run",
    "case",
    "round",
    "outcome",
    "reason",
    "node",
    "metric",
    "value",
    "unit",
    "better",
    "rank",
    "device",
    "n",
    "median",
    "min",
    "max",
    "mean",
    "cv",
    "ci95_low",
    "ci95_high",
    "verified",
    "verification",
    "definition",
    "window_begin",
    "window_end",
    "started",
    "ended",
];

/// Writes the results as a table with a header. Absent values are empty fields. Text that a
/// spreadsheet would take for a formula gets an apostrophe in front.
pub fn csv(run: &RunData) -> String {
    let mut out = String::new();
    line(&mut out, &HEADER.map(str::to_owned));
    for result in &run.record.results {
        if result.measurements.is_empty() {
            line(&mut out, &fields(run, result, None));
        }
        for (node, measurement) in &result.measurements {
            line(&mut out, &fields(run, result, Some((node, measurement))));
        }
    }
    out
}

fn fields(
    run: &RunData,
    result: &CaseResult,
    measured: Option<(&NodeName, &Measurement)>,
) -> [String; 27] {
    let m = measured.map(|(_, m)| m);
    let spread = m.and_then(|m| m.spread);
    let interval = spread.and_then(|s| s.ci95);
    let number = |value: Option<f64>| value.map_or(String::new(), |v| v.to_string());
    let (verified, verification) = match m.map(|m| &m.verification) {
        None => (String::new(), String::new()),
        Some(Verification::Checked(how)) => ("true".to_owned(), text(how)),
        Some(Verification::Unchecked(why)) => ("false".to_owned(), text(why)),
    };
    let outcome = &result.outcome;
    [
        text(run.record.run.as_str()),
        text(result.case.as_str()),
        result.round.to_string(),
        outcome.word().to_owned(),
        if *outcome == flagperf_model::Outcome::Passed {
            String::new()
        } else {
            text(&outcome.to_string())
        },
        measured.map_or(String::new(), |(node, _)| text(node.as_str())),
        m.map_or(String::new(), |m| text(m.metric.as_str())),
        number(m.map(|m| m.value)),
        m.map_or(String::new(), |m| text(m.unit.as_str())),
        m.map_or(String::new(), |m| crate::json::better(m.better).to_owned()),
        m.and_then(|m| m.rank)
            .map_or(String::new(), |r| r.to_string()),
        m.and_then(|m| m.device.as_deref())
            .map_or(String::new(), text),
        spread.map_or(String::new(), |s| s.n.to_string()),
        number(spread.map(|s| s.median)),
        number(spread.map(|s| s.min)),
        number(spread.map(|s| s.max)),
        number(spread.map(|s| s.mean)),
        number(spread.map(|s| s.cv)),
        number(interval.map(|[low, _]| low)),
        number(interval.map(|[_, high]| high)),
        verified,
        verification,
        m.map_or(String::new(), |m| text(&m.definition)),
        result.window.map_or(String::new(), |w| rfc3339(w.begin)),
        result.window.map_or(String::new(), |w| rfc3339(w.end)),
        rfc3339(result.started),
        rfc3339(result.ended),
    ]
}

/// Text that starts like a formula is marked as text, after the advice of the OWASP page on CSV
/// injection.
fn text(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn line(out: &mut String, fields: &[String]) {
    for (i, field) in fields.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\r', '\n']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads one record as RFC 4180 says.
    fn read(line: &str) -> Vec<String> {
        let mut fields = vec![String::new()];
        let mut quoted = false;
        let mut chars = line.strip_suffix("\r\n").unwrap().chars().peekable();
        while let Some(c) = chars.next() {
            let field = fields.last_mut().unwrap();
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    field.push('"');
                }
                '"' => quoted = !quoted,
                ',' if !quoted => fields.push(String::new()),
                c => field.push(c),
            }
        }
        fields
    }

    proptest! {
        #[test]
        fn fields_come_back(a in any::<String>(), b in "[=+@a\",\r\n-]{0,12}", c in any::<String>()) {
            let mut out = String::new();
            line(&mut out, &[a.clone(), b.clone(), c.clone()]);
            prop_assert_eq!(read(&out), [a, b, c]);
        }

        #[test]
        fn no_text_starts_a_formula(s in any::<String>()) {
            prop_assert!(!text(&s).starts_with(['=', '+', '-', '@']));
        }
    }
}
