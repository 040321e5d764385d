//! The text of a profile into a [`VendorProfile`], with all its mistakes at once.

use std::collections::BTreeMap;
use std::path::Path;

use flagperf_text::{Reader, Section, read_document, shown};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::status::read_status;
use super::{Chip, ContainerNeeds, ProfileError, ProfileErrors, VendorProfile};
use crate::Format;

pub(super) type Value<'d> = Spanned<DeValue<'d>>;

const KEYS: [&str; 6] = [
    "name",
    "aliases",
    "visible_devices",
    "container",
    "status",
    "chip",
];

const CHIP_KEYS: [&str; 7] = [
    "name",
    "family",
    "products",
    "memory_gb",
    "bandwidth_gb_s",
    "peak",
    "source",
];

/// No chip does 10^18 operations a second, and a number with its unit mistaken easily does.
const MOST: f64 = 1e6;

/// Reads the text of a profile. `path` is where it came from, and is named in errors.
///
/// # Errors
///
/// Every mistake at once; only those of TOML's own syntax if there are any.
pub fn read_profile(path: &Path, source: &str) -> Result<VendorProfile, ProfileErrors> {
    read_document(source, read_root).map_err(|problems| {
        let errors = problems.into_iter().map(|problem| ProfileError {
            path: path.to_owned(),
            line: problem.line,
            column: problem.column,
            excerpt: problem.excerpt,
            message: problem.message,
        });
        ProfileErrors(errors.collect())
    })
}

