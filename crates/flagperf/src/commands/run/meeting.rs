//! Where the ranks of a case that spans its nodes meet.

use flagperf_config::Inventory;
use flagperf_engine::Node;
use flagperf_model::{Launcher, NodeSpec};

use super::asked;
use crate::exit::Failure;

/// The port where ranks meet if the first node had none to offer: the one that FlagPerf's own
/// configurations name.
const MASTER_PORT: u16 = 29501;

/// Address and port: the user's port, or one that is free on the first node that is there.
pub(super) async fn meeting_point(
    inventory: &Inventory,
    nodes: &[Node],
) -> Result<(String, u16), Failure> {
    let Some(first) = nodes.first() else {
        return Ok(("127.0.0.1".to_owned(), MASTER_PORT));
    };
    let alone = inventory.nodes.len() == 1;
    let address = master_address(&first.spec, alone, first.address.as_deref()).await?;
    let port = inventory.master_port.or(first.free_port);
    Ok((address, port.unwrap_or(MASTER_PORT)))
}

/// The first node, as others reach it.
async fn master_address(
    first: &NodeSpec,
    alone: bool,
    own_view: Option<&str>,
) -> Result<String, Failure> {
    if alone {
        return Ok("127.0.0.1".to_owned());
    }
    if let Some(address) = &first.address {
        return Ok(address.clone());
    }
    Ok(match &first.launcher {
        // The name by which ssh knows it may be an alias; what that stands for is the best guess at
        // what the other nodes know.
        Launcher::Ssh(target) => asked::ssh_settings(target)
            .await?
            .map_or_else(|| target.host.clone(), |settings| settings.host),
        Launcher::Local | Launcher::Exec { .. } => {
            own_view.map_or_else(|| first.name.to_string(), str::to_owned)
        }
    })
}
