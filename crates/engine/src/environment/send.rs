//! An image that one node has built, sent to the others: what one engine saves, the others load.

use flagperf_container as container;
use flagperf_model::EngineKind;
use flagperf_transport::{Farewell, Relayed};
use flagperf_wire::ChannelId;
use tokio::io::AsyncWriteExt;

use super::Host;
use super::image::process;
use crate::steps::StepError;

/// Sends an image from one node to another, through a channel of each.
pub(super) async fn send(
    from: &Host,
    to: &Host,
    image: &str,
    (saves, loads): (ChannelId, ChannelId),
) -> Result<(), StepError> {
    let engine = |host: &Host| host.engine.unwrap_or(EngineKind::Docker);
    let save = container::save(engine(from), image);
    let load = container::load(engine(to));
    let Relayed {
        stream: mut saving,
        farewell: saved,
    } = from.active.node.session.relay(saves, process(save.argv()));
    let Relayed {
        stream: loading,
        farewell: loaded,
    } = to.active.node.session.relay(loads, process(load.argv()));
    let (mut words, mut into) = tokio::io::split(loading);
    let moving = async {
        let moved = tokio::io::copy(&mut saving, &mut into).await;
        // The end of the image is the end of the stream.
        let _ = into.shutdown().await;
        moved
    };
    let mut said = Vec::new();
    let listening = tokio::io::AsyncReadExt::read_to_end(&mut words, &mut said);
    let (moved, _) = tokio::join!(moving, listening);
    check(&save, &from.active.name().to_string(), saved.await.ok())?;
    check(&load, &to.active.name().to_string(), loaded.await.ok())?;
    moved
        .map(drop)
        .map_err(|error| StepError::plain(format!("the image did not arrive: {error}")))
}

fn check(
    invocation: &container::Invocation,
    node: &str,
    farewell: Option<Farewell>,
) -> Result<(), StepError> {
    let Some(farewell) = farewell else {
        return Err(StepError::plain(format!(
            "{node} was lost while the image was sent"
        )));
    };
    if farewell.is_orderly() {
        return Ok(());
    }
    let mut refusal = container::refusal(invocation, &farewell.status(), &farewell.words);
    refusal.reason = format!("{node}: {}", refusal.reason);
    Err(StepError::refused(refusal))
}
