//! The built-in measurements between nodes, over networks with faults of their own.

use std::time::{Duration, Instant};

use flagperf_testkit::TestBed;
use serde_json::Value;

use super::{Cluster, IMPATIENT};
use crate::support::{Ran, Running, ran, within};

const P2P: &str = "interconnect-P2P_interserver";
const MPI: &str = "interconnect-MPI_interserver";

/// 200 Mbit/s as the figures count, in GB/s.
const THROTTLED: f64 = 0.025;

/// What a case of the only run reported.
struct Found(Value);

impl Found {
    fn of(cluster: &Cluster, case: &str) -> Self {
        let record = cluster.record();
        let results = record["results"].as_array().unwrap();
        let result = results.iter().find(|result| result["case"] == case);
        let result = result.unwrap_or_else(|| panic!("no {case} in {record}"));
        assert_eq!(result["outcome"], "passed", "{case}");
        Self(result.clone())
    }

    /// Devices and values of a metric.
    fn all(&self, metric: &str) -> Vec<(String, f64)> {
        let measurements = self.0["measurements"].as_array().unwrap().iter();
        measurements
            .map(|of_node| &of_node[1])
            .filter(|measurement| measurement["metric"] == metric)
            .map(|measurement| {
                let device = measurement["device"].as_str().unwrap().to_owned();
                (device, measurement["value"].as_f64().unwrap())
            })
            .collect()
    }

    fn value(&self, metric: &str) -> f64 {
        let all = self.all(metric);
        assert_eq!(all.len(), 1, "{metric}: {all:?}");
        all[0].1
    }

    /// What the nodes noted under a key.
    fn notes(&self, key: &str) -> Vec<&str> {
        let notes = self.0["notes"].as_array().unwrap().iter();
        notes
            .filter(|note| note[1] == key)
            .map(|note| note[2].as_str().unwrap())
            .collect()
    }

    fn seconds(&self) -> f64 {
        (self.0["ended"].as_f64().unwrap() - self.0["started"].as_f64().unwrap()) / 1e9
    }
}

fn near(value: f64, expected: f64) -> bool {
    // Headers take a twentieth, the queue of a throttled link lets a little more through at first.
    (0.6 * expected..1.3 * expected).contains(&value)
}

/// The bus bandwidth of an all-reduce, after a look at its ratio to the algorithm bandwidth.
fn bus(cluster: &Cluster, nodes: f64) -> f64 {
    let found = Found::of(cluster, MPI);
    let bus = found.value(&format!("{MPI}-bandwidth"));
    let algorithm = found.value(&format!("{MPI}-algbw"));
    let factor = 2.0 * (nodes - 1.0) / nodes;
    assert!(
        (bus / algorithm - factor).abs() < 1e-9,
        "{bus} / {algorithm}"
    );
    bus
}

/// Has a node drop packets that it receives: what is dropped in the language of nft. A sender that
/// drops its own knows it.
fn drop_received(cluster: &Cluster, node: &str, which: &str) {
    cluster.sh(
        node,
        &format!(
            "nft 'add table inet lame; \
             add chain inet lame in {{ type filter hook input priority 0; }}; \
             add rule inet lame in {which} drop' || echo failed"
        ),
    );
    let rules = cluster.sh(node, "nft list table inet lame");
    assert!(rules.contains("drop"), "{node}: {rules}");
}