fn read_root(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<VendorProfile> {
    let root = reader.section(table, 0, "a vendor's profile", &KEYS);
    let name = read_name(reader, &root);
    let aliases = texts(reader, &root, "aliases", "a list of names").unwrap_or_default();
    let visible_devices = root
        .get("visible_devices")
        .and_then(|value| variable(reader, value));
    let container = read_container(reader, &root);
    let vendor = name.as_deref().unwrap_or_default();
    let status = root
        .get("status")
        .and_then(|value| read_status(reader, value, vendor));
    let chips = read_chips(reader, &root);
    Some(VendorProfile {
        name: name?,
        aliases,
        container,
        visible_devices,
        status,
        chips,
    })
}

/// The vendor's name, which is also a part of the names of files.
fn read_name(reader: &mut Reader<'_>, root: &Section<'_>) -> Option<String> {
    const EXPECTED: &str = "the vendor's name in small letters, such as \"nvidia\"";
    let value = root.require(reader, "name", EXPECTED)?;
    let name = reader.text(value, EXPECTED)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    if !name.chars().all(plain) {
        let message = format!(
            "`{}` is no name of a vendor; expected small letters, digits, `-` and `_` alone",
            shown(&name)
        );
        reader.wrong(value.span(), message);
        return None;
    }
    Some(name)
}

/// The name of a variable of the environment.
fn variable(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<String> {
    const EXPECTED: &str = "the name of a variable such as \"CUDA_VISIBLE_DEVICES\"";
    let name = reader.text(value, EXPECTED)?;
    if !is_variable(&name) {
        let message = format!(
            "`{}` is no name of a variable; expected letters, digits and `_`",
            shown(&name)
        );
        reader.wrong(value.span(), message);
        return None;
    }
    Some(name)
}

pub(super) fn is_variable(name: &str) -> bool {
    !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn read_container(reader: &mut Reader<'_>, root: &Section<'_>) -> ContainerNeeds {
    const KEYS: [&str; 3] = ["devices", "mounts", "options"];
    let Some(value) = root.get("container") else {
        return ContainerNeeds::default();
    };
    let Some(table) = reader.table(value, "what a container needs") else {
        return ContainerNeeds::default();
    };
    let section = reader.section(table, value.span().start, "`container`", &KEYS);
    let paths = |reader: &mut Reader<'_>, key, expected| {
        let Some(value) = section.get(key) else {
            return Vec::new();
        };
        let items = reader.array(value, expected).unwrap_or_default();
        let mut paths = Vec::new();
        for item in items {
            let Some(text) = argument(reader, item, expected) else {
                continue;
            };
            if !text.starts_with('/') {
                let message = "this is no whole path; expected one that begins with `/`";
                reader.wrong(item.span(), message);
            }
            paths.push(text);
        }
        paths
    };
    ContainerNeeds {
        devices: paths(
            reader,
            "devices",
            "a list of device files such as [\"/dev/davinci*\"]",
        ),
        mounts: paths(
            reader,
            "mounts",
            "a list of mounts such as [\"/usr/local/dcmi:/usr/local/dcmi:ro\"]",
        ),
        options: texts(
            reader,
            &section,
            "options",
            "a list of words for the engine's `run`, such as [\"--gpus\", \"all\"]",
        )
        .unwrap_or_default(),
    }
}

fn read_chips(reader: &mut Reader<'_>, root: &Section<'_>) -> Vec<Chip> {
    let Some(value) = root.get("chip") else {
        return Vec::new();
    };
    let items = reader.array(value, "tables that start with [[chip]]");
    let mut chips: Vec<Chip> = Vec::new();
    for item in items.unwrap_or_default() {
        let Some(chip) = read_chip(reader, item) else {
            continue;
        };
        if chips.iter().any(|other| other.name == chip.name) {
            let message = format!("the chip `{}` is described twice", shown(&chip.name));
            reader.wrong(item.span(), message);
        }
        chips.push(chip);
    }
    chips
}

fn read_chip(reader: &mut Reader<'_>, value: &Value<'_>) -> Option<Chip> {
    const PRODUCTS: &str =
        "the product names that the vendor's tool gives, such as [\"NVIDIA H100 PCIe\"]";
    let table = reader.table(value, "a chip")?;
    let section = reader.section(table, value.span().start, "a chip", &CHIP_KEYS);
    let name = section.require_text(reader, "name", "its name");
    let family = section
        .get("family")
        .and_then(|value| reader.text(value, "what trees of cases call it"));
    let products = section
        .require(reader, "products", PRODUCTS)
        .and_then(|value| {
            let list = list(reader, value, PRODUCTS)?;
            if list.is_empty() {
                let message = format!("this is empty; expected {PRODUCTS}");
                reader.wrong(value.span(), message);
            }
            Some(list)
        });
    let mut number = |key, expected| {
        let value = section.get(key)?;
        positive(reader, value, expected)
    };
    let memory_gb = number("memory_gb", "gigabytes of memory");
    let bandwidth_gb_s = number("bandwidth_gb_s", "10^9 bytes a second");
    let peaks = read_peaks(reader, &section);
    let source = section.require_text(reader, "source", "where its numbers stand");
    Some(Chip {
        name: name?,
        family,
        products: products?,
        memory_gb,
        bandwidth_gb_s,
        peaks,
        source: source?,
    })
}

fn read_peaks(reader: &mut Reader<'_>, chip: &Section<'_>) -> BTreeMap<Format, f64> {
    let Some(value) = chip.get("peak") else {
        return BTreeMap::new();
    };
    let Some(table) = reader.table(value, "the nominal peaks by format") else {
        return BTreeMap::new();
    };
    let names = Format::ALL.map(Format::name);
    let section = reader.section(table, value.span().start, "`peak`", &names);
    let peaks = Format::ALL.into_iter().filter_map(|format| {
        let value = section.get(format.name())?;
        let number = positive(reader, value, "10^12 operations a second, without sparsity")?;
        Some((format, number))
    });
    peaks.collect()
}

/// A number above 0.
pub(super) fn positive(reader: &mut Reader<'_>, value: &Value<'_>, expected: &str) -> Option<f64> {
    let number = match value.get_ref() {
        DeValue::Float(number) => number.as_str().parse::<f64>().ok(),
        DeValue::Integer(_) => reader.integer(value, expected).map(|number| number as f64),
        _ => {
            reader.mismatch(value, expected);
            return None;
        }
    };
    let number = number.filter(|number| *number > 0.0 && *number <= MOST);
    if number.is_none() {
        let message = format!(
            "this is out of range; expected {expected}, above 0 and at most {MOST}; leave out what is not known"
        );
        reader.wrong(value.span(), message);
    }
    number
}

/// The texts of a key, if it is there.
pub(super) fn texts(
    reader: &mut Reader<'_>,
    section: &Section<'_>,
    key: &str,
    expected: &str,
) -> Option<Vec<String>> {
    section
        .get(key)
        .and_then(|value| list(reader, value, expected))
}

/// A list of texts, none of them empty.
pub(super) fn list(
    reader: &mut Reader<'_>,
    value: &Value<'_>,
    expected: &str,
) -> Option<Vec<String>> {
    let items = reader.array(value, expected)?;
    let texts = items.iter().map(|item| argument(reader, item, expected));
    // One that is wrong is noted, and the others are looked at all the same.
    Some(texts.collect::<Vec<_>>().into_iter().flatten().collect())
}

/// A text that a command can have as an argument.
fn argument(reader: &mut Reader<'_>, value: &Value<'_>, expected: &str) -> Option<String> {
    let text = reader.text(value, expected)?;
    if text.contains('\0') {
        reader.wrong(value.span(), "a text here cannot contain a NUL character");
        return None;
    }
    Some(text)
}
