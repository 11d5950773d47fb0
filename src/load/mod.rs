//! The load program: what measures a memcached-compatible server from outside, larder or another.
//!
//! ```text
//! contest    which servers, on which cores, from LARDER_BENCH_* variables
//! server     one of them: start, questions beside the load, stop
//! host       what /proc says of the machine and of a process
//! figures    medians, ratios, Markdown tables
//! trace      request sequences of ../shared/data
//! ```
//!
//! Nothing below imports this room: the daemon does not know that it is measured.

pub mod contest;
pub mod figures;
pub mod host;
pub mod server;
pub mod trace;
