//! Kernels from end to end through `run_case`: short runs in this process, and several ranks as
//! processes of their own, for which this test binary starts itself again.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests panic as the tests themselves do"
)]

mod net;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{env, fs};

use flagperf_kernels::{CaseArgs, CaseEnd, kernel_names, run_case};
use flagperf_model::{
    CaseRecord, Measurement, Phase, RECORD_PREFIX, RESULT_PREFIX, Unit, Verification,
};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Set in a process that is a rank: its arguments, one on each line.
const WORKER: &str = "FLAGPERF_TEST_WORKER";

fn args(kernel: &str, millis: u64, params: &[(&str, &str)]) -> CaseArgs {
    CaseArgs {
        kernel: kernel.to_owned(),
        duration: Duration::from_millis(millis),
        params: params
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        rank: 0,
        world: 1,
        shared: None,
        cluster: None,
    }
}

/// What a rank printed, and how it ended.
struct Printed {
    end: CaseEnd,
    records: Vec<CaseRecord>,
    classic: Vec<String>,
}

impl Printed {
    fn read(end: CaseEnd, text: &str) -> Self {
        let mut printed = Self {
            end,
            records: Vec::new(),
            classic: Vec::new(),
        };
        for line in text.lines() {
            if let Some(json) = line.strip_prefix(RECORD_PREFIX) {
                printed.records.push(serde_json::from_str(json).unwrap());
            } else {
                let result = line.strip_prefix(RESULT_PREFIX).unwrap();
                printed.classic.push(result.to_owned());
            }
        }
        printed
    }

    fn measurements(&self) -> Vec<&Measurement> {
        self.records
            .iter()
            .filter_map(|record| match record {
                CaseRecord::Measurement(measurement) => Some(&**measurement),
                _ => None,
            })
            .collect()
    }

    fn phases(&self) -> Vec<Phase> {
        self.records
            .iter()
            .filter_map(|record| match record {
                CaseRecord::Phase { phase, .. } => Some(*phase),
                _ => None,
            })
            .collect()
    }

    fn failure(&self) -> &str {
        self.records
            .iter()
            .find_map(|record| match record {
                CaseRecord::Failure { message, .. } => Some(message.as_str()),
                _ => None,
            })
            .unwrap_or("no failure was reported")
    }

    fn note(&self, wanted: &str) -> Option<&str> {
        self.records.iter().find_map(|record| match record {
            CaseRecord::Note { key, value, .. } if key == wanted => Some(value.as_str()),
            _ => None,
        })
    }

    /// Everything that a passed case must have printed.
    fn assert_passed(&self, metrics: &[&str], classic: &[(&str, &str)]) {
        assert_eq!(self.end, CaseEnd::Passed, "{}", self.failure());
        let phases = self.phases();
        assert_eq!(phases.first(), Some(&Phase::Prepare));
        assert_eq!(phases.last(), Some(&Phase::End));
        assert!(phases.contains(&Phase::Measure) && phases.contains(&Phase::Verify));
        let found: Vec<&str> = self
            .measurements()
            .iter()
            .map(|m| m.metric.as_str())
            .collect();
        assert_eq!(found, metrics);
        for measurement in self.measurements() {
            let spread = measurement.spread.unwrap();
            assert!(measurement.value > 0.0 && measurement.value == spread.median);
            assert_eq!(measurement.repetitions.len(), (spread.n as usize).min(2000));
            assert!(matches!(measurement.verification, Verification::Checked(_)));
        }
        assert_eq!(self.classic.len(), classic.len(), "{:?}", self.classic);
        for (line, (start, unit)) in self.classic.iter().zip(classic) {
            let number = line.strip_prefix(start).and_then(|l| l.strip_suffix(unit));
            assert!(number.unwrap().parse::<f64>().unwrap() > 0.0, "{line}");
        }
    }
}

fn here(args: CaseArgs) -> Printed {
    let mut out = Vec::new();
    let end = run_case(args, &mut out);
    Printed::read(end, &String::from_utf8(out).unwrap())
}

