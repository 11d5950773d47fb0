//! Who leaves next.
//!
//! ```text
//! Policy      sees slots, names victims; pure
//! SlabSlots   a slab class as slots
//! ```
//!
//! The store vacates what the policy names (`store/evict.rs`, the only eviction path) and may fail to; the policy
//! never touches an item.

mod policy;
mod slab_slots;

pub use policy::{ClockHand, Policy, Position, SlotState, Slots};
pub use slab_slots::SlabSlots;
