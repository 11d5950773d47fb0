//! What the allocator knows of the pages of a memory file, from one process to the next.
//!
//! ```text
//! last process: metadata and due times ──▶ PageSummary of each page ──▶ next process: Recovery::restore
//! ```
//!
//! A chunk that is not home must hold an item or a link. So threads give their ready chunks back first, and limbo is
//! cleared.

use std::num::NonZero;

use crate::base::atomic::{AtomicUsize, Ordering};
use crate::sync::{Epochs, Leaf, Standstill, on_threads};

use super::slab::SlabAllocator;

/// What is known of a page that has a class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PageSummary {
    /// Its number.
    pub page: u32,
    /// Its class.
    pub class: u8,
    /// The index of the first chunk that was never used.
    pub fresh: u32,
    /// The first free chunk; 0: no chunk is free.
    pub free: u32,
    /// The number of free chunks.
    pub free_len: u32,
    /// When it is due, in ticks.
    pub due: u32,
    /// The fingerprint of its bytes. `None`: it was not computed.
    pub digest: Option<NonZero<u64>>,
}

impl SlabAllocator {
    /// What is known of all pages that have a class, in ascending order, without digests.
    pub fn page_summaries(&self) -> Vec<PageSummary> {
        let mut summaries = Vec::new();
        for class in self.classes.ids() {
            let slab = self.lock(class);
            summaries.extend(slab.pages().iter().map(|page| {
                let (free, free_len, fresh) = self.meta(*page).numbers();
                let due = self.dues.ticks(*page);
                PageSummary { page: *page, class, fresh, free, free_len, due, digest: None }
            }));
        }
        summaries.sort_unstable_by_key(|summary| summary.page);
        summaries
    }

    /// The number of chunks of `class` that are not home.
    pub fn chunks_out(&self, class: u8) -> u64 {
        let slab = self.lock(class);
        slab.pages().iter().map(|page| u64::from(slab.chunks_out(*page).0)).sum()
    }

    /// Frees all chunks in limbo that no thread can see.
    pub fn clear_limbo(&self, epochs: &Epochs) {
        epochs.advance();
        let safe = epochs.safe_before();
        for class in self.classes.ids() {
            while self.lock(class).reclaim(|stamp| stamp < safe) > 0 {}
        }
    }

    /// The digests of pages, computed by `threads` threads.
    pub fn digests(&self, standstill: &Standstill<'_>, pages: &[u32], threads: usize) -> Vec<NonZero<u64>> {
        let (next, digests) = (AtomicUsize::new(0), Leaf::new(vec![NonZero::<u64>::MIN; pages.len()]));
        on_threads(threads, || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(page) = pages.get(index) else { break };
                let digest = NonZero::new(self.arena.digest(*page, standstill)).unwrap_or(NonZero::<u64>::MIN);
                digests.lock()[index] = digest;
            }
        });
        std::mem::take(&mut *digests.lock())
    }
}
