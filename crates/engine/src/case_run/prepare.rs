//! Making the nodes ready for a task.

use std::time::Duration;

use flagperf_model::EventKind;
use flagperf_transport::now;
use flagperf_wire::{TaskDirectory, ToAgent, TreeId};
use tokio::time::Instant;

use super::CaseRun;
use super::stages::Stage;
use crate::emission::Emission;

/// A node that makes ready for a task is given up when it has not got any further for this long. How long
/// the copying of the case's directory takes in all is up to its size and the network.
const NO_PROGRESS: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

impl CaseRun<'_, '_> {
    /// Tells every node to make ready.
    pub(super) fn prepare(&mut self) {
        self.context.consumer.take(&Emission::CaseBegins(self.case));
        self.context.tell_at(
            self.started,
            EventKind::CaseStarted {
                case: self.case.name().clone(),
                round: self.case.round,
                index: self.index as u32 + 1,
                expected_s: self.case.expected_s,
            },
        );
        for (node, lacks) in &self.case.left_out {
            self.context.tell(EventKind::Warning {
                message: format!("{} is not run on {node}: {lacks}", self.case.name()),
            });
        }
        let interval_ns = self.context.request.plan.monitor.interval_ns;
        let trees = self.context.request.trees;
        for (place, node) in self.context.nodes.iter_mut().enumerate() {
            let Some(planned) = self.tasks[place].filter(|_| node.lost.is_none()) else {
                continue;
            };
            let directory = match &planned.case_directory {
                None => TaskDirectory::Any,
                Some(path) if node.is_local => TaskDirectory::Path(path.clone()),
                Some(path) => match trees
                    .iter()
                    .enumerate()
                    .find(|(_, (known, _))| *known == path)
                {
                    Some((id, (_, packed))) => {
                        let tree = TreeId(id as u32);
                        if node.trees.insert(tree) {
                            node.session.put(tree, packed.clone());
                        }
                        TaskDirectory::Tree(tree)
                    }
                    // Somebody who knows the node's files has put it there.
                    None => TaskDirectory::Path(path.clone()),
                },
            };
            node.session.send(ToAgent::MonitorStart { interval_ns });
            node.session.send(ToAgent::Prepare {
                task: self.task,
                directory,
            });
            self.sampling.insert(place);
            self.nodes[place].progressed = Instant::now();
            self.stages.set(place, Stage::Preparing);
        }
    }

    /// True if the task is not to be started any more: who wants to stop need not wait until files have
    /// arrived that nobody will use, nor nodes for one that will not come.
    pub(super) fn is_off(&self) -> bool {
        self.aborted || (self.spans && self.story.is_bad())
    }

    /// Waits until every node is ready, as long as each gets on with it.
    pub(super) async fn await_prepared(&mut self) {
        loop {
            let preparing = self.stages.at(Stage::Preparing);
            let oldest = preparing
                .iter()
                .map(|place| self.nodes[*place].progressed)
                .min();
            let Some(oldest) = oldest else {
                return;
            };
            let goes_on = |run: &Self| !run.is_off() && run.stages.count(Stage::Preparing) > 0;
            if self.hear_while(oldest + NO_PROGRESS, goes_on).await || self.is_off() {
                return;
            }
            let overdue = Instant::now();
            for place in preparing {
                if self.stages.is(place, Stage::Preparing)
                    && self.nodes[place].progressed + NO_PROGRESS <= overdue
                {
                    let reason = format!(
                        "its agent did not get on with making ready for the task for {} s",
                        NO_PROGRESS.as_secs()
                    );
                    self.lose(place, now(), reason);
                }
            }
        }
    }
}
