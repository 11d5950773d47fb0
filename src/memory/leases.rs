//! Leases: items whose bytes a slow client is still being sent, beyond the loop turn that found them.
//!
//! ```text
//! head ──▶ lease: 2 holders, orphans: link, link, …     chunks whose grace is over, kept until the last holder ends
//! ```
//!
//! An item is leased by the chunk of its head, however long its chain is: every retired chunk says whose it was. Rare by
//! design (only what the kernel did not take at once is leased), so one mutex serves all. The common question, whether
//! there are any leases at all, is one atomic load.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::base::atomic::{AtomicU64, Ordering};

use super::chunk_ref::ChunkRef;

/// All leases of a store.
#[derive(Default)]
pub struct Leases {
    /// Leased items. Changed under the mutex, before the leasing thread unpins: a thread that frees chunks after that
    /// thread's grace period therefore sees it.
    count: AtomicU64,
    table: Mutex<HashMap<ChunkRef, Lease>>,
}

#[derive(Default)]
struct Lease {
    holders: u32,
    /// Chunks of the item that were retired and whose grace is over: the last holder gives them back.
    orphans: Vec<ChunkRef>,
}

impl Leases {
    /// Adds a holder of the item at `head`. The caller is pinned and the item was visible under that pin.
    pub fn add(&self, head: ChunkRef) {
        let mut table = self.lock();
        let lease = table.entry(head).or_default();
        lease.holders += 1;
        if lease.holders == 1 {
            self.count.fetch_add(1, Ordering::Release);
        }
    }

    /// Ends one holder's lease. What comes back, if it was the last one, the caller must give back.
    #[must_use]
    pub fn end(&self, head: ChunkRef) -> Vec<ChunkRef> {
        let mut table = self.lock();
        let Some(lease) = table.get_mut(&head) else { return Vec::new() };
        lease.holders -= 1;
        if lease.holders > 0 {
            return Vec::new();
        }
        self.count.fetch_sub(1, Ordering::Release);
        table.remove(&head).map_or_else(Vec::new, |lease| lease.orphans)
    }

    /// Whether somebody holds the item at `head`, whose `chunk` has been through its grace. If so the chunk is theirs to
    /// give back. The head's own name cannot be another item's meanwhile: it is an orphan, too, or still waits.
    pub(super) fn keep(&self, head: ChunkRef, chunk: ChunkRef) -> bool {
        if self.is_empty() {
            return false;
        }
        match self.lock().get_mut(&head) {
            Some(lease) => {
                lease.orphans.push(chunk);
                true
            }
            None => false,
        }
    }

    /// How many items are leased.
    pub fn len(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Whether no item is leased.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChunkRef, Lease>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
