//! Lists of nodes from the command line, from files, from commands and from Slurm.

use std::collections::HashSet;

use flagperf_model::NodeName;
use flagperf_text::{nearest, printable, shown};

use super::{NodeSource, ResolveError};
use crate::listing::{SINGLY, repeated, rest_of};
use crate::nodeset::{MOST_NODES, NodeSet, fold};
use crate::settings::Settings;

/// What Slurm says of the nodes of a job that waits, which would pass for two names.
const UNASSIGNED: &str = "None assigned";

/// A name with its line and column.
struct Placed {
    name: NodeName,
    line: usize,
    column: usize,
}

impl NodeSource {
    /// How a place in the list is named.
    fn place(&self, line: usize, column: usize) -> String {
        let within = self.within(line, column);
        match self {
            Self::List(_) => format!("--nodes, {within}"),
            Self::Slurm(_) => format!("SLURM_JOB_NODELIST, {within}"),
            Self::File { path, .. } => format!("{}:{line}:{column}", printable(path.clone())),
            Self::Output { command, .. } => {
                format!("output of `{}`, {within}", printable(shown(command)))
            }
        }
    }

    /// The same for somebody who has the list before him. One that is a single line in nearly all
    /// cases has no number of a line.
    fn within(&self, line: usize, column: usize) -> String {
        if line == 1 && !self.text().1 {
            format!("column {column}")
        } else {
            format!("line {line}, column {column}")
        }
    }

    fn wrong(&self, line: usize, column: usize, message: String) -> ResolveError {
        ResolveError::Nodes {
            place: self.place(line, column),
            message,
        }
    }

    /// The text, and whether it has the form of a file.
    fn text(&self) -> (&str, bool) {
        match self {
            Self::List(text) | Self::Slurm(text) => (text, false),
            // Editors of Windows put a mark of the byte order first.
            Self::File { text, .. } | Self::Output { text, .. } => {
                (text.strip_prefix('\u{feff}').unwrap_or(text), true)
            }
        }
    }
}

/// Reads the list: each of its nodes once, all of them among the nodes of the settings if those
/// name any. The answer is absent if there is a mistake in the text.
pub(super) fn read(
    source: &NodeSource,
    settings: &Settings,
    errors: &mut Vec<ResolveError>,
) -> Option<Vec<NodeName>> {
    let (text, is_file) = source.text();
    let before = errors.len();
    if matches!(source, NodeSource::Slurm(_)) && text.trim() == UNASSIGNED {
        let message = "Slurm has assigned no nodes to this job; start it where it has, \
                       from `sbatch` or `salloc`";
        errors.push(source.wrong(1, 1, message.to_owned()));
        return None;
    }
    let placed = if is_file {
        read_lines(source, text, errors)
    } else {
        read_part(source, text, 1, errors)
    };
    if errors.len() > before {
        return None;
    }
    if placed.is_empty() {
        let message = "no node is named; expected names such as `node1` or `node[01-16]`";
        errors.push(source.wrong(1, 1, message.to_owned()));
        return None;
    }
    refuse_slots(source, &placed, errors);
    refuse_repeated(source, &placed, is_file, errors);
    if let Some(known) = &settings.nodes {
        refuse_unknown(source, &placed, known, errors);
    }
    (errors.len() == before).then(|| placed.into_iter().map(|one| one.name).collect())
}

fn read_lines(source: &NodeSource, text: &str, errors: &mut Vec<ResolveError>) -> Vec<Placed> {
    let mut placed: Vec<Placed> = Vec::new();
    let mut wrong = 0;
    for (index, line) in text.lines().enumerate() {
        let part = line.split('#').next().unwrap_or_default();
        if part.trim().is_empty() {
            continue;
        }
        let number = index + 1;
        let before = errors.len();
        if let Some(at) = option_of_mpi(part) {
            let column = part[..at].chars().count() + 1;
            let option = part[at..].split_whitespace().next().unwrap_or_default();
            let message = format!(
                "`{}` belongs into a host file of MPI; here a line has names only, and a case \
                 decides about its ranks",
                printable(shown(option))
            );
            errors.push(source.wrong(number, column, message));
        } else {
            let more = read_part(source, part, number, errors);
            if placed.len() + more.len() > MOST_NODES {
                let message =
                    "with this there are more than 100,000 nodes, the most that can be named";
                errors.push(source.wrong(number, 1, message.to_owned()));
                return placed;
            }
            placed.extend(more);
        }
        wrong += usize::from(errors.len() > before);
        // What is no list of nodes at all would be refused line by line.
        if wrong == SINGLY {
            return placed;
        }
    }
    placed
}

