//! Which nodes a run has, and how each of them is reached.
//!
//! Lists of nodes are read as Slurm and ClusterShell write them ([`nodeset`]). Nothing here opens a
//! file, starts a command or looks at the environment: the caller does that and hands over the
//! texts. `docs/nodes.md` describes it all for the people who write them.

#![forbid(unsafe_code)]

pub mod nodeset;
