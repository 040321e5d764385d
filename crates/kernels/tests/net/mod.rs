//! Kernels that span nodes: ranks that meet over loopback, with strangers and relays between them.

mod deaths;
mod relay;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};
use std::{fs, thread};

use flagperf_kernels::net::{Hello, Purpose};
use flagperf_kernels::{CaseArgs, CaseEnd, Cluster, run_case};
use flagperf_model::{CaseRecord, Phase, Verification};

use super::{Printed, args};
use relay::{Relay, Spoil};

/// Everything that ends well or badly does so within this time.
const SOON: Duration = Duration::from_secs(10);

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn cluster(rank: u32, world: u32, port: u16) -> Cluster {
    Cluster {
        rank,
        world,
        master: "127.0.0.1".to_owned(),
        port,
        token: "run1/case/1".to_owned(),
        nodes: NAMES[..world as usize]
            .iter()
            .map(|n| (*n).to_owned())
            .collect(),
        out: None,
    }
}

/// Runs ranks as threads of this process.
fn ranks(case: impl Fn() -> CaseArgs, clusters: Vec<Cluster>) -> Vec<Printed> {
    thread::scope(|scope| {
        let ranks: Vec<_> = clusters
            .into_iter()
            .map(|cluster| {
                let case = CaseArgs {
                    cluster: Some(cluster),
                    ..case()
                };
                scope.spawn(|| {
                    let mut out = Vec::new();
                    let end = run_case(case, &mut out);
                    Printed::read(end, &String::from_utf8(out).unwrap())
                })
            })
            .collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

fn all(world: u32, port: u16) -> Vec<Cluster> {
    (0..world).map(|rank| cluster(rank, world, port)).collect()
}

fn p2p(millis: u64, more: &[(&str, &str)]) -> CaseArgs {
    let params = [&[("bytes", "100000"), ("streams", "2")], more].concat();
    args("p2p-tcp", millis, &params)
}

fn allreduce(millis: u64, more: &[(&str, &str)]) -> CaseArgs {
    // A size that no number of ranks or connections shares equally, several chunks for two ranks.
    let params = [&[("bytes", "1000004"), ("streams", "2")], more].concat();
    args("allreduce-tcp", millis, &params)
}

/// Ranks but the first say that they are there, and nothing else.
fn assert_silent_others(printed: &[Printed]) {
    for (rank, other) in printed.iter().enumerate().skip(1) {
        assert_eq!(
            other.end,
            CaseEnd::Passed,
            "rank {rank}: {}",
            other.failure()
        );
        assert!(other.measurements().is_empty() && other.classic.is_empty());
        let own = |record: &CaseRecord| match record {
            CaseRecord::Phase { rank: of, .. } | CaseRecord::Note { rank: of, .. } => {
                *of == rank as u32
            }
            _ => false,
        };
        assert!(other.records.iter().all(own), "rank {rank}");
        assert_eq!(other.phases().last(), Some(&Phase::End));
    }
}

#[test]
fn all_pairs_of_two_to_five_nodes() {
    for world in 2..=5u32 {
        let out = tempfile::tempdir().unwrap();
        let mut clusters = all(world, free_port());
        clusters[0].out = Some(out.path().join("new"));
        let printed = ranks(|| p2p(1, &[]), clusters);
        let name = |suffix: &str| format!("interconnect-P2P_interserver-{suffix}");
        let directions = (world * (world - 1)) as usize;
        let mut metrics = ["bandwidth", "bidirectional", "latency", "slowest"]
            .map(name)
            .to_vec();
        metrics.extend(std::iter::repeat_n(name("pair"), directions));
        let metrics: Vec<&str> = metrics.iter().map(String::as_str).collect();
        printed[0].assert_passed(
            &metrics,
            &[
                ("Rank 0's interconnect-P2P_interserver-bandwidth=", "GB/s"),
                ("Rank 0's interconnect-P2P_interserver-bandwidth=", "GiB/s"),
            ],
        );
        let found = printed[0].measurements();
        let links: Vec<&str> = found[4..]
            .iter()
            .map(|m| m.device.as_deref().unwrap())
            .collect();
        for from in &NAMES[..world as usize] {
            for to in &NAMES[..world as usize] {
                let times = links
                    .iter()
                    .filter(|link| **link == format!("{from}>{to}"))
                    .count();
                assert_eq!(times, usize::from(from != to), "{from}>{to}");
            }
        }
        // The slowest direction is the first of all, and has its own repetitions.
        assert_eq!(found[3].device, found[4].device);
        assert_eq!(found[3].repetitions, found[4].repetitions);
        assert!(found[4..].iter().all(|m| m.value >= found[3].value));
        assert!(found[4..].iter().all(|m| m.spread.unwrap().n >= 3));
        let medians = if world == 2 {
            found[4].repetitions.len() * 2
        } else {
            directions
        };
        assert_eq!(found[0].spread.unwrap().n as usize, medians);
        assert_silent_others(&printed);
        let table = fs::read_to_string(out.path().join("new/pairs.csv")).unwrap();
        assert_eq!(table.lines().count(), 1 + directions);
    }
}

#[test]
fn all_reduce_over_two_to_five_nodes() {
    for world in 2..=5u32 {
        let printed = ranks(|| allreduce(30, &[]), all(world, free_port()));
        printed[0].assert_passed(
            &[
                "interconnect-MPI_interserver-bandwidth",
                "interconnect-MPI_interserver-algbw",
            ],
            &[
                ("Rank 0's interconnect-MPI_interserver-bandwidth=", "GB/s"),
                ("Rank 0's interconnect-MPI_interserver-bandwidth=", "GiB/s"),
            ],
        );
        let values: Vec<f64> = printed[0].measurements().iter().map(|m| m.value).collect();
        let factor = 2.0 * f64::from(world - 1) / f64::from(world);
        assert!((values[0] / values[1] - factor).abs() < 1e-9);
        assert_silent_others(&printed);
    }
}

#[test]
fn addresses_of_either_version_and_names_lead_to_rank_0() {
    for master in ["::1", "[::1]", "localhost", "127.0.0.3"] {
        if master.contains("::") && TcpListener::bind("[::1]:0").is_err() {
            eprintln!("skipped: this machine has no IPv6 loopback");
            continue;
        }
        let mut clusters = all(3, free_port());
        for cluster in &mut clusters {
            cluster.master = master.to_owned();
        }
        for rank in ranks(|| allreduce(1, &[]), clusters) {
            assert_eq!(rank.end, CaseEnd::Passed, "{master}: {}", rank.failure());
        }
    }
}

#[test]
fn one_node_has_nobody_to_talk_to() {
    for kernel in ["p2p-tcp", "allreduce-tcp"] {
        for cluster in [None, Some(cluster(0, 1, 1))] {
            let case = CaseArgs {
                cluster,
                ..args(kernel, 1, &[])
            };
            let printed = super::here(case);
            assert_eq!(printed.end, CaseEnd::Unsupported);
            let unsupported = CaseRecord::Unsupported {
                feature: "at least 2 nodes".to_owned(),
            };
            assert_eq!(printed.records.last(), Some(&unsupported));
        }
    }
}

#[test]
fn several_ranks_on_a_node_are_refused() {
    let mut cluster = cluster(2, 4, 1);
    cluster.nodes.truncate(2);
    let printed = super::here(CaseArgs {
        cluster: Some(cluster),
        ..p2p(1, &[])
    });
    assert_eq!(
        printed.failure(),
        "this kernel has one rank on each node; 4 ranks on 2 nodes were asked for"
    );
}

/// Calls the port for as long as the ranks take, with all kinds of nonsense.
fn disturb(port: u16, until: Instant) -> usize {
    let other_run = |purpose| {
        let hello = Hello {
            rank: 1,
            world: 2,
            purpose,
            token: b"run2/case/1".to_vec(),
        };
        hello.encode()
    };
    let endless = [&b"fpmeet\x00\x01"[..], &[0xff; 4096]].concat();
    let words = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        other_run(Purpose::Join { port: 9 }),
        other_run(Purpose::Link { tag: 0, stream: 0 }),
        endless,
        vec![0; 100_000],
        Vec::new(),
    ];
    let mut calls = Vec::new();
    while Instant::now() < until {
        for word in &words {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
                // It may be shown the door meanwhile.
                let _sent = stream.write_all(word);
                calls.push(stream);
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
    calls.len()
}

#[test]
fn strangers_and_other_runs_do_not_disturb() {
    for kernel in ["p2p-tcp", "allreduce-tcp"] {
        let port = free_port();
        let (printed, calls) = thread::scope(|scope| {
            let until = Instant::now() + Duration::from_millis(700);
            let calls = scope.spawn(move || disturb(port, until));
            // They come first, then rank 1, and rank 0 last.
            let late = scope.spawn(move || {
                let case = || args(kernel, 400, &[("bytes", "50000")]);
                ranks(case, all(2, port))
            });
            (late.join().unwrap(), calls.join().unwrap())
        });
        assert!(calls > 100, "{calls} calls");
        assert_eq!(printed[0].end, CaseEnd::Passed, "{}", printed[0].failure());
        assert_silent_others(&printed);
    }
}

/// Rank `last` of `world` reaches rank 0 through a relay.
fn with_relay(world: u32, spoil: Spoil) -> (Relay, Vec<Cluster>) {
    let mut clusters = all(world, free_port());
    let relay = Relay::start(clusters[0].port, spoil);
    clusters[world as usize - 1].port = relay.port();
    (relay, clusters)
}

#[test]
fn damaged_messages_fail_both_ranks() {
    let (_relay, clusters) = with_relay(
        2,
        Spoil::Byte {
            stream: 1,
            at: 4096 * 5,
        },
    );
    let printed = ranks(|| p2p(300, &[]), clusters);
    let text = printed[0].failure();
    assert!(
        text.starts_with("message ")
            && text.contains(" of node b (rank 1) arrived damaged at byte ")
            && text.ends_with(" of connection 0"),
        "{text}"
    );
    assert_eq!(
        printed[1].failure(),
        format!("node a (rank 0) failed: {text}")
    );
    assert!(printed[0].measurements().is_empty() && printed[0].classic.is_empty());
}

#[test]
fn wrong_sums_fail_all_ranks() {
    let (_relay, clusters) = with_relay(3, Spoil::EveryFloat { stream: 0 });
    let begin = Instant::now();
    let printed = ranks(|| allreduce(60_000, &[]), clusters);
    assert!(begin.elapsed() < SOON);
    let wrong = printed
        .iter()
        .position(|rank| rank.failure().starts_with("wrong sum: element "));
    let first = printed[wrong.unwrap()].failure();
    for rank in &printed {
        let text = rank.failure();
        assert!(text.contains("wrong sum: element "), "{text}; {first}");
        assert!(rank.measurements().is_empty() && rank.classic.is_empty());
    }
}

#[test]
fn the_slow_link_is_named() {
    let (_relay, clusters) = with_relay(3, Spoil::Throttle { bytes_per_s: 5e6 });
    let printed = ranks(|| args("p2p-tcp", 600, &[]), clusters);
    assert_eq!(printed[0].end, CaseEnd::Passed, "{}", printed[0].failure());
    let note = printed[0].note("slow link").unwrap();
    assert!(
        note.starts_with("a>c: ") || note.starts_with("c>a: "),
        "{note}"
    );
    assert!(note.contains(" % of the usual "), "{note}");
    assert_eq!(printed[0].note("slow node"), None);
    let slowest = printed[0].measurements()[3];
    assert!(slowest.metric.as_str().ends_with("-slowest"));
    assert!(["a>c", "c>a"].contains(&slowest.device.as_deref().unwrap()));
    // 5 MB/s, and what fits into buffers on the way.
    assert!(slowest.value < 0.02, "{}", slowest.value);
    assert!(printed[0].measurements()[0].value > 5.0 * slowest.value);
}

#[test]
fn a_link_that_loses_packets_is_measured_in_time() {
    let stutter = Spoil::Stutter {
        every: 32,
        pause: Duration::from_millis(200),
    };
    let (_relay, clusters) = with_relay(2, stutter);
    let begin = Instant::now();
    let printed = ranks(|| p2p(2000, &[]), clusters);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    assert_eq!(printed[0].end, CaseEnd::Passed, "{}", printed[0].failure());
    let latency = printed[0].measurements()[2];
    // The median is of the round trips that were not held up.
    assert!(latency.value < 20_000.0, "{} us", latency.value);
}

#[test]
fn one_slow_trial_does_not_make_all_transfers_short() {
    let pause = Duration::from_millis(300);
    let (_relay, clusters) = with_relay(2, Spoil::Stumble { pause });
    let printed = ranks(|| p2p(1000, &[]), clusters);
    assert_eq!(printed[0].end, CaseEnd::Passed, "{}", printed[0].failure());
    let found = printed[0].measurements();
    let repetitions = f64::from(found[1].spread.unwrap().n);
    let Verification::Checked(text) = &found[1].verification else {
        panic!("not checked");
    };
    let messages = text.split(' ').find_map(|word| word.parse().ok());
    // A repetition is three transfers of 42 ms, a message takes less than one of them.
    let each: f64 = messages.map(|count: f64| count / repetitions).unwrap();
    assert!(each > 20.0, "{each} messages in a repetition");
}

#[test]
fn slow_links_get_a_vector_of_their_size() {
    let (_relay, clusters) = with_relay(3, Spoil::Throttle { bytes_per_s: 5e6 });
    let begin = Instant::now();
    let printed = ranks(|| args("allreduce-tcp", 600, &[]), clusters);
    assert!(begin.elapsed() < SOON, "{:?}", begin.elapsed());
    let sizes: Vec<u64> = printed
        .iter()
        .map(|rank| {
            assert_eq!(rank.end, CaseEnd::Passed, "{}", rank.failure());
            rank.note("bytes per rank").unwrap().parse().unwrap()
        })
        .collect();
    assert!(sizes.iter().all(|size| *size == sizes[0]), "{sizes:?}");
    // 30 ms of what a connection in the ring carries at 5 MB/s, and what fits into buffers.
    assert!(
        sizes[0] >= 64 << 10 && sizes[0] <= 4 << 20 && sizes[0].is_power_of_two(),
        "{sizes:?}"
    );
    let algorithm = printed[0].measurements()[1];
    let slowest = sizes[0] as f64 / algorithm.value / 1e9;
    assert!(slowest < 0.6, "{slowest} s for an all-reduce");
}

#[test]
fn a_rank_that_never_comes_is_named_everywhere() {
    for case in [p2p, allreduce] {
        let port = free_port();
        let mut clusters = all(3, port);
        clusters.pop();
        let begin = Instant::now();
        let printed = ranks(|| case(10, &[("peer_timeout", "1")]), clusters);
        assert!(begin.elapsed() < SOON);
        let text = format!("node c (rank 2) did not come to port {port} within 1 s");
        assert_eq!(printed[0].failure(), text);
        assert_eq!(
            printed[1].failure(),
            format!("node a (rank 0) failed: {text}")
        );
    }
}

#[test]
fn rank_0_that_never_comes_is_named() {
    let port = free_port();
    let printed = ranks(
        || allreduce(10, &[("peer_timeout", "1")]),
        vec![cluster(1, 2, port)],
    );
    let text = printed[0].failure();
    assert!(
        text.starts_with(&format!(
            "node a (rank 0) was not reached at 127.0.0.1 port {port} within 1 s: "
        )),
        "{text}"
    );
}

#[test]
fn ranks_that_count_differently_do_not_begin() {
    let port = free_port();
    let clusters = vec![cluster(0, 2, port), cluster(1, 3, port)];
    let printed = ranks(|| allreduce(10, &[]), clusters);
    let text = "rank 1 sent what was not expected during the meeting: it counts itself as one of \
                3 ranks; expected a rank from 1 to 1, of 2";
    assert_eq!(printed[0].failure(), text);
    assert_eq!(
        printed[1].failure(),
        format!("node a (rank 0) failed: {text}")
    );
}

/// Reads until the other side closes.
fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset is an end as well.
    let _read = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn another_run_gets_no_answer() {
    let port = free_port();
    let answer = thread::scope(|scope| {
        let ranks = scope.spawn(|| ranks(|| allreduce(300, &[]), all(2, port)));
        let mut stream = loop {
            match TcpStream::connect(("127.0.0.1", port)) {
                Ok(stream) if stream.local_addr().unwrap() != stream.peer_addr().unwrap() => {
                    break stream;
                }
                _ => thread::sleep(Duration::from_millis(1)),
            }
        };
        let hello = Hello {
            rank: 1,
            world: 2,
            purpose: Purpose::Join { port: 9 },
            token: b"run1/case/2".to_vec(),
        };
        let _sent = stream.write_all(&hello.encode());
        let answer = read_to_end(&mut stream);
        for rank in ranks.join().unwrap() {
            assert_eq!(rank.end, CaseEnd::Passed, "{}", rank.failure());
        }
        answer
    });
    assert!(answer.is_empty());
}
