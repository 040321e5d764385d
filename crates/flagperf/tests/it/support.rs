//! A place to run the program in: cases of one's own, results, and a look at what is running.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A temporary directory with cases and results.
pub(crate) struct Place {
    directory: TempDir,
}

/// What a run of the program left.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Adds a case that runs a shell script.
    pub(crate) fn case(&self, name: &str, script: &str) -> &Self {
        let directory = self.path("cases").join(name);
        fs::create_dir_all(&directory).unwrap();
        let main = directory.join("main.sh");
        fs::write(&main, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&main, fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(
            directory.join("case.toml"),
            "summary = \"a test case\"\nsuite = \"base\"\nranks = \"node\"\n[entry]\nargv = [\"./main.sh\"]\n",
        )
        .unwrap();
        self
    }

    /// `flagperf run` with this place's cases and results, and more arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = flagperf(&["run"]);
        if self.path("cases").exists() {
            command.arg("--cases").arg(self.path("cases"));
        }
        command
            .arg("--results")
            .arg(self.path("results"))
            .args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let child = self
            .command(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Running { child }
    }

    /// The directory of the only run, which may be about to be made.
    pub(crate) fn run_directory(&self) -> PathBuf {
        let mut runs = Vec::new();
        within(10.0, "the run directory", || {
            runs = fs::read_dir(self.path("results"))
                .map(|entries| entries.flatten().map(|entry| entry.path()).collect())
                .unwrap_or_default();
            !runs.is_empty()
        });
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.remove(0)
    }

    pub(crate) fn record(&self) -> Value {
        let text = fs::read_to_string(self.run_directory().join("run.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// The outcome of the first result.
    pub(crate) fn outcome(&self) -> Value {
        self.record()["results"][0]["outcome"].clone()
    }

    /// Waits until a file of the run directory contains a text.
    pub(crate) fn await_text(&self, file: &str, text: &str) {
        within(20.0, &format!("`{text}` in {file}"), || {
            let Ok(runs) = fs::read_dir(self.path("results")) else {
                return false;
            };
            runs.flatten().any(|run| {
                fs::read_to_string(run.path().join(file))
                    .is_ok_and(|content| content.contains(text))
            })
        });
    }

    /// Processes that belong to this place's only run, by the variable that every task gets.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let run = self.run_directory();
        let run = run.file_name().unwrap().to_str().unwrap();
        let marker = format!("FLAGPERF_RUN={run}\0");
        pids()
            .into_iter()
            .filter(|pid| {
                fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| {
                    let mut environ = environ;
                    environ.push(0);
                    environ
                        .windows(marker.len())
                        .any(|window| window == marker.as_bytes())
                })
            })
            .filter(|pid| is_alive(*pid))
            .collect()
    }

    /// Waits until no process of the run is left.
    pub(crate) fn await_nothing_left(&self) {
        within(10.0, "no process of the run is left", || {
            self.processes().is_empty()
        });
    }
}

/// The program in the background. It is ended when this is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
}

impl Running {
    pub(crate) fn signal(&self, name: &str) {
        signal(self.child.id(), name);
    }

    /// The agent: the program's only child.
    pub(crate) fn agent(&self) -> u32 {
        let mut found = None;
        within(10.0, "the agent", || {
            found = children(self.child.id()).first().copied();
            found.is_some()
        });
        found.unwrap()
    }

    /// Waits for the end, at most so many seconds, and gives the exit code and standard error.
    pub(crate) fn end(mut self, seconds: f64) -> Ran {
        let mut status = None;
        within(seconds, "the program ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let mut stderr = String::new();
        if let Some(mut pipe) = self.child.stderr.take() {
            use std::io::Read;
            pipe.read_to_string(&mut stderr).unwrap();
        }
        Ran {
            code: status.and_then(|status| status.code()),
            stdout: String::new(),
            stderr,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Contents of all files in a directory and those below it.
pub(crate) fn everything(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything(&path));
        } else {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// The program with arguments.
pub(crate) fn flagperf(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flagperf"));
    command.args(arguments).env_remove("NO_COLOR");
    command
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Checks again and again until something holds; fails after so many seconds.
pub(crate) fn within(seconds: f64, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    while !holds() {
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        sleep(Duration::from_millis(20));
    }
}

pub(crate) fn signal(pid: u32, name: &str) {
    let status = Command::new("kill")
        .arg(format!("-{name}"))
        .arg(pid.to_string())
        .status()
        .unwrap();
    assert!(status.success());
}

pub(crate) fn is_alive(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
        let state = stat.rsplit(')').next().unwrap_or_default().trim_start();
        !state.starts_with('Z') && !state.starts_with('X')
    })
}

/// The states of all threads of a process, as `ps` writes them.
pub(crate) fn thread_states(pid: u32) -> Vec<char> {
    fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok())
        .filter_map(|stat| stat.rsplit(')').next()?.trim_start().chars().next())
        .collect()
}

pub(crate) fn children(parent: u32) -> Vec<u32> {
    pids()
        .into_iter()
        .filter(|pid| {
            fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| {
                let rest = stat.rsplit(')').next().unwrap_or_default().to_owned();
                rest.split_whitespace().nth(1) == Some(parent.to_string().as_str())
            })
        })
        .collect()
}

fn pids() -> Vec<u32> {
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// The largest memory a process ever had resident, in MiB.
pub(crate) fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024)
}

/// True if the test may go on without rights that this machine does not give; under `CI=true` they
/// must be there.
pub(crate) fn skip_without_root(test: &str) -> bool {
    let is_root = fs::metadata("/proc/self")
        .is_ok_and(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0);
    if is_root {
        return false;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "{test} needs root, and CI must have it"
    );
    println!("skipped: {test} needs root");
    true
}

/// Text of a file of a run, to compare.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