/// Where a word such as `slots=8` begins that stands behind another.
fn option_of_mpi(line: &str) -> Option<usize> {
    let before = line[..line.find('=')?].trim_end();
    let (names, option) = before.rsplit_once(char::is_whitespace)?;
    (!names.trim().is_empty()).then(|| before.len() - option.len())
}

/// Reads a node set. `line` is the number of its first line.
fn read_part(
    source: &NodeSource,
    text: &str,
    line: usize,
    errors: &mut Vec<ResolveError>,
) -> Vec<Placed> {
    let names = NodeSet::parse(text).and_then(|set| set.names(text));
    match names {
        Ok(names) => {
            let mut places = Places::new(text, line);
            names
                .into_iter()
                .map(|(name, span)| {
                    let (line, column) = places.at(span.start);
                    Placed { name, line, column }
                })
                .collect()
        }
        Err(error) => {
            errors.push(source.wrong(line + error.line - 1, error.column, error.message));
            Vec::new()
        }
    }
}

/// Lines and columns of places that come in the order of a text, counted in one pass over it.
struct Places<'t> {
    text: &'t str,
    at: usize,
    line: usize,
    column: usize,
}

impl<'t> Places<'t> {
    fn new(text: &'t str, line: usize) -> Self {
        Self {
            text,
            at: 0,
            line,
            column: 1,
        }
    }

    fn at(&mut self, place: usize) -> (usize, usize) {
        for c in self.text[self.at..place].chars() {
            if c == '\n' {
                self.line += 1;
                self.column = 1;
            } else {
                self.column += 1;
            }
        }
        self.at = place;
        (self.line, self.column)
    }
}

/// A port or a number of slots behind a name would silently become a part of it.
fn refuse_slots(source: &NodeSource, placed: &[Placed], errors: &mut Vec<ResolveError>) {
    let with_number = |one: &&Placed| {
        one.name
            .as_str()
            .split_once(':')
            .is_some_and(|(_, number)| {
                !number.is_empty() && number.chars().all(|c| c.is_ascii_digit())
            })
    };
    if let Some(one) = placed.iter().find(with_number) {
        let message = format!(
            "`{}` has a number behind its name; a port is set as `port` in flagperf.toml, and \
             slots are not counted here",
            one.name
        );
        errors.push(source.wrong(one.line, one.column, message));
    }
}

fn refuse_repeated(
    source: &NodeSource,
    placed: &[Placed],
    is_file: bool,
    errors: &mut Vec<ResolveError>,
) {
    let pairs = repeated(placed.iter().map(|one| &one.name));
    for (index, (first, second)) in pairs.iter().take(SINGLY).enumerate() {
        let (first, second) = (&placed[*first], &placed[*second]);
        let name = &second.name;
        let mut message = if (first.line, first.column) == (second.line, second.column) {
            format!("`{name}` is named twice here")
        } else {
            let place = source.within(first.line, first.column);
            format!("`{name}` is named twice; the first time in {place}")
        };
        if is_file && index == 0 {
            // The usual reason, said once.
            message.push_str(
                "; a file with a line for every slot is one of MPI, and here every node is named once",
            );
        }
        errors.push(source.wrong(second.line, second.column, message));
    }
    if let Some((_, second)) = pairs.get(SINGLY) {
        let names: Vec<NodeName> = pairs
            .iter()
            .map(|(_, at)| placed[*at].name.clone())
            .collect();
        let second = &placed[*second];
        let message = format!("{} named twice", rest_of(&names));
        errors.push(source.wrong(second.line, second.column, message));
    }
}

fn refuse_unknown(
    source: &NodeSource,
    placed: &[Placed],
    known: &[NodeName],
    errors: &mut Vec<ResolveError>,
) {
    let set: HashSet<&NodeName> = known.iter().collect();
    let unknown: Vec<&Placed> = placed
        .iter()
        .filter(|one| !set.contains(&one.name))
        .collect();
    for one in unknown.iter().take(SINGLY) {
        let hint = match nearest(one.name.as_str(), known.iter().map(NodeName::as_str)) {
            Some(close) => format!("did you mean `{close}`?"),
            None => format!("they are `{}`", shown(&fold(known))),
        };
        let name = &one.name;
        let message = format!("`{name}` is not among the nodes of flagperf.toml; {hint}");
        errors.push(source.wrong(one.line, one.column, message));
    }
    if let Some(one) = unknown.get(SINGLY) {
        let names: Vec<NodeName> = unknown.iter().map(|one| one.name.clone()).collect();
        let message = format!("{} not among them either", rest_of(&names));
        errors.push(source.wrong(one.line, one.column, message));
    }
}
