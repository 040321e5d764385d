//! Which nodes a run has, and how they are reached: command line, environment, `flagperf.toml`.

use flagperf_config::{Choice, ContainerChoice, Inventory, NodeSource};
use flagperf_model::{
    ContainerOptions, Environment, Launcher, NodeName, NodeSpec, Plan, ProgramSource,
};

use super::{asked, here};
use crate::cli::{ContainerArgs, NodeArgs};
use crate::commands::settings;
use crate::commands::suite::OpenSuite;
use crate::exit::Failure;

/// The nodes that the user asked for, or that the configuration of a suite names; this machine alone if there are none.
pub(super) async fn inventory(
    args: &NodeArgs,
    container: &ContainerArgs,
    suite: Option<&OpenSuite>,
) -> Result<Inventory, Failure> {
    let settings = settings::of(args.config.as_deref())?;
    let choice = Choice {
        nodes: source(args).await?,
        launcher: args.launcher,
        exec: args.exec.clone(),
        ssh_config: args.ssh_config.clone(),
        accept_new_host_keys: args.accept_new_host_keys,
        in_container: args.in_container,
        exec_in_container: variable("EXEC_IN_CONTAINER")?,
        container: container.container,
        container_choice: container_choice(container),
        container_options: container.container_options.clone(),
        suite: suite.map(OpenSuite::choice),
    };
    let forced = args.launcher.is_some();
    let mut inventory = flagperf_config::resolve(&settings, &choice).map_err(Failure::usage)?;
    if inventory.nodes.is_empty() {
        inventory.nodes.push(localhost()?);
    } else if !forced {
        // In a container, or where Slurm has started this program, a node's name is this machine's
        // own; elsewhere `docker exec -i {node}` may well mean a container with the name of its host.
        let inside = inventory.environment == Environment::InContainer || args.slurm;
        here::recognise(&mut inventory.nodes, &inventory.settled, inside).await?;
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
    let settings = settings::of(args.config.as_deref())?;
    // The plan says already whether there is a container.
    let choice = Choice {
        container: Some(false),
        ..Choice::default()
    };
    let inventory = flagperf_config::resolve(&settings, &choice).map_err(Failure::usage)?;
    Ok(Inventory {
        nodes: plan.nodes.clone(),
        environment: plan.environment.clone(),
        environment_reason: None,
        master_port: plan.master_port.or(inventory.master_port),
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

async fn source(args: &NodeArgs) -> Result<Option<NodeSource>, Failure> {
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
        let text = asked::output_of(command).await?;
        let command = command.clone();
        return Ok(Some(NodeSource::Output { command, text }));
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

pub(super) fn variable(name: &str) -> Result<Option<String>, Failure> {
    match std::env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(std::env::VarError::NotUnicode(_)) => Err(Failure::usage(format!(
            "environment variable {name} is not UTF-8"
        ))),
    }
}
