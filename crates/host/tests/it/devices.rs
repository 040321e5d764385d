//! Disks, network interfaces and RDMA ports.

use crate::tree::{Tree, net_dev};
use crate::watched::Watched;

#[test]
fn whole_disks_only_and_gaps_when_one_goes_away() {
    let tree = Tree::empty();
    let line =
        |name: &str, n: u64| format!(" 8 0 {name} 1 0 {n} 3 4 0 {} 7 0 {} 10\n", 2 * n, 3 * n);
    let all = [
        ("sda", 100),
        ("sda1", 60),
        ("loop0", 0),
        ("loop1", 8),
        ("zram0", 0),
        ("dm-0", 50),
        ("nvme0n1", 7),
    ];
    for (name, _) in all {
        // Partitions have no directory of their own there.
        if name != "sda1" {
            tree.dir(&format!("sys/block/{name}/slaves"));
        }
    }
    tree.dir("sys/block/dm-0/slaves/sda");
    let text: String = all.iter().map(|(name, n)| line(name, *n)).collect();
    tree.file("proc/diskstats", text);
    let mut watched = Watched::of(&tree);
    assert_eq!(watched.instances("disk.read"), ["sda", "loop1", "nvme0n1"]);
    watched.sample();
    assert_eq!(watched.raw("disk.read", Some("sda")), Some(100));
    assert_eq!(watched.raw("disk.written", Some("nvme0n1")), Some(14));
    assert_eq!(watched.raw("disk.busy", Some("loop1")), Some(24));
    // The first disk is pulled out; a new one has no series.
    tree.file("proc/diskstats", line("nvme0n1", 9) + &line("sdb", 1));
    watched.sample();
    assert_eq!(watched.raw("disk.read", Some("sda")), None);
    assert_eq!(watched.raw("disk.read", Some("nvme0n1")), Some(9));
    tree.file("proc/diskstats", line("nvme0n1", 10) + &line("sda", 1));
    watched.sample();
    assert_eq!(watched.raw("disk.read", Some("sda")), Some(1));
}

#[test]
fn interfaces_that_carry_something() {
    let tree = Tree::empty();
    tree.dir("sys/class/net/eth0/device");
    let all = [("lo", 5), ("eth0", 0), ("ifb0", 0), ("bond0", 9)];
    tree.file("proc/net/dev", net_dev(&all));
    let mut watched = Watched::of(&tree);
    assert_eq!(watched.instances("network.received"), ["eth0", "bond0"]);
    watched.sample();
    assert_eq!(watched.raw("network.sent", Some("bond0")), Some(18));
    assert_eq!(watched.raw("network.errors", Some("eth0")), Some(6));
    assert_eq!(watched.raw("network.dropped", Some("eth0")), Some(8));
    tree.file("proc/net/dev", net_dev(&[("eth0", 3)]));
    watched.sample();
    assert_eq!(watched.raw("network.received", Some("bond0")), None);
    assert_eq!(watched.raw("network.received", Some("eth0")), Some(3));
}

#[test]
fn a_host_of_many_containers_has_series_of_its_own_interfaces_only() {
    let tree = Tree::empty();
    tree.dir("sys/class/net/eth0/device");
    let names: Vec<String> = (0..300).map(|i| format!("veth{i}")).collect();
    let mut rows = vec![("eth0", 1)];
    rows.extend(names.iter().map(|name| (name.as_str(), 1)));
    tree.file("proc/net/dev", net_dev(&rows));
    let watched = Watched::of(&tree);
    assert_eq!(watched.instances("network.received"), ["eth0"]);
    assert_eq!(
        watched.reason("network.received"),
        "300 virtual interfaces are left out"
    );
}

#[test]
fn rdma_ports() {
    let tree = Tree::empty();
    tree.files(
        "sys/class/infiniband/mlx5_0/ports/1/counters",
        &[("port_rcv_data", "250"), ("port_xmit_data", "500")],
    );
    let mut watched = Watched::of(&tree);
    assert_eq!(watched.sensor("rdma.received", "mlx5_0/1"), 250);
    assert_eq!(watched.sensor("rdma.sent", "mlx5_0/1"), 500);
    let series = watched.monitor.series();
    let sent = series.iter().find(|s| s.name == "rdma.sent").unwrap();
    assert_eq!(sent.resolution, 4.0);
}
