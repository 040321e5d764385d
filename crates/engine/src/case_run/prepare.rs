//! Making the nodes ready for a task.

use std::time::Duration;

use flagperf_transport::now;
use flagperf_wire::ToAgent;
use tokio::time::Instant;

use super::CaseRun;
use super::stages::Stage;
use crate::verdict::Blow;

/// A node that makes ready for a task is given up when it has not got any further for this long. How long
/// the copying of the case's directory takes in all is up to its size and the network.
const NO_PROGRESS: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 60 });

impl CaseRun<'_, '_> {
    /// Tells every node to make ready.
    pub(super) fn prepare(&mut self) {
        let interval_ns = self.context.request.plan.monitor.interval_ns;
        let trees = self.context.request.trees;
        for (place, node) in self.context.nodes.iter_mut().enumerate() {
            let Some(planned) = self.tasks[place].filter(|_| node.lost.is_none()) else {
                continue;
            };
            let path = planned.case_directory.as_deref();
            let directory = match node.directory(trees, path, planned.copy.as_ref()) {
                Ok(directory) => directory,
                Err(reason) => {
                    let blow = Blow::Refused(node.name().clone(), reason);
                    self.story.befell(now(), blow);
                    continue;
                }
            };
            node.send(ToAgent::MonitorStart { interval_ns });
            node.send(ToAgent::Prepare {
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