#[test]
fn a_throttled_node_is_named_and_its_rate_is_measured() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.bed.throttle("node2", Some(200));
    cluster.passes(&[P2P, MPI, "--duration", "3s"]);

    let pairs = Found::of(&cluster, P2P);
    let directions = pairs.all(&format!("{P2P}-pair"));
    assert_eq!(directions.len(), 6, "{directions:?}");
    for (link, rate) in &directions {
        if link.contains("node2") {
            assert!(near(*rate, THROTTLED), "{link}: {rate} GB/s");
        } else {
            assert!(*rate > 4.0 * THROTTLED, "{link}: {rate} GB/s");
        }
    }
    assert_eq!(
        pairs.all(&format!("{P2P}-slowest")),
        [directions[0].clone()]
    );
    let notes = pairs.notes("slow node");
    let expected = "node2 sends and receives at 0.02";
    assert!(
        matches!(notes[..], [note] if note.starts_with(expected)),
        "{notes:?}"
    );
    assert!(pairs.seconds() < 20.0, "{} s", pairs.seconds());

    let rate = bus(&cluster, 3.0);
    assert!(near(rate, THROTTLED), "{rate} GB/s");
    let reduced = Found::of(&cluster, MPI);
    let sizes = reduced.notes("bytes per rank");
    // An eighth of a second, a power of two of bytes.
    assert_eq!(sizes.len(), 3, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
    let size: u64 = sizes[0].parse().unwrap();
    assert!((1 << 20..=4 << 20).contains(&size), "{size}");
    // With 64 MiB a single repetition takes 3.6 s, and six are the least.
    assert!(reduced.seconds() < 12.0, "{} s", reduced.seconds());
    cluster.await_clean();
}

#[test]
fn a_slow_link_between_two_of_four_nodes_is_named() {
    let Some(bed) = TestBed::hosts(4).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    let to = cluster.bed.address("node2").ip();
    let class = "rate 200mbit burst 64kb cburst 64kb";
    let limited = cluster.sh(
        "node1",
        &format!(
            "tc qdisc add dev eth0 root handle 1: htb &&
            tc class add dev eth0 parent 1: classid 1:1 htb {class} &&
            tc filter add dev eth0 parent 1: protocol ip u32 match ip dst {to}/32 flowid 1:1 &&
            echo limited"
        ),
    );
    assert_eq!(limited, "limited\n");
    cluster.passes(&[P2P, MPI, "--duration", "3s"]);
    let pairs = Found::of(&cluster, P2P);
    let notes = pairs.notes("slow link");
    assert!(
        matches!(notes[..], [note] if note.starts_with("node1>node2: 0.0")),
        "{notes:?} {:?}",
        pairs.notes("slow node")
    );
    let slowest = &pairs.all(&format!("{P2P}-slowest"))[0];
    assert_eq!(slowest.0, "node1>node2");
    assert!(near(slowest.1, THROTTLED), "{slowest:?}");
    // The ring leads over that link.
    let rate = bus(&cluster, 4.0);
    assert!(near(rate, THROTTLED), "{rate} GB/s");
    cluster.await_clean();
}

#[test]
fn lost_packets_make_it_slower_and_no_more() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed("");
    cluster.bed.loss("node2", 3);
    cluster.passes(&[P2P, MPI, "--duration", "2s"]);
    for (link, rate) in Found::of(&cluster, P2P).all(&format!("{P2P}-pair")) {
        assert!(rate > 1e-4, "{link}: {rate} GB/s");
    }
    assert!(bus(&cluster, 3.0) > 1e-4);
    cluster.bed.loss("node2", 0);
    cluster.await_clean();
}

/// Starts a case on three nodes, and returns when it measures. It takes two scans of all pairs.
fn measuring(cluster: &Cluster, case: &str, more: &[&str]) -> Running {
    let running = cluster.start(&[&[case, "--duration", "31s"], more].concat());
    cluster.await_process(&["node1", "node2", "node3"], " case ");
    cluster
        .place
        .await_text(&format!("{case}/node1_noderank0/benchmark.log.txt"), "live");
    running
}

#[test]
fn a_node_cut_off_in_the_middle_is_lost() {
    for case in [P2P, MPI] {
        let Some(bed) = TestBed::hosts(3).up() else {
            return;
        };
        let cluster = Cluster::new(bed);
        cluster.installed(IMPATIENT);
        let running = measuring(&cluster, case, &[]);
        cluster.bed.cut("node2");
        let Ran { code, stderr, .. } = running.end(25.0);
        assert_eq!(code, Some(1), "{stderr}");
        let lost = cluster.place.outcome()["lost"].clone();
        assert_eq!(lost["node"], "node2", "{lost}");
        assert_ne!(lost["reason"], "", "{lost}");
        cluster.await_clean_on("node1");
        cluster.await_clean_on("node3");
        within(10.0, "nothing measures on the cut-off node", || {
            cluster.pids("node2", " case ").is_empty() && cluster.pids("node2", " agent").is_empty()
        });
        cluster.bed.heal("node2");
        cluster.await_clean_on("node2");
    }
}

