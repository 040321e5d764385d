//! Case strings of suite inference: `<case>:<framework>`, with further fields that say nothing.

use std::fmt::Write;
use std::path::Path;

use flagperf_model::{CaseName, NodeScope, SetupCommand, TreeProgram};
use flagperf_text::{quoted, shown};

use super::base::all;
use super::merged::{keys, without_repeated};
use super::{Resolved, Resolver, did_you_mean, set_right, warning};
use crate::tree::script::{build_extension, install_requirements};
use crate::tree::{TreeEntry, TreeProblem, WantedCase, read};

/// How much the suite prints where nobody says.
const LOG_LEVEL: &str = "INFO";

impl Resolver<'_> {
    pub(super) fn inference(
        &self,
        wanted: &WantedCase,
        fields: &[&str],
    ) -> Result<Resolved, Vec<TreeProblem>> {
        let one = |problem| vec![problem];
        let [case, framework, extra @ ..] = fields else {
            return Err(vec![TreeProblem::Fields {
                case: shown(&wanted.name),
                found: fields.len(),
                expected: "`<case>:<framework>`".to_owned(),
            }]);
        };
        let entry = self.entry(case, |_| true).map_err(one)?;
        let name = CaseName::new(wanted.name.clone()).map_err(|error| vec![error.into()]);
        let image = self.framework(wanted, Some(framework)).map_err(one);
        let data = data_directory(wanted).map_err(one);
        let (name, image, data_directory) = all(name, image, data)?;
        let library = framework.split('_').next().unwrap_or(framework);
        let place = format!("benchmarks/{case}/{library}");
        if self.subdirectory(place.clone()).is_none() {
            let there = read::directories(&self.directory().join("benchmarks").join(case));
            let there = there.map_err(one)?;
            return Err(vec![TreeProblem::NotWith {
                kind: self.kind_name(),
                case: (*case).to_owned(),
                framework: shown(framework),
                available: quoted(there.iter().map(String::as_str)),
            }]);
        }
        let log_level = self
            .request
            .settings
            .log_level
            .as_deref()
            .unwrap_or(LOG_LEVEL);
        let mut tree = self.blank(
            entry,
            image,
            TreeProgram::Inference {
                data_directory,
                log_level: log_level.to_uppercase(),
            },
        );
        tree.nproc = 1;
        let mut remarks = Vec::new();
        if !extra.is_empty() {
            remarks.push(warning(
                None,
                format!(
                    "the fields behind the framework say nothing: `{}`",
                    shown(&extra.join(":"))
                ),
            ));
        }
        // Where models are exported to.
        tree.copy
            .files
            .insert("onnxs/.keep".to_owned(), String::new());
        self.vendor_configuration(entry, &mut tree, &mut remarks)
            .map_err(one)?;

        let vendor = self.vendor();
        tree.files.environment = self.file(format!("{place}/environment_variables.sh"));
        tree.files.requirements = self
            .file(format!("{place}/{vendor}_requirements.txt"))
            .or_else(|| self.file(format!("{place}/requirements.txt")));
        let engine = format!("inference_engine/{vendor}");
        tree.files.extension = self.subdirectory(format!("{engine}/csrc"));
        let mut setup: Vec<SetupCommand> = Vec::new();
        if let Some(requirements) = &tree.files.requirements {
            let environment = tree.files.environment.as_deref();
            setup.push(install_requirements(
                requirements,
                environment,
                tree.pip_source.as_deref(),
            ));
        }
        if let Some(sources) = &tree.files.extension {
            let environment = self.file(format!("{engine}/environment_variables.sh"));
            let sandbox = format!("{engine}/sandbox/extension");
            setup.push(build_extension(sources, environment.as_deref(), &sandbox));
        }
        Ok(Resolved {
            name,
            summary: format!("{case}, inference with {library} on {vendor}"),
            tree,
            nodes: NodeScope::All,
            rounds: 1,
            remarks,
            setup,
        })
    }

    /// Checks that the vendor can run the case, and mends a configuration at which the suite's program would
    /// give up.
    fn vendor_configuration(
        &self,
        entry: &TreeEntry,
        tree: &mut flagperf_model::TreeCase,
        remarks: &mut Vec<flagperf_model::Remark>,
    ) -> Result<(), TreeProblem> {
        let vendor = self.vendor();
        let configs = format!("configs/{}", entry.case);
        let common_path = self.directory().join(&configs).join("configurations.yaml");
        let common = read::text(&common_path)?.unwrap_or_default();
        let path = format!("{configs}/vendor_config/{vendor}_configurations.yaml");
        let vendors = read::text(&self.directory().join(&path))?;
        let own = vendors.as_deref().unwrap_or_default();
        let named = |name: &str| {
            let of_vendor = keys(own).into_iter().find(|key| key.name == name);
            of_vendor
                .or_else(|| keys(&common).into_iter().find(|key| key.name == name))
                .map(|key| key.value)
        };
        let compiler = named("compiler").filter(|name| !matches!(name.as_str(), "" | "null" | "~"));
        if let Some(compiler) = compiler {
            let engine = format!("inference_engine/{vendor}");
            let there = read::files(&self.directory().join(&engine))?;
            let there: Vec<&str> = there
                .iter()
                .filter_map(|name| name.strip_suffix(".py"))
                .collect();
            if !there.contains(&compiler.as_str()) {
                if vendors.is_none() {
                    self.adaptation(entry)?;
                }
                remarks.push(warning(
                    Some(58),
                    format!(
                        "its configuration names the compiler `{}`, which `{engine}` does not have, so it will end when it gets there; {}",
                        shown(&compiler),
                        did_you_mean(&compiler, there.iter().copied(), "there are"),
                    ),
                ));
            }
        }
        let (repeated, mended) = without_repeated(&common, own);
        if !repeated.is_empty() {
            let mut text = String::from(
                "the vendor's configuration repeats values of the common one, at which the suite's program gives up; in the copy that runs it is without",
            );
            for (at, name) in repeated.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                let _ = write!(text, "{comma} `{name}`");
            }
            tree.copy.files.insert(path, mended);
            remarks.push(set_right(Some(58), text));
        }
        if let Some(onnx) = named("exist_onnx_path") {
            keep_product(self.directory(), &onnx, remarks);
        }
        Ok(())
    }
}

/// The directory of the data that stands beside a case string.
pub(super) fn data_directory(wanted: &WantedCase) -> Result<String, TreeProblem> {
    wanted.value.clone().ok_or_else(|| TreeProblem::NoValue {
        case: shown(&wanted.name),
        what: "the directory of its data, which stands beside it in `CASES`".to_owned(),
    })
}

/// A warning where a product of an earlier run that the configuration relies on is not there.
fn keep_product(suite: &Path, onnx: &str, remarks: &mut Vec<flagperf_model::Remark>) {
    if matches!(onnx, "" | "null" | "~") || onnx.starts_with('/') {
        return;
    }
    if !suite.join(onnx).is_file() {
        remarks.push(warning(
            None,
            format!(
                "its configuration relies on `{}`, which is not in the suite's directory",
                shown(onnx)
            ),
        ));
    }
}
