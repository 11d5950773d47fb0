//! Groups of connections that are received from together.

use crate::conn::LookupAhead;

/// Connections of a group: all are received from before the first is answered, so that their loads from memory overlap.
/// A processor has about this many loads in flight.
pub(super) const GROUP: usize = 8;

/// A group: connections whose first request is in an input buffer, and the lookup of its key.
pub(super) struct AheadGroup {
    pub(super) members: [Option<(u32, LookupAhead)>; GROUP],
    pub(super) count: usize,
}

impl Default for AheadGroup {
    fn default() -> Self {
        Self { members: [None; GROUP], count: 0 }
    }
}
