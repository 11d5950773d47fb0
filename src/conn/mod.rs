//! One client: its states, the bytes it sends and the bytes it gets.
//!
//! ```text
//! kernel ──receive──▶ ReadBuf ──▶ Batch, execute ──▶ WriteQueue ──send──▶ kernel
//!            │           ▲ tail                          │ what the kernel does not take
//!            └▶ chunks (a large value)                Backlog ──send──▶ kernel, when the client reads
//!
//! connection, state          the loop, and its states
//! read_buf, value            requests, and values that arrive
//! transport, sealed          the socket, and TLS between it and the buffers
//! write_queue, sending       replies, and how they are sent
//! backlog                    replies that wait for the client
//! dump                       rows of a dump, slice by slice
//! locked, locked_packets     clients that must authenticate first
//! recorder, log              what is watched, and what -vv prints
//! pipeline_summary           what a slow pipeline began with
//! connection_table           all descriptors, for `stats conns`
//! handover                   connections between two processes
//! cache                      the names of the store's types
//! ```
//!
//! Buffers belong to the worker, which lends them for one drive. A connection keeps only the beginning of an unfinished
//! request, and replies that its client has not read. Runs on the worker's thread.

mod asking;
mod backlog;
mod cache;
mod connection;
mod connection_table;
mod dump;
mod handover;
mod locked;
mod locked_packets;
mod log;
mod pipeline_summary;
mod read_buf;
mod recorder;
mod sealed;
mod sending;
mod state;
mod transport;
mod value;
mod write_queue;

pub use cache::{Cache, Entry, Pin};
pub use connection::{
    Connection, ConnectionConfig, DriveOutcome, LookupAhead, OUTPUT_BYTES, Received, Turn, keep_output,
};
pub use connection_table::{Activity, ConnectionTable};
pub use log::{COMMANDS as COMMANDS_VERBOSITY, reply as log_reply, request as log_request};
pub use pipeline_summary::PipelineSummary;
pub use read_buf::ReadBuf;
pub use recorder::Recorder;
pub use state::CloseReason;
