//! The cases of a classic suite: from its configuration and the command line to rounds and their containers.

use std::collections::{BTreeMap, BTreeSet};

use flagperf_accel::Profiles;
use flagperf_config::classic::{BaseProgram, SuiteKind};
use flagperf_config::{ContainerChoice, Inventory};
use flagperf_engine::Trees;
use flagperf_library::{
    TreeCatalogue, TreeRequest, TreeSettings, WantedCase, image_of, resolve_cases,
};
use flagperf_model::{
    ContainerOptions, ContainerPlan, Entry, Mount, PlannedCase, Suite, TreeCase, TreeProgram,
};

use super::{container, vendor};
use crate::cli::RunArgs;
use crate::commands::suite::OpenSuite;
use crate::exit::Failure;

/// Bytes that a stack may have in the containers of the classic libraries.
const STACK: &str = "stack=67108864";

/// The rounds that a run of a suite is to make, each with its container if containers are made. All that is wrong with
/// the cases is found here, before anything starts.
pub(super) fn rounds(
    suite: &OpenSuite,
    args: &RunArgs,
    profiles: &Profiles,
    inventory: &mut Inventory,
    trees: &mut Trees,
    words: &mut Vec<String>,
) -> Result<Vec<PlannedCase>, Failure> {
    let config = &suite.config;
    let request = inventory.container.take();
    let own_images = request.as_ref().is_some_and(|request| {
        request.choice.image.is_none() && request.choice.image_directory.is_none()
    });
    let wanted = wanted(suite, &args.cases);
    let (nproc, device, toolkits) = match config.kind {
        SuiteKind::Base {
            nproc_per_node,
            program,
        } => (nproc_per_node, None, program == BaseProgram::Toolkit),
        SuiteKind::Operation {
            nproc_per_node,
            device,
        } => (nproc_per_node, Some(device), false),
        SuiteKind::Inference { .. } | SuiteKind::Training => (1, None, false),
    };
    // What reads it there knows its levels in capitals only.
    let level = match config.kind {
        SuiteKind::Inference { .. } => config.log_level.name().to_uppercase(),
        _ => config.log_level.name().to_owned(),
    };
    let settings = TreeSettings {
        pip_source: config.pip_source.clone(),
        device,
        visible_devices: config.visible_devices_env.clone(),
        hosts_ports: config.hosts_ports.iter().map(u16::to_string).collect(),
        log_level: Some(level),
        result_directories: suite.result_directories(args.results.as_deref()),
        nominal_tflops: nominal_tflops(suite, profiles)?,
    };
    let mut rounds = resolve_cases(&TreeRequest {
        tree: &suite.tree,
        vendor: &config.vendor,
        cases: &wanted,
        toolkits,
        nproc,
        nodes: inventory.nodes.len() as u32,
        rounds: args.rounds,
        images: own_images,
        allow_credential_changes: args.suite.allow_credential_changes,
        named: !args.cases.is_empty(),
        timeout_s: args.timeout.map(|timeout| timeout.as_secs_f64()),
        stall_s: args.stall.map(|stall| stall.as_secs_f64()),
        settings: &settings,
    })
    .map_err(Failure::usage)?;
    for round in &mut rounds {
        round.drop_caches = config.clear_caches;
    }
    if let Some(request) = request {
        inventory.environment_reason = Some(request.reason);
        let mut made = Containers {
            suite,
            choice: &request.choice,
            known: BTreeMap::new(),
        };
        for round in &mut rounds {
            round.container = made.of(round, trees, words)?;
        }
    }
    Ok(rounds)
}

/// The nominal rates of the chips that the operators of a suite are adapted to.
fn nominal_tflops(
    suite: &OpenSuite,
    profiles: &Profiles,
) -> Result<Vec<(String, String, f64)>, Failure> {
    if suite.tree.suite != Suite::Operation {
        return Ok(Vec::new());
    }
    let vendor = &suite.config.vendor;
    let catalogue = TreeCatalogue::read(&suite.tree).map_err(Failure::usage)?;
    let chips: BTreeSet<String> = catalogue
        .entries
        .into_iter()
        .flat_map(|entry| entry.adaptations)
        .filter(|adaptation| adaptation.vendor == *vendor)
        .flat_map(|adaptation| adaptation.chips)
        .collect();
    Ok(vendor::nominal_tflops(profiles, vendor, chips.into_iter()))
}

