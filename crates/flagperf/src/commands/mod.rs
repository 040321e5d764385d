//! The commands, one a file.

mod caches;
mod case;
mod clean;
mod consumers;
mod convert;
mod list;
mod remove;
mod report;
mod run;
mod settings;
mod suite;

use crate::cli::{AgentArgs, Cli, Command, ConfigCommand};
use crate::exit::{Exit, Failure};
use crate::output::print;

/// Runs the command that was asked for.
pub(crate) fn run(cli: Cli) -> Result<Exit, Failure> {
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Report(args) => report::report(&args),
        Command::List(args) => list::list(&args),
        Command::Config(ConfigCommand::Convert(args)) => convert::convert(&args),
        Command::Agent(args) => agent(&args),
        Command::Clean(args) => clean::clean(&args),
        Command::RemoveContainer(args) => remove::remove(&args),
        Command::DropCaches => caches::drop_caches(),
        Command::Case(args) => case::case(args),
    }
}

fn agent(args: &AgentArgs) -> Result<Exit, Failure> {
    if args.check {
        let proof = flagperf_transport::proof().map_err(Failure::internal)?;
        print(&format!("{proof}\n")).map_err(Failure::internal)?;
        return Ok(Exit::Success);
    }
    let build = flagperf_transport::agent_hash().map_err(Failure::internal)?;
    let size = flagperf_transport::own_size().map_err(Failure::internal)?;
    let (from, to) = (std::io::stdin(), std::io::stdout());
    let served = flagperf_agent::serve(from, to, build, size, run::VERSION);
    if args.stay {
        flagperf_agent::stay().map_err(Failure::internal)?;
    }
    served.map(|()| Exit::Success).map_err(Failure::internal)
}
