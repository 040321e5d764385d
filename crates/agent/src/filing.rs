//! The thread that works on files. A disk may be slow or stuck for ever: the thread that owns the
//! agent's state never waits for one, so that heartbeats go on and the channel's end is acted on.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use flagperf_wire::{FromAgent, TaskDirectory, TaskId, TreeId};

use crate::channel::{Credit, Outbox};
use crate::collect;
use crate::files::{SessionFiles, has_files};
use crate::input::Input;

/// The thread's controls. What is asked is done in order.
pub(crate) struct Filing {
    orders: Sender<Order>,
    /// Disconnected when all is done and removed.
    gone: Receiver<()>,
}

/// A task that is ready, and where its processes find themselves.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) task: TaskId,
    /// Where they run; absent for wherever the agent does.
    pub(crate) cwd: Option<PathBuf>,
    /// True if that is a private copy, whose path they want to know.
    pub(crate) is_copy: bool,
    /// Where they may leave files; absent if that could not be made.
    pub(crate) out: Option<PathBuf>,
}

enum Order {
    Use(Option<String>, String),
    Put {
        tree: TreeId,
        bytes: Vec<u8>,
        last: bool,
    },
    Prepare {
        task: TaskId,
        directory: TaskDirectory,
    },
    TaskEnded {
        task: TaskId,
        message: FromAgent,
    },
    Collect(TaskId),
    /// Stands for a disk that hangs, until the sender is dropped.
    #[cfg(test)]
    Hang(Receiver<()>),
}

impl Filing {
    /// Starts the thread.
    pub(crate) fn start(credit: Arc<Credit>, outbox: Outbox, inputs: Sender<Input>) -> Self {
        let (orders, receiver) = channel();
        let (going, gone) = channel();
        thread::spawn(move || {
            let mut clerk = Clerk {
                files: SessionFiles::new(None, String::new()),
                credit,
                outbox,
                inputs,
            };
            for order in receiver {
                clerk.carry_out(order);
            }
            drop(clerk);
            drop::<Sender<()>>(going);
        });
        Self { orders, gone }
    }

    /// Names the directory to work in, absent for the system's own place for temporary files, and what the files
    /// are called there.
    pub(crate) fn use_place(&self, place: Option<String>, name: String) {
        self.order(Order::Use(place, name));
    }

    /// A part of a directory; told to the controller when it is taken.
    pub(crate) fn put(&self, tree: TreeId, bytes: Vec<u8>, last: bool) {
        self.order(Order::Put { tree, bytes, last });
    }

    /// Makes the directories of a task ready. The answer is [`Input::Prepared`], or the controller is told
    /// that the task is refused.
    pub(crate) fn prepare(&self, task: TaskId, directory: TaskDirectory) {
        self.order(Order::Prepare { task, directory });
    }

    /// Tells the controller that a task has ended, and whether it has left files.
    pub(crate) fn tell_end(&self, task: TaskId, message: FromAgent) {
        self.order(Order::TaskEnded { task, message });
    }

    /// Sends the files that a task has left to the controller.
    pub(crate) fn collect(&self, task: TaskId) {
        self.order(Order::Collect(task));
    }

    /// Removes all files, and waits for it at most so long.
    pub(crate) fn close(self, patience: Duration) {
        drop(self.orders);
        // What is stuck now stays: the next agent in the same place removes it.
        let _: Result<(), RecvTimeoutError> = self.gone.recv_timeout(patience);
    }

    fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }
}

struct Clerk {
    files: SessionFiles,
    credit: Arc<Credit>,
    outbox: Outbox,
    inputs: Sender<Input>,
}

