//! The ring: vectors that are summed while they go round.
//!
//! A vector is cut into one slice for each connection, and each slice goes round by itself. A slice
//! has one part for each rank. In step k a rank sends part (rank − k) and receives part
//! (rank − k − 1): in the first n − 1 steps it adds what it receives to its own, which leaves part
//! (rank + 1) complete; in the other n − 1 steps it takes over complete parts. Parts travel in
//! chunks, and a chunk is sent on as soon as it is added, while the next one arrives.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::crew::WorkError;
use super::slice::{CHUNK, Slice};
use crate::sums::{Adder, PERIOD, SAMPLE, adder, expected, term};

/// The thread that sends a slice to the next rank.
pub(super) struct Sender {
    slice: Arc<Slice>,
    stream: TcpStream,
}

impl Sender {
    pub(super) fn new(slice: Arc<Slice>, stream: TcpStream) -> Self {
        Self { slice, stream }
    }

    /// Sends everything of one repetition.
    pub(super) fn send(&mut self) -> Result<(), WorkError> {
        let result = self.send_all();
        if result.is_err() {
            self.slice.fail();
        }
        result
    }

    fn send_all(&mut self) -> Result<(), WorkError> {
        let slice = &*self.slice;
        for index in 0..slice.total() {
            // Everything but the first part is sent on, and has to be received first.
            slice.wait_until_received(index)?;
            let range = slice.chunk(slice.seat().rank, index);
            // SAFETY: the receiver is done with this chunk, and writes it again only after `sent`.
            let values = unsafe { slice.vector().read(range) };
            self.stream
                .write_all(as_bytes(values))
                .map_err(|error| WorkError::Io(slice.seat().next(), error))?;
            slice.sent(index);
        }
        Ok(())
    }
}

/// What a receiving thread is to do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job {
    /// Fill the slice for this repetition.
    Fill(u64),
    /// Receive and add up.
    Reduce,
    /// Compare the sums of this repetition, a sample or every one.
    Check {
        /// Which repetition.
        repetition: u64,
        /// Every sum.
        all: bool,
    },
}

/// The thread that receives a slice from the rank before, and owns its values.
pub(super) struct Receiver {
    slice: Arc<Slice>,
    stream: TcpStream,
    /// The name of this rank, for messages.
    name: String,
    arrived: Vec<f32>,
    add: Adder,
}

impl Receiver {
    pub(super) fn new(slice: Arc<Slice>, stream: TcpStream, name: String) -> Self {
        Self {
            slice,
            stream,
            name,
            arrived: vec![0.0; CHUNK],
            add: adder(),
        }
    }

    pub(super) fn work(&mut self, job: Job) -> Result<(), WorkError> {
        match job {
            Job::Fill(repetition) => {
                self.fill(repetition);
                Ok(())
            }
            Job::Reduce => {
                let result = self.receive();
                if result.is_err() {
                    self.slice.fail();
                }
                result
            }
            Job::Check { repetition, all } => self.check(repetition, all),
        }
    }

    fn fill(&self, repetition: u64) {
        let slice = &*self.slice;
        slice.restart();
        let range = slice.range();
        // SAFETY: the sender is idle while slices are filled, and no other thread has this range.
        let values = unsafe { slice.vector().write(range.clone()) };
        for (i, value) in range.zip(values) {
            *value = term(slice.seat().rank, i, repetition);
        }
    }

    fn receive(&mut self) -> Result<(), WorkError> {
        let slice = &*self.slice;
        let from = slice.seat().previous();
        let broken = |error| WorkError::Io(from, error);
        for index in 0..slice.total() {
            let range = slice.chunk(from, index);
            if index < slice.summing() {
                let arrived = &mut self.arrived[..range.len()];
                self.stream
                    .read_exact(as_bytes_mut(arrived))
                    .map_err(broken)?;
                // SAFETY: the sender reads this chunk only after `received`.
                let sum = unsafe { slice.vector().write(range) };
                // SAFETY: the adder was chosen by the features of this processor.
                unsafe { (self.add)(sum, arrived) };
            } else {
                slice.wait_until_sent(index)?;
                // SAFETY: the sender is done with this chunk until `received`.
                let values = unsafe { slice.vector().write(range) };
                self.stream
                    .read_exact(as_bytes_mut(values))
                    .map_err(broken)?;
            }
            slice.received(index);
        }
        Ok(())
    }

