//! The bytes of one item in its chunks.
//!
//! ```text
//! Layout       the chunks that an item with a given key and value needs
//! PendingItem  reserved and being filled; not visible
//! CompleteItem filled; not visible yet
//! ItemRef      linked, and readable while a pin lasts
//! ItemLease    readable beyond the pin, for a slow client
//! check        whether a chunk of a memory file holds an item that proves itself
//! ```
//!
//! Upholds I2 (complete before visible), I3 (everything fits) and I12 (a pending item is freed when dropped).

mod complete;
pub mod header;
mod layout;
mod link;
mod pending;
mod proof;
mod recover;
mod version;
mod view;
mod word1;

pub use complete::CompleteItem;
pub use header::{AccessStamp, LinkInfo, Marks, QueueState, Word0};
pub use layout::{Extras, Layout};
pub use pending::PendingItem;
pub use recover::{ChunkContent, CountedItem, Whole, check, item_bytes_in};
pub use view::{Candidate, ItemLease, ItemRef, Pieces};
