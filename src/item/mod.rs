//! The bytes of one item inside its chunk.
//!
//! ```text
//! Layout       which chunks an item of a given key and value needs
//! PendingItem  reserved and being filled; nobody sees it
//! CompleteItem filled; nobody sees it yet
//! ItemRef      linked and readable while a pin lasts
//! ItemLease    readable for longer, for a client that is slow to take it
//! ```
//!
//! Upholds I2 (complete before visible), I3 (all fits), I12 (a pending item is freed when dropped).

mod complete;
pub mod header;
mod layout;
mod pending;
mod view;

pub use complete::CompleteItem;
pub use header::{Birth, Place, Word0};
pub use layout::Layout;
pub use pending::PendingItem;
pub use view::{Candidate, ItemLease, ItemRef, Pieces};
