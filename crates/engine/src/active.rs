//! A node of which the engine holds the session: one of the run's, or a container on one.

use std::collections::{BTreeMap, BTreeSet};

use flagperf_model::{NodeName, PrivateCopy};
use flagperf_transport::{Events, SessionEvent};
use flagperf_wire::{ChannelId, FromAgent, TaskDirectory, TaskId, ToAgent, TreeId};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::desk::Desk;
use crate::node::Node;
use crate::steps::Means;
use crate::trees::Trees;

/// A node while its session lasts.
pub(crate) struct Active {
    pub(crate) node: Node,
    /// True if it is this machine, where case directories are used as they are.
    pub(crate) is_local: bool,
    /// Why it is lost, if it is.
    pub(crate) lost: Option<String>,
    /// True if it has been told that it is lost, be it that only its container was.
    pub(crate) told_lost: bool,
    /// Commands that went well in it and need not be run again.
    pub(crate) done: Vec<Done>,
    /// Directories that its agent has a copy of.
    trees: BTreeSet<TreeId>,
    next_task: u32,
    next_channel: u32,
}

/// A command that has made a place ready: what it was told, and where it ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) argv: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) directory: TaskDirectory,
}

impl Active {
    pub(crate) fn new(node: Node, is_local: bool) -> Self {
        Self {
            node,
            is_local,
            lost: None,
            told_lost: false,
            done: Vec::new(),
            trees: BTreeSet::new(),
            next_task: 1,
            next_channel: 0,
        }
    }

    pub(crate) fn name(&self) -> &NodeName {
        &self.node.spec.name
    }

    /// Its place in the plan.
    pub(crate) fn place(&self) -> usize {
        self.node.rank as usize
    }

    pub(crate) fn send(&self, message: ToAgent) {
        self.node.session.send(message);
    }

    /// A desk for commands on it.
    pub(crate) fn desk(&mut self, means: &Means) -> Desk<'_> {
        Desk {
            session: &self.node.session,
            events: &mut self.node.events,
            next_task: &mut self.next_task,
            place: self.node.rank as usize,
            log: means.log.clone(),
            stop: means.stop.clone(),
        }
    }

    /// A name for a channel that no other of the session has had.
    pub(crate) fn channel(&mut self) -> ChannelId {
        let channel = ChannelId(self.next_channel);
        self.next_channel += 1;
        channel
    }

    /// Where the processes of a task run that needs this directory of the controller, if it needs one. A copy that
    /// is missing there is sent.
    ///
    /// # Errors
    ///
    /// In words: the directory was not packed although nothing but a copy will do.
    pub(crate) fn directory(
        &mut self,
        trees: &Trees,
        path: Option<&str>,
        copy: Option<&PrivateCopy>,
    ) -> Result<TaskDirectory, String> {
        let Some(path) = path else {
            return Ok(TaskDirectory::Any);
        };
        match copy {
            Some(_) => self.tree(trees, path, copy).map(TaskDirectory::Copy),
            None if self.is_local => Ok(TaskDirectory::Path(path.to_owned())),
            None => Ok(match self.tree(trees, path, None) {
                Ok(tree) => TaskDirectory::Tree(tree),
                // Somebody who knows the node's files has put it there.
                Err(_) => TaskDirectory::Path(path.to_owned()),
            }),
        }
    }

    /// Where a setup command runs that names a directory of its own: always in a copy.
    ///
    /// # Errors
    ///
    /// In words: the directory was not packed.
    pub(crate) fn directory_of_setup(
        &mut self,
        trees: &Trees,
        path: &str,
    ) -> Result<TaskDirectory, String> {
        self.tree(trees, path, None).map(TaskDirectory::Tree)
    }

    /// The name of its copy of a directory, which is sent if it has none.
    ///
    /// # Errors
    ///
    /// In words: the directory was not packed.
    pub(crate) fn tree(
        &mut self,
        trees: &Trees,
        path: &str,
        copy: Option<&PrivateCopy>,
    ) -> Result<TreeId, String> {
        let Some((tree, packed)) = trees.find(path, copy) else {
            return Err(format!("`{path}` was not packed for the nodes"));
        };
        if self.trees.insert(tree) {
            self.node.session.put(tree, packed.clone());
        }
        Ok(tree)
    }

    /// Takes in what came while nobody listened. Gives why the session is over, if it is.
    pub(crate) fn catch_up(&mut self) -> Option<String> {
        let mut over = None;
        while let Some(event) = self.node.events.try_next() {
            over = over.or(self.take_late(event));
        }
        over
    }

    /// Takes in something about a task that is over. Gives why the session is over, if that is it.
    pub(crate) fn take_late(&mut self, event: SessionEvent) -> Option<String> {
        match event {
            SessionEvent::Closed { reason, .. } => Some(reason),
            // What was given up still takes up the window until it is taken.
            SessionEvent::Message(FromAgent::Files { bytes, .. }) => {
                let bytes = bytes.len() as u64;
                self.send(ToAgent::Credit { bytes });
                None
            }
            // Silence matters to a case, and late words about one that is over to nobody.
            SessionEvent::Message(_) | SessionEvent::Silent(_) | SessionEvent::Back => None,
        }
    }
}

/// A name for a task that none of the nodes has had.
pub(crate) fn common_task(nodes: &mut [Active]) -> TaskId {
    let task = nodes.iter().map(|node| node.next_task).max().unwrap_or(1);
    for node in nodes {
        node.next_task = task + 1;
    }
    TaskId(task)
}

/// Carries what nodes tell into one queue, while rounds run on them together.
pub(crate) struct Listening {
    stop: watch::Sender<()>,
    forwarders: Vec<JoinHandle<Events>>,
}

impl Listening {
    /// Begins: each event comes with the place of its node among these.
    pub(crate) fn to(nodes: &mut [Active], queue: &UnboundedSender<(usize, SessionEvent)>) -> Self {
        let (stop, stopped) = watch::channel(());
        let forwarders = nodes.iter_mut().enumerate().map(|(place, node)| {
            let mut events = std::mem::replace(&mut node.node.events, Events::none());
            let queue = queue.clone();
            let mut stopped = stopped.clone();
            tokio::spawn(async move {
                loop {
                    let event = tokio::select! {
                        biased;
                        _ = stopped.changed() => return events,
                        event = events.next() => event,
                    };
                    let Some(event) = event else {
                        return events;
                    };
                    if queue.send((place, event)).is_err() {
                        return events;
                    }
                }
            })
        });
        let forwarders = forwarders.collect();
        Self { stop, forwarders }
    }

    /// Ends: from now on each node is listened to by itself.
    pub(crate) async fn end(self, nodes: &mut [Active]) {
        drop(self.stop);
        for (node, forwarder) in nodes.iter_mut().zip(self.forwarders) {
            if let Ok(events) = forwarder.await {
                node.node.events = events;
            }
        }
    }
}
