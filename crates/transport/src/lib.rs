//! Channels to agents.
