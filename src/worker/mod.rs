//! A worker thread: its poll, its connections and its mailbox.
//!
//! ```text
//! dispatcher ──Mail::Adopt──▶ mailbox ──▶ ConnectionSlab ──▶ Connection::drive     when the poll reports it
//!
//! event_loop          the loop; its parts are files of its folder
//! meter               how long drives take
//! ahead               connections that are received from together
//! idle, events        idle timeouts; log lines about clients
//! mail, handover      orders of other threads
//! served_client       a connection, and what the loop notes about it
//! shared, gate        what a worker is given; the limits on clients
//! watching            its part in `watch`
//! ```
//!
//! Workers share only the fields of `Shared`. Upholds I9: a worker is pinned while it serves, and unpinned while it
//! waits.

mod ahead;
mod connection_slab;
mod event_loop;
mod events;
mod gate;
mod handover;
mod idle;
mod mail;
mod meter;
mod served_client;
mod shared;
mod watching;

pub use event_loop::{Worker, WorkerStart};
pub use gate::{ADMINS_MAX, ClientGate, ClientLimits, LimitReached};
pub use handover::{HandOver, HandedOver, WorkerSockets};
pub use mail::{Answers, Mail};
pub use shared::Shared;
