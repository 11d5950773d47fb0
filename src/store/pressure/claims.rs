//! Claims: a class that is out of chunks claims a page of another class, before it evicts.
//!
//! ```text
//! class A: a page ──claim──▶ page mover: empties it ──▶ class B, which is out of chunks
//!                                                       meanwhile B answers Busy, without evictions
//! ```
//!
//! The thread that lacks chunks finds the page: a sparse one (`sparse_pages.rs`), or one of unread items
//! (`unread_pages.rs`).

use crate::base::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::memory::CLASS_IDS;
use crate::store::worker_store::WorkerStore;
use crate::sync::{Leaf, Pin};

/// A page that a class has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Claim {
    pub(in crate::store) page: u32,
    pub(in crate::store) from: u8,
    pub(in crate::store) to: u8,
    pub(in crate::store) reason: ClaimReason,
}

/// Why a page may leave its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum ClaimReason {
    /// It has few items, and there are free chunks for copies of all.
    Sparse,
    /// Its items were never read. The newest one that was seen has this unique.
    Unread { newest: u64 },
}

/// The claims of all classes. A class has one claim at a time.
pub(in crate::store) struct PageClaims {
    /// Claims that the page mover has not begun, oldest first.
    claims: Leaf<Vec<Claim>>,
    classes: Box<[ClassClaims; CLASS_IDS]>,
    /// Classes look for sparse pages again from then on.
    sparse_looks_at_ms: AtomicU64,
}

/// The claims of one class. Times are milliseconds of the store's clock.
#[derive(Default)]
struct ClassClaims {
    /// Stores wait until then for the page that the class has claimed. 0: it has claimed none.
    waits_until_ms: AtomicU64,
    /// The class looks for an unread page again from then on.
    looks_at_ms: AtomicU64,
    /// The time between the last two looks.
    rest_ms: AtomicU64,
    /// The class has claimed a sparse page, so it gives none. Otherwise two classes could exchange a page forever.
    has_claimed_sparse: AtomicBool,
}

/// How long stores wait for a page. The page mover needs a few milliseconds, or longer on a busy machine.
const WAIT_MS: u64 = 50;
/// Time between two looks for unread pages. It doubles until a page has moved, or no look was due for the longest time.
const REST_MS_LEAST: u64 = 1;
const REST_MS_MOST: u64 = 256;
/// Time until the next look for sparse pages when no class has one, and when the page mover has given one up.
const SPARSE_REST_MS: u64 = 16;
const SPARSE_FAILURE_REST_MS: u64 = 1000;

impl Default for PageClaims {
    fn default() -> Self {
        let classes = Box::new(std::array::from_fn(|_| ClassClaims::default()));
        Self { claims: Leaf::default(), classes, sparse_looks_at_ms: AtomicU64::new(0) }
    }
}

impl PageClaims {
    /// Takes the oldest claim.
    pub(in crate::store) fn take_claim(&self) -> Option<Claim> {
        let mut claims = self.claims.lock();
        (!claims.is_empty()).then(|| claims.remove(0))
    }

    /// The page mover is done with the claim of `class`.
    pub(in crate::store) fn note_done(&self, class: u8, has_moved: bool) {
        let class = &self.classes[usize::from(class)];
        if has_moved {
            class.rest_ms.store(0, Ordering::Relaxed);
            class.looks_at_ms.store(0, Ordering::Relaxed);
        }
        class.waits_until_ms.store(0, Ordering::Relaxed);
    }

    /// Drops the claims that the page mover has not begun.
    pub(in crate::store) fn drop_all(&self) {
        let claims = std::mem::take(&mut *self.claims.lock());
        claims.iter().for_each(|claim| self.note_done(claim.to, false));
    }

    /// Whether `class` has claimed a page that has not come yet.
    pub(in crate::store) fn is_pending(&self, class: u8) -> bool {
        self.classes[usize::from(class)].waits_until_ms.load(Ordering::Relaxed) != 0
    }

    /// The page mover could not empty a sparse page.
    pub(in crate::store) fn note_sparse_failure(&self, now_ms: u64) {
        self.sparse_looks_at_ms.store(now_ms + SPARSE_FAILURE_REST_MS, Ordering::Relaxed);
    }

