//! What a tree has: cases, and the vendors and chips that each is adapted to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use flagperf_model::{StartProgram, Suite};

use super::read::{directories, files};
use super::{SuiteTree, TreeProblem};

/// The cases of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeCatalogue {
    /// In the order of their kinds, then of their names.
    pub entries: Vec<TreeEntry>,
}

/// A case of a suite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeEntry {
    /// Its suite.
    pub suite: Suite,
    /// What of the suite's it is.
    pub kind: TreeKind,
    /// Its name, which is that of its directory.
    pub case: String,
    /// The vendors that it is adapted to, by name.
    pub adaptations: Vec<Adaptation>,
}

/// What is started for a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TreeKind {
    /// A benchmark of suite base, in Python.
    Benchmark,
    /// The vendors' own programs for a case of suite base.
    Toolkit,
    /// An operator.
    Operation,
    /// Inference with a model.
    Inference,
    /// Training of a model.
    Training(StartProgram),
    /// Training that starts its parts on other nodes by itself.
    InContainer,
    /// The same through MPI.
    InCluster,
}

impl fmt::Display for TreeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Benchmark => "benchmark",
            Self::Toolkit => "toolkit",
            Self::Operation => "operation",
            Self::Inference => "inference",
            Self::Training(start) => start.name(),
            Self::InContainer => "in_container",
            Self::InCluster => "in_cluster",
        })
    }
}

/// What a vendor has for a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adaptation {
    /// The vendor.
    pub vendor: String,
    /// The chips that it is adapted to one by one. Empty if it is adapted to the vendor's chips as a whole.
    pub chips: Vec<String>,
    /// In suite training: the sizes that there is a configuration for.
    pub configurations: Vec<Configuration>,
}

/// A configuration of a training case.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Configuration {
    /// The kind of chip, or the layout and the chip: `A100`, `TP2PP1SH1SP4A10040G`.
    pub hardware: String,
    /// Number of nodes.
    pub nnodes: u32,
    /// Number of ranks on each node.
    pub nproc: u32,
}

impl Configuration {
    /// Reads it from the name of a file: `config_A100x1x8.py`.
    pub(super) fn from_file(name: &str) -> Option<Self> {
        let stem = name.strip_prefix("config_")?.strip_suffix(".py")?;
        let mut parts = stem.rsplitn(3, 'x');
        let nproc = parts.next()?.parse().ok()?;
        let nnodes = parts.next()?.parse().ok()?;
        let hardware = parts
            .next()
            .filter(|hardware| !hardware.is_empty())?
            .to_owned();
        Some(Self {
            hardware,
            nnodes,
            nproc,
        })
    }
}

impl TreeCatalogue {
    /// Reads what a suite has.
    ///
    /// # Errors
    ///
    /// A directory that cannot be read.
    pub fn read(tree: &SuiteTree) -> Result<Self, TreeProblem> {
        let directory = &tree.directory;
        let mut entries = Vec::new();
        match tree.suite {
            Suite::Base => {
                entries.extend(benchmarks(directory, Suite::Base, TreeKind::Benchmark)?);
                entries.extend(toolkits(directory)?);
            }
            Suite::Operation => {
                entries.extend(benchmarks(
                    directory,
                    Suite::Operation,
                    TreeKind::Operation,
                )?);
            }
            Suite::Inference => entries.extend(inference(directory)?),
            Suite::Training => entries.extend(training(directory)?),
        }
        Ok(Self { entries })
    }

    /// The cases of a kind.
    pub(super) fn of_kind(&self, wanted: impl Fn(TreeKind) -> bool) -> Vec<&TreeEntry> {
        let of_kind = self.entries.iter().filter(|entry| wanted(entry.kind));
        of_kind.collect()
    }

