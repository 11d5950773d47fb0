//! Leases: they keep an item's bytes while they are sent to a slow client, beyond the worker's turn.
//!
//! ```text
//! head ──▶ lease: 2 holders, orphans: link, link, …     chunks past their grace period, kept for the last holder
//! ```
//!
//! A lease is keyed by the item's head chunk, however long the chain is: every retired chunk records its head. Leases
//! are rare, because only values that the kernel does not take at once are leased. So one mutex serves all. The
//! common check, whether there are any leases, is one atomic load.

use std::collections::HashMap;

use crate::base::atomic::{AtomicU64, Ordering};
use crate::sync::Leaf;

use super::chunk_ref::ChunkRef;

/// All leases of a store.
#[derive(Default)]
pub struct Leases {
    /// The number of leased items. Changed under the mutex, before the leasing thread unpins. So a thread that frees
    /// chunks after that thread's grace period sees the lease.
    count: AtomicU64,
    table: Leaf<HashMap<ChunkRef, LeaseEntry>>,
}

#[derive(Default)]
struct LeaseEntry {
    holders: u32,
    /// Retired chunks of the item whose grace period is over. The last holder gives them back.
    orphans: Vec<ChunkRef>,
}

impl Leases {
    /// Adds a holder of the item at `head`. The caller is pinned, and the item was visible under that pin.
    pub fn add(&self, head: ChunkRef) {
        let mut table = self.table.lock();
        let lease = table.entry(head).or_default();
        lease.holders += 1;
        if lease.holders == 1 {
            self.count.fetch_add(1, Ordering::Release);
        }
    }

    /// Ends one holder's lease. If it was the last one, returns the chunks that the caller must give back.
    #[must_use]
    pub fn end(&self, head: ChunkRef) -> Vec<ChunkRef> {
        let mut table = self.table.lock();
        let Some(lease) = table.get_mut(&head) else { return Vec::new() };
        lease.holders -= 1;
        if lease.holders > 0 {
            return Vec::new();
        }
        self.count.fetch_sub(1, Ordering::Release);
        table.remove(&head).map_or_else(Vec::new, |lease| lease.orphans)
    }

    /// Keeps `chunk` of the item at `head` if the item is leased; the grace period of `chunk` is over. True: the last
    /// holder gives the chunk back. Meanwhile no other item can have the same head: the head is an orphan, too, or
    /// still in limbo.
    pub(super) fn keep(&self, head: ChunkRef, chunk: ChunkRef) -> bool {
        if self.is_empty() {
            return false;
        }
        match self.table.lock().get_mut(&head) {
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
}
