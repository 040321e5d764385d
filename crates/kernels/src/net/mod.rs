//! Traffic between machines over TCP, one rank on each.
//!
//! [`p2p`] measures every pair of ranks, [`reduce`] an all-reduce over all of them; the tops of these
//! modules say what is counted. Both stand on [`mesh`], the meeting of the ranks: rank 0 listens,
//! the others call it, and all learn where each can be called. A rank that dies, hangs or fails ends
//! the work of all, and each says whose fault it was. Waits have an end, `peer_timeout` or a few
//! times that.

mod control;
mod crew;
mod dial;
mod error;
mod flow;
mod frame;
mod hello;
mod judge;
mod links;
mod listener;
mod meeting;
mod mesh;
mod order;
mod p2p;
mod pair;
mod reduce;
mod ring;
mod slice;
mod slow;
mod table;
mod tournament;

pub(crate) use error::NetError;
pub use frame::{Frame, FrameError, Frames, Kind};
pub use hello::{Hello, HelloState, Purpose};
pub(crate) use p2p::run as p2p;
pub(crate) use reduce::run as allreduce;

use std::time::Duration;

use crate::driver::{CaseError, Context, chain};
use mesh::Mesh;

/// Most connections side by side between two ranks.
const MOST_STREAMS: u64 = 64;

/// Default number of them, where the machine has that many processors: one thread is often slower
/// than a fast link, and many get into one another's way.
const STREAMS: usize = 4;

/// Meets the other ranks, does `work` with them, and leaves. Whatever goes wrong here is told to
/// the others.
fn with_mesh(
    context: &mut Context<'_>,
    work: impl FnOnce(&mut Context<'_>, &mut Mesh) -> Result<(), CaseError>,
) -> Result<(), CaseError> {
    let patience = context.patience()?;
    let Some(cluster) = context.cluster.clone().filter(|cluster| cluster.world > 1) else {
        return Err(CaseError::Unsupported("at least 2 nodes".to_owned()));
    };
    if cluster.nodes.len() != cluster.world as usize {
        return Err(CaseError::Wrong(format!(
            "this kernel has one rank on each node; {} ranks on {} nodes were asked for",
            cluster.world,
            cluster.nodes.len()
        )));
    }
    let mut mesh = Mesh::meet(&cluster, patience)?;
    match work(context, &mut mesh) {
        Ok(()) => Ok(mesh.leave()?),
        Err(error) => {
            mesh.fail(&chain(&error));
            Err(error)
        }
    }
}

/// How many connections to use side by side.
fn streams(context: &Context<'_>) -> Result<u16, CaseError> {
    let wanted = context.params.integer("streams", 1..=MOST_STREAMS)?;
    Ok(wanted.map_or(context.cpus.len().clamp(1, STREAMS) as u16, |n| n as u16))
}

/// The time of a stage that takes `measuring` by itself, with its preparations and checks.
fn generous(measuring: Duration) -> Duration {
    measuring * 2 + Duration::from_secs(5)
}
