//! Flow control of task output.
//!
//! An agent may have sent [`OUTPUT_WINDOW`] bytes of output that the controller has not yet
//! acknowledged with [`ToAgent::Credit`](crate::ToAgent::Credit). When the window is used up the
//! agent stops reading the task's pipe, the pipe fills, and the task waits in `write`: a task that
//! floods its output is slowed to the speed of the controller's disk and memory stays flat on both
//! sides. Other messages are small and few and need no credit.

/// Bytes of output that may be under way unacknowledged.
pub const OUTPUT_WINDOW: u64 = 1 << 20;

/// Most bytes of output in one message. A Linux pipe holds 64 KiB, so more never come at once.
pub const MAX_CHUNK: usize = 64 << 10;
