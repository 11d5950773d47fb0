//! `larder-bench`: measures a memcached-compatible server from outside, larder or another.
//!
//! ```text
//! plan ──▶ session ──▶ outcome      the load; its connections; its results
//!             ╰─ driver × threads       one loop each: closed_loop or open_loop
//!                 ├─ chooser            the next request: kind, items (random: Zipf and others)
//!                 ├─ op                 the table of kinds
//!                 ├─ wire               its bytes in three protocols, and what its answer must be
//!                 ├─ items              keys and values of a number (sizes: lengths from a file)
//!                 ├─ acknowledgement_log    the last acknowledged change of each key that only one connection changes
//!                 ├─ connection, window, live        bytes, counts, and progress for other threads (socket: TLS)
//!                 ╰─ connects        new connections beside the load
//! tool       the program around it: order (the command line, by the table in flags; units), report, exit codes, manual
//! slo        the highest rate at which a latency bound holds
//! series, chart, html    figures by second, and a report with charts
//! twitter    rows of a table of real loads
//!
//! bench      servers compared: the table of `make bench`
//! comparison    which servers, on which cores, from LARDER_BENCH_* variables
//! server     one of them: start, questions beside the load, stop
//! host       figures of the machine and of a process from /proc
//! figures    medians, ratios, Markdown tables (json: values in JSON)
//! floor      a null server: the cost of the kernel alone
//! trace      request sequences from files
//! schedule   cores and priorities of threads, and the ends of child processes
//! ```
//!
//! This is a package of its own, so that the server does not depend on its crates.

#![deny(unsafe_code)]

mod acknowledgement_log;
pub mod bench;
mod chart;
mod chooser;
mod closed_loop;
pub mod comparison;
mod connection;
mod connects;
mod driver;
pub mod figures;
mod flags;
pub mod floor;
pub mod host;
mod html;
mod items;
mod json;
mod live;
mod manual;
mod op;
mod open_loop;
pub mod order;
mod outcome;
mod plan;
pub mod random;
mod report;
#[expect(unsafe_code, reason = "it asks the kernel for cores and priorities")]
pub mod schedule;
mod series;
pub mod server;
mod session;
mod sizes;
mod slo;
mod socket;
pub mod tool;
pub mod trace;
pub mod twitter;
mod units;
mod window;
mod wire;

pub use live::{Live, Phase};
pub use manual::{EXIT_CODES, man_page};
pub use op::{Op, Shape};
pub use outcome::{BUSY_SHARE_MAX, NOTES_MAX, OpLatency, Outcome};
pub use plan::{KeyPlan, Mix, Pacing, Plan, Popularity, Sharing, SizePlan, Target, TtlPlan, Waiting, Wire};
pub use series::Second;
pub use session::Session;
pub use slo::{Found, Objective, Probe};
