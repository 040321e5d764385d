//! How each node is reached.

use std::collections::HashMap;

use flagperf_model::{Launcher, NodeName, NodeSpec, SshTarget};
use flagperf_text::shown;

use super::{Choice, NodeSource, ResolveError};
use crate::launcher::LauncherKind;
use crate::nodeset::fold;
use crate::settings::{NodeSettings, Settings};
use crate::template::{Place, Template};

/// Starts a step of one process on one node of the job, beside whatever runs there.
///
/// `--unbuffered` matters most: without it Slurm hands on whole lines only, and a message without
/// an end of line would never arrive. `--overlap` lets a step start while others hold the
/// processors, and `--cpu-bind=none` leaves all of them to the cases, which pin themselves.
const SRUN: [&str; 8] = [
    "srun",
    "--overlap",
    "--nodes=1",
    "--ntasks=1",
    "--nodelist={node}",
    "--cpu-bind=none",
    "--unbuffered",
    "--quiet",
];

/// What decides about the launcher of each node, besides what is said about the node itself.
pub(super) struct Launchers<'c> {
    choice: &'c Choice,
    settings: &'c Settings,
    template: Option<Template>,
    in_slurm: bool,
}

/// Checks what can be checked without looking at nodes. Absent if there is a mistake in it.
pub(super) fn launchers<'c>(
    settings: &'c Settings,
    choice: &'c Choice,
    errors: &mut Vec<ResolveError>,
) -> Option<Launchers<'c>> {
    let before = errors.len();
    let mut wrong = |message: String| errors.push(ResolveError::Choice(message));
    if let (Some(_), Some(kind @ (LauncherKind::Local | LauncherKind::Ssh))) =
        (&choice.exec, choice.launcher)
    {
        wrong(format!(
            "--exec gives a command, but --launcher {kind} does not use one; leave one of them out"
        ));
    }
    if let Some(path) = &choice.ssh_config
        && (path.trim().is_empty() || path.contains('\0'))
    {
        wrong("--ssh-config is no path; expected a configuration file of ssh".to_owned());
    }
    let in_slurm = matches!(choice.nodes, Some(NodeSource::Slurm(_)));
    let template = match &choice.exec {
        Some(line) => Template::from_line(line)
            .map_err(|problems| {
                for problem in problems {
                    let word = problem
                        .word
                        .map(|word| format!(", word {}", word + 1))
                        .unwrap_or_default();
                    wrong(format!("--exec{word}: {}", problem.message));
                }
            })
            .ok(),
        None => settings
            .exec
            .clone()
            .or_else(|| in_slurm.then(srun).flatten()),
    };
    (errors.len() == before).then_some(Launchers {
        choice,
        settings,
        template,
        in_slurm,
    })
}

fn srun() -> Option<Template> {
    Template::from_words(&SRUN.map(str::to_owned)).ok()
}

impl Launchers<'_> {
    /// Every node with everything needed to reach it. `known` has all of the names.
    pub(super) fn specs(
        &self,
        names: &[NodeName],
        mut known: HashMap<&NodeName, NodeSettings>,
        errors: &mut Vec<ResolveError>,
    ) -> Vec<NodeSpec> {
        let mut specs = Vec::with_capacity(names.len());
        let mut lacking: Vec<(Place, Vec<NodeName>)> = Vec::new();
        let mut without_command = false;
        for name in names {
            let settings = known.remove(name).unwrap_or_default();
            let launcher = match (self.kind(&settings), &self.template) {
                (LauncherKind::Local, _) => Launcher::Local,
                (LauncherKind::Ssh, _) => Launcher::Ssh(self.target(name, &settings)),
                (LauncherKind::Exec, Some(template)) => match fill(template, name, &settings) {
                    Ok(words) => Launcher::Exec { words },
                    Err(place) => {
                        match lacking.iter_mut().find(|(known, _)| *known == place) {
                            Some((_, names)) => names.push(name.clone()),
                            None => lacking.push((place, vec![name.clone()])),
                        }
                        continue;
                    }
                },
                (LauncherKind::Exec, None) => {
                    without_command = true;
                    continue;
                }
            };
            specs.push(NodeSpec {
                name: name.clone(),
                launcher,
                address: settings.address,
                env: settings.env,
                program: settings.program.unwrap_or_default(),
            });
        }
        if without_command {
            errors.push(ResolveError::Choice(
                "--launcher exec needs a command; expected --exec, or `exec` in flagperf.toml"
                    .to_owned(),
            ));
        }
        for (place, names) in lacking {
            let place = place.name();
            errors.push(ResolveError::Choice(format!(
                "the command has `{{{place}}}` in it, but there is no `{place}` for `{}`; set it in flagperf.toml",
                shown(&fold(&names))
            )));
        }
        if errors.is_empty() {
            self.refuse_unused(&specs, errors);
        }
        specs
    }

    /// What the command line says counts more than the file, and there what is said about a node
    /// more than what is said about all.
    fn kind(&self, settings: &NodeSettings) -> LauncherKind {
        let if_some = |exec: bool| exec.then_some(LauncherKind::Exec);
        self.choice
            .launcher
            .or(if_some(self.choice.exec.is_some()))
            .or(settings.launcher)
            .or(self.settings.launcher)
            .or(if_some(self.settings.exec.is_some() || self.in_slurm))
            .unwrap_or(LauncherKind::Ssh)
    }

    fn target(&self, name: &NodeName, settings: &NodeSettings) -> SshTarget {
        let host = settings.host.as_ref().or(settings.address.as_ref());
        SshTarget {
            host: host.map_or_else(|| name.to_string(), Clone::clone),
            user: settings.user.clone(),
            port: settings.port,
            config: self
                .choice
                .ssh_config
                .clone()
                .or_else(|| self.settings.ssh_config.clone()),
            accept_new_host_keys: self.choice.accept_new_host_keys
                || self.settings.accept_new_host_keys,
        }
    }

    /// An option without effect is a mistake: somebody believes that it has one.
    fn refuse_unused(&self, specs: &[NodeSpec], errors: &mut Vec<ResolveError>) {
        let by_ssh = |spec: &NodeSpec| matches!(spec.launcher, Launcher::Ssh(_));
        let about_ssh = [
            ("--ssh-config", self.choice.ssh_config.is_some()),
            ("--accept-new-host-keys", self.choice.accept_new_host_keys),
        ];
        let about_nodes = [
            ("--exec", self.choice.exec.is_some()),
            (
                "--launcher",
                self.choice
                    .launcher
                    .is_some_and(|kind| kind != LauncherKind::Local),
            ),
        ];
        let (options, reason) = if specs.is_empty() {
            let all: Vec<_> = about_nodes.into_iter().chain(about_ssh).collect();
            (
                all,
                "no nodes are named; expected --nodes, or `nodes` in flagperf.toml",
            )
        } else if specs.iter().any(by_ssh) {
            return;
        } else {
            (
                about_ssh.to_vec(),
                "no node is reached by ssh; leave it out",
            )
        };
        for (option, _) in options.iter().filter(|(_, given)| *given) {
            errors.push(ResolveError::Choice(format!(
                "{option} has no effect: {reason}"
            )));
        }
    }
}

fn fill(
    template: &Template,
    name: &NodeName,
    settings: &NodeSettings,
) -> Result<Vec<String>, Place> {
    let port = settings.port.map(|port| port.to_string());
    template.fill(|place| match place {
        Place::Node => Some(name.as_str()),
        Place::Address => settings.address.as_deref(),
        Place::User => settings.user.as_deref(),
        Place::Port => port.as_deref(),
    })
}
