//! Packing and unpacking as users see it: trees that come back, changed or not, and archives made to do harm.

#[cfg(test)]
mod changes;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod round_trip;