impl Clerk {
    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Use(place, name) => self.files = SessionFiles::new(place, name),
            Order::Put { tree, bytes, last } => {
                let taken = FromAgent::Taken {
                    bytes: bytes.len() as u64,
                };
                self.files.put(tree, bytes, last);
                self.outbox.send(&taken);
            }
            Order::Prepare { task, directory } => self.prepare(task, directory),
            Order::TaskEnded { task, mut message } => {
                if let FromAgent::TaskEnded {
                    has_files: found, ..
                } = &mut message
                {
                    *found = has_files(&self.files.out(task));
                }
                self.outbox.send(&message);
            }
            #[cfg(test)]
            Order::Hang(until) => drop(until.recv()),
            Order::Collect(task) => collect::start(
                task,
                self.files.out(task),
                Arc::clone(&self.credit),
                self.outbox.clone(),
            ),
        }
    }

    fn prepare(&mut self, task: TaskId, directory: TaskDirectory) {
        let is_copy = matches!(directory, TaskDirectory::Copy(_));
        let cwd = match directory {
            TaskDirectory::Any => None,
            TaskDirectory::Path(path) => Some(PathBuf::from(path)),
            TaskDirectory::Tree(tree) | TaskDirectory::Copy(tree) => match self.files.tree(tree) {
                Ok(path) => Some(path.to_owned()),
                Err(reason) => return self.outbox.send(&FromAgent::Refused { task, reason }),
            },
        };
        // A case that leaves no files can do without a place for them.
        let out = self.files.make_out(task).map_err(|error| {
            self.outbox.send(&FromAgent::Warning {
                message: format!(
                    "there is no directory for files that a case leaves (FLAGPERF_OUT): {error}"
                ),
            });
        });
        let prepared = Prepared {
            task,
            cwd,
            is_copy,
            out: out.ok(),
        };
        let _ = self.inputs.send(Input::Prepared(prepared));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flagperf_wire::Decoder;
    use std::io;
    use std::sync::{Mutex, PoisonError};
    use std::time::Instant;

    /// A channel's end that keeps what is written.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Decoder>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut decoder = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            decoder.push(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Kept {
        fn next(&self) -> Option<FromAgent> {
            self.0.lock().unwrap().take().unwrap()
        }

        fn await_next(&self) -> FromAgent {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                if let Some(message) = self.next() {
                    return message;
                }
                assert!(Instant::now() < deadline, "nothing came");
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    fn filing() -> (Filing, Kept, Receiver<Input>) {
        let kept = Kept::default();
        let (inputs, queue) = channel();
        let outbox = crate::channel::start_writer(kept.clone(), inputs.clone());
        let filing = Filing::start(Arc::new(Credit::new()), outbox, inputs);
        (filing, kept, queue)
    }

    #[test]
    fn each_part_is_told_once_it_is_taken_and_a_broken_directory_refuses_its_task() {
        let place = tempfile::tempdir().unwrap();
        let (filing, kept, queue) = filing();
        filing.use_place(
            Some(place.path().to_str().unwrap().to_owned()),
            String::new(),
        );
        filing.put(TreeId(1), b"no archive".to_vec(), true);
        filing.prepare(TaskId(7), TaskDirectory::Tree(TreeId(1)));
        filing.prepare(TaskId(8), TaskDirectory::Any);
        assert_eq!(kept.await_next(), FromAgent::Taken { bytes: 10 });
        let refused = kept.await_next();
        assert!(
            matches!(
                refused,
                FromAgent::Refused {
                    task: TaskId(7),
                    ..
                }
            ),
            "{refused:?}"
        );
        let ready = queue.recv_timeout(Duration::from_secs(10)).unwrap();
        let Input::Prepared(ready) = ready else {
            panic!("{ready:?}");
        };
        assert_eq!((ready.task, ready.cwd), (TaskId(8), None));
        assert!(ready.out.unwrap().is_dir());
        filing.close(Duration::from_secs(10));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_taken_and_nobody_is_held_up_while_a_disk_hangs() {
        let (filing, kept, _queue) = filing();
        let (hanging, until) = channel::<()>();
        filing.order(Order::Hang(until));
        let began = Instant::now();
        filing.put(TreeId(1), vec![0; 9], false);
        filing.close(Duration::from_millis(200));
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(kept.next(), None);
        drop(hanging);
        assert_eq!(kept.await_next(), FromAgent::Taken { bytes: 9 });
    }
}
