//! One thread that serves clients: its poll, its connections, its mail.
//!
//! ```text
//! dispatcher ──Mail::Adopt──▶ mailbox ──▶ Roster ──▶ Connection::drive     when the poll reports it
//! ```
//!
//! Nothing is shared with other workers but what `Shared` names. Upholds I9: pinned while it serves, unpinned while it
//! waits.

mod event_loop;
mod events;
mod gate;
mod idle;
mod mail;
mod roster;

pub use event_loop::{Shared, Worker};
pub use gate::ClientGate;
pub use mail::Mail;
