//! What a node's private copy of a suite differs in from the original.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path};

use flagperf_model::{Suite, TreeProgram};

use super::host_yaml;
use super::resolve::Resolved;
use super::{TreeProblem, TreeRequest, read};

/// Where the suites but training have their configuration.
const HOST_YAML: &str = "configs/host.yaml";

/// Directories of results that the classic harness and its helpers make where nobody says otherwise.
const RESULTS: [&str; 2] = ["result", "results"];

/// A script longer than this is not looked at for its line ends, in bytes.
const LONGEST_SCRIPT: u64 = 1 << 20;

/// What holds for the copies of all cases of a run. They are to be the same, so that a node needs one.
pub(super) struct CopyRules {
    without: Vec<String>,
    /// The same for cases that see the directory above the suite.
    without_from_root: Vec<String>,
    host_yaml: Option<String>,
}

impl CopyRules {
    pub(super) fn read(request: &TreeRequest<'_>, cases: &[Resolved]) -> Result<Self, TreeProblem> {
        let suite = &request.tree.directory;
        let results = results_in(request);
        let mut without: Vec<String> = ["**/.git", "**/__pycache__"].map(str::to_owned).into();
        without.extend(results.iter().cloned());
        if request.tree.suite == Suite::Inference {
            without.extend(products(suite, cases)?);
        }
        let own = suite
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let own = own.unwrap_or_default();
        let mut without_from_root: Vec<String> =
            ["**/.git", "**/__pycache__"].map(str::to_owned).into();
        if request.tree.suite == Suite::Training
            && let Some(root) = suite.parent()
        {
            let beside = read::directories(root)?
                .into_iter()
                .chain(read::files(root)?);
            without_from_root.extend(beside.filter(|name| *name != own));
            without_from_root.extend(results.iter().map(|path| format!("{own}/{path}")));
        }
        let host_yaml = match request.tree.suite {
            Suite::Training => None,
            _ => Some(canonical_host_yaml(request)?),
        };
        Ok(Self {
            without,
            without_from_root,
            host_yaml,
        })
    }

    /// Gives all cases the same copy.
    pub(super) fn apply(&self, cases: &mut [Resolved]) {
        let mut shared = flagperf_model::PrivateCopy {
            without: self.without.clone(),
            ..Default::default()
        };
        if let Some(text) = &self.host_yaml {
            shared.files.insert(HOST_YAML.to_owned(), text.clone());
        }
        for case in cases.iter().filter(|case| !sees_root(&case.tree.program)) {
            let own = &case.tree.copy;
            let files = own
                .files
                .iter()
                .map(|(path, text)| (path.clone(), text.clone()));
            shared.files.extend(files);
            shared.unix_lines.extend(own.unix_lines.iter().cloned());
        }
        shared.unix_lines.sort();
        shared.unix_lines.dedup();
        for case in cases {
            case.tree.copy = if sees_root(&case.tree.program) {
                flagperf_model::PrivateCopy {
                    without: self.without_from_root.clone(),
                    ..Default::default()
                }
            } else {
                shared.clone()
            };
        }
    }
}

/// True for programs that are told where the directory above the suite is.
pub(super) fn sees_root(program: &TreeProgram) -> bool {
    matches!(program, TreeProgram::InContainer | TreeProgram::InCluster)
}

/// Fills the hosts of the run into a copy.
pub(super) fn tell_hosts(copy: &mut flagperf_model::PrivateCopy, hosts: &[&str]) {
    if let Some(text) = copy.files.get_mut(HOST_YAML) {
        *text = host_yaml::with_hosts(text, hosts);
    }
}

fn canonical_host_yaml(request: &TreeRequest<'_>) -> Result<String, TreeProblem> {
    let original = read::text(&request.tree.directory.join(HOST_YAML))?;
    let mut keys = vec![("VENDOR", host_yaml::text_value(request.vendor))];
    if request.tree.suite != Suite::Inference {
        keys.push(("NPROC_PER_NODE", request.nproc.to_string()));
    }
    Ok(host_yaml::canonical(original.as_deref(), &keys))
}

/// The directories of results that lie in the suite, relative to it.
fn results_in(request: &TreeRequest<'_>) -> Vec<String> {
    let suite = &request.tree.directory;
    let mut found: Vec<String> = RESULTS.map(str::to_owned).into();
    for named in &request.settings.result_directories {
        let path = suite.join(named);
        // A path may come to the suite by a link, or not exist yet.
        let path = path.canonicalize().unwrap_or(path);
        let Ok(inside) = path.strip_prefix(suite) else {
            continue;
        };
        let parts = inside.components().filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        let inside = parts.collect::<Vec<&str>>().join("/");
        if !inside.is_empty() && !found.contains(&inside) {
            found.push(inside);
        }
    }
    found
}

/// Models that earlier runs of the suite left: gigabytes, which no node needs but for those that the
/// configuration of a case names.
fn products(suite: &Path, cases: &[Resolved]) -> Result<Vec<String>, TreeProblem> {
    let mut configurations = String::new();
    for case in cases {
        let of_case = suite.join("configs").join(&case.tree.case);
        let of_vendor = format!("vendor_config/{}_configurations.yaml", case.tree.vendor);
        for path in ["configurations.yaml", &of_vendor] {
            configurations.push_str(&read::text(&of_case.join(path))?.unwrap_or_default());
        }
    }
    let place = suite.join("onnxs");
    let there = read::directories(&place)?
        .into_iter()
        .chain(read::files(&place)?);
    let paths = there.map(|name| format!("onnxs/{name}"));
    Ok(paths
        .filter(|path| !configurations.contains(path))
        .collect())
}

/// Those of the files, relative to the suite, whose lines end in CR LF.
pub(super) fn unix_lines(
    suite: &Path,
    files: impl IntoIterator<Item = String>,
) -> Result<Vec<String>, TreeProblem> {
    let mut found = Vec::new();
    for file in files {
        let path = suite.join(&file);
        let has = has_carriage_returns(&path).map_err(|source| TreeProblem::Unreadable {
            path: path.clone(),
            source,
        })?;
        if has {
            found.push(file);
        }
    }
    Ok(found)
}

fn has_carriage_returns(path: &Path) -> io::Result<bool> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LONGEST_SCRIPT)
        .read_to_end(&mut bytes)?;
    Ok(memchr::memmem::find(&bytes, b"\r\n").is_some())
}
