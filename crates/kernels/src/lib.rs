//! Built-in measurements on processors.

mod features;
mod gemm;
mod peak;
