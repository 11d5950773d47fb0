//! `watch`: clients that see what happens, as lines of text.
//!
//! ```text
//! worker ──note──▶ its ring ─┐                                            ┌─▶ buffer ──send──▶ watcher
//! worker ──note──▶ its ring ─┼─▶ the watch thread: order, filter, format ─┼─▶ buffer ──send──▶ watcher
//! jobs ────note──▶ a ring ───┘                                            └─▶ …
//! ```
//!
//! A ring and a buffer are bounded. What does not fit is lost and counted, so neither a slow watcher nor a slow watch
//! thread delays a client. While no client watches, a worker only reads that there is nothing to note, once per turn.
//! The thread starts with the first watcher.

mod event;
mod hub;
mod peer;
mod ring;
mod thread;
mod watcher;

pub use event::{ArithStatus, CloseCause, ConnectionFacts, Event, FetchStatus, ItemFacts, StoreStatus};
pub use hub::{Hub, HubConfig, NoPermit, Permit, WatchFigures};
pub use peer::WatcherPeer;
pub use ring::EventRing;
pub use thread::Visit;
pub use watcher::{OnClose, Wanted, WatchProgress, Watcher, WatcherView};