    fn check(&self, repetition: u64, all: bool) -> Result<(), WorkError> {
        let slice = &*self.slice;
        let sums = expected(slice.seat().world, repetition);
        let (offset, stride) = if all {
            (0, 1)
        } else {
            (repetition as usize % SAMPLE, SAMPLE)
        };
        let range = slice.range();
        // SAFETY: the sender is idle while sums are compared, and only this thread writes.
        let values = unsafe { slice.vector().read(range.clone()) };
        let wrong = range
            .zip(values)
            .skip(offset)
            .step_by(stride)
            .find(|(i, value)| **value != sums[i % PERIOD]);
        match wrong {
            None => Ok(()),
            Some((i, value)) => Err(WorkError::Wrong(format!(
                "wrong sum: element {i} of {} is {value} instead of {}",
                self.name,
                sums[i % PERIOD]
            ))),
        }
    }
}

/// The values as they travel: all ranks run the same program, on machines with the same order of
/// bytes, as the agent's hash of itself makes sure.
fn as_bytes(values: &[f32]) -> &[u8] {
    // SAFETY: the same memory; bytes have no alignment, and every byte of a float is initialised.
    unsafe { std::slice::from_raw_parts(values.as_ptr().cast(), size_of_val(values)) }
}

fn as_bytes_mut(values: &mut [f32]) -> &mut [u8] {
    // SAFETY: as for `as_bytes`, and any bytes are a valid float.
    unsafe { std::slice::from_raw_parts_mut(values.as_mut_ptr().cast(), size_of_val(values)) }
}

#[cfg(test)]
mod tests {
    use super::super::slice::{Seat, Vector};
    use super::*;
    use std::net::TcpListener;

    /// Both ends of a connection.
    fn connection() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (one, listener.accept().unwrap().0)
    }

    /// A ring of threads in this process, two for each rank and slice.
    fn ring(world: u32, elements: usize, streams: usize, repetitions: u64) {
        let mut outgoing: Vec<Vec<TcpStream>> = Vec::new();
        let mut incoming: Vec<Vec<TcpStream>> = (0..world).map(|_| Vec::new()).collect();
        for rank in 0..world {
            let (out, into): (Vec<_>, Vec<_>) = (0..streams).map(|_| connection()).unzip();
            outgoing.push(out);
            incoming[Seat { rank, world }.next() as usize] = into;
        }
        std::thread::scope(|scope| {
            for (rank, (out, into)) in (0u32..).zip(outgoing.into_iter().zip(incoming)) {
                let seat = Seat { rank, world };
                let vector = Vector::new(elements).unwrap();
                for (index, (out, into)) in out.into_iter().zip(into).enumerate() {
                    let slice = Slice::new(&vector, seat, index, streams);
                    let mut sender = Sender::new(Arc::clone(&slice), out);
                    let mut receiver = Receiver::new(slice, into, format!("rank {rank}"));
                    scope.spawn(move || {
                        for repetition in 1..=repetitions {
                            receiver.work(Job::Fill(repetition)).unwrap();
                            std::thread::scope(|pair| {
                                pair.spawn(|| sender.send().unwrap());
                                receiver.work(Job::Reduce).unwrap();
                            });
                            for all in [false, true] {
                                receiver.work(Job::Check { repetition, all }).unwrap();
                            }
                        }
                    });
                }
            }
        });
    }

    #[test]
    fn sums_are_exact_in_rings_of_every_shape() {
        for (world, elements, streams) in [
            (2, 1, 1),
            (2, 100_001, 3),
            (3, 300_000, 1),
            (4, 17, 4),
            (5, 700_003, 2),
        ] {
            ring(world, elements, streams, 2);
        }
    }

    #[test]
    fn a_wrong_sum_is_found() {
        let vector = Vector::new(5000).unwrap();
        let seat = Seat { rank: 1, world: 2 };
        let slice = Slice::new(&vector, seat, 0, 1);
        let receiver = Receiver::new(slice, connection().0, "node b (rank 1)".to_owned());
        let sums = expected(2, 4);
        // SAFETY: no other thread knows the vector.
        let values = unsafe { vector.write(0..5000) };
        for (i, value) in values.iter_mut().enumerate() {
            *value = sums[i % PERIOD];
        }
        receiver.check(4, true).unwrap();
        values[4000] += 1.0;
        let Err(WorkError::Wrong(text)) = receiver.check(4, true) else {
            panic!("it was not found");
        };
        let sum = sums[4000 % PERIOD];
        assert_eq!(
            text,
            format!(
                "wrong sum: element 4000 of node b (rank 1) is {} instead of {sum}",
                sum + 1.0
            )
        );
    }
}