/// The ranks of one case as processes; whatever still runs when this is dropped is ended.
struct Ranks {
    children: Vec<Child>,
    outputs: Vec<PathBuf>,
    directory: tempfile::TempDir,
}

impl Ranks {
    /// Starts `started` of `world` ranks, each through `wrapper` if that is not empty.
    fn start(case: &CaseArgs, world: u32, started: u32, wrapper: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        // Without the close-on-exec flag, so that the ranks inherit it.
        let shared = memfd_create("flagperf-test", MemfdFlags::empty()).unwrap();
        let params: Vec<String> = case
            .params
            .iter()
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        let mut ranks = Self {
            children: Vec::new(),
            outputs: Vec::new(),
            directory,
        };
        for rank in 0..started {
            let output = ranks.directory.path().join(rank.to_string());
            let words = format!(
                "{}\n{}\n{rank}\n{world}\n{}\n{}\n{}",
                output.display(),
                shared.as_raw_fd(),
                case.kernel,
                case.duration.as_millis(),
                params.join("\n"),
            );
            let itself = env::current_exe().unwrap();
            let mut argv: Vec<&std::ffi::OsStr> = wrapper.iter().map(AsRef::as_ref).collect();
            argv.push(itself.as_os_str());
            let child = Command::new(argv[0])
                .args(&argv[1..])
                .args(["--exact", "rank_of_another_test", "--nocapture"])
                .env(WORKER, words)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap();
            ranks.children.push(child);
            ranks.outputs.push(output);
        }
        ranks
    }

    fn text(&self, rank: usize) -> String {
        fs::read_to_string(&self.outputs[rank]).unwrap_or_default()
    }

    fn finish(mut self) -> Vec<Printed> {
        (0..self.children.len())
            .map(|rank| {
                let status = self.children[rank].wait().unwrap();
                let end = match status.code() {
                    Some(0) => CaseEnd::Passed,
                    Some(3) => CaseEnd::Unsupported,
                    _ => CaseEnd::Failed,
                };
                Printed::read(end, &self.text(rank))
            })
            .collect()
    }
}

impl Drop for Ranks {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended already, which is just as well.
            let _killed = child.kill();
            let _waited = child.wait();
        }
    }
}

/// Not a test of its own: the body of the rank processes that other tests start. As a test it
/// checks that nobody set the variable by accident.
#[test]
fn rank_of_another_test() {
    let Ok(words) = env::var(WORKER) else {
        return;
    };
    let words: Vec<&str> = words.lines().collect();
    let [output, fd, rank, world, kernel, millis, params @ ..] = &words[..] else {
        panic!("bad arguments: {words:?}");
    };
    let rank: u32 = rank.parse().unwrap();
    pin(rank);
    let params: BTreeMap<String, String> = params
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    // SAFETY: the parent left this file open for us, and nothing else here uses its number.
    let shared = unsafe { OwnedFd::from_raw_fd(fd.parse().unwrap()) };
    let case = CaseArgs {
        kernel: (*kernel).to_owned(),
        duration: Duration::from_millis(millis.parse().unwrap()),
        params,
        rank,
        world: world.parse().unwrap(),
        shared: Some(shared),
        cluster: None,
    };
    let end = run_case(case, &mut fs::File::create(output).unwrap());
    #[expect(
        clippy::exit,
        reason = "this process is a rank, and its status is the answer"
    )]
    std::process::exit(match end {
        CaseEnd::Passed => 0,
        CaseEnd::Unsupported => 3,
        CaseEnd::Failed => 1,
    });
}

/// One processor for each rank, in turn, as the agent does it.
fn pin(rank: u32) {
    let allowed = sched_getaffinity(None).unwrap();
    let cpus: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|c| allowed.is_set(*c))
        .collect();
    let mut set = CpuSet::new();
    set.set(cpus[rank as usize % cpus.len()]);
    sched_setaffinity(None, &set).unwrap();
}

