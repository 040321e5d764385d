//! Traffic between two processes of one machine through shared memory.
//!
//! **Counted.** `interconnect-P2P_intraserver-bandwidth`: the bytes of a message that arrived in the
//! other process's private memory, counted once, divided by the time from the start of the first
//! rank to the end of the last. `interconnect-P2P_intraserver-bidirectional`: the bytes of two
//! messages that pass each other at the same time, likewise. `interconnect-P2P_intraserver-latency`:
//! half of the time of a round trip of eight bytes.
//!
//! **How it travels.** As in message passing libraries: the sender copies from its private memory
//! into a ring of chunks that both processes map, the receiver copies out into its private memory.
//! Each byte is thus written twice and read twice, by one thread on each side; that is the work of
//! the method and is not counted.
//!
//! **Warm-up.** Three messages of each combination of chunk size and receiver's copy loop; rank 0
//! takes the fastest and notes it. Then one message each way and a batch of round trips.
//!
//! **Repetition.** One message one way, one both ways, one batch of round trips (1000), in turn, for
//! the duration and at least three times. Rank 0 decides after each round whether another follows.
//! The value is the median.
//!
//! **Check.** Each message carries its number in each page, which the receiver compares after every
//! message (outside of the time measured); after the last message every word is compared.
//!
//! **Biases that remain.** The ring stays in the caches that both processors share, where they share
//! one. Small pages are used unless the system gives huge ones to shared memory. A message that
//! fits into the last-level cache is partly served from it.

mod case;
mod ring;

pub(crate) use case::run;
