//! Node side.
