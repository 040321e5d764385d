//! Which of the nodes is this machine.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use flagperf_host::Root;
use flagperf_model::{Launcher, NodeName, NodeSpec, ProgramSource};

use super::asked;
use crate::exit::Failure;

/// Where the ssh server of a machine itself listens.
const SSH_PORT: u16 = 22;

/// How this machine calls itself.
struct Own {
    hostname: String,
    addresses: Vec<IpAddr>,
}

impl Own {
    fn of_this_machine() -> Self {
        let mut addresses = flagperf_host::addresses(&Root::new("/"));
        // Not all of 127.0.0.0/8: others may be containers with servers of their own there.
        addresses.extend([
            IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(Ipv6Addr::LOCALHOST),
        ]);
        Self {
            hostname: rustix::system::uname()
                .nodename()
                .to_string_lossy()
                .into_owned(),
            addresses,
        }
    }

    fn is(&self, name: &str) -> bool {
        name == self.hostname
            || name == "localhost"
            || name
                .parse()
                .is_ok_and(|address| self.addresses.contains(&address))
    }
}

/// A node that is this machine needs no connection. It is this machine if it is called as this machine
/// calls itself or by one of its addresses, and nothing was said of a user or an unusual port, behind which
/// there may be a container: not in the settings, whose word is final about `settled` nodes, and not in
/// the configuration of ssh. Through a command that is so only `inside` of the cluster.
pub(super) async fn recognise(
    nodes: &mut [NodeSpec],
    settled: &BTreeSet<NodeName>,
    inside: bool,
) -> Result<(), Failure> {
    let own = Own::of_this_machine();
    for node in nodes {
        if settled.contains(&node.name) || node.program != ProgramSource::Placed {
            continue;
        }
        let here = match &node.launcher {
            Launcher::Local => false,
            Launcher::Ssh(target) => {
                target.user.is_none()
                    && target.port.is_none_or(|port| port == SSH_PORT)
                    && own.is(&target.host)
                    && !asked::is_alias(target).await?
            }
            Launcher::Exec { .. } => inside && own.is(node.name.as_str()),
        };
        if here {
            node.launcher = Launcher::Local;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_names_and_addresses() {
        let own = Own::of_this_machine();
        for name in [
            "localhost",
            "127.0.0.1",
            "::1",
            "0:0:0:0:0:0:0:1",
            &own.hostname,
        ] {
            assert!(own.is(name), "{name}");
        }
        for address in &own.addresses {
            assert!(own.is(&address.to_string()), "{address}");
        }
        for name in ["127.0.0.2", "127.0.1.1", "192.0.2.1", "node1", "1", ""] {
            assert!(!own.is(name), "{name}");
        }
    }
}
