//! The crate as its users see it.

#[cfg(test)]
mod python;
#[cfg(test)]
mod yaml;
