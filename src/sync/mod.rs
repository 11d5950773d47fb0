//! Threads and each other: epochs, bucket locks' order, mailboxes.
//!
//! ```text
//! Epochs ──join──▶ Participant ──pin──▶ PinGuard ──deref──▶ Pin      a thread that reads items without a lock
//! Ranked                                                             debug builds: who may wait for which lock
//! Sender ──post──▶ Mailbox                                            rare mail to a thread that sits in its poll
//! ```

mod epoch;
mod mailbox;
mod ranked;

pub use epoch::{Epochs, Participant, Pin, PinGuard, Stamp};
pub use mailbox::{Mailbox, Sender, mailbox};
pub use ranked::{Rank, Ranked};