    /// Whether `class` has ever claimed a sparse page.
    pub(super) fn has_claimed_sparse(&self, class: u8) -> bool {
        self.classes[usize::from(class)].has_claimed_sparse.load(Ordering::Relaxed)
    }

    fn claim(&self, claim: Claim, now_ms: u64) {
        if claim.reason == ClaimReason::Sparse {
            self.classes[usize::from(claim.to)].has_claimed_sparse.store(true, Ordering::Relaxed);
        }
        self.classes[usize::from(claim.to)].waits_until_ms.store(now_ms + WAIT_MS, Ordering::Relaxed);
        self.claims.lock().push(claim);
    }
}

impl ClassClaims {
    /// Whether this thread is the one that looks for a page now.
    fn begins_look(&self, now_ms: u64) -> bool {
        let due_ms = self.looks_at_ms.load(Ordering::Relaxed);
        if now_ms < due_ms {
            return false;
        }
        let was_quiet = now_ms > due_ms + REST_MS_MOST;
        let rest_ms = if was_quiet { REST_MS_LEAST } else { self.rest_ms.load(Ordering::Relaxed) * 2 };
        let rest_ms = rest_ms.clamp(REST_MS_LEAST, REST_MS_MOST);
        let next_ms = now_ms + rest_ms;
        let is_first = self.looks_at_ms.compare_exchange(due_ms, next_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_first {
            self.rest_ms.store(rest_ms, Ordering::Relaxed);
        }
        is_first
    }
}

impl WorkerStore {
    /// Claims a page of another class for `class`, which is out of chunks. Returns whether the page will come, so that
    /// nothing should be evicted.
    pub(in crate::store) fn claim_page(&mut self, pin: &Pin, class: u8) -> bool {
        let (moves, now_ms) = (&self.store.page_moves, self.moment.ms());
        if !self.role.may_wait() || moves.is_by_hand() {
            return false;
        }
        let waits_until_ms = moves.claims.classes[usize::from(class)].waits_until_ms.load(Ordering::Relaxed);
        if waits_until_ms != 0 {
            return now_ms < waits_until_ms;
        }
        let claim = self.look_for_sparse_page(class, now_ms).or_else(|| self.look_for_unread_page(pin, class, now_ms));
        let Some(claim) = claim else { return false };
        moves.claims.claim(claim, now_ms);
        moves.wake();
        true
    }

    fn look_for_sparse_page(&self, class: u8, now_ms: u64) -> Option<Claim> {
        let looks_at_ms = &self.store.page_moves.claims.sparse_looks_at_ms;
        let is_due = !self.store.ghost_times.any_runs() && now_ms >= looks_at_ms.load(Ordering::Relaxed);
        if !is_due || self.has_no_page(class) {
            return None;
        }
        let claim = self.find_sparse_page(class);
        if claim.is_none() {
            looks_at_ms.store(now_ms + SPARSE_REST_MS, Ordering::Relaxed);
        }
        claim
    }

    fn look_for_unread_page(&mut self, pin: &Pin, class: u8, now_ms: u64) -> Option<Claim> {
        // Where stores follow misses, the misses tell which class needs a page.
        let is_unasked = self.store.late_reads.0.are_unasked(self.store.items_about());
        let state = &self.store.page_moves.claims.classes[usize::from(class)];
        let looks = is_unasked && !self.has_no_page(class) && state.begins_look(now_ms);
        if looks { self.find_unread_page(pin, class) } else { None }
    }

    /// A class without a page gets its first one in `refill_late`.
    fn has_no_page(&self, class: u8) -> bool {
        self.store.slabs.lock(class).usage().pages == 0
    }

    /// Whether a claimed page may still leave its class.
    pub(in crate::store) fn may_still_move(&self, pin: &Pin, claim: &Claim) -> bool {
        match claim.reason {
            ClaimReason::Sparse => self.is_still_sparse(claim),
            ClaimReason::Unread { newest } => self.is_still_unread(pin, claim, newest),
        }
    }
}