#[test]
fn matrix_products() {
    for (format, unit) in [
        ("FP64", "TFLOPS"),
        ("FP32", "TFLOPS"),
        ("BF16", "TFLOPS"),
        ("INT8", "TOPS"),
        ("FP16", "TFLOPS"),
    ] {
        let kernel = format!("gemm-{}", format.to_lowercase());
        let sizes = [("m", "100"), ("n", "130"), ("k", "70"), ("seed", "5")];
        let printed = here(args(&kernel, 10, &sizes));
        let name = format!("computation-{format}");
        if printed.end == CaseEnd::Unsupported {
            // Every processor multiplies these two.
            assert!(!["FP64", "FP32"].contains(&format));
            let named = |record: &CaseRecord| matches!(record, CaseRecord::Unsupported { feature } if !feature.is_empty());
            assert!(printed.records.last().is_some_and(named));
            assert!(printed.measurements().is_empty() && printed.classic.is_empty());
        } else {
            let metrics = [
                name.clone(),
                format!("{name}-peak"),
                format!("{name}-share"),
            ];
            for (measurement, metric) in printed.measurements().iter().zip(&metrics) {
                assert_eq!(measurement.metric.as_str(), metric);
                assert!(measurement.value > 0.0 && measurement.spread.unwrap().n >= 2);
            }
            assert_eq!(printed.end, CaseEnd::Passed, "{}", printed.failure());
            let [product, peak, share] = printed.measurements()[..] else {
                panic!("{:?}", printed.measurements());
            };
            assert_eq!(product.value, product.spread.unwrap().median);
            // The better of both halves, so that the share errs low.
            assert_eq!(peak.value, peak.spread.unwrap().max);
            let of_best = 100.0 * product.value / peak.value;
            assert!((share.value - of_best).abs() < 1e-9 * of_best);
            assert_eq!(printed.classic.len(), 1);
            assert!(printed.classic[0].starts_with(&format!("Rank 0's {name}=")));
            assert!(printed.classic[0].ends_with(unit));
            assert_eq!(printed.note("size"), Some("m 100, n 130, k 70"));
        }
    }
}

const BANDWIDTHS: [&str; 4] = [
    "main_memory-bandwidth",
    "main_memory-bandwidth-scale",
    "main_memory-bandwidth-add",
    "main_memory-bandwidth-triad",
];

#[test]
fn memory_bandwidth() {
    here(args("memory-bandwidth", 30, &[("bytes", "1000000")])).assert_passed(
        &BANDWIDTHS,
        &[
            ("Rank 0's main_memory-bandwidth=", "GB/s"),
            ("Rank 0's main_memory-bandwidth=", "GiB/s"),
        ],
    );
}

#[test]
fn memory_bandwidth_of_two_ranks_at_once() {
    let case = args(
        "memory-bandwidth",
        30,
        &[("bytes", "1000000"), ("threads", "1")],
    );
    for (rank, printed) in Ranks::start(&case, 2, 2, &[]).finish().iter().enumerate() {
        let start = format!("Rank {rank}'s main_memory-bandwidth=");
        printed.assert_passed(&BANDWIDTHS, &[(&start, "GB/s"), (&start, "GiB/s")]);
    }
}

#[test]
fn memory_capacity_up_to_a_size() {
    let case = args("memory-capacity", 1, &[("bytes", "67108864")]);
    // In a process of its own, since it offers itself to the out-of-memory killer.
    let printed = Ranks::start(&case, 1, 1, &[]).finish().remove(0);
    printed.assert_passed(
        &["main_memory-capacity", "main_memory-capacity-touch_rate"],
        &[
            ("Rank 0's main_memory-capacity=", "GB"),
            ("Rank 0's main_memory-capacity=", "GiB"),
        ],
    );
    assert_eq!(printed.measurements()[0].value, 0.067_108_864);
    assert_eq!(printed.measurements()[0].unit, Unit::GB);
    assert_eq!(
        printed.note("stopped because"),
        Some("the size asked for is reached")
    );
    assert_eq!(printed.note("oom_score_adj"), Some("1000"));
}

#[test]
fn memory_capacity_with_no_room_left() {
    let case = args("memory-capacity", 1, &[("reserve", "1000000000000000")]);
    let printed = Ranks::start(&case, 1, 1, &[]).finish().remove(0);
    assert_eq!(printed.end, CaseEnd::Failed);
    assert!(
        printed.failure().starts_with("no room: "),
        "{}",
        printed.failure()
    );
}

