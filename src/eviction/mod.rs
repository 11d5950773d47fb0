//! Who leaves next.
//!
//! ```text
//! SlotS3A     a class's policy: names victims among slots; pure
//! FirstRound  what was there when the class first had to evict
//! Ring        its small queue
//! SmallTarget how long that should be
//! Ghost       what left lately; one for all classes
//! SlabSlots   a slab class as slots
//! ```
//!
//! The store vacates what the policy names (`store/evict.rs`, the only eviction path) and may fail to; the policy
//! never touches an item. `make bench-replay` runs the same types on traces.

mod first_round;
mod ghost;
mod policy;
mod ring;
mod slab_slots;
mod target;

pub use ghost::{Ghost, GhostClock, GhostTail, GhostTime, Memory, Queue, Taken};
pub use policy::{ClockHand, PolicyUse, Position, SlotS3A, Slots, Standing, Victim};
pub use ring::{Ring, RingEntry, birth_mark};
pub use slab_slots::{Occupant, SlabSlots};
