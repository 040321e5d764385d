//! The addresses of the machine.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};

use crate::Root;

/// A peer for asking which address would be used to reach the world. Nothing is sent to it; the block
/// is reserved for documentation (RFC 5737).
const ELSEWHERE: &str = "192.0.2.1:9";

/// The addresses of the machine but loopback, as `/proc/net` tells: IPv4 first.
pub fn addresses(root: &Root) -> Vec<IpAddr> {
    let v4 = root.text("proc/net/fib_trie").unwrap_or_default();
    let v6 = root.text("proc/net/if_inet6").unwrap_or_default();
    let mut found: Vec<IpAddr> = local_v4(&v4).into_iter().map(IpAddr::V4).collect();
    found.extend(global_v6(&v6).into_iter().map(IpAddr::V6));
    found
}

/// The address at which others most likely reach the machine: the one it uses towards its default
/// route, else the first that it has.
pub fn address(root: &Root) -> Option<String> {
    let routed = || {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
        socket.connect(ELSEWHERE).ok()?;
        let address = socket.local_addr().ok()?.ip();
        (!address.is_loopback() && !address.is_unspecified()).then_some(address)
    };
    let routed = root.is_this_machine().then(routed).flatten();
    routed
        .or_else(|| addresses(root).first().copied())
        .map(|address| address.to_string())
}

/// Lines of `fib_trie` come in pairs: an address behind `|--`, then what it is.
fn local_v4(text: &str) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let mut last = None;
    for line in text.lines() {
        let line = line.trim();
        if let Some(address) = line.strip_prefix("|--") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line == "/32 host LOCAL"
            && let Some(address) = last
            && !address.is_loopback()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// `address index prefix scope flags name`, all but the name hexadecimal; scope 0 is global.
fn global_v6(text: &str) -> Vec<Ipv6Addr> {
    let address = |line: &str| {
        let mut words = line.split_whitespace();
        let bits = u128::from_str_radix(words.next()?, 16).ok()?;
        (words.nth(2)? == "00").then(|| Ipv6Addr::from_bits(bits))
    };
    text.lines().filter_map(address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_the_kernels_tables() {
        let tree = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     |-- 10.1.2.0\n        /24 link UNICAST\n     |-- 10.1.2.3\n        /32 host LOCAL\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n     |-- 10.1.2.3\n        /32 host LOCAL\n";
        assert_eq!(local_v4(tree), [Ipv4Addr::new(10, 1, 2, 3)]);
        let table = "00000000000000000000000000000001 01 80 10 80 lo\n20010db8000000000000000000000001 02 40 00 80 eth0\nfe800000000000000000000000000001 02 40 20 80 eth0\nnonsense\n";
        let found: Vec<String> = global_v6(table).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["2001:db8::1"]);
        assert!(local_v4("").is_empty());
    }
}
