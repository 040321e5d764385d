//! Channels to agents: a command whose standard input and standard output are an agent, and the
//! session that is held over it.
//!
//! How the command reaches its node (a child on this machine, a remote shell, an `exec` into a
//! container) makes no difference here. The channel is the lifetime: when a [`Session`] is dropped its
//! channel closes, and the agent ends everything it started and leaves.

#![forbid(unsafe_code)]

mod session;

pub use session::{Events, Launch, OpenError, Session, SessionEvent};
