//! Steps, taken on all nodes together.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;

use flagperf_model::{Event, EventKind, ImageSource, StepKind, StepOutcome};
use flagperf_transport::now;
use tokio::sync::{mpsc, watch};

use super::desk::{NoAnswer, Told};
use super::{Host, Request, StepError, one, send};
use crate::emission::{Consumer, Emission};

/// Pieces of output that may wait for the disk.
const WAITING: usize = 64;

/// Takes steps on all nodes together.
pub(super) struct Steps<'a> {
    pub(super) consumer: &'a mut dyn Consumer,
    /// How often the user has asked to stop.
    pub(super) interrupts: watch::Receiver<u32>,
    /// How much of that is known here.
    pub(super) interrupted: u32,
}

type StepFuture<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

impl Steps<'_> {
    /// Takes a step on all nodes that have not failed.
    pub(super) async fn take(&mut self, step: StepKind, request: &Request<'_>, hosts: &mut [Host]) {
        self.tell(EventKind::StepStarted { step });
        let (log, mut told) = mpsc::channel::<Told>(WAITING);
        let (ended, mut ends) = mpsc::unbounded_channel();
        // A step that takes away what was made is not stopped by what stopped the others.
        let (stop, stops) = watch::channel(0);
        // One node builds for the others.
        let builder = match &request.container.source {
            ImageSource::Built(build) if build.once => {
                hosts.iter().position(|host| host.failed.is_none())
            }
            _ => None,
        };
        let mut running: Vec<StepFuture<'_>> = Vec::new();
        for (index, host) in hosts.iter_mut().enumerate() {
            if host.failed.is_some() && step != StepKind::StopContainer {
                continue;
            }
            let log = log.clone();
            let ended = ended.clone();
            let stops = stops.clone();
            let waits = builder.is_some_and(|builder| builder != index);
            let interrupts = self.interrupts.clone();
            running.push(Box::pin(async move {
                let began = now();
                let result = one(step, request, host, log, stops, waits, interrupts).await;
                let _ = ended.send((host.spec.name.clone(), host.rank, result.clone(), began));
                if let Err(error) = result {
                    host.failed.get_or_insert((step, error));
                }
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
                Some((node, step, bytes)) = told.recv() => {
                    printed.insert(node);
                    self.consumer.take(&Emission::StepOutput { node, step, bytes: &bytes });
                }
                count = next(&mut self.interrupts, self.interrupted) => {
                    self.interrupted = count;
                    self.tell(EventKind::Interrupted { count });
                    if step != StepKind::StopContainer {
                        let _ = stop.send(count);
                    }
                }
                () = &mut all => done = true,
            }
        }
        while let Ok((node, step, bytes)) = told.try_recv() {
            printed.insert(node);
            self.consumer.take(&Emission::StepOutput {
                node,
                step,
                bytes: &bytes,
            });
        }
        while let Ok((node, rank, result, began)) = ends.try_recv() {
            let outcome = match result {
                Ok(None) => continue,
                Ok(Some(what)) => StepOutcome::Done { what },
                Err(error) => error.into_outcome(),
            };
            self.tell(EventKind::StepEnded {
                step,
                node,
                outcome,
                seconds: now().seconds_since(began),
                printed: printed.contains(&(rank as usize)),
            });
        }
    }

    /// Sends the image from the node that built it to those that lack it, one after the other: they share the
    /// way to this machine.
    pub(super) async fn send_image(&mut self, image: &str, hosts: &mut [Host]) {
        let from = hosts
            .iter()
            .position(|host| host.failed.is_none() && host.lacks_image.is_none());
        for place in 0..hosts.len() {
            let Some(why) = hosts[place].lacks_image.take() else {
                continue;
            };
            let began = now();
            let result = match from {
                _ if self.interrupted > 0 => Err(NoAnswer::Interrupted.into()),
                None => Err(StepError::plain("the node that builds the image could not")),
                Some(from) => {
                    tokio::select! {
                        sent = send::send(&hosts[from], &hosts[place], image, place as u32) => sent,
                        count = next(&mut self.interrupts, self.interrupted) => {
                            self.interrupted = count;
                            self.tell(EventKind::Interrupted { count });
                            Err(NoAnswer::Interrupted.into())
                        }
                    }
                }
            };
            let outcome = match &result {
                Ok(()) => StepOutcome::Done {
                    what: format!(
                        "got {image} from {}: {why}",
                        hosts[from.unwrap_or(place)].spec.name
                    ),
                },
                Err(error) => error.clone().into_outcome(),
            };
            self.tell(EventKind::StepEnded {
                step: StepKind::PrepareImage,
                node: hosts[place].spec.name.clone(),
                outcome,
                seconds: now().seconds_since(began),
                printed: false,
            });
            hosts[place].failed = result.err().map(|error| (StepKind::PrepareImage, error));
        }
    }

    fn tell(&mut self, what: EventKind) {
        self.consumer
            .take(&Emission::Event(&Event { at: now(), what }));
    }
}

/// The next count of the user's wishes to stop that is more than is `known`.
async fn next(interrupts: &mut watch::Receiver<u32>, known: u32) -> u32 {
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
