//! Threads and each other: epochs, bucket locks' order, mailboxes.
//!
//! ```text
//! Epochs ──join──▶ Participant ──pin──▶ PinGuard ──deref──▶ Pin      a thread that reads items without a lock
//! Ranked                                                             debug builds: who may wait for which lock
//! ```

mod epoch;
mod ranked;

pub use epoch::{Epochs, Participant, Pin, PinGuard, Stamp};
pub use ranked::{Rank, Ranked};