#[test]
fn a_link_between_nodes_that_is_cut_in_the_middle_fails_the_case() {
    for case in [P2P, MPI] {
        let Some(bed) = TestBed::hosts(3).up() else {
            return;
        };
        let cluster = Cluster::new(bed);
        cluster.installed("");
        let running = measuring(&cluster, case, &["--param", "peer_timeout=3"]);
        // The controller reaches all of them still.
        let [two, three] = ["node2", "node3"].map(|node| cluster.bed.address(node).ip());
        drop_received(&cluster, "node2", &format!("ip saddr {three}"));
        drop_received(&cluster, "node3", &format!("ip saddr {two}"));
        let begin = Instant::now();
        let Ran { code, stderr, .. } = running.end(60.0);
        assert_eq!(code, Some(1), "{stderr}");
        // The scan comes to that link again in its fourth round of six, which take 5 s each.
        let took = begin.elapsed();
        assert!(took < Duration::from_secs(45), "{took:?}");
        let failed = cluster.place.outcome()["failed"].to_string();
        let named = ["node node2 (rank 1)", "node node3 (rank 2)"];
        assert!(named.iter().any(|who| failed.contains(who)), "{failed}");
        let how = [
            "did not answer within 3 s",
            "did not acknowledge within 3 s",
            "was not reached at",
        ];
        assert!(how.iter().any(|how| failed.contains(how)), "{failed}");
        cluster.await_clean();
    }
}

/// Settings by which the first of three nodes is reached by the others at this address.
fn first_at(address: &str) -> String {
    format!("nodes = \"node[1-3]\"\n[node.node1]\naddress = \"{address}\"\nhost = \"node1\"\n")
}

/// Runs both cases on the nodes of the settings.
fn meet(cluster: &Cluster) {
    let mut command = cluster.bare(&[P2P, MPI, "--duration", "300ms", "--ssh-config"]);
    let ended = ran(command.arg(cluster.bed.ssh_config()).output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let directions = Found::of(cluster, P2P).all(&format!("{P2P}-pair"));
    assert_eq!(directions.len(), 6, "{directions:?}");
    assert!(bus(cluster, 3.0) > 0.0);
    cluster.await_clean();
}

#[test]
fn nodes_meet_at_the_address_in_the_settings() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed(&first_at("10.77.200.1"));
    cluster.sh("node1", "ip address add 10.77.200.1/16 dev eth0");
    // The other one leads nowhere.
    let first = cluster.bed.address("node1").ip();
    let which = format!("ip daddr {first} ip saddr != 10.77.0.1 tcp flags syn / syn,ack");
    drop_received(&cluster, "node1", &which);
    meet(&cluster);
}

#[test]
fn nodes_meet_over_ip_version_6_alone() {
    let Some(bed) = TestBed::hosts(3).up() else {
        return;
    };
    let cluster = Cluster::new(bed);
    cluster.installed(&first_at("fd77::1"));
    let controller = "10.77.0.1";
    for (number, node) in (1..).zip(["node1", "node2", "node3"]) {
        cluster.sh(
            node,
            &format!(
                "for i in all default eth0; do echo 0 >/proc/sys/net/ipv6/conf/$i/disable_ipv6; done; \
                 ip address add fd77::{number}/64 dev eth0 nodad"
            ),
        );
        let addresses = cluster.sh(node, "ip -6 address show dev eth0");
        assert!(
            addresses.contains(&format!("fd77::{number}/64")),
            "{addresses}"
        );
        drop_received(&cluster, node, &format!("ip saddr != {controller}"));
    }
    meet(&cluster);
}
