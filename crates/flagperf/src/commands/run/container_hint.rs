//! The hint that nodes are containers and nobody has said so.

use flagperf_engine::Node;
use flagperf_model::fold;

use crate::output::hint;

/// Who runs in containers most likely means the mode for them.
pub(super) fn hint_at_containers(nodes: &[Node]) {
    let found: Vec<&Node> = nodes.iter().filter(|node| is_container(node)).collect();
    let Some(first) = found.first() else { return };
    let names: Vec<_> = found.iter().map(|node| node.spec.name.clone()).collect();
    let are = if found.len() == 1 {
        "is a container"
    } else {
        "are containers"
    };
    hint(&format!(
        "{} {are} ({}); EXEC_IN_CONTAINER=True or --in-container says that this is meant",
        fold(&names),
        first.facts.virtualization.as_deref().unwrap_or_default()
    ));
}

/// True for names that stand for container runtimes and not for hypervisors.
fn is_container(node: &Node) -> bool {
    const RUNTIMES: [&str; 7] = [
        "docker",
        "podman",
        "kubernetes",
        "containerd",
        "lxc",
        "oci",
        "systemd-nspawn",
    ];
    let kind = node.facts.virtualization.as_deref().unwrap_or_default();
    RUNTIMES
        .iter()
        .any(|name| kind.split(' ').any(|word| word == *name))
}
