//! Packing and unpacking as users see it: trees that come back, and archives made to do harm.

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod round_trip;
