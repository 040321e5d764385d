//! `flagperf case` as one rank among several nodes: its environment, and two ranks that meet.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::support::{flagperf, ran};

/// A rank's process, with the variables that the harness sets.
fn rank(kernel: &str, rank: u32, port: u16) -> Command {
    let mut command = flagperf(&["case", kernel, "--duration", "0.2"]);
    for name in ["LOCAL_RANK", "FLAGPERF_OUT"] {
        command.env_remove(name);
    }
    for (name, value) in [
        ("RANK", rank.to_string()),
        ("NODE_RANK", rank.to_string()),
        ("WORLD_SIZE", "2".to_owned()),
        ("NNODES", "2".to_owned()),
        ("MASTER_ADDR", "127.0.0.1".to_owned()),
        ("MASTER_PORT", port.to_string()),
        ("FLAGPERF_NODES", "alpha,beta".to_owned()),
        ("FLAGPERF_RUN", "run1".to_owned()),
        ("FLAGPERF_CASE", "case".to_owned()),
        ("FLAGPERF_ROUND", "1".to_owned()),
    ] {
        command.env(name, value);
    }
    command
}

#[test]
fn two_ranks_meet_where_the_environment_says() {
    let out = tempfile::tempdir().unwrap();
    for kernel in ["p2p-tcp", "allreduce-tcp"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let other = rank(kernel, 1, port)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let first = rank(kernel, 0, port)
            .env("FLAGPERF_OUT", out.path())
            .output();
        let (first, other) = (ran(first.unwrap()), ran(other.wait_with_output().unwrap()));
        assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
        assert_eq!(other.code, Some(0), "{}{}", other.stdout, other.stderr);
        assert!(
            first
                .stdout
                .contains("[FlagPerf Result]Rank 0's interconnect-")
        );
        assert!(!other.stdout.contains("[FlagPerf Result]"));
        assert!(other.stdout.contains("\"rank\":1"));
    }
    let table = std::fs::read_to_string(out.path().join("pairs.csv")).unwrap();
    assert!(table.contains("\nalpha,beta,0,1,"), "{table}");
}

#[test]
fn an_environment_that_makes_no_sense_is_refused() {
    for (name, value, text) in [
        ("RANK", None, "variable RANK is not set"),
        ("MASTER_ADDR", None, "variable MASTER_ADDR is not set"),
        ("MASTER_PORT", None, "variable MASTER_PORT is not set"),
        (
            "MASTER_PORT",
            Some("0"),
            "MASTER_PORT is `0`; expected a port from 1 to 65535",
        ),
        (
            "MASTER_PORT",
            Some("65536"),
            "MASTER_PORT is `65536`; expected a port from 1 to 65535",
        ),
        (
            "FLAGPERF_NODES",
            Some("a,b,c"),
            "FLAGPERF_NODES names 3 nodes, but NNODES is 2",
        ),
        ("NODE_RANK", Some("1"), "NODE_RANK is 1 and RANK is 0"),
        (
            "WORLD_SIZE",
            Some("two"),
            "WORLD_SIZE is `two`; expected a whole number",
        ),
    ] {
        let mut command = rank("p2p-tcp", 0, 1);
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
        let ran = ran(command.output().unwrap());
        assert_eq!(ran.code, Some(2), "{name}: {}", ran.stdout);
        assert!(ran.stderr.contains(text), "{}", ran.stderr);
    }
}

#[test]
fn variables_of_another_program_do_not_concern_a_kernel_of_one_node() {
    let mut command = rank("memory-bandwidth", 0, 1);
    command
        .args(["--param", "bytes=100000"])
        .env("MASTER_PORT", "none");
    let ran = ran(command.output().unwrap());
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
}
