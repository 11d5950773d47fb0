//! Thread synchronisation: epochs, lock order and mailboxes.
//!
//! ```text
//! Epochs ──join──▶ Participant ──pin──▶ PinGuard ──deref──▶ Pin      a thread that reads items without a lock
//! Ranked                                                             debug builds: checks the order of locks
//! Leaf                                                               a lock whose holder takes no other
//! Latch                                                              threads wait until it is opened
//! on_threads                                                         several threads share one piece of work
//! Sender ──post──▶ Mailbox                                           rare messages to a thread that waits in its poll
//! ```

mod epoch;
mod latch;
mod leaf;
mod mailbox;
mod ranked;
mod together;

pub use epoch::{Epochs, Participant, Pin, PinGuard, Stamp, Standstill};
pub use latch::Latch;
pub use leaf::{Leaf, LeafGuard};
pub use mailbox::{Mailbox, Sender, mailbox};
pub use ranked::{Rank, Ranked};
pub use together::on_threads;
