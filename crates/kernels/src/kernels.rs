//! The table of kernels.

use crate::driver::Kernel;
use crate::stream;

/// Number of kernels.
const COUNT: usize = 1;

/// All kernels.
pub(crate) const TABLE: [Kernel; COUNT] = [Kernel {
    name: "memory-bandwidth",
    params: &["bytes"],
    run: stream::run,
}];

/// Their names, in the same order.
pub(crate) static NAMES: [&str; COUNT] = {
    let mut names = [""; COUNT];
    let mut at = 0;
    while at < COUNT {
        names[at] = TABLE[at].name;
        at += 1;
    }
    names
};
