//! Channels to agents: a command whose standard input and standard output are an agent, and the
//! session that is held over it.
//!
//! How the command reaches its node (a child on this machine, a remote shell, an `exec` into a
//! container) is an argument vector and makes no other difference. Where the program is not on the node
//! yet, it is placed there over the same stream. The channel is the lifetime: when a [`Session`] is
//! dropped its channel closes, and the agent ends everything it started and leaves.

#![forbid(unsafe_code)]

mod bootstrap;
mod cipher;
mod clock;
mod launch;
mod program;
mod script;
mod session;
mod trouble;

pub use cipher::leaves_cipher_open;
pub use clock::now;
pub use launch::Launch;
pub use program::{ProgramError, ProgramFile, Programs, agent_hash, own_hash, own_size, proof};
pub use session::{
    Events, Farewell, Introduction, OpenError, Relayed, Session, SessionEvent, Terms, Through,
    ThroughError,
};
pub use trouble::{EXEC_HINT, Trouble};
