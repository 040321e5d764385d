//! What reaches the thread that owns the agent's state.

use flagperf_wire::{ChannelId, ProcessEnd, ToAgent};

use crate::chips::Found;
use crate::filing::Prepared;
use crate::tools::Order;

/// Something that happened to the agent.
#[derive(Debug)]
pub(crate) enum Input {
    /// The controller asks for something.
    Request(ToAgent),
    /// The channel is closed; the text tells why if it was not a plain end.
    Closed(Option<String>),
    /// The directories of a task are ready.
    Prepared(Prepared),
    /// A rank's pipe has no writer left and all of it was sent on.
    OutputEnded {
        /// Which of the task's processes, by place.
        place: usize,
    },
    /// A process behind a channel has closed one of its output streams.
    StreamEnded(ChannelId),
    /// A status tool is to be started.
    StartTool(Order),
    /// Chips were looked for.
    Chips(Found),
    /// A child ended and was reaped.
    Reaped {
        /// Its process id.
        pid: u32,
        /// How it ended.
        end: ProcessEnd,
        /// Processor time of it and its children, in seconds, where somebody had asked for it.
        cpu_s: Option<f64>,
    },
}
