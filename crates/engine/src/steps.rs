//! Steps on the way to cases, taken on all nodes together.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use flagperf_container::Refusal;
use flagperf_model::{Event, EventKind, NodeName, StepKind, StepOutcome, Timestamp};
use flagperf_transport::now;
use tokio::sync::{mpsc, watch};

use crate::desk::{NoAnswer, Told};
use crate::emission::{Consumer, Emission};

/// Pieces of output that may wait for the disk.
const WAITING: usize = 64;

/// Why a step failed.
#[derive(Debug, Clone)]
pub(crate) struct StepError {
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
    pub(crate) tail: Vec<String>,
    pub(crate) stop: Option<NoAnswer>,
}

impl StepError {
    pub(crate) fn plain(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            hint: None,
            tail: Vec::new(),
            stop: None,
        }
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        Self {
            hint: refusal.hint,
            ..Self::plain(refusal.reason)
        }
    }

    pub(crate) fn into_outcome(self) -> StepOutcome {
        StepOutcome::Failed {
            reason: self.reason,
            hint: self.hint,
            tail: self.tail,
        }
    }

    pub(crate) fn is_interrupt(&self) -> bool {
        matches!(self.stop, Some(NoAnswer::Interrupted))
    }

    /// True if the session in which the step was taken is over.
    pub(crate) fn is_loss(&self) -> bool {
        matches!(self.stop, Some(NoAnswer::Lost(_)))
    }
}

impl From<NoAnswer> for StepError {
    fn from(error: NoAnswer) -> Self {
        Self {
            reason: error.to_string(),
            hint: None,
            tail: Vec::new(),
            stop: Some(error),
        }
    }
}

/// How a step went on one node: what was done, if anything was to be done.
pub(crate) type Taken = Result<Option<String>, StepError>;

/// A node that a step is taken on.
pub(crate) struct Member<'m, M> {
    pub(crate) name: NodeName,
    pub(crate) rank: u32,
    pub(crate) what: &'m mut M,
}

/// What a step on one node works with.
#[derive(Clone)]
pub(crate) struct Means {
    /// Who writes down what is printed.
    pub(crate) log: mpsc::Sender<Told>,
    /// How often the user asked to stop, as far as the step is stopped by that.
    pub(crate) stop: watch::Receiver<u32>,
    /// How often the user asked to stop.
    pub(crate) interrupts: watch::Receiver<u32>,
}

/// Takes steps on nodes together.
pub(crate) struct Steps<'a> {
    pub(crate) consumer: &'a mut dyn Consumer,
    /// The group of rounds that they are for.
    pub(crate) group: u32,
    /// How often the user has asked to stop.
    pub(crate) interrupts: watch::Receiver<u32>,
    /// How much of that has been told.
    pub(crate) interrupted: u32,
}

/// The end of a step on one node.
struct Done {
    /// The place among the members.
    place: usize,
    taken: Taken,
    began: Timestamp,
    printed: bool,
}

type StepFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

impl Steps<'_> {
    /// Takes a step on these nodes, and tells of it. Gives how it went, in their order.
    pub(crate) async fn take<M>(
        &mut self,
        step: StepKind,
        members: Vec<Member<'_, M>>,
        one: impl AsyncFn(&mut M, Means) -> Taken,
    ) -> Vec<Taken> {
        let group = self.group;
        self.tell(EventKind::StepStarted { step, group });
        let names: Vec<NodeName> = members.iter().map(|member| member.name.clone()).collect();
        // A step that takes away what was made is not stopped by what stopped the others.
        let stoppable = step != StepKind::StopContainer;
        let mut each: Vec<Taken> = names.iter().map(|_| Ok(None)).collect();
        for done in self.drive(stoppable, members, one).await {
            each[done.place].clone_from(&done.taken);
            let outcome = match done.taken {
                Ok(None) => continue,
                Ok(Some(what)) => StepOutcome::Done { what },
                Err(error) => error.into_outcome(),
            };
            self.tell(EventKind::StepEnded {
                step,
                group,
                node: names[done.place].clone(),
                outcome,
                seconds: now().seconds_since(done.began),
                printed: done.printed,
            });
        }
        each
    }

    /// Does something on these nodes of which nothing is told. Gives how it went, in their order.
    pub(crate) async fn quietly<M>(
        &mut self,
        members: Vec<Member<'_, M>>,
        one: impl AsyncFn(&mut M, Means) -> Taken,
    ) -> Vec<Taken> {
        let mut done = self.drive(true, members, one).await;
        done.sort_by_key(|done| done.place);
        done.into_iter().map(|done| done.taken).collect()
    }

    /// Sees all nodes through, in the order in which they end.
    async fn drive<M>(
        &mut self,
        stoppable: bool,
        members: Vec<Member<'_, M>>,
        one: impl AsyncFn(&mut M, Means) -> Taken,
    ) -> Vec<Done> {
        let (log, mut told) = mpsc::channel::<Told>(WAITING);
        let (ended, mut ends) = mpsc::unbounded_channel();
        let (stop, stops) = watch::channel(0);
        let mut running: Vec<StepFuture<'_>> = Vec::new();
        let ranks: Vec<usize> = members.iter().map(|member| member.rank as usize).collect();
        for (place, member) in members.into_iter().enumerate() {
            let means = Means {
                log: log.clone(),
                stop: stops.clone(),
                interrupts: self.interrupts.clone(),
            };
            let ended = ended.clone();
            let one = &one;
            running.push(Box::pin(async move {
                let began = now();
                let taken = one(member.what, means).await;
                let _ = ended.send((place, taken, began));
            }));
        }
        drop((log, ended));
        let mut printed = BTreeSet::new();
        let all = join_all(running);
        tokio::pin!(all);
        let mut done = false;
        while !done {
            tokio::select! {
                biased;
                Some(piece) = told.recv() => {
                    printed.insert(piece.0);
                    self.write(piece);
                }
                count = next(&mut self.interrupts, self.interrupted) => {
                    self.interrupted = count;
                    self.tell(EventKind::Interrupted { count });
                    if stoppable {
                        let _ = stop.send(count);
                    }
                }
                () = &mut all => done = true,
            }
        }
        while let Ok(piece) = told.try_recv() {
            printed.insert(piece.0);
            self.write(piece);
        }
        let mut order = Vec::new();
        while let Ok((place, taken, began)) = ends.try_recv() {
            order.push(Done {
                place,
                taken,
                began,
                printed: printed.contains(&ranks[place]),
            });
        }
        order
    }

    fn write(&mut self, (node, step, bytes): Told) {
        self.consumer.take(&Emission::StepOutput {
            node,
            step,
            group: self.group,
            bytes: &bytes,
        });
    }

    pub(crate) fn tell(&mut self, what: EventKind) {
        self.consumer
            .take(&Emission::Event(&Event { at: now(), what }));
    }
}

/// The next count of the user's wishes to stop that is more than is `known`.
pub(crate) async fn next(interrupts: &mut watch::Receiver<u32>, known: u32) -> u32 {
    match interrupts.wait_for(|count| *count > known).await {
        Ok(count) => *count,
        // Nobody can ask any more.
        Err(_) => std::future::pending().await,
    }
}

/// Waits for all of them at once.
async fn join_all(mut running: Vec<StepFuture<'_>>) {
    std::future::poll_fn(|context| {
        running.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if running.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
