//! The protocol between the controller and an agent: what is said, and how it is framed.
//!
//! Types and codec only; nothing here reads, writes or waits. Both ends are the same program, which
//! [`Hello`](FromAgent::Hello) proves by content hash, so messages need no compatibility between
//! versions and are the domain types themselves.

#![forbid(unsafe_code)]

mod chunk;
mod credit;
mod frame;
mod message;

pub use chunk::{Chunk, ChunkError, Opener, Packer};
pub use credit::{MAX_CHUNK, RELAY_WINDOW, TREE_WINDOW, output_window};
pub use frame::{Decoder, EncodeError, FrameError, MAX_FRAME, encode};
pub use message::{
    ChannelId, ClockAnchor, FromAgent, ProcessEnd, TaskDirectory, TaskEnd, TaskId, Timing, ToAgent,
    TreeId, UndoId,
};
