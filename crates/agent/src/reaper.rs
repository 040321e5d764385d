//! Reaping: the agent is the subreaper of all that it starts, so every orphan below it becomes its
//! child and must be waited for.

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use flagperf_host::{Root, process};
use flagperf_wire::ProcessEnd;
use rustix::process::{WaitId, WaitIdOptions, WaitOptions, WaitStatus};

use crate::input::Input;

/// Starts processes and reaps them.
///
/// The standard library waits for a child itself when its `exec` fails. Were the reaper to wait
/// for any child at that moment, it could take that one away, so both hold the same lock: the
/// reaper first waits without reaping, and reaps under the lock only.
#[derive(Debug, Clone)]
pub(crate) struct Reaper {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    spawned: Mutex<u64>,
    more: Condvar,
    /// Children whose processor time is wanted, with what is known of it, in seconds.
    counted: Mutex<BTreeMap<u32, Option<f64>>>,
}

impl Reaper {
    /// Makes this process the subreaper of its descendants and starts the reaping thread.
    pub(crate) fn start(inputs: Sender<Input>) -> io::Result<Self> {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        let shared = Arc::new(Shared::default());
        let reaper = Self {
            shared: Arc::clone(&shared),
        };
        thread::spawn(move || reap_for_ever(&shared, &inputs));
        Ok(reaper)
    }

    /// The processor time of a child is wanted when it ends. To be asked for while nothing is reaped.
    pub(crate) fn count(&self, pid: u32) {
        self.shared.counted().insert(pid, None);
    }

    /// Runs something that starts a process, while nothing is reaped.
    pub(crate) fn spawning<T>(&self, spawn: impl FnOnce() -> T) -> T {
        let mut spawned = self.shared.lock();
        let result = spawn();
        *spawned += 1;
        self.shared.more.notify_all();
        result
    }
}

impl Shared {
    /// Looks at the processor time of counted children that have ended, which is to be seen until they are reaped.
    /// One that ends after this look and before it is reaped goes uncounted.
    fn count(&self) {
        let root = Root::new("/");
        for (pid, cpu_s) in self.counted().iter_mut() {
            if let Some(ended) = process(&root, *pid).filter(|process| process.state == 'Z') {
                let ticks = ended.cpu_ticks + ended.reaped_ticks;
                *cpu_s = Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64);
            }
        }
    }

    fn counted(&self) -> MutexGuard<'_, BTreeMap<u32, Option<f64>>> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.spawned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn reap_for_ever(shared: &Shared, inputs: &Sender<Input>) {
    let mut seen = 0;
    loop {
        let peek = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        match rustix::process::waitid(WaitId::All, peek) {
            Ok(_) => {
                let spawned = shared.lock();
                seen = *spawned;
                shared.count();
                while let Ok(Some((pid, status))) = rustix::process::wait(WaitOptions::NOHANG) {
                    let Some(end) = end_of(status) else { continue };
                    let pid = pid.as_raw_nonzero().get().cast_unsigned();
                    let cpu_s = shared.counted().remove(&pid).flatten();
                    if inputs.send(Input::Reaped { pid, end, cpu_s }).is_err() {
                        return;
                    }
                }
                drop(spawned);
            }
            Err(rustix::io::Errno::INTR) => {}
            // No children: nothing can end until something is started.
            Err(_) => {
                let mut spawned = shared.lock();
                while *spawned == seen {
                    spawned = shared
                        .more
                        .wait(spawned)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                seen = *spawned;
            }
        }
    }
}

fn end_of(status: WaitStatus) -> Option<ProcessEnd> {
    status
        .exit_status()
        .map(ProcessEnd::Status)
        .or_else(|| status.terminating_signal().map(ProcessEnd::Signal))
}
