//! Ranks as processes, some of which die or stop.

use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use flagperf_kernels::{CaseArgs, CaseEnd, run_case};
use rustix::process::{Pid, Signal, kill_process};

use super::super::{Printed, args};
use super::{NAMES, SOON, allreduce, cluster, free_port, p2p};

/// Set in a process that is a rank: its arguments, one on each line.
const WORKER: &str = "FLAGPERF_TEST_NET_WORKER";

/// The ranks of one case as processes; whatever still runs when this is dropped is ended.
struct Processes {
    children: Vec<Child>,
    outputs: Vec<PathBuf>,
    _directory: tempfile::TempDir,
}

impl Processes {
    fn start(case: &CaseArgs, world: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let params: Vec<String> = case
            .params
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let outputs: Vec<PathBuf> = (0..world)
            .map(|rank| directory.path().join(rank.to_string()))
            .collect();
        let children = outputs.iter().enumerate().map(|(rank, output)| {
            let words = format!(
                "{}\n{rank}\n{world}\n{port}\n{}\n{}\n{}",
                output.display(),
                case.kernel,
                case.duration.as_millis(),
                params.join("\n"),
            );
            Command::new(env::current_exe().unwrap())
                .args([
                    "--exact",
                    "net::deaths::rank_of_another_test",
                    "--nocapture",
                ])
                .env(WORKER, words)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        });
        Self {
            children: children.collect(),
            outputs,
            _directory: directory,
        }
    }

    fn text(&self, rank: usize) -> String {
        fs::read_to_string(&self.outputs[rank]).unwrap_or_default()
    }

    fn wait_for_live(&self) {
        let begin = Instant::now();
        while !self.text(0).contains("\"live\"") {
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "{}",
                self.text(0)
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, rank: usize, signal: Signal) {
        let pid = Pid::from_raw(self.children[rank].id() as i32).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// How the ranks but one ended.
    fn ends_of_others(&mut self, dead: usize, within: Duration) -> Vec<Printed> {
        let begin = Instant::now();
        let mut printed = Vec::new();
        for rank in (0..self.children.len()).filter(|rank| *rank != dead) {
            while self.children[rank].try_wait().unwrap().is_none() {
                assert!(begin.elapsed() < within, "rank {rank}: {}", self.text(rank));
                thread::sleep(Duration::from_millis(5));
            }
            let status = self.children[rank].wait().unwrap();
            let end = if status.success() {
                CaseEnd::Passed
            } else {
                CaseEnd::Failed
            };
            printed.push(Printed::read(end, &self.text(rank)));
        }
        printed
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended already, which is just as well.
            let _killed = child.kill();
            let _waited = child.wait();
        }
    }
}

/// Not a test of its own: the body of the rank processes that other tests start.
#[test]
fn rank_of_another_test() {
    let Ok(words) = env::var(WORKER) else {
        return;
    };
    let words: Vec<&str> = words.lines().collect();
    let [output, rank, world, port, kernel, millis, params @ ..] = &words[..] else {
        panic!("bad arguments: {words:?}");
    };
    let params: Vec<(&str, &str)> = params.iter().filter_map(|p| p.split_once('=')).collect();
    let case = CaseArgs {
        cluster: Some(cluster(
            rank.parse().unwrap(),
            world.parse().unwrap(),
            port.parse().unwrap(),
        )),
        ..args(kernel, millis.parse().unwrap(), &params)
    };
    let end = run_case(case, &mut fs::File::create(output).unwrap());
    #[expect(
        clippy::exit,
        reason = "this process is a rank, and its status is the answer"
    )]
    std::process::exit(i32::from(end != CaseEnd::Passed));
}

#[test]
fn a_rank_that_is_killed_is_named_by_all_others_at_once() {
    for (case, dead, during) in [
        (p2p(60_000, &[]), 2, "during round "),
        (allreduce(60_000, &[]), 2, "during the all-reduce"),
        (p2p(60_000, &[]), 0, "during round "),
        (allreduce(60_000, &[]), 0, "during the all-reduce"),
    ] {
        let mut processes = Processes::start(&case, 4);
        processes.wait_for_live();
        processes.signal(dead, Signal::KILL);
        let who = format!(
            "node {} (rank {dead}) closed its connection {during}",
            NAMES[dead]
        );
        for rank in processes.ends_of_others(dead, Duration::from_secs(5)) {
            assert_eq!(rank.end, CaseEnd::Failed);
            assert!(rank.failure().starts_with(&who), "{}", rank.failure());
        }
    }
}

#[test]
fn a_rank_that_stops_is_named_by_all_others() {
    for case in [p2p, allreduce] {
        let case = case(60_000, &[("peer_timeout", "2")]);
        let mut processes = Processes::start(&case, 4);
        processes.wait_for_live();
        processes.signal(2, Signal::STOP);
        // Somewhat later where it stops between two transfers, in which all wait for rank 0.
        let who = "node c (rank 2) did not answer within ";
        for rank in processes.ends_of_others(2, SOON * 2) {
            assert_eq!(rank.end, CaseEnd::Failed);
            assert!(rank.failure().starts_with(who), "{}", rank.failure());
        }
    }
}
