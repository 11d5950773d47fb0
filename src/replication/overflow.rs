//! What a node does when it changes more than a peer can take.
//!
//! ```text
//!            first                        a peer's cursor                              end
//!   log        │ change │ change │ change ▼ change │ … │ change │ change │ change │ change │
//!              ◀──────────────────────── capacity ────────────────────────────────────────▶
//!
//! resync     the log drops its oldest changes; a cursor before `first` has a gap, and the peer compares all items
//! drop       the cursor goes on at `first`; the peer learns of the others in its next periodic comparison
//! throttle   as resync, and clients that write are delayed while the cursor is far behind
//! ```
//!
//! With `drop` the peer sees no gap, so it would count as having seen all changes. Among these may be deletes, and the
//! tombstones of deletes that every peer has seen may be forgotten. So from then on the node tells the peer the version
//! that it had told before it dropped something. This ends when a comparison has raised what the peer has seen.

use crate::base::Version;

/// Longest delay of a client that writes.
pub const WRITE_DELAY_MS_MAX: u32 = 100;

/// What happens to changes that do not fit into the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverflowPolicy {
    /// The peer compares all items.
    #[default]
    Resync,
    /// A linked peer is not sent them.
    Drop,
    /// As `Resync`, and clients that write are delayed before it comes to that.
    Throttle,
}

/// Changes that a peer was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DroppedChanges {
    /// It has all changes of this node up to this version.
    pub(super) conveyed: Version,
    /// It has missed none above this version.
    pub(super) through: Version,
}

/// How long a client that writes is delayed, in milliseconds. `lag`: changes of a log with this capacity that a peer
/// was not sent. Below three quarters of the log there is no delay.
pub(super) fn write_delay_ms(lag: u64, capacity: u64) -> u32 {
    let free = capacity.saturating_sub(lag);
    let quarter = (capacity / 4).max(1);
    if free >= quarter {
        return 0;
    }
    let used = u64::from(WRITE_DELAY_MS_MAX) * (quarter - free) / quarter;
    u32::try_from(used).unwrap_or(WRITE_DELAY_MS_MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::{WRITE_DELAY_MS_MAX, write_delay_ms};

    #[test]
    fn the_delay_grows_with_the_last_quarter_of_the_log_up_to_a_bound() {
        let delays = [0, 500, 750, 751, 875, 999, 1000, 5000].map(|lag| write_delay_ms(lag, 1000));
        assert_eq!(delays, [0, 0, 0, 1, 50, 99, WRITE_DELAY_MS_MAX, WRITE_DELAY_MS_MAX]);
        assert_eq!([write_delay_ms(0, 1), write_delay_ms(1, 1)], [0, WRITE_DELAY_MS_MAX]);
    }
}
