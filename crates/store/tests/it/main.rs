//! The recorder and the reader together, on real directories and disks.

#[cfg(test)]
mod children;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod docs;
#[cfg(test)]
mod full;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod record;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod support;
