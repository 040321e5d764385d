//! Which nodes a run has, and how they are reached: command line, environment, `flagperf.toml`.

use std::path::Path;
use std::process::Command;

use flagperf_config::{Choice, ContainerChoice, Inventory, NodeSource};
use flagperf_host::Root;
use flagperf_model::{ContainerOptions, Launcher, NodeName, NodeSpec, Plan, ProgramSource};

use crate::cli::{ContainerArgs, NodeArgs};
use crate::exit::Failure;

/// The settings file that is read where none is named.
const SETTINGS: &str = "flagperf.toml";

/// The nodes that the user asked for; this machine alone if for none.
pub(super) fn inventory(args: &NodeArgs, container: &ContainerArgs) -> Result<Inventory, Failure> {
    let settings = settings(args.config.as_deref())?;
    let choice = Choice {
        nodes: source(args)?,
        launcher: args.launcher,
        exec: args.exec.clone(),
        ssh_config: args.ssh_config.clone(),
        accept_new_host_keys: args.accept_new_host_keys,
        in_container: args.in_container,
        exec_in_container: variable("EXEC_IN_CONTAINER")?,
        container: container.container,
        container_choice: container_choice(container),
        container_options: container.container_options.clone(),
    };
    let forced = args.launcher.is_some();
    let mut inventory = flagperf_config::resolve(&settings, &choice).map_err(Failure::usage)?;
    if inventory.nodes.is_empty() {
        inventory.nodes.push(localhost()?);
    } else if !forced {
        recognise(&mut inventory.nodes);
    }
    Ok(inventory)
}

/// What the command line says about the container.
fn container_choice(args: &ContainerArgs) -> ContainerChoice {
    ContainerChoice {
        engine: args.engine,
        image: args.image.clone(),
        image_directory: args.image_directory.clone(),
        build: args.build,
        pull: args.pull.then_some(true),
        build_once: args.build_once.then_some(true),
        options: ContainerOptions {
            privileged: args.privileged,
            ..ContainerOptions::default()
        },
        keep: args.keep_containers.then_some(true),
        ..ContainerChoice::default()
    }
}

/// The nodes of an earlier run, with what the settings say of sessions now.
pub(super) fn of_plan(args: &NodeArgs, plan: &Plan) -> Result<Inventory, Failure> {
    let settings = settings(args.config.as_deref())?;
    let inventory =
        flagperf_config::resolve(&settings, &Choice::default()).map_err(Failure::usage)?;
    Ok(Inventory {
        nodes: plan.nodes.clone(),
        environment: plan.environment.clone(),
        environment_reason: None,
        ..inventory
    })
}

fn localhost() -> Result<NodeSpec, Failure> {
    Ok(NodeSpec {
        name: NodeName::new("localhost").map_err(Failure::internal)?,
        launcher: Launcher::Local,
        address: None,
        env: std::collections::BTreeMap::new(),
        program: ProgramSource::default(),
    })
}

/// A node that is this machine needs no connection. It is this machine if it is called as this machine
/// calls itself or by one of its addresses, and nothing was said of a user or a port, behind which
/// there may be a container.
fn recognise(nodes: &mut [NodeSpec]) {
    let root = Root::new("/");
    let hostname = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    let addresses: Vec<String> = flagperf_host::addresses(&root)
        .iter()
        .map(ToString::to_string)
        .collect();
    let is_here = |name: &str| {
        name == hostname || name == "localhost" || addresses.iter().any(|address| address == name)
    };
    for node in nodes {
        let here = match &node.launcher {
            Launcher::Local => false,
            Launcher::Ssh(target) => {
                target.user.is_none() && target.port.is_none() && is_here(&target.host)
            }
            Launcher::Exec { .. } => is_here(node.name.as_str()),
        };
        if here && node.program == ProgramSource::Placed {
            node.launcher = Launcher::Local;
        }
    }
}

fn settings(named: Option<&Path>) -> Result<flagperf_config::Settings, Failure> {
    let path = match named {
        Some(path) => path,
        None if Path::new(SETTINGS).exists() => Path::new(SETTINGS),
        None => return Ok(flagperf_config::Settings::default()),
    };
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("`{shown}` cannot be read: {error}")))?;
    flagperf_config::parse_settings(path, &text).map_err(Failure::usage)
}

fn source(args: &NodeArgs) -> Result<Option<NodeSource>, Failure> {
    if let Some(list) = &args.nodes {
        return Ok(Some(NodeSource::List(list.clone())));
    }
    if let Some(path) = &args.nodes_file {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("`{shown}` cannot be read: {error}")))?;
        return Ok(Some(NodeSource::File { path: shown, text }));
    }
    if let Some(command) = &args.nodes_command {
        return output_of(command).map(Some);
    }
    if args.slurm {
        let list = variable("SLURM_JOB_NODELIST")?.ok_or_else(|| {
            Failure::usage(
                "--slurm is for use inside a Slurm job, and SLURM_JOB_NODELIST is not set",
            )
            .hint("start it from `sbatch` or `salloc`, or name the nodes with --nodes")
        })?;
        return Ok(Some(NodeSource::Slurm(list)));
    }
    Ok(None)
}

/// What a command prints. It is the user's own shell command line, given as such.
fn output_of(command: &str) -> Result<NodeSource, Failure> {
    let failed = |why: String| Failure::usage(format!("--nodes-command `{command}`: {why}"));
    let output = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(std::process::Stdio::null())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!(
            "{}; it said: {}",
            output.status,
            words.trim()
        )));
    }
    let text = String::from_utf8(output.stdout)
        .map_err(|_| failed("its output is not UTF-8".to_owned()))?;
    Ok(NodeSource::Output {
        command: command.to_owned(),
        text,
    })
}

pub(super) fn variable(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(format!(
            "environment variable {name} is not UTF-8"
        ))),
    }
}

/// Where the ranks of a case that spans its nodes meet: the first node, as others reach it.
pub(super) fn master_address(first: &NodeSpec, alone: bool, own_view: Option<&str>) -> String {
    if alone {
        return "127.0.0.1".to_owned();
    }
    if let Some(address) = &first.address {
        return address.clone();
    }
    let seen = own_view.map(str::to_owned);
    match &first.launcher {
        // The name by which ssh knows it may be an alias; what that stands for is the best guess at
        // what the other nodes know.
        Launcher::Ssh(target) => ssh_host(target).unwrap_or_else(|| target.host.clone()),
        Launcher::Local | Launcher::Exec { .. } => seen.unwrap_or_else(|| first.name.to_string()),
    }
}

/// The `HostName` that the user's OpenSSH configuration gives.
fn ssh_host(target: &flagperf_model::SshTarget) -> Option<String> {
    let mut command = Command::new("ssh");
    if let Some(config) = &target.config {
        command.args(["-F", config]);
    }
    let output = command
        .args(["-G", "--", &target.host])
        .stdin(std::process::Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let host = text
        .lines()
        .find_map(|line| line.strip_prefix("hostname "))?;
    Some(host.trim().to_owned())
}
