//! What nodes tell during a round.

use flagperf_library::Collected;
use flagperf_model::{CaseRecord, EventKind, Measurement, NodeName, StartSkew, Timestamp};
use flagperf_transport::{SessionEvent, now};
use flagperf_wire::{FromAgent, TaskEnd, ToAgent};
use tokio::time::Instant;

use super::CaseRun;
use super::stages::Stage;
use crate::emission::Emission;
use crate::verdict::{Blow, Exit, Failure};

/// The moments at which nodes began, as far as they have.
#[derive(Debug, Default)]
pub(super) struct Begun {
    count: usize,
    first: Option<Beginning>,
    last: Option<Beginning>,
}

/// When a node began, how well that is known in seconds, and which it is.
#[derive(Debug, Clone)]
struct Beginning {
    at: Timestamp,
    uncertainty_s: f64,
    node: NodeName,
}

impl Begun {
    fn add(&mut self, beginning: &Beginning) {
        self.count += 1;
        let at = beginning.at;
        if self.first.as_ref().is_none_or(|first| at < first.at) {
            self.first = Some(beginning.clone());
        }
        if self.last.as_ref().is_none_or(|last| at >= last.at) {
            self.last = Some(beginning.clone());
        }
    }
}

impl CaseRun<'_, '_> {
    pub(super) fn hear(&mut self, node: usize, event: SessionEvent) {
        let name = self.context.nodes[node].name().clone();
        match event {
            SessionEvent::Message(message) => self.message(node, &name, message),
            SessionEvent::Silent(seconds) => {
                self.context.tell(EventKind::NodeSilent {
                    node: name,
                    seconds,
                });
                self.nodes[node].silent = true;
                self.give_up_if_silent(node);
            }
            SessionEvent::Back => {
                self.nodes[node].silent = false;
                self.context.tell(EventKind::NodeBack { node: name });
            }
            SessionEvent::Closed { reason, since } => self.lose(node, since, reason),
        }
    }

    fn message(&mut self, node: usize, name: &NodeName, message: FromAgent) {
        match message {
            FromAgent::Prepared { task, .. } => {
                if task == self.task && self.stages.is(node, Stage::Preparing) {
                    self.stages.set(node, Stage::Prepared);
                }
            }
            // A directory is on its way, whichever task first needed it.
            FromAgent::Taken { .. } => self.nodes[node].progressed = Instant::now(),
            FromAgent::Started { task, mono_ns } if task == self.task => {
                let session = &self.context.nodes[node].node.session;
                self.begun.add(&Beginning {
                    at: session.moment(mono_ns),
                    uncertainty_s: session.clock().uncertainty_s,
                    node: name.clone(),
                });
                self.tell_skew();
            }
            FromAgent::Output { task, rank, chunk } => match self.opener.open(chunk) {
                Ok(bytes) => {
                    if task == self.task {
                        self.output(node, name, rank, &bytes);
                    }
                    // The bytes are written; as many more may come.
                    self.context.nodes[node].node.session.send(ToAgent::Credit {
                        bytes: bytes.len() as u64,
                    });
                }
                Err(error) => self.lose(node, now(), error.to_string()),
            },
            FromAgent::Exited {
                task,
                rank,
                end,
                asked,
                mono_ns,
            } if task == self.task => self.story.exited(Exit {
                node: name.clone(),
                rank,
                end,
                asked,
                at: self.context.nodes[node].node.session.moment(mono_ns),
            }),
            FromAgent::TaskEnded {
                task,
                end,
                mono_ns,
                strays,
                unkillable,
                oom_kills,
                has_files,
            } if task == self.task => {
                self.stages.set(node, Stage::Ended);
                if has_files {
                    self.to_fetch.push_back(node);
                }
                self.story.out_of_memory(name, oom_kills);
                self.stop_monitor(node);
                let since = self.context.nodes[node].node.session.moment(mono_ns);
                self.task_ended(name, end, since, strays, &unkillable);
            }
            FromAgent::Files { task, bytes } => {
                if task == self.task {
                    self.files_moved = Instant::now();
                    self.context.consumer.take(&Emission::Files {
                        node: self.context.nodes[node].place(),
                        bytes: &bytes,
                    });
                }
                self.context.nodes[node].node.session.send(ToAgent::Credit {
                    bytes: bytes.len() as u64,
                });
            }
            FromAgent::FilesEnded {
                task,
                files,
                bytes,
                problems,
            } if task == self.task => {
                self.stages.set(node, Stage::Done);
                self.context.consumer.take(&Emission::FilesEnded {
                    node: self.context.nodes[node].place(),
                });
                self.context.tell(EventKind::Collected {
                    case: self.case.name().clone(),
                    node: name.clone(),
                    files,
                    bytes,
                });
                for problem in problems {
                    self.context.tell(EventKind::Warning {
                        message: format!("{name}: {problem}"),
                    });
                }
            }
            FromAgent::Samples { mut block } => {
                for time in &mut block.times {
                    *time = time.plus_nanos(self.nodes[node].correction_ns);
                }
                self.context.consumer.take(&Emission::Samples {
                    node: self.context.nodes[node].place(),
                    block: &block,
                });
            }
            FromAgent::ChipSamples { mut block } => {
                for time in &mut block.times {
                    *time = time.plus_nanos(self.nodes[node].correction_ns);
                }
                self.context.consumer.take(&Emission::ChipSamples {
                    node: self.context.nodes[node].place(),
                    block: &block,
                });
            }
            FromAgent::MonitorStopped { task, cost } if task == self.task => {
                self.sampling.remove(&node);
                self.context.tell(EventKind::MonitorStopped {
                    case: self.case.name().clone(),
                    node: name.clone(),
                    cost,
                });
            }
            FromAgent::Warning { message } => self.context.tell(EventKind::Warning {
                message: format!("{name}: {message}"),
            }),
            FromAgent::Refused { task, reason } if task == self.task => {
                self.story
                    .befell(now(), Blow::Refused(name.clone(), reason));
                self.stages.set(node, Stage::Done);
                self.stop_monitor(node);
                self.end_others();
            }
            // Late words about a task that is over, and answers to nothing that was asked.
            FromAgent::Hello { .. }
            | FromAgent::Heartbeat
            | FromAgent::Pong { .. }
            | FromAgent::Facts { .. }
            | FromAgent::Said { .. }
            | FromAgent::Written { .. }
            | FromAgent::HungUp { .. }
            | FromAgent::Started { .. }
            | FromAgent::Exited { .. }
            | FromAgent::TaskEnded { .. }
            | FromAgent::FilesEnded { .. }
            | FromAgent::MonitorStopped { .. }
            | FromAgent::Refused { .. } => {}
        }
    }

