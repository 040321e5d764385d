//! Who listens to the engine: the recorder always, and a printer of some kind.

use flagperf_engine::{Consumer, Emission};
use flagperf_store::Recorder;

use crate::output::print;
use crate::progress::Progress;

/// What the user watches while a run goes on.
pub(crate) enum Printer {
    /// Nothing.
    Quiet,
    /// Progress for people.
    Progress(Box<Progress>),
    /// Every event as a line of JSON.
    Json {
        /// The first error met while writing.
        error: Option<std::io::Error>,
    },
}

/// The recorder and the printer, as one consumer.
pub(crate) struct Listeners {
    pub(crate) recorder: Recorder,
    pub(crate) printer: Printer,
}

impl Consumer for Listeners {
    fn take(&mut self, emission: &Emission<'_>) {
        match emission {
            Emission::Event(event) => {
                self.recorder.event(event);
                match &mut self.printer {
                    Printer::Quiet => {}
                    Printer::Progress(progress) => progress.event(event),
                    Printer::Json { error } => {
                        if let Ok(line) = serde_json::to_string(event)
                            && let Err(found) = print(&format!("{line}\n"))
                        {
                            error.get_or_insert(found);
                        }
                    }
                }
            }
            Emission::CaseBegins(case) => {
                self.recorder.begin_case(case);
                if let Printer::Progress(progress) = &mut self.printer {
                    progress.case_begins(case);
                }
            }
            Emission::Output { node, rank, bytes } => {
                self.recorder.output(*node as u32, *rank, bytes);
            }
            Emission::Files { node, bytes } => {
                self.recorder.files(*node as u32, bytes.to_vec());
            }
            Emission::FilesEnded { node } => {
                self.recorder.files_ended(*node as u32);
            }
            Emission::Series {
                node,
                series,
                chips,
                chip_series,
                absent,
            } => {
                self.recorder
                    .node_series(node, series.to_vec(), absent.to_vec());
                self.recorder.node_chips(node, chips, chip_series.to_vec());
            }
            Emission::StepOutput {
                node,
                step,
                group,
                bytes,
            } => {
                let node = *node as u32;
                self.recorder.step_output(node, *step, *group, bytes);
                if let Printer::Progress(progress) = &mut self.printer {
                    progress.step_output(flagperf_engine::now(), bytes);
                }
            }
            Emission::ChipSamples { node, block } => {
                self.recorder.chip_samples(*node as u32, block);
            }
            Emission::Samples { node, block } => {
                self.recorder.samples(*node as u32, block);
                if let (Printer::Progress(progress), Some(last)) =
                    (&self.printer, block.times.last())
                {
                    progress.tick(*last);
                }
            }
        }
    }
}
