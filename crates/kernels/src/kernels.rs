//! The table of kernels.

use crate::driver::Kernel;
use crate::{allreduce, capacity, net, pair, products, stream};

/// Parameters of a matrix product.
const PRODUCT_PARAMS: [&str; 4] = ["m", "n", "k", "seed"];

/// All kernels.
pub(crate) const TABLE: [Kernel; 11] = [
    Kernel {
        name: "gemm-fp64",
        params: &PRODUCT_PARAMS,
        spans_nodes: false,
        run: products::fp64,
    },
    Kernel {
        name: "gemm-fp32",
        params: &PRODUCT_PARAMS,
        spans_nodes: false,
        run: products::fp32,
    },
    Kernel {
        name: "gemm-bf16",
        params: &PRODUCT_PARAMS,
        spans_nodes: false,
        run: products::bf16,
    },
    Kernel {
        name: "gemm-int8",
        params: &PRODUCT_PARAMS,
        spans_nodes: false,
        run: products::int8,
    },
    Kernel {
        name: "gemm-fp16",
        params: &PRODUCT_PARAMS,
        spans_nodes: false,
        run: products::fp16,
    },
    Kernel {
        name: "memory-bandwidth",
        params: &["bytes"],
        spans_nodes: false,
        run: stream::run,
    },
    Kernel {
        name: "memory-capacity",
        params: &["bytes", "reserve"],
        spans_nodes: false,
        run: capacity::run,
    },
    Kernel {
        name: "p2p",
        params: &["bytes"],
        spans_nodes: false,
        run: pair::run,
    },
    Kernel {
        name: "allreduce",
        params: &["bytes"],
        spans_nodes: false,
        run: allreduce::run,
    },
    Kernel {
        name: "p2p-tcp",
        params: &["bytes", "streams"],
        spans_nodes: true,
        run: net::p2p,
    },
    Kernel {
        name: "allreduce-tcp",
        params: &["bytes", "streams"],
        spans_nodes: true,
        run: net::allreduce,
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
