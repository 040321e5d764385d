//! What crashed runs have left in the engines of nodes.

use std::collections::BTreeSet;

use flagperf_container as container;
use flagperf_container::{Labels, LeftImage};
use flagperf_model::{EngineKind, NodeName};
use flagperf_wire::ToAgent;
use tokio::sync::{mpsc, watch};

use crate::desk::{Command, Desk, NoAnswer};
use crate::environment::image::{QUESTION_S, removal};
use crate::node::Node;

/// A container that a run has made, or an image that has no name or was to become another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Its engine.
    pub engine: EngineKind,
    /// What it is, and its name or the beginning of its identifier: `container flagperf-…`, `image 0123…`.
    pub what: String,
    /// The run, where that is known.
    pub run: Option<String>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a container that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Its run still goes on, and it is left alone.
    InUse,
    /// A container, of whomever, is made of it, and it is left alone.
    Needed,
    /// Nobody can tell whose they are, and they are left alone. The words say what removes one.
    Unlabelled(String),
    /// It was only to be told.
    Told,
    /// It was removed.
    Removed,
    /// It could not be removed, for this reason.
    Stays(String),
}

/// Looks for containers that `owner`'s runs have made on a node, for images that were to become others, and for images
/// whose name a later build has taken. Removes those whose run is over and that nothing needs, unless they are only to
/// be told. Nobody else's are touched.
///
/// # Errors
///
/// In words, why nothing is known of the node: it has no engine that can be used, or was lost.
pub async fn clean(
    node: Node,
    owner: &str,
    engine: Option<EngineKind>,
    only_tell: bool,
) -> (NodeName, Result<Vec<Left>, String>) {
    let name = node.spec.name.clone();
    let Node {
        session,
        mut events,
        ..
    } = node;
    // What these commands print is read here and nowhere else.
    let (log, _) = mpsc::channel(1);
    let (_stop, stop) = watch::channel(0);
    let mut next_task = 1;
    let mut desk = Desk {
        session: &session,
        events: &mut events,
        next_task: &mut next_task,
        place: 0,
        log,
        stop,
    };
    let found = sweep(&mut desk, owner, engine, only_tell).await;
    session.send(ToAgent::Shutdown);
    (name, found)
}

async fn sweep(
    desk: &mut Desk<'_>,
    owner: &str,
    engine: Option<EngineKind>,
    only_tell: bool,
) -> Result<Vec<Left>, String> {
    let candidates = engine.map_or_else(|| EngineKind::ALL.to_vec(), |engine| vec![engine]);
    let mut found = Vec::new();
    let mut tried = Vec::new();
    for engine in candidates {
        let list = container::list(engine, owner);
        let answer = ask(desk, list.argv()).await?;
        if !answer.is_good() {
            let refusal = (!answer.is_missing())
                .then(|| container::refusal(&list, &answer.status(QUESTION_S), &answer.output));
            tried.push((engine, refusal));
            continue;
        }
        for id in container::ids(&answer.output) {
            let inspect = container::inspect_container(engine, &id);
            let answer = ask(desk, inspect.argv()).await?;
            // One that has gone meanwhile is none.
            let Ok(state) = container::container_state(&answer.output) else {
                continue;
            };
            if let Some(labels) = state.labels.filter(|labels| labels.owner == owner) {
                let away = removal(engine, &state.name, &labels.run);
                let what = format!("container {}", state.name);
                found.push(judge(desk, engine, what, labels, away, only_tell).await?);
            }
        }
        // Containers stand in the way of their images.
        let answer = ask(desk, container::list_images(engine, owner).argv()).await?;
        // One with several names is listed once for each.
        let ids: BTreeSet<String> = container::ids(&answer.output).into_iter().collect();
        for id in ids {
            let answer = ask(desk, container::inspect_image(engine, &id).argv()).await?;
            let image = container::image(&answer.output).ok();
            let Some((image, left)) =
                image.and_then(|image| image.left_by(owner).map(|left| (image, left)))
            else {
                continue;
            };
            found.push(match left {
                LeftImage::OnTheWay(labels) => {
                    let name = image.names.first().map_or(&id[..], String::as_str);
                    let away = container::remove_image(engine, name).argv();
                    let what = format!("image {name}");
                    judge(desk, engine, what, labels, away, only_tell).await?
                }
                LeftImage::Nameless => nameless(desk, engine, &id, only_tell).await?,
            });
        }
        found.extend(working(desk, engine).await?);
    }
    let none_works = tried.len() == engine.map_or(EngineKind::ALL.len(), |_| 1);
    if none_works {
        let refusal = container::unusable(&tried);
        return Err(match refusal.hint {
            Some(hint) => format!("{}; {hint}", refusal.reason),
            None => refusal.reason,
        });
    }
    Ok(found)
}

async fn judge(
    desk: &mut Desk<'_>,
    engine: EngineKind,
    what: String,
    labels: Labels,
    away: Vec<String>,
    only_tell: bool,
) -> Result<Left, String> {
    let in_use = match labels.agent {
        None => false,
        Some((pid, started)) => {
            let stat = vec!["cat".to_owned(), format!("/proc/{pid}/stat")];
            let answer = ask(desk, stat).await?;
            answer.is_good() && starttime(&answer.output) == Some(started)
        }
    };
    let fate = if in_use {
        Fate::InUse
    } else if only_tell {
        Fate::Told
    } else {
        let answer = ask(desk, away).await?;
        if answer.is_good() {
            Fate::Removed
        } else {
            Fate::Stays(answer.output.trim().to_owned())
        }
    };
    Ok(Left {
        engine,
        what,
        run: Some(labels.run),
        fate,
    })
}

/// What builds work in, or did when they were cut off.
async fn working(desk: &mut Desk<'_>, engine: EngineKind) -> Result<Option<Left>, String> {
    let Some(list) = container::list_working(engine) else {
        return Ok(None);
    };
    let answer = ask(desk, list.argv()).await?;
    let ids = container::working(&answer.output).unwrap_or_default();
    let Some(first) = ids.first() else {
        return Ok(None);
    };
    let remove = container::remove_container(engine, first).argv();
    Ok(Some(Left {
        engine,
        what: format!("build containers {}", ids.join(", ")),
        run: None,
        fate: Fate::Unlabelled(remove.join(" ")),
    }))
}

/// An image that no name is left of: a later build has taken it.
async fn nameless(
    desk: &mut Desk<'_>,
    engine: EngineKind,
    id: &str,
    only_tell: bool,
) -> Result<Left, String> {
    let fate = if only_tell {
        Fate::Told
    } else {
        let away = container::remove_nameless_image(engine, id);
        let answer = ask(desk, away.argv()).await?;
        if answer.is_good() {
            Fate::Removed
        } else if container::is_needed(&answer.output) {
            Fate::Needed
        } else {
            Fate::Stays(answer.output.trim().to_owned())
        }
    };
    Ok(Left {
        engine,
        what: format!("image {}, which has no name any more", &id[..12]),
        run: None,
        fate,
    })
}

/// Field 22 of `/proc/<pid>/stat`, in clock ticks after the boot. The command name before it may hold anything.
fn starttime(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

async fn ask(desk: &mut Desk<'_>, argv: Vec<String>) -> Result<crate::desk::Answer, String> {
    desk.run(Command::question(argv, QUESTION_S))
        .await
        .map_err(|error: NoAnswer| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_is_found_behind_any_name() {
        let stat = "12 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(starttime(stat), Some(4711));
        assert_eq!(starttime("12 (a"), None);
    }
}
