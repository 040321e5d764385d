//! The hint that nodes are containers and nobody has said so.

use flagperf_engine::Node;

use crate::output::hint;

/// Who runs in containers most likely means the mode for them.
pub(super) fn hint_at_containers(nodes: &[Node]) {
    if let Some(node) = nodes.iter().find(|node| is_container(node)) {
        hint(&format!(
            "{} is a container ({}); EXEC_IN_CONTAINER=True or --in-container says that this is meant",
            node.spec.name,
            node.facts.virtualization.as_deref().unwrap_or_default()
        ));
    }
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
