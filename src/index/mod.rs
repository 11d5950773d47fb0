//! Hash index from key to item. Readers take no lock and store nothing. The index grows and shrinks one bucket at a
//! time.
//!
//! ```text
//! KeyHash  63      48          31        0
//!         ┌──────────┬──┄┄┄┄──┬───────────┐
//!         │   tag    │        │ bucket no. │          state: (mask, split) → bucket number, linear hashing
//!         └──────────┴──┄┄┄┄──┴───────────┘
//! main buckets      [ 9 slots ][ 9 slots ][ 9 slots ] ┄┄    64 bytes each, in one reserved mapping
//!                        │ overflow link, 0 = none
//! overflow buckets  [ 9 slots ]→[ 9 slots ]                 another mapping, recycled through free lists
//! ```
//!
//! A slot is a tag of 16 bits and a chunk reference of 32 bits. A lookup compares the tags of the bucket and then the
//! key in the chunk. The index stores hash tags and references, never keys.
//!
//! Invariants of the index:
//!
//! * **Live references.** A slot refers only to a linked chunk, or to one that just lost its `linked` mark under the
//!   bucket's lock (I14). All references to a chunk are overwritten, under that lock, before the chunk is stamped for
//!   reuse (I4). A pinned reader may therefore follow any reference from any bucket, and compare the key there.
//! * **Buckets stay buckets.** The memory of a bucket is never used for anything else. It may be discarded when no
//!   thread knows the bucket any more; it then reads as an empty bucket. A reader that follows a cut overflow link
//!   reads the slots of some other chain. All of these are live references, and the key comparison rejects them.
//!   Overflow buckets are therefore recycled without a grace period. Only a miss could be wrong, and the next
//!   invariant covers it.
//! * **A miss is checked.** A move within a chain has three steps: place the copy, count the move in the main bucket's
//!   sequence word, clear the original. A split publishes the new state before it clears the parent. A merge publishes
//!   it before it clears the child. Before that, both count the fill of the other bucket. A reader that misses a
//!   cleared original therefore sees a changed count or state (I8). This also holds if the state has changed back
//!   meanwhile.
//! * **No gaps.** All buckets of a chain except the last are full, and no overflow bucket is empty. A slot freed in
//!   the middle is filled from the end.

mod bucket;
mod growth;
mod guard;
mod kept;
mod lookup;
#[cfg(test)]
#[cfg(loom)]
mod models;
mod overflow;
mod region;
mod shrink;
mod table;
#[cfg(test)]
#[cfg(not(loom))]
mod tests;
mod walk;

pub use growth::Split;
pub use guard::{BucketGuard, IndexFull, Slot};
pub use shrink::{ClosedTail, Merge};
pub use table::{HashIndex, HomeBucket, IndexPages};
pub use walk::{Walk, Walked};