#[test]
fn p2p_between_two_processes() {
    // A size that is no multiple of a chunk.
    let case = args("p2p", 30, &[("bytes", "1000000")]);
    let ranks = Ranks::start(&case, 2, 2, &[]).finish();
    ranks[0].assert_passed(
        &[
            "interconnect-P2P_intraserver-bandwidth",
            "interconnect-P2P_intraserver-bidirectional",
            "interconnect-P2P_intraserver-latency",
        ],
        &[
            ("Rank 0's interconnect-P2P_intraserver-bandwidth=", "GB/s"),
            ("Rank 0's interconnect-P2P_intraserver-bandwidth=", "GiB/s"),
        ],
    );
    ranks[1].assert_passed(&[], &[]);
}

#[test]
fn allreduce_between_three_processes() {
    // A size that three ranks cannot share equally.
    let case = args("allreduce", 30, &[("bytes", "1000004")]);
    let ranks = Ranks::start(&case, 3, 3, &[]).finish();
    ranks[0].assert_passed(
        &[
            "interconnect-MPI_intraserver-bandwidth",
            "interconnect-MPI_intraserver-algbw",
        ],
        &[
            ("Rank 0's interconnect-MPI_intraserver-bandwidth=", "GB/s"),
            ("Rank 0's interconnect-MPI_intraserver-bandwidth=", "GiB/s"),
        ],
    );
    let values: Vec<f64> = ranks[0].measurements().iter().map(|m| m.value).collect();
    assert!((values[0] / values[1] - 4.0 / 3.0).abs() < 1e-9);
    ranks[1].assert_passed(&[], &[]);
    ranks[2].assert_passed(&[], &[]);
}

#[test]
fn one_rank_cannot_talk_to_another() {
    for kernel in ["p2p", "allreduce"] {
        let printed = here(args(kernel, 1, &[]));
        assert_eq!(printed.end, CaseEnd::Unsupported);
        let unsupported = CaseRecord::Unsupported {
            feature: "at least 2 cores".to_owned(),
        };
        assert_eq!(printed.records.last(), Some(&unsupported));
    }
}

