//! `larder-bench`: what measures a memcached-compatible server from outside, larder or another.
//!
//! ```text
//! plan ──▶ session ──▶ outcome      what to send; the connections it is sent on; what came of it
//!
//! contest    which servers, on which cores, from LARDER_BENCH_* variables
//! server     one of them: start, questions beside the load, stop
//! host       what /proc says of the machine and of a process
//! figures    medians, ratios, Markdown tables
//! floor      a server that does nothing: what the kernel alone costs
//! trace      request sequences of ../shared/data
//! ```
//!
//! Nothing below imports this room: the daemon does not know that it is measured.

pub mod contest;
pub mod figures;
pub mod floor;
pub mod host;
mod outcome;
mod plan;
pub mod server;
mod session;
pub mod trace;

pub use outcome::{BUSY_SHARE_MAX, NOTES_MAX, Outcome};
pub use plan::{KeyPlan, Mix, Op, Pacing, Plan, Popularity, SizePlan, Target, TtlPlan, Waiting, Wire};
pub use session::Session;
