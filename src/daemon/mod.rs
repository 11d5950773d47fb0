//! The process: flags, signals, privileges, start and stop.
//!
//! ```text
//! main ──▶ cli ──▶ Invocation::Print     help, licence, version
//!            └───▶ Invocation::Serve ──▶ startup: layers bottom-up ──▶ dispatcher runs ──▶ shutdown: top-down
//!
//! before     config_file, users     options and users from files
//!            failure                why a start failed
//! startup    privileges, plan       user and limits; the store's configuration
//!            memory_file            the store and its clock
//!            mesh_file              what a node of a mesh keeps beside the memory file
//!            predecessor            what the process before hands over
//!            activation             sockets that the service manager has opened
//!            certificates           TLS: the files, and the thread of handshakes
//!            waiting_threads        threads that begin when nothing can fail any more
//!            replication, watching  a node of a mesh; clients that watch
//!            pidfile, notify        files and messages for a supervisor
//! running    operator, heartbeat    commands about the process; its load for the service manager
//!            history                what /history.json shows
//!            upgrade, program       SIGUSR2: the next process, and the program that it runs
//! ```

mod activation;
mod certificates;
mod cli;
mod config_file;
mod failure;
mod heartbeat;
mod history;
mod memory_file;
mod mesh_file;
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
mod waiting_threads;
mod watching;

pub use cli::{Invocation, parse};
pub use failure::Failure;
pub use startup::serve;
