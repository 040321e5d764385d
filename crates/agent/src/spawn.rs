//! Starting one process of a task.

#![expect(
    unsafe_code,
    reason = "what happens between fork and exec (pinning, death signal, one inherited file) has no safe interface"
)]

use std::io::{self, PipeWriter};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use flagperf_model::{OWN_PROGRAM, ProcessSpec};
use rustix::fs::MemfdFlags;
use rustix::io::FdFlags;
use rustix::process::{Pid, Signal, getpid, getppid};
use rustix::thread::CpuSet;

/// Name of the variable that holds the number of the file shared by all ranks on a node.
const SHARED_FILE: &str = "FLAGPERF_SHM_FD";

/// Name of the variable that holds the directory whose files are fetched when the task has ended.
const OUT: &str = "FLAGPERF_OUT";

/// A file in memory, of size 0, that all ranks of a task on this node inherit, so that they can
/// meet and exchange data. It has no name and so leaves nothing behind.
pub(crate) fn shared_file() -> io::Result<OwnedFd> {
    Ok(rustix::fs::memfd_create(
        "flagperf-ranks",
        MemfdFlags::CLOEXEC,
    )?)
}

/// The standard streams of a process.
pub(crate) struct Streams {
    pub(crate) input: Stdio,
    pub(crate) output: Stdio,
    pub(crate) errors: Stdio,
}

impl Streams {
    /// Nothing to read, and one pipe for all that is written.
    pub(crate) fn into_one(output: PipeWriter) -> io::Result<Self> {
        Ok(Self {
            input: Stdio::null(),
            output: output.try_clone()?.into(),
            errors: output.into(),
        })
    }
}

/// Where a process of a task runs.
#[derive(Default)]
pub(crate) struct Place<'a> {
    /// Its directory, where its own specification names none.
    pub(crate) cwd: Option<&'a Path>,
    /// Where it may leave files, if there is such a place.
    pub(crate) out: Option<&'a Path>,
    /// The file shared by all ranks.
    pub(crate) shared: Option<&'a OwnedFd>,
}

/// The program of a process. Where a relative one is looked for when a process also changes its directory
/// is up to the system; the full path leaves no doubt.
pub(crate) fn program_path(spec: &ProcessSpec, cwd: Option<&Path>) -> PathBuf {
    let program = spec.argv.first().map(String::as_str).unwrap_or_default();
    match directory(spec, cwd) {
        _ if program == OWN_PROGRAM => PathBuf::from("/proc/self/exe"),
        Some(cwd) if program.contains('/') => {
            cwd.join(program.strip_prefix("./").unwrap_or(program))
        }
        _ => PathBuf::from(program),
    }
}

/// Where a process runs: a relative directory of its own stands in that of its task.
fn directory(spec: &ProcessSpec, of_task: Option<&Path>) -> Option<PathBuf> {
    match (&spec.cwd, of_task) {
        (Some(own), Some(of_task)) => Some(of_task.join(own)),
        (Some(own), None) => Some(PathBuf::from(own)),
        (None, of_task) => of_task.map(Path::to_owned),
    }
}

/// Refuses a directory that is not there, or that leads out of that of the task.
fn check(directory: &Path, own: Option<&str>) -> io::Result<()> {
    let own = own.filter(|own| Path::new(own).is_relative());
    let climbs = |own: &str| {
        Path::new(own)
            .components()
            .any(|part| part == Component::ParentDir)
    };
    if let Some(own) = own.filter(|own| climbs(own)) {
        return Err(io::Error::other(format!(
            "its working directory `{own}` has `..` in its path"
        )));
    }
    if directory.is_dir() {
        return Ok(());
    }
    let place = match own {
        Some(own) => format!("`{own}` does not exist in the case's directory"),
        None => format!("{} does not exist", directory.display()),
    };
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("its working directory {place}"),
    ))
}

/// Starts a process in a process group of its own. It dies with the thread that calls this. Gives its process id.
///
/// # Errors
///
/// The program or its directory does not exist or may not be used; the cores do not exist.
pub(crate) fn start(spec: &ProcessSpec, streams: Streams, place: &Place<'_>) -> io::Result<u32> {
    let Some((_, arguments)) = spec.argv.split_first() else {
        return Err(io::Error::other("its argument vector is empty"));
    };
    let shared = place.shared;
    let cwd = directory(spec, place.cwd);
    let program = program_path(spec, place.cwd);
    if let Some(directory) = &cwd {
        check(directory, spec.cwd.as_deref())?;
    }
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(&spec.env)
        .stdin(streams.input)
        .stdout(streams.output)
        .stderr(streams.errors)
        .process_group(0);
    if let Some(directory) = cwd {
        command.current_dir(directory);
    }
    if let Some(out) = place.out {
        command.env(OUT, out);
    }
    if let Some(file) = shared {
        command.env(SHARED_FILE, file.as_raw_fd().to_string());
    }
    let shared = shared.map(AsFd::as_fd).map(|fd| fd.as_raw_fd());
    let cpus = cpu_set(&spec.cpus)?;
    let agent = getpid();
    let prepare = move || prepare_child(agent, cpus.as_ref(), shared);
    // SAFETY: between fork and exec only async-signal-safe work is allowed. `prepare_child` makes
    // five system calls through rustix, allocates nothing and takes no lock.
    let child = unsafe { command.pre_exec(prepare) }.spawn()?;
    Ok(child.id())
}

fn prepare_child(agent: Pid, cpus: Option<&CpuSet>, shared: Option<i32>) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // The agent may have died before the line above took effect.
    if getppid() != Some(agent) {
        return Err(io::Error::from(rustix::io::Errno::SRCH));
    }
    if let Some(cpus) = cpus {
        rustix::thread::sched_setaffinity(None, cpus)?;
    }
    if let Some(raw) = shared {
        // SAFETY: the agent holds this file open until after the spawn.
        let fd = unsafe { BorrowedFd::borrow_raw(raw) };
        rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
    }
    Ok(())
}

fn cpu_set(cpus: &[u32]) -> io::Result<Option<CpuSet>> {
    if cpus.is_empty() {
        return Ok(None);
    }
    let mut set = CpuSet::new();
    for &cpu in cpus {
        if cpu as usize >= CpuSet::MAX_CPU {
            return Err(io::Error::other(format!(
                "core {cpu} is beyond the {} that can be pinned",
                CpuSet::MAX_CPU
            )));
        }
        set.set(cpu as usize);
    }
    Ok(Some(set))
}
