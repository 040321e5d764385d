//! The crate as its users see it: what texts mean, and what is said about wrong ones.

#[cfg(test)]
mod classic;
#[cfg(test)]
mod container;
mod environment;
#[cfg(test)]
mod nodeset;
#[cfg(test)]
mod resolve;
#[cfg(test)]
mod settings;
