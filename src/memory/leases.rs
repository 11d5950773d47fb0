//! Leases: chunks whose bytes a slow client is still being sent, beyond the loop turn that found them.
//!
//! Rare by design (only what the kernel did not take at once is leased), so one mutex serves all. The common
//! question, whether there are any leases at all, is one atomic load.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::base::atomic::{AtomicU64, Ordering};

use super::chunk_ref::ChunkRef;

/// All leases of a store.
#[derive(Default)]
pub struct Leases {
    /// Leased chunks. Changed under the mutex, before the leasing thread unpins: who frees chunks after that
    /// thread's grace period therefore sees it.
    count: AtomicU64,
    table: Mutex<HashMap<ChunkRef, Lease>>,
}

#[derive(Default)]
struct Lease {
    holders: u32,
    /// The chunk was retired and its grace is over: the last holder gives it back.
    orphaned: bool,
}

impl Leases {
    /// Adds a holder. The caller is pinned and the chunk was visible under that pin.
    pub fn add(&self, chunk: ChunkRef) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let lease = table.entry(chunk).or_default();
        lease.holders += 1;
        if lease.holders == 1 {
            self.count.fetch_add(1, Ordering::Release);
        }
    }

    /// Ends one holder's lease. True: it was the last one of an orphan, which the caller must give back.
    #[must_use]
    pub fn end(&self, chunk: ChunkRef) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lease) = table.get_mut(&chunk) else { return false };
        lease.holders -= 1;
        if lease.holders > 0 {
            return false;
        }
        let orphaned = lease.orphaned;
        table.remove(&chunk);
        self.count.fetch_sub(1, Ordering::Release);
        orphaned
    }

    /// Whether somebody holds `chunk`, whose grace is over. If so the chunk is theirs to give back.
    pub(super) fn keep(&self, chunk: ChunkRef) -> bool {
        if self.count.load(Ordering::Acquire) == 0 {
            return false;
        }
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        match table.get_mut(&chunk) {
            Some(lease) => {
                lease.orphaned = true;
                true
            }
            None => false,
        }
    }

    /// How many chunks are leased.
    pub fn len(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// Whether no chunk is leased.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
