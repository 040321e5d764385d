//! The table of kernels.

use crate::driver::Kernel;
use crate::{allreduce, capacity, pair, stream};

/// All kernels.
pub(crate) const TABLE: [Kernel; 4] = [
    Kernel {
        name: "memory-bandwidth",
        params: &["bytes"],
        run: stream::run,
    },
    Kernel {
        name: "memory-capacity",
        params: &["bytes", "reserve"],
        run: capacity::run,
    },
    Kernel {
        name: "p2p",
        params: &["bytes"],
        run: pair::run,
    },
    Kernel {
        name: "allreduce",
        params: &["bytes"],
        run: allreduce::run,
    },
];

/// Their names, in the same order.
pub(crate) static NAMES: [&str; TABLE.len()] = {
    let mut names = [""; TABLE.len()];
    let mut at = 0;
    while at < names.len() {
        names[at] = TABLE[at].name;
        at += 1;
    }
    names
};
