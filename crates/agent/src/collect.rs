//! Sending the files that a task left.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

use flagperf_wire::{FromAgent, MAX_CHUNK, TaskId};

use crate::channel::{Credit, Outbox};

/// Starts the thread that packs a directory, sends it, and removes it.
pub(crate) fn start(task: TaskId, directory: PathBuf, credit: Arc<Credit>, outbox: Outbox) {
    thread::spawn(move || {
        let mut sender = Sender {
            task,
            credit,
            outbox: outbox.clone(),
            waiting: Vec::with_capacity(MAX_CHUNK),
        };
        let (files, bytes, mut problems) = match flagperf_archive::pack(&directory, &mut sender) {
            Ok(packed) => (packed.files, packed.bytes, packed.problems),
            Err(error) => (
                0,
                0,
                vec![format!("the files could not be packed: {error}")],
            ),
        };
        sender.pass_on();
        if let Err(error) = std::fs::remove_dir_all(&directory) {
            problems.push(format!(
                "{} could not be removed: {error}",
                directory.display()
            ));
        }
        outbox.send(&FromAgent::FilesEnded {
            task,
            files,
            bytes,
            problems,
        });
    });
}

/// Gathers bytes into messages.
struct Sender {
    task: TaskId,
    credit: Arc<Credit>,
    outbox: Outbox,
    waiting: Vec<u8>,
}

impl Sender {
    fn pass_on(&mut self) {
        if self.waiting.is_empty() {
            return;
        }
        let bytes = std::mem::replace(&mut self.waiting, Vec::with_capacity(MAX_CHUNK));
        self.credit.spend(bytes.len() as u64);
        self.outbox.send(&FromAgent::Files {
            task: self.task,
            bytes: bytes.into(),
        });
    }
}

impl Write for Sender {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(MAX_CHUNK - self.waiting.len());
        self.waiting.extend_from_slice(&bytes[..count]);
        if self.waiting.len() == MAX_CHUNK {
            self.pass_on();
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
