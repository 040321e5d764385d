//! Threads that keep a connection each and do one job after another.
//!
//! They are not pinned: the threads of a connection, the interrupts of a network card and the
//! kernel's own work share the processors better when the scheduler may move them.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::links::Links;
use super::mesh::Mesh;
use crate::driver::CaseError;

/// Why a job was not done.
#[derive(Debug)]
pub(super) enum WorkError {
    /// The connection to that rank.
    Io(u32, io::Error),
    /// What arrived is wrong; the text says it all.
    Wrong(String),
    /// Another thread of this rank failed before, or another rank did.
    Partner,
}

impl WorkError {
    /// As the error of the case; the mesh knows whose fault a broken connection is.
    pub(super) fn explain(self, mesh: &Mesh) -> CaseError {
        match self {
            Self::Io(peer, error) => mesh.broken(peer, &error).into(),
            Self::Wrong(text) => CaseError::Wrong(text),
            Self::Partner => match mesh.known() {
                Some(error) => error.into(),
                None => CaseError::Wrong("a thread of the measurement has ended".to_owned()),
            },
        }
    }
}

/// Some threads.
pub(super) struct Crew<J> {
    members: Vec<Member<J>>,
    links: Arc<Links>,
}

struct Member<J> {
    jobs: Sender<J>,
    results: Receiver<Result<(), WorkError>>,
    thread: JoinHandle<()>,
}

impl<J: Copy + Send + 'static> Crew<J> {
    /// A crew without members. When one of them fails, `links` are shut, so that no other waits in
    /// vain.
    pub(super) fn new(links: Arc<Links>) -> Self {
        Self {
            members: Vec::new(),
            links,
        }
    }

    /// Starts a thread that does `work` with each job.
    pub(super) fn add(
        &mut self,
        name: String,
        mut work: impl FnMut(J) -> Result<(), WorkError> + Send + 'static,
    ) -> Result<(), CaseError> {
        let (jobs, to_do) = channel::<J>();
        let (done, results) = channel();
        let links = Arc::clone(&self.links);
        let device = name.clone();
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            for job in to_do {
                let mut result = work(job);
                // Whoever failed first shuts the connections; a partner only follows.
                if let Err(WorkError::Io(..) | WorkError::Wrong(_)) = result
                    && !links.shut()
                    && let Err(WorkError::Io(..)) = result
                {
                    // The connection was ended from here, and says nothing about its peer.
                    result = Err(WorkError::Partner);
                }
                if done.send(result).is_err() {
                    break;
                }
            }
        });
        let thread = thread.map_err(|source| CaseError::Threads { device, source })?;
        self.members.push(Member {
            jobs,
            results,
            thread,
        });
        Ok(())
    }

    /// Gives all of them the same job.
    pub(super) fn start(&self, job: J) {
        for member in &self.members {
            // A thread that has ended is noticed by `finish`.
            let _started = member.jobs.send(job);
        }
    }

    /// Waits until all have done it.
    pub(super) fn finish(&self) -> Result<(), WorkError> {
        let mut failure = None;
        for member in &self.members {
            let result = member.results.recv().unwrap_or(Err(WorkError::Partner));
            if let Err(error) = result {
                failure = Some(match failure {
                    Some(first) => worse(first, error),
                    None => error,
                });
            }
        }
        failure.map_or(Ok(()), Err)
    }
}

/// The error that says more about the cause: wrong data shuts connections, and not the other way.
pub(super) fn worse(first: WorkError, second: WorkError) -> WorkError {
    match (&first, &second) {
        (_, WorkError::Wrong(_)) | (WorkError::Partner, _) => second,
        _ => first,
    }
}

impl<J> Drop for Crew<J> {
    fn drop(&mut self) {
        for member in self.members.drain(..) {
            drop(member.jobs);
            drop(member.results);
            // A panic was noticed as a missing result.
            let _joined = member.thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crew() -> Crew<u32> {
        Crew::new(Arc::new(Links::of([]).unwrap()))
    }

    #[test]
    fn all_do_each_job_and_wrong_data_is_the_cause() {
        let mut crew = crew();
        for index in 0..3 {
            crew.add(format!("member{index}"), move |job| match (job, index) {
                (2, 0) => Err(WorkError::Io(1, io::ErrorKind::UnexpectedEof.into())),
                (2, 1) => Err(WorkError::Wrong("element 5".to_owned())),
                _ => Ok(()),
            })
            .unwrap();
        }
        for job in [1, 3] {
            crew.start(job);
            crew.finish().unwrap();
        }
        crew.start(2);
        let Err(WorkError::Wrong(text)) = crew.finish() else {
            panic!("the wrong data was not the cause");
        };
        assert_eq!(text, "element 5");
    }

    #[test]
    fn a_panic_is_no_success_and_no_hang() {
        let mut crew = crew();
        crew.add("panics".to_owned(), |_| panic!("on purpose"))
            .unwrap();
        crew.start(1);
        assert!(matches!(crew.finish(), Err(WorkError::Partner)));
        crew.start(1);
        assert!(matches!(crew.finish(), Err(WorkError::Partner)));
    }
}
