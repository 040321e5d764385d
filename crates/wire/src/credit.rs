//! Flow control of task output.
//!
//! An agent may have sent a window of bytes of output and files that the controller has not yet
//! acknowledged with [`ToAgent::Credit`](crate::ToAgent::Credit). When the window is used up the
//! agent stops reading the task's pipe, the pipe fills, and the task waits in `write`: a task that
//! floods its output is slowed to the speed of the controller's disk and memory stays flat on both
//! sides. Other messages are small and few and need no credit.

/// Bytes that may be under way unacknowledged from one node, at most.
const WIDEST: u64 = 4 << 20;

/// The same at least: two messages, so that one is on its way while the other is written.
const NARROWEST: u64 = 2 * MAX_CHUNK as u64;

/// What all nodes together may have under way, if [`NARROWEST`] allows it.
const TOGETHER: u64 = 64 << 20;

/// The window of each of so many nodes, in bytes. The controller's memory is bounded by the windows
/// of all, so they become narrower when there are many.
pub fn output_window(nodes: usize) -> u64 {
    (TOGETHER / nodes.max(1) as u64).clamp(NARROWEST, WIDEST)
}

/// Most bytes of output in one message. Much smaller ones cost more to carry than to read.
pub const MAX_CHUNK: usize = 128 << 10;

/// Bytes for a process behind a channel that may be under way to it, all in all.
pub const RELAY_WINDOW: usize = 1 << 20;

/// Bytes of a directory that may be on their way to a node, or wait there for its disk, before the agent
/// acknowledges some with [`FromAgent::Taken`](crate::FromAgent::Taken). What is under way stands before every later message
/// on a slow link, the one to leave included, so it is not more than ssh itself has under way.
pub const TREE_WINDOW: u64 = 1 << 20;
