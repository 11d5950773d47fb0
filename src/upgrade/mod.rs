//! The upgrade: what a process hands over to the process of a new binary, and how the two talk.
//!
//! ```text
//! old                                                      new
//!  starts the new binary ──────────────────────────────────▶ reads its options
//!                        ──────────────────────── Items ──▶  maps their memory, reads nothing of it
//!                        ◀──────────────────────── Hello ───
//!  pauses; each thread sends its part ──── Part, Sockets ──▶ examines all of it, changes nothing
//!                        ───────────────────────── End ────▶ starts its threads, which wait
//!                        ◀──────────────────────── Ready ───  or Refused, or silence: the old process goes on
//!                        ───────────────────────── Commit ─▶ takes the items over, and serves
//!  ends
//! ```
//!
//! Before `Commit` both processes can end without harm to the other. After it the old process only ends (I17). A part
//! is a file in memory, whose records are in record.rs, and the sockets that the records are about.

mod channel;
mod encoding;
mod part;
mod record;

pub use channel::{ChannelError, UpgradeChannel};
pub use part::{Part, PartBuilder};
pub use record::{
    ConnectionRecord, ConnectionStage, ListenerRecord, PartRecord, ProcessRecord, SocketKind, WatcherRecord,
};
