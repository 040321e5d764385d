//! Finding in the tree what the fields of a case string name.

use flagperf_model::Suite;
use flagperf_text::{nearest, quoted, shown};

use super::{Resolver, did_you_mean};
use crate::tree::find::suite_name;
use crate::tree::{Adaptation, TreeEntry, TreeKind, TreeProblem, WantedCase, read};

impl Resolver<'_> {
    /// The only case of that name, of one of the kinds that count.
    pub(super) fn entry(
        &self,
        name: &str,
        counts: impl Fn(TreeKind) -> bool,
    ) -> Result<&TreeEntry, TreeProblem> {
        let entries = self
            .catalogue
            .of_kind(|kind| self.is_of_kind(kind) && counts(kind));
        if let Some(entry) = entries.iter().find(|entry| entry.case == name) {
            return Ok(entry);
        }
        Err(TreeProblem::Unknown {
            kind: self.kind_name(),
            case: shown(name),
            hint: self.unknown_hint(name, &entries),
        })
    }

    /// What the user may have meant by a name that no case has.
    fn unknown_hint(&self, name: &str, entries: &[&TreeEntry]) -> String {
        let same = |entry: &&TreeEntry| entry.case == name;
        if let Some(other) = self.catalogue.entries.iter().find(same) {
            let how = match other.kind {
                TreeKind::Toolkit => " (`BENCHMARKS_OR_TOOLKITS: \"TOOLKIT\"`)",
                TreeKind::Benchmark => " (`BENCHMARKS_OR_TOOLKITS: \"BENCHMARK\"`)",
                _ => "",
            };
            return format!(
                "there is a {} of that name{how}, for {}",
                other.kind,
                other.available()
            );
        }
        let names = || entries.iter().map(|entry| entry.case.as_str());
        let close = nearest(name, names());
        if let Some(entry) =
            close.and_then(|close| entries.iter().find(|entry| entry.case == close))
        {
            return format!(
                "did you mean `{}`? It exists for {}",
                entry.case,
                entry.available()
            );
        }
        let mut names: Vec<&str> = names().collect();
        names.dedup();
        format!("there are {}", quoted(names))
    }

    /// What the vendor has for a case.
    pub(super) fn adaptation<'e>(
        &self,
        entry: &'e TreeEntry,
    ) -> Result<&'e Adaptation, TreeProblem> {
        entry
            .adaptation(self.vendor())
            .ok_or_else(|| TreeProblem::NotFor {
                kind: self.kind_name(),
                case: entry.case.clone(),
                wanted: format!("`{}`", self.vendor()),
                available: entry.available(),
            })
    }

    /// The chip: the one that is named, or the only one that there is. `with_chip` writes the case string
    /// with a chip.
    pub(super) fn chip(
        &self,
        wanted: &WantedCase,
        entry: &TreeEntry,
        named: Option<&str>,
        with_chip: impl Fn(&str) -> String,
    ) -> Result<Option<String>, TreeProblem> {
        let chips = &self.adaptation(entry)?.chips;
        let vendor = self.vendor().to_owned();
        match (named, &chips[..]) {
            (Some(chip), []) => Err(TreeProblem::NoChips {
                case: shown(&wanted.name),
                chip: shown(chip),
                vendor,
            }),
            (Some(chip), chips) if chips.iter().any(|one| one == chip) => Ok(Some(chip.to_owned())),
            (Some(chip), chips) => {
                let close = nearest(chip, chips.iter().map(String::as_str));
                let close = close.map(|close| format!(" (did you mean `{close}`?)"));
                Err(TreeProblem::NotFor {
                    kind: self.kind_name(),
                    case: entry.case.clone(),
                    wanted: format!(
                        "the chip `{}` of `{vendor}`{}",
                        shown(chip),
                        close.unwrap_or_default()
                    ),
                    available: entry.available(),
                })
            }
            (None, []) => Ok(None),
            (None, [chip]) => Ok(Some(chip.clone())),
            (None, chips) => {
                let choices: Vec<String> = chips.iter().map(|chip| with_chip(chip)).collect();
                Err(TreeProblem::Ambiguous {
                    case: shown(&wanted.name),
                    vendor,
                    choices: quoted(choices.iter().map(String::as_str)),
                })
            }
        }
    }

    /// The framework, which names the image: the one that is told, or the only one that there is. Empty if
    /// nothing tells and no image is made.
    pub(super) fn framework(
        &self,
        wanted: &WantedCase,
        told: Option<&str>,
    ) -> Result<String, TreeProblem> {
        let vendor = self.vendor();
        let place = match self.tree().suite {
            Suite::Base | Suite::Operation => format!("vendors/{vendor}"),
            Suite::Inference => format!("docker_images/{vendor}"),
            Suite::Training => format!("{vendor}/docker_image"),
        };
        let there = read::directories(&self.directory().join(place))?;
        match (told, &there[..]) {
            (Some(told), there) if !self.request.images || there.iter().any(|one| one == told) => {
                Ok(told.to_owned())
            }
            (Some(told), there) => Err(TreeProblem::Framework {
                case: shown(&wanted.name),
                framework: shown(told),
                vendor: vendor.to_owned(),
                suite: suite_name(self.tree().suite),
                hint: did_you_mean(told, there.iter().map(String::as_str), "there are"),
            }),
            (None, [only]) => Ok(only.clone()),
            (None, _) if !self.request.images => Ok(String::new()),
            (None, there) => Err(TreeProblem::NoValue {
                case: shown(&wanted.name),
                what: format!(
                    "a framework, which names its image: {}",
                    quoted(there.iter().map(String::as_str))
                ),
            }),
        }
    }
}
