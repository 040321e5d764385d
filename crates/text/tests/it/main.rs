//! The crate as its users see it.

#[cfg(test)]
mod yaml;