    /// Tells how far apart the nodes began, once all have.
    fn tell_skew(&mut self) {
        let tasks = self.case.tasks.len();
        if tasks < 2 || self.begun.count != tasks {
            return;
        }
        if let (Some(first), Some(last)) = (&self.begun.first, &self.begun.last) {
            let skew = StartSkew {
                seconds: last.at.seconds_since(first.at),
                uncertainty_s: first.uncertainty_s + last.uncertainty_s,
                first: first.node.clone(),
                last: last.node.clone(),
            };
            self.context.tell(EventKind::TaskStarted {
                case: self.case.name().clone(),
                round: self.case.round,
                skew,
            });
        }
    }

    fn task_ended(
        &mut self,
        name: &NodeName,
        end: TaskEnd,
        since: Timestamp,
        strays: Vec<String>,
        unkillable: &[String],
    ) {
        match end {
            TaskEnd::Finished | TaskEnd::Requested => {}
            TaskEnd::TimedOut => self.story.befell(since, Blow::TimedOut),
            TaskEnd::Stalled => self.story.befell(since, Blow::Stalled(name.clone())),
        }
        if !strays.is_empty() {
            self.context.tell(EventKind::StrayProcesses {
                case: self.case.name().clone(),
                node: name.clone(),
                commands: strays,
            });
        }
        if !unkillable.is_empty() {
            self.context.tell(EventKind::Warning {
                message: format!(
                    "{name}: processes that could not be ended are left: {}",
                    unkillable.join(", ")
                ),
            });
        }
        if self.story.is_bad() {
            self.end_others();
        }
    }

    fn output(&mut self, node: usize, name: &NodeName, rank: u32, bytes: &[u8]) {
        self.context.consumer.take(&Emission::Output {
            node: self.context.nodes[node].place(),
            rank,
            bytes,
        });
        self.tails.add(node, bytes);
        for collected in self.collector.feed(name, rank, bytes) {
            self.collected(node, name, collected);
        }
    }

    pub(super) fn collected(&mut self, node: usize, name: &NodeName, collected: Collected) {
        let record = match collected {
            Collected::Record(record) => record,
            // Told without a moment of its own: it is now, as near as can be known.
            Collected::Entered { rank, phase } => {
                self.context.tell(EventKind::Phase {
                    case: self.case.name().clone(),
                    node: name.clone(),
                    rank,
                    phase,
                });
                return;
            }
            Collected::Warning(message) => {
                self.context.tell(EventKind::Warning { message });
                return;
            }
        };
        let case = self.case.name().clone();
        match record {
            CaseRecord::Phase {
                rank,
                phase,
                mono_ns,
            } => {
                let at = self.context.nodes[node].node.session.moment(mono_ns);
                self.context.tell_at(
                    at,
                    EventKind::Phase {
                        case,
                        node: name.clone(),
                        rank,
                        phase,
                    },
                );
            }
            CaseRecord::Live {
                rank,
                metric,
                value,
                unit,
                remaining_s,
            } => self.context.tell(EventKind::Live {
                case,
                node: name.clone(),
                rank,
                metric,
                value,
                unit,
                remaining_s,
            }),
            CaseRecord::Measurement(measurement) => self.measured(name.clone(), *measurement),
            CaseRecord::Unsupported { feature } => {
                self.story.unsupported(feature);
            }
            CaseRecord::Failure { rank, message } => {
                self.story.failed(Failure {
                    node: name.clone(),
                    rank,
                    message,
                    at: now(),
                });
            }
            CaseRecord::Note { rank, key, value } => self.context.tell(EventKind::Note {
                case,
                node: name.clone(),
                rank,
                key,
                value,
            }),
        }
    }

    pub(super) fn measured(&mut self, node: NodeName, measurement: Measurement) {
        self.context.tell(EventKind::Measured {
            case: self.case.name().clone(),
            round: self.case.round,
            node,
            measurement: Box::new(measurement),
        });
    }
}
