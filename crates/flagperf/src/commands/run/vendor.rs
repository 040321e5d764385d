//! Which chips are sampled: the vendors' profiles, and the vendor that was asked for.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flagperf_accel::Profiles;
use flagperf_model::ChipWatch;

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
    words: &mut Vec<String>,
) -> Result<Option<String>, Failure> {
    if args.vendor.is_some() {
        return Ok(args.vendor.clone());
    }
    let Some(suite) = suite else {
        return Ok(None);
    };
    let vendor = &suite.config.vendor;
    if profiles(args.vendor_directory.as_deref())?
        .watch(Some(vendor))
        .is_err()
    {
        words.push(format!(
            "the chips of `{vendor}` are not sampled: there is no profile of that vendor (docs/vendors.md)"
        ));
        return Ok(None);
    }
    Ok(Some(vendor.clone()))
}

/// What agents are to look for.
pub(super) fn watch(
    directory: Option<&Path>,
    vendor: Option<&str>,
) -> Result<Arc<ChipWatch>, Failure> {
    let profiles = profiles(directory)?;
    let watch = profiles.watch(vendor).map_err(|error| {
        Failure::usage(error)
            .hint("--vendors DIR adds profiles of your own; docs/vendors.md describes them")
    })?;
    Ok(Arc::new(watch))
}
