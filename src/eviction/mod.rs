//! Eviction policy: chooses the items to evict.
//!
//! ```text
//! SlotS3A     the policy of a class: chooses victims among slots; pure
//! FirstRound  items from before the class's first eviction
//! Ring        the small queue of a class
//! SmallTarget the target length of the small queue
//! Ghost       recently evicted keys; one table for all classes
//! SlabSlots   a slab class, seen as slots
//! ```
//!
//! The store removes the victims that the policy chooses (`store/pressure/evict.rs`, the only eviction path). A removal
//! may fail. The policy never touches an item. `make bench-replay` runs the same types on traces.

mod first_round;
mod ghost;
mod policy;
mod ring;
mod slab_slots;
mod target;

pub use ghost::{Ghost, GhostClock, GhostHit, GhostTail, GhostTime, Queue, Taken};
pub use policy::{ClockHand, ItemState, PolicyProgress, PolicyUse, Position, SlotS3A, Slots, Victim};
pub use ring::{Ring, RingEntry, SmallQueue, generation_tag};
pub use slab_slots::{SlabSlots, SlotItem};
