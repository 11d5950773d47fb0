//! The process: flags, signals, privileges, start and stop.
//!
//! ```text
//! main ──▶ cli ──▶ Invocation::Print     help, licence, version
//!            └───▶ Invocation::Serve ──▶ startup: layers bottom-up ──▶ dispatcher runs ──▶ shutdown: top-down
//! ```

mod activation;
mod certificates;
mod cli;
mod config_file;
mod failure;
mod heartbeat;
mod memory_file;
mod notify;
mod operator;
mod pidfile;
mod plan;
mod predecessor;
mod privileges;
mod program;
mod replication;
mod shutdown;
mod startup;
mod upgrade;
mod users;
mod watching;

pub use cli::{Invocation, parse};
pub use failure::Failure;
pub use startup::serve;
