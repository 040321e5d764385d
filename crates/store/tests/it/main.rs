//! The recorder and the reader together, on real directories and disks.

#[cfg(test)]
mod children;
#[cfg(test)]
mod chips;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod files;
#[cfg(test)]
mod full;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod many_nodes;
#[cfg(test)]
mod record;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod support;
