//! Steps on the way to cases, taken on all nodes together.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use flagperf_container::Refusal;
use flagperf_model::{Event, EventKind, NodeName, StepKind, StepOutcome};
use flagperf_transport::now;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

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

/// When what is done fails on one node, the others have this long to fail for the same reason, and to tell it.
const ALIKE: Duration = Duration::from_secs(5);

/// What stops what is done on the nodes.
#[derive(Clone, Copy)]
struct Bounds {
    /// True if the user does.
    by_user: bool,
    /// True if a failure on one node does on the others.
    by_failure: bool,
}

/// The end of a step on one node.
struct Done {
    /// The place among the members.
    place: usize,
    taken: Taken,
    seconds: f64,
    printed: bool,
}

/// What is told of an end as soon as it is there.
type OnEnd<'f, S> = &'f mut dyn FnMut(&mut S, &Done);

type StepFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

impl Steps<'_> {
    /// Takes a step on these nodes, and tells of it. Gives how it went, in their order. If `all` must succeed, a
    /// failure on one stops the others.
    pub(crate) async fn take<M>(
        &mut self,
        step: StepKind,
        all: bool,
        members: Vec<Member<'_, M>>,
        one: impl AsyncFn(&mut M, Means) -> Taken,
    ) -> Vec<Taken> {
        let group = self.group;
        self.tell(EventKind::StepStarted { step, group });
        let names: Vec<NodeName> = members.iter().map(|member| member.name.clone()).collect();
        // A step that takes away what was made is not stopped by what stopped the others.
        let stoppable = step != StepKind::StopContainer;
        let bounds = Bounds {
            by_user: stoppable,
            by_failure: stoppable && all,
        };
        let mut each: Vec<Taken> = names.iter().map(|_| Ok(None)).collect();
        let mut failed: Option<NodeName> = None;
        let mut tell = |steps: &mut Self, done: &Done| {
            let node = &names[done.place];
            each[done.place].clone_from(&done.taken);
            let outcome = match done.taken.clone() {
                Ok(None) => return,
                Ok(Some(what)) => StepOutcome::Done { what },
                Err(mut error) => {
                    if !error.is_interrupt() {
                        failed.get_or_insert_with(|| node.clone());
                    } else if let Some(failed) = failed.as_ref().filter(|_| steps.interrupted == 0)
                    {
                        error.reason = format!("stopped, because {failed} failed");
                    }
                    error.into_outcome()
                }
            };
            steps.tell(EventKind::StepEnded {
                step,
                group,
                node: node.clone(),
                outcome,
                seconds: done.seconds,
                printed: done.printed,
            });
        };
        self.drive(bounds, members, one, &mut tell).await;
        each
    }

    /// Does something on these nodes of which nothing is told. Gives how it went, in their order.
    pub(crate) async fn quietly<M>(
        &mut self,
        members: Vec<Member<'_, M>>,
        one: impl AsyncFn(&mut M, Means) -> Taken,
    ) -> Vec<Taken> {
        let bounds = Bounds {
            by_user: true,
            by_failure: false,
        };
        let mut each: Vec<Taken> = members.iter().map(|_| Ok(None)).collect();
        let mut keep = |_: &mut Self, done: &Done| each[done.place].clone_from(&done.taken);
        self.drive(bounds, members, one, &mut keep).await;
        each
    }

    /// Sees all nodes through.
    async fn drive<M>(
        &mut self,
        bounds: Bounds,
        members: Vec<Member<'_, M>>,
        one: impl AsyncFn(&mut M, Means) -> Taken,
        on_end: OnEnd<'_, Self>,
    ) {
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
                let _ = ended.send((place, taken, now().seconds_since(began)));
            }));
        }
        drop((log, ended));
        let mut printed = BTreeSet::new();
        let all = join_all(running);
        tokio::pin!(all);
        let mut stop_at: Option<Instant> = None;
        let mut over = false;
        loop {
            tokio::select! {
                biased;
                // What a node has printed comes before its end.
                Some(piece) = told.recv() => {
                    printed.insert(piece.0);
                    self.write(piece);
                }
                Some((place, taken, seconds)) = ends.recv() => {
                    if bounds.by_failure && stop_at.is_none() {
                        stop_at = stops_others(&taken).map(|grace| Instant::now() + grace);
                    }
                    let printed = printed.contains(&ranks[place]);
                    on_end(self, &Done { place, taken, seconds, printed });
                }
                count = next(&mut self.interrupts, self.interrupted) => {
                    self.interrupted = count;
                    self.tell(EventKind::Interrupted { count });
                    if bounds.by_user {
                        stop.send_replace(count);
                    }
                }
                () = due(stop_at), if *stop.borrow() == 0 => {
                    stop.send_replace(1);
                }
                () = &mut all, if !over => over = true,
                // All has been heard.
                else => break,
            }
            if over && told.is_empty() && ends.is_empty() {
                break;
            }
        }
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

/// How long the others may go on when this is how it went on one node; `None` if for ever.
fn stops_others(taken: &Taken) -> Option<Duration> {
    match taken {
        Err(error) if error.is_loss() => Some(Duration::ZERO),
        Err(error) if !error.is_interrupt() => Some(ALIKE),
        Ok(_) | Err(_) => None,
    }
}

/// The moment, if there is one.
async fn due(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
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