/// What the user named, with what the configuration says beside it. A case that stands there not gets what all of
/// those have that do.
fn wanted(suite: &OpenSuite, named: &[String]) -> Vec<WantedCase> {
    let listed = &suite.config.cases;
    if named.is_empty() {
        return listed
            .iter()
            .map(|(name, value)| WantedCase {
                name: name.clone(),
                value: Some(value.clone()),
            })
            .collect();
    }
    let mut values = listed.iter().map(|(_, value)| value);
    let common = values
        .next()
        .filter(|first| values.all(|other| other == *first));
    let of = |name: &String| {
        // `=` is in no name of a case.
        let (name, own) = match name.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (name.as_str(), None),
        };
        let cases = each(name).into_iter().map(|name| {
            let told = listed.iter().find(|(known, _)| *known == name);
            let value = own.as_ref().or(told.map(|(_, value)| value)).or(common);
            WantedCase {
                value: value.cloned(),
                name,
            }
        });
        cases.collect::<Vec<_>>()
    };
    named.iter().flat_map(of).collect()
}

/// The case strings that one with lists in its fields stands for: `mm,bmm:FP16,FP32:nativetorch` for four. The first field
/// changes slowest.
fn each(name: &str) -> Vec<String> {
    name.split(':')
        .fold(vec![String::new()], |so_far, field| {
            so_far
                .iter()
                .flat_map(|start| field.split(',').map(move |word| format!("{start}:{word}")))
                .collect()
        })
        .into_iter()
        .map(|name| name.trim_start_matches(':').to_owned())
        .collect()
}

/// Containers by the names of their images and by what is mounted: cases that have the same share one.
struct Containers<'a> {
    suite: &'a OpenSuite,
    choice: &'a ContainerChoice,
    known: BTreeMap<(Option<String>, Vec<String>), ContainerPlan>,
}

impl Containers<'_> {
    fn of(
        &mut self,
        round: &PlannedCase,
        trees: &mut Trees,
        words: &mut Vec<String>,
    ) -> Result<Option<Box<ContainerPlan>>, Failure> {
        let Entry::Tree(case) = &round.spec.entry else {
            return Ok(None);
        };
        // Such cases are for containers that exist already.
        if matches!(
            case.program,
            TreeProgram::InContainer | TreeProgram::InCluster
        ) {
            return Ok(None);
        }
        let image = image_of(case);
        let data = data_directories(case);
        let key = (image.as_ref().map(|image| image.name.clone()), data.clone());
        if let Some(plan) = self.known.get(&key) {
            return Ok(Some(Box::new(plan.clone())));
        }
        let mut choice = self.choice.clone();
        if choice.image.is_none() && choice.image_directory.is_none() {
            let Some(image) = image else {
                return Err(Failure::usage(format!(
                    "nothing says which image the case `{}` runs in",
                    round.name()
                ))
                .hint(format!(
                    "name its framework, as in `{}=pytorch_2.3`, or an image with --image",
                    round.name()
                )));
            };
            choice.image = Some(image.name);
            if choice.pull != Some(true) {
                choice.image_directory = Some(image.directory);
            }
        }
        choice.options = self.options(&choice.options, data);
        let plan = container::planned(choice, trees, words)?;
        self.known.insert(key, plan.clone());
        Ok(Some(Box::new(plan)))
    }

    /// As the classic harness starts containers, see `docs/containers.md`; and what the user says beside that.
    fn options(&self, said: &ContainerOptions, data: Vec<String>) -> ContainerOptions {
        let config = &self.suite.config;
        let host = || Some("host".to_owned());
        let mut extra = config.container_options.clone();
        extra.extend(said.extra.iter().cloned());
        let mut mounts: Vec<Mount> = data
            .into_iter()
            .map(|path| Mount {
                from: path.clone(),
                to: path,
                read_only: false,
            })
            .collect();
        mounts.extend(said.mounts.iter().cloned());
        ContainerOptions {
            network: host(),
            ipc: host(),
            uts: host(),
            privileged: true,
            shm_size: config.shm_size.clone(),
            security: vec!["seccomp=unconfined".to_owned()],
            ulimits: vec![STACK.to_owned(), "memlock=-1".to_owned()],
            mounts,
            extra,
            ..said.clone()
        }
    }
}

/// Directories of a node that a case reads its data from.
fn data_directories(case: &TreeCase) -> Vec<String> {
    match &case.program {
        TreeProgram::Inference { data_directory, .. }
        | TreeProgram::Training { data_directory, .. } => Some(data_directory),
        _ => None,
    }
    .into_iter()
    .filter(|path| path.starts_with('/'))
    .cloned()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_in_fields_stand_for_several_cases() {
        assert_eq!(each("computation-FP16:A100"), ["computation-FP16:A100"]);
        assert_eq!(
            each("mm,bmm:FP16,FP32:nativetorch"),
            [
                "mm:FP16:nativetorch",
                "mm:FP32:nativetorch",
                "bmm:FP16:nativetorch",
                "bmm:FP32:nativetorch"
            ]
        );
    }
}
