//! What the bench programs share: the two servers and how they are run, what /proc says of them, and the figures.
//!
//! ```text
//! contest    which two servers, on which cores, from LARDER_BENCH_* variables
//! server     one of them: start, questions beside the load, stop
//! host       cores, limits, CPU time and memory of a process
//! figures    medians, ratios, Markdown tables
//! trace      request sequences of ../shared/data
//! ```
//!
//! Each program takes it in with `#[path = "../common/mod.rs"] mod common;`.

pub(crate) mod contest;
pub(crate) mod figures;
pub(crate) mod host;
pub(crate) mod server;
pub(crate) mod trace;