#[test]
fn a_rank_that_is_killed_does_not_hang_the_other() {
    for kernel in ["p2p", "allreduce"] {
        let case = args(kernel, 60_000, &[("bytes", "1000000")]);
        let mut ranks = Ranks::start(&case, 2, 2, &[]);
        let begin = Instant::now();
        while !ranks.text(0).contains("\"live\"") {
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "{}",
                ranks.text(0)
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        ranks.children[1].kill().unwrap();
        ranks.children[1].wait().unwrap();
        let printed = ranks.finish().remove(0);
        assert_eq!(printed.end, CaseEnd::Failed);
        assert_eq!(printed.failure(), "the process of rank 1 has ended");
    }
}

#[test]
fn a_rank_that_never_comes_is_named() {
    let case = args("allreduce", 10, &[("bytes", "4096"), ("peer_timeout", "1")]);
    let printed = Ranks::start(&case, 2, 1, &[]).finish().remove(0);
    assert_eq!(printed.end, CaseEnd::Failed);
    assert_eq!(
        printed.failure(),
        "rank 1 was waited for and did not come within 1 s"
    );
}

#[test]
fn wrong_arguments_are_answered_with_what_was_expected() {
    let failure = |case: CaseArgs| {
        let printed = here(case);
        assert_eq!(printed.end, CaseEnd::Failed);
        printed.failure().to_owned()
    };
    assert_eq!(
        failure(args("memory", 1, &[])),
        format!(
            "unknown kernel `memory`; expected one of {}",
            kernel_names().join(", ")
        )
    );
    assert_eq!(
        failure(args("p2p", 1, &[("byte", "1")])),
        "unknown parameter `byte`; this kernel accepts bytes, threads, peer_timeout"
    );
    assert_eq!(
        failure(args("memory-bandwidth", 1, &[("threads", "0")]))
            .split(" to ")
            .next(),
        Some("parameter `threads` is `0`; expected a whole number from 1")
    );
    let beyond = CaseArgs {
        rank: 2,
        world: 2,
        ..args("p2p", 1, &[])
    };
    assert_eq!(failure(beyond), "rank 2 of 2 ranks does not exist");
    let alone = CaseArgs {
        world: 2,
        ..args("allreduce", 1, &[])
    };
    assert_eq!(
        failure(alone),
        "2 ranks were asked for, but no shared memory was given"
    );
}

/// Takes so many lines and then is closed, as a pipe whose reader has gone.
struct Closing(usize);

impl Write for Closing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.0 -= 1;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_case() {
    for lines in [0, 3, 9] {
        let case = args("memory-bandwidth", 60_000, &[("bytes", "100000")]);
        let begin = Instant::now();
        assert_eq!(run_case(case, &mut Closing(lines)), CaseEnd::Failed);
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
}

/// A control group with a limit of `LIMIT` bytes; removed when dropped.
struct Limited(PathBuf);

const LIMIT: u64 = 192 << 20;

impl Limited {
    fn new() -> Result<Self, String> {
        let own = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
        let below = |prefix: &str| {
            own.lines().find_map(|line| {
                let (_, rest) = line.split_once(':')?;
                rest.strip_prefix(prefix)
            })
        };
        // Version 2 forbids limits below a group that has processes itself, unless it is the root.
        let (candidates, limit) = if let Some(group) = below("memory:/") {
            let mount = Path::new("/sys/fs/cgroup/memory");
            (vec![mount.join(group)], "memory.limit_in_bytes")
        } else if let Some(group) = below(":/") {
            let mount = Path::new("/sys/fs/cgroup");
            (vec![mount.join(group), mount.to_owned()], "memory.max")
        } else {
            return Err("this process is in no memory control group".to_owned());
        };
        let mut problems = Vec::new();
        for parent in candidates {
            let path = parent.join(format!("flagperf-test-{}", std::process::id()));
            if let Err(error) = fs::create_dir(&path) {
                problems.push(format!("{}: {error}", path.display()));
                continue;
            }
            let group = Self(path);
            match fs::write(group.0.join(limit), LIMIT.to_string()) {
                Ok(()) => return Ok(group),
                Err(error) => problems.push(format!("{}/{limit}: {error}", group.0.display())),
            }
        }
        Err(problems.join("; "))
    }

    /// How many processes the out-of-memory killer has killed in it.
    fn killed(&self) -> u64 {
        ["memory.oom_control", "memory.events"]
            .iter()
            .filter_map(|file| fs::read_to_string(self.0.join(file)).ok())
            .find_map(|text| {
                text.lines()
                    .find_map(|line| line.strip_prefix("oom_kill "))
                    .map(|count| count.trim().parse().unwrap())
            })
            .unwrap()
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        // Its processes have been waited for; a leftover directory would harm nobody.
        let _removed = fs::remove_dir(&self.0);
    }
}

#[test]
fn memory_capacity_within_a_control_group_wakes_no_killer() {
    let group = match Limited::new() {
        Ok(group) => group,
        Err(reason) => {
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{reason}");
            eprintln!("skipped: no control group can be made: {reason}");
            return;
        }
    };
    let enter = format!(
        "echo $$ > '{}/cgroup.procs' && exec \"$@\"",
        group.0.display()
    );
    let case = args("memory-capacity", 1, &[]);
    let printed = Ranks::start(&case, 1, 1, &["sh", "-c", &enter, "sh"])
        .finish()
        .remove(0);
    assert_eq!(printed.end, CaseEnd::Passed, "{}", printed.failure());
    let bytes = printed.measurements()[0].value * 1e9;
    // A quarter is the reserve, and the process itself needs some.
    assert!(bytes > 0.5 * LIMIT as f64, "{bytes}");
    assert!(bytes <= 0.75 * LIMIT as f64, "{bytes}");
    assert_eq!(
        printed.note("reserve"),
        Some((LIMIT / 4).to_string().as_str())
    );
    assert_eq!(group.killed(), 0);
}
