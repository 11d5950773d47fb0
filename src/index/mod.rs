//! Key to item: a hash index whose readers take no lock and store nothing, and which grows, and shrinks, one bucket at a
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
//! A slot is a tag of 16 bits and a chunk reference of 32. A reader that looks a key up compares the tags of its bucket and
//! then, in the chunk, the key: the index knows hashes, tags and references, never keys.
//!
//! What holds at any time, and why the parts may rely on it:
//!
//! * **Live references.** A reference stands in a slot only while its chunk is linked, or has just lost its mark
//!   under the lock of the bucket (I14). Before the chunk is stamped for reuse (I4) it was overwritten in every slot
//!   that held it, under that lock. So a pinned reader may follow whatever reference it loads, from whatever bucket it
//!   has wandered into, and compare the key there.
//! * **Buckets stay buckets.** The memory of a bucket is never anything else; when no thread knows the bucket any more it
//!   may be given back, and is an empty bucket then. A reader that follows an overflow link which was cut meanwhile reads
//!   slots of some chain, all of them live references, and the compare rejects them. That is why overflow buckets are
//!   recycled at once, without a grace period: only a miss could be wrong, and the next point sees to that.
//! * **A miss is checked.** An item is moved within its chain by placing a copy, counting the move in the main bucket's
//!   sequence word, and clearing the original, in this order. A split publishes the new state before it clears the
//!   parent, a merge before it clears the child; before that both count that they have filled the other. A reader that did
//!   not find the original because it was cleared therefore sees the count or the state moved (I8), also where the state
//!   has moved back meanwhile.
//! * **No gaps.** All buckets of a chain but the last are full, and no overflow bucket is empty. A slot freed in the
//!   middle is filled from the end.

mod bucket;
mod growth;
mod guard;
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

pub use growth::Split;
pub use guard::{BucketGuard, IndexFull, Slot};
pub use shrink::{ClosedTail, Merge};
pub use table::{HashIndex, HomeBucket, IndexPages};
