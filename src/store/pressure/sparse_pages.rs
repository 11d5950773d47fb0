//! Sparse pages: a page with few items goes to a class that would evict. Its items are copied to free chunks of their
//! class, or of a larger one.
//!
//! ```text
//! class of 696 B   │■■■■│■···│        ■: a used chunk      the second page is sparse
//! class of 872 B   │■■··│             ·: a free one        it has room for the three items
//! ```
//!
//! When memory becomes full, the last page of each class is half empty on average. So these moves come before the
//! first eviction in any class. Later the page mover compares what classes miss.

use crate::store::worker_store::WorkerStore;

use super::claims::{Claim, ClaimReason};

/// A page is sparse if at most one of this many chunks is in use.
const SPARSE_SHARE: u32 = 2;

/// The emptiest page of a class, and the bytes of its used chunks.
struct SparsePage {
    page: u32,
    used_bytes: u64,
}

impl WorkerStore {
    /// Of the sparse pages, the one with the fewest bytes in use.
    pub(super) fn find_sparse_page(&self, class: u8) -> Option<Claim> {
        let donors = self.store.slabs.classes.ids().filter(|from| *from != class);
        let sparse = donors.filter_map(|from| Some((self.sparse_page(from, class)?, from)));
        let (SparsePage { page, .. }, from) = sparse.min_by_key(|(sparse, _)| sparse.used_bytes)?;
        Some(Claim { page, from, to: class, reason: ClaimReason::Sparse })
    }

    /// Whether a claimed page is still sparse.
    pub(super) fn is_still_sparse(&self, claim: &Claim) -> bool {
        self.sparse_page(claim.from, claim.to).is_some_and(|sparse| sparse.page == claim.page)
    }

    /// The emptiest page of `from`, if it is sparse and there are free chunks for its items.
    fn sparse_page(&self, from: u8, to: u8) -> Option<SparsePage> {
        let (store, classes) = (self.store, &self.store.slabs.classes);
        if from == classes.largest() || store.page_moves.claims.has_claimed_sparse(from) {
            return None;
        }
        let per_page = classes.per_page(from);
        let (page, used, own) = {
            let slab = store.slabs.lock(from);
            let (page, used) = slab.emptiest_page()?;
            let own = slab.ready().saturating_sub(per_page - used + store.reserve_chunks(&slab, from));
            (page, used, own)
        };
        let others = self.classes_for_copies(from).filter(|class| *class != to);
        let room = || others.fold(own, |room, class| room + self.spare_chunks(class));
        let used_bytes = u64::from(used) * u64::from(classes.chunk_bytes(from));
        (used <= per_page / SPARSE_SHARE && used <= room()).then_some(SparsePage { page, used_bytes })
    }

    /// The class that takes a copy of an item of `class`. None: no chunk is free.
    pub(super) fn class_for_copy(&self, class: u8) -> Option<u8> {
        std::iter::once(class).chain(self.classes_for_copies(class)).find(|class| self.spare_chunks(*class) > 0)
    }

    /// The larger classes that take copies of items of `class`.
    fn classes_for_copies(&self, class: u8) -> impl Iterator<Item = u8> {
        let store = self.store;
        store.larger_classes(class).filter(|other| !store.ghost_times.of(*other).runs())
    }
}
