//! Accelerator chips: profiles of their vendors, and what their status tools print read into values.
//!
//! A vendor is a data file, [`VendorProfile`]: how a container gets its chips, which variable hides some of
//! them, what their makers state that they can do, and which command tells their state. A [`StatusReader`]
//! turns what that command prints into [`ChipReading`]s, and a [`Census`] of the first of these into facts,
//! series and rows of samples. Nothing here starts a command, reads a file or waits: the agent does that.

#![forbid(unsafe_code)]

mod census;
mod format;
mod pattern;
mod profile;
mod profiles;
mod quantity;
mod reader;

pub use census::{Census, census};
pub use format::Format;
pub use profile::{Chip, ContainerNeeds, ProfileError, ProfileErrors, VendorProfile, read_profile};
pub use profiles::{Profiles, UnknownVendor};
pub use quantity::{Quantity, Value};
pub use reader::{ChipReading, READERS, StatusReader};