    /// The vendors that any case is adapted to, by name.
    pub(super) fn vendors(&self) -> Vec<&str> {
        let adaptations = self.entries.iter().flat_map(|entry| &entry.adaptations);
        let mut names: Vec<&str> = adaptations.map(|one| one.vendor.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

impl TreeEntry {
    /// What a vendor has for it.
    pub(super) fn adaptation(&self, vendor: &str) -> Option<&Adaptation> {
        self.adaptations.iter().find(|one| one.vendor == vendor)
    }

    /// For whom it exists: `dcu (BW), mthreads (S4000, S5000)`.
    pub(super) fn available(&self) -> String {
        let each = self.adaptations.iter().map(|one| {
            if one.chips.is_empty() {
                one.vendor.clone()
            } else {
                format!("{} ({})", one.vendor, one.chips.join(", "))
            }
        });
        let each: Vec<String> = each.collect();
        if each.is_empty() {
            "no vendor".to_owned()
        } else {
            each.join(", ")
        }
    }
}

/// Cases that are a `main.py` with a `case_config.yaml` for each vendor or chip.
fn benchmarks(
    directory: &Path,
    suite: Suite,
    kind: TreeKind,
) -> Result<Vec<TreeEntry>, TreeProblem> {
    let place = directory.join("benchmarks");
    let mut entries = Vec::new();
    for case in directories(&place)? {
        let of_case = place.join(&case);
        if of_case.join("main.py").is_file() {
            entries.push(TreeEntry {
                suite,
                kind,
                case,
                adaptations: adaptations(&of_case, "case_config.yaml")?,
            });
        }
    }
    Ok(entries)
}

fn toolkits(directory: &Path) -> Result<Vec<TreeEntry>, TreeProblem> {
    let place = directory.join("toolkits");
    let mut entries = Vec::new();
    for case in directories(&place)? {
        let adaptations = adaptations(&place.join(&case), "main.sh")?;
        if !adaptations.is_empty() {
            entries.push(TreeEntry {
                suite: Suite::Base,
                kind: TreeKind::Toolkit,
                case,
                adaptations,
            });
        }
    }
    Ok(entries)
}

/// Directories of vendors, which have the file or a directory for each chip that has it.
fn adaptations(of_case: &Path, file: &str) -> Result<Vec<Adaptation>, TreeProblem> {
    let mut found = Vec::new();
    for vendor in directories(of_case)? {
        let of_vendor = of_case.join(&vendor);
        let mut chips = directories(&of_vendor)?;
        chips.retain(|chip| of_vendor.join(chip).join(file).is_file());
        if !chips.is_empty() || of_vendor.join(file).is_file() {
            found.push(Adaptation {
                vendor,
                chips,
                configurations: Vec::new(),
            });
        }
    }
    Ok(found)
}

fn inference(directory: &Path) -> Result<Vec<TreeEntry>, TreeProblem> {
    let place = directory.join("configs");
    let mut entries = Vec::new();
    for case in directories(&place)? {
        if !place.join(&case).join("configurations.yaml").is_file()
            || directories(&directory.join("benchmarks").join(&case))?.is_empty()
        {
            continue;
        }
        let names = files(&place.join(&case).join("vendor_config"))?;
        let vendors = names
            .iter()
            .filter_map(|name| name.strip_suffix("_configurations.yaml"));
        let adaptations = vendors.map(|vendor| Adaptation {
            vendor: vendor.to_owned(),
            chips: Vec::new(),
            configurations: Vec::new(),
        });
        entries.push(TreeEntry {
            suite: Suite::Inference,
            kind: TreeKind::Inference,
            adaptations: adaptations.collect(),
            case,
        });
    }
    Ok(entries)
}

fn training(directory: &Path) -> Result<Vec<TreeEntry>, TreeProblem> {
    let adapted = adapted_models(directory)?;
    let place = directory.join("benchmarks");
    let mut entries = Vec::new();
    for case in directories(&place)? {
        let ways = directories(&place.join(&case))?;
        let started = StartProgram::ALL
            .into_iter()
            .filter(|start| ways.iter().any(|way| way == start.name()))
            .map(|start| (TreeKind::Training(start), start.name()));
        let alone = [
            (TreeKind::InContainer, "in_container"),
            (TreeKind::InCluster, "in_cluster"),
        ];
        let alone = alone
            .into_iter()
            .filter(|(_, name)| ways.iter().any(|way| way == name));
        for (kind, way) in started.chain(alone) {
            // The cases of a cluster have no configurations of their own.
            let way = if kind == TreeKind::InCluster {
                "in_container"
            } else {
                way
            };
            let adaptations = adapted.get(&format!("{case}-{way}"));
            entries.push(TreeEntry {
                suite: Suite::Training,
                kind,
                case: case.clone(),
                adaptations: adaptations.cloned().unwrap_or_default(),
            });
        }
    }
    Ok(entries)
}

/// What the vendors have, by the names of the directories in theirs: `resnet50-pytorch`.
fn adapted_models(directory: &Path) -> Result<BTreeMap<String, Vec<Adaptation>>, TreeProblem> {
    let mut adapted: BTreeMap<String, Vec<Adaptation>> = BTreeMap::new();
    for vendor in directories(directory)? {
        if matches!(vendor.as_str(), "benchmarks" | "run_benchmarks" | "utils") {
            continue;
        }
        let of_vendor = directory.join(&vendor);
        for model in directories(&of_vendor)? {
            let names = files(&of_vendor.join(&model).join("config"))?;
            let configurations = names
                .iter()
                .filter_map(|name| Configuration::from_file(name));
            let mut configurations: Vec<Configuration> = configurations.collect();
            configurations.sort();
            let is_alone = of_vendor.join(&model).join("config.py").is_file();
            if configurations.is_empty() && !is_alone {
                continue;
            }
            let mut chips: Vec<String> = configurations
                .iter()
                .map(|one| one.hardware.clone())
                .collect();
            chips.dedup();
            adapted.entry(model).or_default().push(Adaptation {
                vendor: vendor.clone(),
                chips,
                configurations,
            });
        }
    }
    Ok(adapted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_read_from_the_name_of_its_file() {
        let read = |name| {
            let one = Configuration::from_file(name)?;
            Some((one.hardware, one.nnodes, one.nproc))
        };
        let is = |hardware: &str, nnodes, nproc| Some((hardware.to_owned(), nnodes, nproc));
        assert_eq!(read("config_A100x1x8.py"), is("A100", 1, 8));
        assert_eq!(read("config_BI-V150x4x16.py"), is("BI-V150", 4, 16));
        assert_eq!(
            read("config_TP2PP1SH1SP4A10040Gx1x8.py"),
            is("TP2PP1SH1SP4A10040G", 1, 8)
        );
        assert_eq!(read("config_oxx1x8.py"), is("ox", 1, 8));
        for none in [
            "config_common.py",
            "config_x1x8.py",
            "config_A100x2x8.example",
            "_base.py",
        ] {
            assert_eq!(read(none), None, "{none}");
        }
    }
}
