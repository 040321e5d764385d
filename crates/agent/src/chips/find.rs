//! Looking for chips: each tool that there is on this node is asked once.

use std::io;
use std::time::{Duration, Instant};

use flagperf_accel::{Census, census};
use flagperf_model::{Absent, ChipWatch, StatusTool};

use super::desk::{Desk, Heard};
use super::{Found, Sampled};

/// Most readings of an answer that are kept.
const MOST: usize = 4096;

/// What a tool answers.
enum Answer {
    /// There are chips.
    Chips(Box<Sampled>),
    /// The tool is not there.
    NotFound,
    /// It says that there are none.
    NoChips,
    /// It says nothing that is of use, and why.
    Trouble(String),
}

/// Asks the tools one after the other until one knows of chips.
///
/// Where nobody has asked for a vendor, one whose tool is not there, or that has no chips there, is no news. One
/// whose tool fails is: it is there for a reason.
pub(super) fn look(desk: &mut Desk, watch: &ChipWatch) -> (Option<Sampled>, Found) {
    let deadline = Instant::now() + Duration::from_nanos(watch.patience_ns());
    let mut absent: Vec<Absent> = Vec::new();
    for tool in &watch.tools {
        let name = tool.name();
        let own = Duration::from_nanos(tool.start_timeout_ns);
        let bound = deadline.min(Instant::now() + own);
        let reason = match desk.undisturbed(|desk| ask(desk, tool, bound)) {
            Answer::Chips(sampled) => {
                absent.extend(sampled.census.absent.iter().cloned());
                let found = Found {
                    chips: sampled.census.chips.clone(),
                    series: sampled.census.series.clone(),
                    absent,
                };
                return (Some(*sampled), found);
            }
            Answer::NotFound if watch.asked => format!("{name} not found"),
            Answer::NoChips if watch.asked => format!("{name} says that there are no chips"),
            Answer::NotFound | Answer::NoChips => continue,
            Answer::Trouble(reason) => format!("{name} {reason}"),
        };
        absent.push(Census::nothing(reason));
    }
    if watch.asked && watch.tools.is_empty() {
        absent.push(Census::nothing("the vendor's profile names no status tool"));
    }
    let found = Found {
        absent,
        ..Found::default()
    };
    (None, found)
}

/// Asks one tool. A field that it does not know is left out, and it is asked again.
fn ask(desk: &mut Desk, tool: &StatusTool, deadline: Instant) -> Answer {
    let mut fields = tool.fields.clone();
    for _ in 0..=tool.fields.len() {
        let Some(mut run) = desk.start(tool, &fields, None) else {
            return Answer::Trouble(format!("has no reader: `{}` is not known", tool.reader));
        };
        let mut readings = Vec::new();
        let mut refused: Option<String> = None;
        let mut none = false;
        loop {
            match desk.hear(Some(&mut run), Some(deadline)) {
                Heard::Line { line, .. } => {
                    if let Some(reading) = run.reader.line(&line) {
                        if readings.len() < MOST {
                            readings.push(reading);
                        }
                    } else if let Some(field) = run.reader.refused_field(&line) {
                        refused.get_or_insert(field.to_owned());
                    } else if run.reader.says_none(&line) {
                        none = true;
                    } else if !run.reader.is_at_home() {
                        run.note(&line);
                    }
                }
                Heard::Over => break,
                Heard::NotStarted(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Answer::NotFound;
                }
                Heard::NotStarted(error) => {
                    return Answer::Trouble(format!("cannot be started: {error}"));
                }
                Heard::Due => {
                    let waited = run.begun.elapsed().as_secs_f64();
                    desk.end(run);
                    return Answer::Trouble(format!("did not answer within {waited:.0} s"));
                }
                Heard::Gone => return Answer::Trouble("was not asked".to_owned()),
                Heard::Order(_) => {}
            }
        }
        if let Some(field) = refused
            && fields.contains(&field)
        {
            fields.retain(|own| *own != field);
            continue;
        }
        return match census(&tool.vendor, tool.name(), &readings) {
            Some(census) => Answer::Chips(Box::new(Sampled {
                tool: tool.clone(),
                fields,
                census,
                took: run.begun.elapsed(),
            })),
            None if none => Answer::NoChips,
            None => Answer::Trouble(run.ending()),
        };
    }
    Answer::Trouble("knows none of the fields that it is asked for".to_owned())
}
