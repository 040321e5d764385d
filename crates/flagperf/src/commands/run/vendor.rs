//! Which chips are sampled: the vendors' profiles, and the vendor that was asked for.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flagperf_accel::{Format, Profiles};
use flagperf_engine::Node;
use flagperf_model::{ChipWatch, Entry, Plan};

use crate::cli::RunArgs;
use crate::commands::suite::OpenSuite;
use crate::exit::Failure;

/// The profiles: those that come with the program, and over them those in a directory of one's own.
pub(super) fn profiles(directory: Option<&Path>) -> Result<Profiles, Failure> {
    let built_in = Profiles::built_in();
    let Some(directory) = directory else {
        return Ok(built_in);
    };
    let unreadable = |path: &Path, error: std::io::Error| {
        Failure::usage(format!("`{}` cannot be read: {error}", path.display()))
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| unreadable(directory, error))? {
        let path = entry.map_err(|error| unreadable(directory, error))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        return Err(Failure::usage(format!(
            "there is no profile of a vendor in `{}`: expected files such as `acme.toml`",
            directory.display()
        )));
    }
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error))?;
        texts.push((path, text));
    }
    let files = texts
        .iter()
        .map(|(path, text)| (path.as_path(), text.as_str()));
    built_in.with(files).map_err(Failure::usage)
}

/// The vendor whose chips are sampled: the one that the user names, else that of the suite, if there is a profile of it.
/// What is to be said about that is added to the words.
pub(super) fn wanted(
    args: &RunArgs,
    suite: Option<&OpenSuite>,
    profiles: &Profiles,
    words: &mut Vec<String>,
) -> Option<String> {
    if args.vendor.is_some() {
        return args.vendor.clone();
    }
    let vendor = &suite?.config.vendor;
    if profiles.named(vendor).is_err() {
        words.push(format!(
            "the chips of `{vendor}` are not sampled: there is no profile of that vendor (docs/vendors.md)"
        ));
        return None;
    }
    Some(vendor.clone())
}

/// What agents are to look for.
pub(super) fn watch(profiles: &Profiles, vendor: Option<&str>) -> Result<Arc<ChipWatch>, Failure> {
    let watch = profiles.watch(vendor).map_err(|error| {
        Failure::usage(error)
            .hint("--vendors DIR adds profiles of your own; docs/vendors.md describes them")
    })?;
    Ok(Arc::new(watch))
}

/// Tells the cases of a suite what the chips that were found are nominally capable of: the first node's first one, as
/// cases run on chips of one kind.
pub(super) fn tell_peaks(profiles: &Profiles, plan: &mut Plan, nodes: &[Node]) {
    let Some(chip) = nodes.iter().find_map(|node| node.facts.chips.first()) else {
        return;
    };
    let peaks: BTreeMap<String, u64> = Format::ALL
        .into_iter()
        .filter_map(|format| {
            let tera = profiles.peak(chip, format)?;
            Some((format.name().to_owned(), (tera * 1e3).round() as u64))
        })
        .collect();
    for case in &mut plan.cases {
        if let Entry::Tree(tree) = &mut case.spec.entry {
            tree.peaks.clone_from(&peaks);
        }
    }
}

/// Nominal rates in TFLOPS by chip and number format as trees name them, for the chips of a suite's vendor. What is called
/// the same and differs has none.
pub(super) fn nominal_tflops(
    profiles: &Profiles,
    vendor: &str,
    chips: impl Iterator<Item = String>,
) -> Vec<(String, String, f64)> {
    let Ok(profile) = profiles.named(vendor) else {
        return Vec::new();
    };
    let mut rates = Vec::new();
    for chip in chips {
        let alike: Vec<_> = profile
            .chips
            .iter()
            .filter(|known| {
                let family = known.family.as_deref().unwrap_or(&known.name);
                chip.strip_prefix(family)
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
            })
            .collect();
        for format in Format::ALL {
            let mut peaks = alike.iter().map(|known| known.peak(format));
            if let Some(Some(first)) = peaks.next()
                && peaks.all(|other| other == Some(first))
            {
                let name = format.name().to_ascii_uppercase();
                rates.push((chip.clone(), name, first));
            }
        }
    }
    rates
}
