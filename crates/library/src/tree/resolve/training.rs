//! Case strings of suite training: `<model>:<framework>:<hardware>:<nodes>:<ranks a node>:<rounds>`, with further
//! fields that say nothing, and `<model>:in_container`, `<model>:in_cluster`.

use flagperf_model::{
    CaseName, NodeScope, Remark, SetupCommand, StartProgram, TreeCase, TreeProgram,
};
use flagperf_text::{quoted, shown};

use super::base::all;
use super::inference::data_directory;
use super::{Resolved, Resolver, set_right, warning};
use crate::tree::copy::unix_lines;
use crate::tree::script::{build_extension, install_requirements};
use crate::tree::{Adaptation, Configuration, TreeEntry, TreeKind, TreeProblem, WantedCase, read};

const FORM: &str = "`<model>:<framework>:<hardware>:<nodes>:<ranks on each node>:<rounds>`";

/// Ranks on each node of the cases that start their parts on other nodes by themselves: a constant in them.
const ALONE_NPROC: u32 = 8;

/// A case string, taken apart.
struct Parts<'a> {
    model: &'a str,
    framework: &'a str,
    configuration: Configuration,
    rounds: u32,
    extra: &'a [&'a str],
}

impl Resolver<'_> {
    pub(super) fn training(
        &self,
        wanted: &WantedCase,
        fields: &[&str],
    ) -> Result<Resolved, Vec<TreeProblem>> {
        let one = |problem| vec![problem];
        match fields {
            [model, "in_container", extra @ ..] => {
                return self.alone(wanted, model, TreeKind::InContainer, extra);
            }
            [model, "in_cluster", extra @ ..] => {
                return self.alone(wanted, model, TreeKind::InCluster, extra);
            }
            _ => {}
        }
        let parts = self.parts(wanted, fields)?;
        let start = self.start_program(&parts).map_err(one)?;
        let entry = self
            .entry(parts.model, |kind| kind == TreeKind::Training(start))
            .map_err(one)?;
        let adaptation = self.adaptation(entry).map_err(one)?;
        let size = &parts.configuration;
        let file = format!("config_{}x{}x{}.py", size.hardware, size.nnodes, size.nproc);
        let there = if adaptation.configurations.contains(size) {
            Ok(())
        } else {
            Err(vec![TreeProblem::Configuration {
                case: shown(&wanted.name),
                file: format!("{}/{}-{start}/config/{file}", self.vendor(), parts.model),
                hint: examples(adaptation, parts.model, parts.framework),
            }])
        };
        let enough = if there.is_ok() && size.nnodes > self.request.nodes {
            Err(vec![TreeProblem::TooFewNodes {
                case: shown(&wanted.name),
                needs: size.nnodes,
                there: self.request.nodes,
            }])
        } else {
            Ok(())
        };
        let image = self.framework(wanted, Some(parts.framework)).map_err(one);
        let data = data_directory(wanted).map_err(one);
        let name = CaseName::new(wanted.name.clone()).map_err(|error| vec![error.into()]);
        let ((), (), (image, data_directory, name)) = all(there, enough, all(image, data, name))?;

        let mut remarks = extra_fields(parts.extra);
        let settings = &self.request.settings;
        let mut tree = self.blank(
            entry,
            image,
            TreeProgram::Training {
                start,
                config_file: file,
                hardware: size.hardware.clone(),
                data_directory,
                visible_devices: settings.visible_devices.clone(),
                hosts_ports: settings.hosts_ports.clone(),
            },
        );
        tree.nproc = size.nproc;
        tree.nnodes = size.nnodes;
        let setup = self
            .training_files(wanted, &mut tree, start, &mut remarks)
            .map_err(one)?;
        let listed = matches!(start, StartProgram::Flagscale | StartProgram::Tensorflow2);
        if listed && tree.nnodes < self.request.nodes {
            remarks.push(set_right(
                Some(24),
                format!(
                    "the case is told the first {} hosts, not all of the run",
                    tree.nnodes
                ),
            ));
        }
        Ok(Resolved {
            name,
            summary: format!(
                "{}, training with {} on {} {}",
                parts.model,
                parts.framework,
                self.vendor(),
                size.hardware
            ),
            tree,
            nodes: NodeScope::All,
            rounds: parts.rounds,
            remarks,
            setup,
        })
    }

    fn parts<'f>(
        &self,
        wanted: &WantedCase,
        fields: &'f [&'f str],
    ) -> Result<Parts<'f>, Vec<TreeProblem>> {
        let [model, framework, hardware, nodes, ranks, rounds, extra @ ..] = fields else {
            let entries = self.catalogue.of_kind(|_| true);
            let of_model = entries.iter().filter(|entry| entry.case == fields[0]);
            let known: Vec<String> = of_model
                .filter_map(|entry| {
                    let adaptation = entry.adaptation(self.vendor())?;
                    Some(examples(adaptation, &entry.case, &entry.kind.to_string()))
                })
                .collect();
            let known = if known.is_empty() {
                String::new()
            } else {
                format!("; {}", known.join("; "))
            };
            return Err(vec![TreeProblem::Fields {
                case: shown(&wanted.name),
                found: fields.len(),
                expected: format!("{FORM}{known}"),
            }]);
        };
        let number = |field: &str, what| {
            field
                .parse::<u32>()
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| {
                    vec![TreeProblem::Field {
                        case: shown(&wanted.name),
                        field: shown(field),
                        what,
                        expected: "a whole number of at least 1".to_owned(),
                    }]
                })
        };
        let (nnodes, nproc, rounds) = all(
            number(nodes, "number of nodes"),
            number(ranks, "number of ranks on each node"),
            number(rounds, "number of rounds"),
        )?;
        Ok(Parts {
            model,
            framework,
            configuration: Configuration {
                hardware: (*hardware).to_owned(),
                nnodes,
                nproc,
            },
            rounds,
            extra,
        })
    }

    /// How the case is started: the framework without its version.
    fn start_program(&self, parts: &Parts<'_>) -> Result<StartProgram, TreeProblem> {
        // Who mistypes the model wants to hear of that first.
        self.entry(parts.model, |_| true)?;
        let entries = self.catalogue.of_kind(|_| true);
        let of_model = entries.iter().filter(|entry| entry.case == parts.model);
        let ways: Vec<String> = of_model.map(|entry| entry.kind.to_string()).collect();
        let base = parts.framework.split('_').next().unwrap_or_default();
        let start =
            StartProgram::named(base).filter(|start| ways.iter().any(|way| way == start.name()));
        start.ok_or_else(|| TreeProblem::NotWith {
            kind: self.kind_name(),
            case: parts.model.to_owned(),
            framework: shown(parts.framework),
            available: quoted(ways.iter().map(String::as_str)),
        })
    }

    /// Finds what of the tree belongs to the case, and what has to be done before it.
    fn training_files(
        &self,
        wanted: &WantedCase,
        tree: &mut TreeCase,
        start: StartProgram,
        remarks: &mut Vec<Remark>,
    ) -> Result<Vec<SetupCommand>, TreeProblem> {
        let model = format!("benchmarks/{}/{start}", tree.case);
        let adapted = format!("{}/{}-{start}", tree.vendor, tree.case);
        let config = format!("{adapted}/config");
        let script = match start {
            StartProgram::Mindspore => "cluster_offline_run.sh",
            _ => "run_pretraining.py",
        };
        let missing = |what, path: &str| TreeProblem::Missing {
            case: shown(&wanted.name),
            what,
            path: self.directory().join(path),
        };
        let script = format!("{model}/{script}");
        if self.file(script.clone()).is_none() {
            return Err(missing("the script", &script));
        }
        let files = &mut tree.files;
        files.environment = self.file(format!("{config}/environment_variables.sh"));
        files.requirements = self.file(format!("{config}/requirements.txt"));
        files.extension = self.subdirectory(format!("{adapted}/csrc"));
        files.extern_modules = self.subdirectory(format!("{adapted}/extern"));
        let needs_modules = matches!(
            start,
            StartProgram::Pytorch | StartProgram::Paddle | StartProgram::Mindspore
        );
        if needs_modules && files.extern_modules.is_none() {
            return Err(missing(
                "the vendor's modules in",
                &format!("{adapted}/extern"),
            ));
        }
        if matches!(
            start,
            StartProgram::Deepspeed | StartProgram::DeepspeedTorch
        ) {
            files.network = self.file(format!("{config}/net.sh"));
            let merged = self.merged_deepspeed(&model, &config)?;
            tree.copy
                .files
                .insert(format!("{model}/ds_config_tmp.json"), merged);
        }
        if start == StartProgram::Deepspeed {
            remarks.push(set_right(
                Some(52),
                "ranks meet at the port that the run uses, not always at 29501",
            ));
        }
        let mut scripts = Vec::new();
        for directory in [&config, &model] {
            let names = read::files(&self.directory().join(directory))?;
            let names = names.iter().filter(|name| read::is_script(name));
            scripts.extend(names.map(|name| format!("{directory}/{name}")));
        }
        scripts.extend(tree.files.requirements.iter().cloned());
        tree.copy.unix_lines = unix_lines(self.directory(), scripts)?;

        let environment = tree.files.environment.as_deref();
        let mut setup = Vec::new();
        if let Some(requirements) = &tree.files.requirements {
            setup.push(install_requirements(
                requirements,
                environment,
                tree.pip_source.as_deref(),
            ));
        }
        if let Some(sources) = &tree.files.extension {
            let sandbox = format!("{}/sandbox/extension", tree.vendor);
            setup.push(build_extension(sources, environment, &sandbox));
        }
        Ok(setup)
    }

    /// The model's configuration of DeepSpeed with what the vendor's says in its place.
    fn merged_deepspeed(&self, model: &str, config: &str) -> Result<String, TreeProblem> {
        let mut merged = serde_json::Map::new();
        for place in [model, config] {
            let path = self.directory().join(place).join("ds_config.json");
            let Some(text) = read::text(&path)? else {
                continue;
            };
            match serde_json::from_str(&text) {
                Ok(serde_json::Value::Object(keys)) => merged.extend(keys),
                Ok(_) => {
                    return Err(TreeProblem::Content {
                        path,
                        problem: "is no JSON object".to_owned(),
                    });
                }
                Err(error) => {
                    return Err(TreeProblem::Content {
                        path,
                        problem: format!("is no JSON: {error}"),
                    });
                }
            }
        }
        Ok(serde_json::Value::Object(merged).to_string())
    }

    /// Cases that start their parts on other nodes by themselves.
    fn alone(
        &self,
        wanted: &WantedCase,
        model: &str,
        kind: TreeKind,
        extra: &[&str],
    ) -> Result<Resolved, Vec<TreeProblem>> {
        let one = |problem| vec![problem];
        let entry: &TreeEntry = self.entry(model, |other| other == kind).map_err(one)?;
        self.adaptation(entry).map_err(one)?;
        let name = CaseName::new(wanted.name.clone()).map_err(|error| vec![error.into()])?;
        let program = match kind {
            TreeKind::InCluster => TreeProgram::InCluster,
            _ => TreeProgram::InContainer,
        };
        let script = format!("benchmarks/{model}/{kind}/run_pretraining.py");
        if self.file(script.clone()).is_none() {
            return Err(vec![TreeProblem::Missing {
                case: shown(&wanted.name),
                what: "the script",
                path: self.directory().join(script),
            }]);
        }
        let mut tree = self.blank(entry, String::new(), program);
        tree.nproc = ALONE_NPROC;
        tree.nnodes = self.request.nodes;
        let adapted = format!("{}/{model}-in_container", self.vendor());
        tree.files.requirements = self.file(format!("{adapted}/requirements.txt"));
        Ok(Resolved {
            name,
            summary: format!(
                "{model}, training {} on {}",
                kind.to_string().replace('_', " "),
                self.vendor()
            ),
            tree,
            nodes: NodeScope::All,
            rounds: 1,
            remarks: extra_fields(extra),
            setup: Vec::new(),
        })
    }
}

fn extra_fields(extra: &[&str]) -> Vec<Remark> {
    if extra.is_empty() {
        return Vec::new();
    }
    let text = format!(
        "the last fields of the case string say nothing: `{}`",
        shown(&extra.join(":"))
    );
    vec![warning(None, text)]
}

/// The configurations that there are, as case strings.
fn examples(adaptation: &Adaptation, model: &str, framework: &str) -> String {
    let names: Vec<String> = adaptation
        .configurations
        .iter()
        .map(|one| {
            format!(
                "{model}:{framework}:{}:{}:{}:1",
                one.hardware, one.nnodes, one.nproc
            )
        })
        .collect();
    if names.is_empty() {
        format!("there is `{model}:{framework}`")
    } else {
        format!("there are {}", quoted(names.iter().map(String::as_str)))
    }
}
