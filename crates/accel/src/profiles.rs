//! All vendors that are known: those that come with the program, and those of somebody's own.

use std::path::Path;

use flagperf_model::{ChipFacts, ChipWatch};
use flagperf_text::{nearest, quoted, shown};

use crate::profile::ProfileErrors;
use crate::{Chip, Format, VendorProfile, read_profile};

/// The profiles that come with the program, by the name of their file.
const BUILT_IN: [(&str, &str); 1] = [(
    "nvidia.toml",
    include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../vendors/nvidia.toml"
    )),
)];

/// Somebody named a vendor that has no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile of the vendor `{}`; {hint}", shown(name))]
pub struct UnknownVendor {
    /// The name.
    pub name: String,
    hint: String,
}

/// A set of profiles, in the order in which nodes are asked for chips of theirs.
#[derive(Debug, Clone, PartialEq)]
pub struct Profiles(Vec<VendorProfile>);

impl Profiles {
    /// Those that come with the program.
    pub fn built_in() -> Self {
        let read = |(name, text): (&str, &str)| read_profile(Path::new(name), text);
        // A test reads each of them, so that none can be wrong here.
        Self(
            BUILT_IN
                .into_iter()
                .filter_map(|file| read(file).ok())
                .collect(),
        )
    }

    /// These and others. One that has the name of another takes its place; a new one is asked first.
    ///
    /// # Errors
    ///
    /// The mistakes of all files.
    pub fn with<'a>(
        mut self,
        files: impl IntoIterator<Item = (&'a Path, &'a str)>,
    ) -> Result<Self, ProfileErrors> {
        let mut errors = Vec::new();
        let mut new = Vec::new();
        for (path, text) in files {
            match read_profile(path, text) {
                Ok(profile) => match self.0.iter_mut().find(|own| own.name == profile.name) {
                    Some(own) => *own = profile,
                    None => new.push(profile),
                },
                Err(found) => errors.extend(found.0),
            }
        }
        if !errors.is_empty() {
            return Err(ProfileErrors(errors));
        }
        new.append(&mut self.0);
        Ok(Self(new))
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &VendorProfile> {
        self.0.iter()
    }

    /// The profile of the vendor of that name, or of one that is also called so.
    ///
    /// # Errors
    ///
    /// There is none; the error names the nearest.
    pub fn named(&self, name: &str) -> Result<&VendorProfile, UnknownVendor> {
        self.iter()
            .find(|profile| profile.is_called(name))
            .ok_or_else(|| {
                let known = || self.iter().map(|profile| profile.name.as_str());
                UnknownVendor {
                    name: name.to_owned(),
                    hint: match nearest(name, known()) {
                        Some(close) => format!("did you mean `{close}`?"),
                        None => format!("the known ones are {}", quoted(known())),
                    },
                }
            })
    }

    /// What agents are to look for: the chips of one vendor, or those that a node has.
    ///
    /// # Errors
    ///
    /// There is no vendor of that name.
    pub fn watch(&self, vendor: Option<&str>) -> Result<ChipWatch, UnknownVendor> {
        Ok(match vendor {
            Some(name) => ChipWatch {
                asked: true,
                tools: self.named(name)?.status.iter().cloned().collect(),
            },
            None => ChipWatch {
                asked: false,
                tools: self
                    .iter()
                    .filter_map(|profile| profile.status.clone())
                    .collect(),
            },
        })
    }

    /// The kind of a chip that was found on a node.
    pub fn chip(&self, found: &ChipFacts) -> Option<&Chip> {
        self.named(&found.vendor).ok()?.chip(found.name.as_deref()?)
    }

    /// The nominal peak of dense matrix products in a format on a chip that was found on a node, in 10^12
    /// operations per second; `None` if the chip is not known or its maker states none.
    pub fn peak(&self, found: &ChipFacts, format: Format) -> Option<f64> {
        self.chip(found)?.peak(format)
    }
}
