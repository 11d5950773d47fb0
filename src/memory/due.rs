//! The due time of each page: the earliest deadline noted since the sweeper's last visit.
//!
//! ```text
//! page      1       2       3       4
//! due      never   14880   never   19280      ticks, 4 bytes per page; the whole table is read once a second
//! ```
//!
//! Between two visits the value is only lowered. Items that leave or get a later deadline do not raise it, so a visit
//! may find nothing expired.

use crate::base::atomic::{AtomicU32, Ordering};
use crate::base::{ClockTick, Deadline};

/// The due ticks of all pages.
pub struct DueTable {
    ticks: Box<[AtomicU32]>,
}

/// No item in the page has a deadline.
const NEVER: u32 = u32::MAX;

impl DueTable {
    /// Bytes of the table per page.
    pub(super) const BYTES_PER_PAGE: usize = size_of::<AtomicU32>();

    /// A table for pages up to `last_page`.
    pub(super) fn new(last_page: u32) -> Self {
        Self { ticks: (0..=last_page).map(|_| AtomicU32::new(NEVER)).collect() }
    }

    /// Notes the `deadline` of an item in `page`. Pinned threads can already see the item.
    #[inline]
    pub fn note(&self, page: u32, deadline: Deadline) {
        if deadline != Deadline::NEVER
            && let Some(due) = self.ticks.get(page as usize)
            // Relaxed, here and below: see `take`. Mostly the page is due earlier already, and nothing is stored.
            && deadline.0 < due.load(Ordering::Relaxed)
        {
            due.fetch_min(deadline.0, Ordering::Relaxed);
        }
    }

    /// Whether an item in `page` may have expired by `now`.
    #[inline]
    pub fn is_due(&self, page: u32, now: ClockTick) -> bool {
        self.ticks.get(page as usize).is_some_and(|due| due.load(Ordering::Relaxed) <= now.0)
    }

    /// When `page` is due, in ticks.
    pub(super) fn ticks(&self, page: u32) -> u32 {
        self.ticks.get(page as usize).map_or(NEVER, |due| due.load(Ordering::Relaxed))
    }

    /// Starts a visit: deadlines noted from now on count for the next visit. The caller then waits for the grace
    /// period of this moment before it scans the page. A thread may have seen the old value and noted nothing,
    /// because its deadline was later. That thread was pinned before, so after it has unpinned the scan sees its
    /// item.
    pub fn take(&self, page: u32) {
        if let Some(due) = self.ticks.get(page as usize) {
            due.store(NEVER, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClockTick, Deadline, DueTable};

    #[test]
    fn a_page_is_due_at_the_earliest_deadline_since_it_was_taken() {
        let table = DueTable::new(2);
        table.note(1, Deadline::NEVER);
        assert!(!table.is_due(1, ClockTick(u32::MAX - 1)));
        table.note(1, Deadline(20));
        table.note(1, Deadline(10));
        table.note(1, Deadline(30));
        assert_eq!((table.is_due(1, ClockTick(9)), table.is_due(1, ClockTick(10))), (false, true));
        assert!(!table.is_due(2, ClockTick(10)));
        table.take(1);
        assert!(!table.is_due(1, ClockTick(10)));
        table.note(1, Deadline(12));
        assert!(table.is_due(1, ClockTick(12)));
        table.note(3, Deadline(1));
        assert!(!table.is_due(3, ClockTick(10)), "no such page");
    }
}
