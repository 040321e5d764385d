//! What the rounds of a group share.

use std::collections::HashMap;

use flagperf_model::{Event, EventKind, NodeName, Outcome, Timestamp};
use flagperf_transport::{SessionEvent, now};
use flagperf_wire::ToAgent;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::watch;

use crate::active::{Active, Listening};
use crate::emission::{Consumer, Emission};
use crate::environment::Host;
use crate::run::RunRequest;
use crate::steps::{Steps, next};

/// What a round waits for.
pub(crate) enum Incoming {
    Agent(usize, SessionEvent),
    Interrupt,
}

/// Nodes whose container could not be made ready.
pub(crate) struct Failures {
    pub(crate) outcome: Outcome,
    pub(crate) tail: Vec<String>,
    /// True if no node has a container.
    pub(crate) all: bool,
}

/// Everything the rounds of a group share.
pub(crate) struct Context<'a> {
    pub(crate) request: &'a RunRequest<'a>,
    /// The number of the group.
    pub(crate) group: u32,
    pub(crate) nodes: Vec<Active>,
    /// The nodes below these, where these are containers.
    pub(crate) below: &'a mut [Host],
    /// Their places in `nodes`, by name.
    pub(crate) places: HashMap<NodeName, usize>,
    pub(crate) consumer: &'a mut dyn Consumer,
    /// How often the user has asked to stop.
    pub(crate) interrupts: watch::Receiver<u32>,
    /// How much of that has been told.
    pub(crate) interrupted: u32,
    /// How many nodes of the run are lost that are not among these.
    pub(crate) gone: usize,
    pub(crate) failures: Option<Failures>,
    /// Reasons why page caches could not be dropped, as far as they have been told.
    pub(crate) kept_caches: Vec<String>,
    queue: UnboundedSender<(usize, SessionEvent)>,
    incoming: UnboundedReceiver<(usize, SessionEvent)>,
    listening: Option<Listening>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(
        request: &'a RunRequest<'a>,
        group: u32,
        nodes: Vec<Active>,
        below: &'a mut [Host],
        consumer: &'a mut dyn Consumer,
        interrupts: watch::Receiver<u32>,
        interrupted: u32,
    ) -> Self {
        let names = nodes.iter().map(|node| node.name().clone());
        let places = names.zip(0..).collect();
        let (queue, incoming) = unbounded_channel();
        Self {
            request,
            group,
            places,
            nodes,
            below,
            consumer,
            interrupts,
            interrupted,
            gone: 0,
            failures: None,
            kept_caches: Vec::new(),
            queue,
            incoming,
            listening: None,
        }
    }

    pub(crate) fn tell(&mut self, what: EventKind) {
        self.tell_at(now(), what);
    }

    pub(crate) fn tell_at(&mut self, at: Timestamp, what: EventKind) {
        self.consumer.take(&Emission::Event(&Event { at, what }));
    }

    pub(crate) fn heard_interrupt(&mut self) {
        self.interrupted += 1;
        let count = self.interrupted;
        self.tell(EventKind::Interrupted { count });
    }

    /// True when the user asked to stop at once.
    pub(crate) fn is_urgent(&self) -> bool {
        self.interrupted > 1
    }

    pub(crate) fn lose(&mut self, node: usize, reason: String) {
        let node = &mut self.nodes[node];
        if node.lost.is_some() {
            return;
        }
        node.lost = Some(reason.clone());
        node.told_lost = true;
        // It may still be there, only not do what it should.
        node.send(ToAgent::Shutdown);
        let node = node.name().clone();
        self.tell(EventKind::NodeLost { node, reason });
    }

    /// Takes in what came while no round ran.
    pub(crate) fn catch_up(&mut self) {
        while self.interrupted < *self.interrupts.borrow() {
            self.heard_interrupt();
        }
        for node in 0..self.nodes.len() {
            if let Some(reason) = self.nodes[node].catch_up() {
                self.lose(node, reason);
            }
        }
    }

    /// Listens to all nodes together from now on.
    pub(crate) fn listen(&mut self) {
        self.listening = Some(Listening::to(&mut self.nodes, &self.queue));
    }

    /// What comes next, while all nodes are listened to.
    pub(crate) async fn next(&mut self) -> Incoming {
        tokio::select! {
            // It has a sender as long as it lives.
            Some((node, event)) = self.incoming.recv() => Incoming::Agent(node, event),
            _ = next(&mut self.interrupts, self.interrupted) => Incoming::Interrupt,
        }
    }

    /// Listens to each node by itself from now on. What came last is of no round any more.
    pub(crate) async fn listen_no_more(&mut self) {
        let Some(listening) = self.listening.take() else {
            return;
        };
        listening.end(&mut self.nodes).await;
        while let Ok((node, event)) = self.incoming.try_recv() {
            if let Some(reason) = self.nodes[node].take_late(event) {
                self.lose(node, reason);
            }
        }
    }

    /// Takes something on nodes together by these.
    pub(crate) fn steps(&mut self) -> Steps<'_> {
        Steps {
            consumer: &mut *self.consumer,
            group: self.group,
            interrupts: self.interrupts.clone(),
            interrupted: self.interrupted,
        }
    }
}
