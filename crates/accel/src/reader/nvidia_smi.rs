//! `nvidia-smi --query-gpu=… --format=csv`: a header with the names and units of the columns, then a row for
//! each chip, again and again. What a column is says its name, never its place.

use super::ChipReading;
use crate::quantity::{Quantity, Value};

/// Columns by the name in the header. A quantity that has several takes the first of them that the chip has.
const COLUMNS: [(&str, Column); 20] = [
    ("index", Column::Index),
    ("uuid", Column::Uuid),
    ("gpu_uuid", Column::Uuid),
    ("pci.bus_id", Column::Bus),
    ("gpu_bus_id", Column::Bus),
    ("name", Column::Name),
    ("gpu_name", Column::Name),
    ("driver_version", Column::Driver),
    ("power.draw", Column::Value(Quantity::Power)),
    ("power.draw.average", Column::Value(Quantity::Power)),
    ("power.draw.instant", Column::Value(Quantity::Power)),
    ("temperature.gpu", Column::Value(Quantity::Temperature)),
    ("memory.used", Column::Value(Quantity::MemoryUsed)),
    ("memory.total", Column::Value(Quantity::MemoryTotal)),
    ("utilization.gpu", Column::Value(Quantity::Utilization)),
    (
        "utilization.memory",
        Column::Value(Quantity::MemoryUtilization),
    ),
    ("clocks.sm", Column::Value(Quantity::Clock)),
    ("clocks.current.sm", Column::Value(Quantity::Clock)),
    ("clocks.mem", Column::Value(Quantity::MemoryClock)),
    (
        "clocks.current.memory",
        Column::Value(Quantity::MemoryClock),
    ),
];

/// The most columns that a header may have; the tool knows some 220.
const MOST_COLUMNS: usize = 1024;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Column {
    Index,
    Uuid,
    Bus,
    Name,
    Driver,
    Value(Quantity),
}

/// A column that is of use.
#[derive(Debug, Clone, PartialEq)]
struct Used {
    /// Its place in a row.
    place: usize,
    column: Column,
    /// The unit in the header, without brackets; empty if it has none.
    unit: String,
}

/// What is known of the layout so far.
#[derive(Debug, Default)]
pub(super) struct NvidiaSmi {
    /// Columns of a row; 0 before the header.
    width: usize,
    /// Those of use, in the order of [`COLUMNS`].
    used: Vec<Used>,
}

impl NvidiaSmi {
    pub(super) fn is_at_home(&self) -> bool {
        self.width > 0
    }

    pub(super) fn line(&mut self, line: &str) -> Option<ChipReading> {
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        if let Some(used) = header(&cells) {
            self.width = cells.len();
            self.used = used;
            return None;
        }
        // A row that is torn, or that a comma too many has shifted, would give values of the wrong column.
        if self.width == 0 || cells.len() != self.width {
            return None;
        }
        let mut reading = ChipReading::default();
        for used in &self.used {
            let cell = cells.get(used.place).copied().unwrap_or_default();
            match used.column {
                Column::Index => reading.index = cell.parse().ok(),
                Column::Uuid => reading.uuid = word(cell),
                Column::Bus => reading.bus = word(cell),
                Column::Name => reading.name = word(cell),
                Column::Driver => reading.driver = word(cell),
                Column::Value(quantity) => {
                    let value = value(quantity, cell, &used.unit);
                    let is_news = match reading.value(quantity) {
                        Value::Untold => true,
                        Value::Unsupported(_) => !matches!(value, Value::Unsupported(_)),
                        Value::Number(_) | Value::Unreadable(_) => false,
                    };
                    if is_news {
                        reading.set(quantity, value);
                    }
                }
            }
        }
        let has_name = reading.uuid.is_some() || reading.bus.is_some() || reading.index.is_some();
        has_name.then_some(reading)
    }
}

/// The columns of use, if these cells are a header: names alone, and one at least that is known.
fn header(cells: &[&str]) -> Option<Vec<Used>> {
    if cells.len() > MOST_COLUMNS {
        return None;
    }
    let named: Vec<(&str, &str)> = cells
        .iter()
        .map(|cell| name_and_unit(cell))
        .collect::<Option<_>>()?;
    let used: Vec<Used> = COLUMNS
        .iter()
        .filter_map(|(name, column)| {
            let place = named.iter().position(|(own, _)| own == name)?;
            Some(Used {
                place,
                column: *column,
                unit: named[place].1.to_owned(),
            })
        })
        .collect();
    (!used.is_empty()).then_some(used)
}

/// `power.draw [W]` in its two parts.
fn name_and_unit(cell: &str) -> Option<(&str, &str)> {
    let (name, unit) = match cell.split_once(" [") {
        Some((name, rest)) => (name, rest.strip_suffix(']')?),
        None => (cell, ""),
    };
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
    is_name.then_some((name, unit))
}

/// A cell of text, unless it says that there is none.
fn word(cell: &str) -> Option<String> {
    let is_none =
        cell.is_empty() || cell.starts_with('[') || is_unsupported(cell) || is_error(cell);
    // Nothing that a driver prints is long; this goes into the record.
    (!is_none && cell.len() <= 128).then(|| cell.to_owned())
}

fn value(quantity: Quantity, cell: &str, unit: &str) -> Value {
    let inner = cell
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(cell);
    if is_unsupported(inner) {
        return Value::Unsupported(cell.to_owned());
    }
    let (number, own) = match cell.split_once(char::is_whitespace) {
        Some((number, own)) => (number, own.trim()),
        None => (cell, unit),
    };
    match quantity.value(number, own) {
        Value::Unreadable(_) => Value::Unreadable(cell.chars().take(40).collect()),
        value => value,
    }
}

/// The words for what a chip does not have.
fn is_unsupported(text: &str) -> bool {
    [
        "N/A",
        "Not Supported",
        "Not Available",
        "Requested functionality has been deprecated",
    ]
    .iter()
    .any(|word| word.eq_ignore_ascii_case(text))
}

/// The words for what could not be read, where they stand without brackets.
fn is_error(text: &str) -> bool {
    ["ERR!", "Unknown Error", "GPU is lost"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(text))
}

/// `Field "power.draw.average" is not a valid field to query.`
pub(super) fn refused_field(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("Field \"")?;
    let (field, rest) = rest.split_once('"')?;
    rest.contains("not a valid field").then_some(field)
}

/// `No devices were found`
pub(super) fn says_none(line: &str) -> bool {
    line.trim().eq_ignore_ascii_case("no devices were found")
}
