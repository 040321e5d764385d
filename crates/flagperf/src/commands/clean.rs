//! `flagperf clean`: what crashed runs have left in the engines of nodes is told and removed.

use flagperf_engine::{Fate, Left};
use flagperf_model::NodeName;

use crate::cli::CleanArgs;
use crate::commands::run::{self, container::owner};
use crate::exit::{Exit, Failure};
use crate::output::{print, warn};

pub(crate) fn clean(args: &CleanArgs) -> Result<Exit, Failure> {
    let runtime = run::runtime().map_err(Failure::internal)?;
    let (found, bad) = runtime.block_on(async {
        let (nodes, bad) = run::nodes_of(&args.nodes).await?;
        let owner = owner();
        let mut sweeping = Vec::new();
        for node in nodes {
            let (owner, engine, only_tell) = (owner.clone(), args.engine, args.dry_run);
            sweeping.push(tokio::spawn(async move {
                flagperf_engine::clean(node, &owner, engine, only_tell).await
            }));
        }
        let mut found = Vec::new();
        for node in sweeping {
            found.push(node.await.map_err(Failure::internal)?);
        }
        Ok::<_, Failure>((found, bad))
    })?;
    runtime.shutdown_background();
    let mut complete = true;
    for node in &bad {
        warn(&format!("{}: {}", node.node, node.reason));
        complete = false;
    }
    let mut text = String::new();
    for (node, left) in &found {
        match left {
            Ok(left) => {
                complete &= !left.iter().any(|one| matches!(one.fate, Fate::Stays(_)));
                text.push_str(&told(node, left));
            }
            Err(why) => {
                warn(&format!("{node}: {why}"));
                complete = false;
            }
        }
    }
    print(&text).map_err(Failure::internal)?;
    Ok(if complete {
        Exit::Success
    } else {
        Exit::CaseFailed
    })
}

fn told(node: &NodeName, left: &[Left]) -> String {
    if left.is_empty() {
        return format!("{node}: nothing\n");
    }
    let lines = left.iter().map(|one| {
        let fate = match &one.fate {
            Fate::InUse => "its run goes on; left alone".to_owned(),
            Fate::Unlabelled(remove) => format!(
                "builds work there, or were cut off; they bear no label and are left alone (`{remove}` removes one)"
            ),
            Fate::Needed => "a container needs it; left alone".to_owned(),
            Fate::Told if one.run.is_none() => {
                "would be removed unless a container needs it".to_owned()
            }
            Fate::Told => "would be removed".to_owned(),
            Fate::Removed => "removed".to_owned(),
            Fate::Stays(why) => format!("could not be removed: {why}"),
        };
        let run = one
            .run
            .as_ref()
            .map_or(String::new(), |run| format!(" of {run}"));
        format!("{node}: {} {}{run}: {fate}\n", one.engine, one.what)
    });
    lines.collect()
}
