//! Unread pages: a class that would evict new items claims a page of another class, whose items are older and were
//! never read.
//!
//! ```text
//! class A: a page of old, unread items ──claim──▶ page mover: empties it ──▶ class B, which is out of chunks
//!                                                                         meanwhile B answers Busy, without evictions
//! ```
//!
//! Without this, a burst of new keys in a class of few pages evicts its own items, while another class is full of
//! items that are not in use. This holds for keys that no get has asked for: where stores follow misses, the page mover
//! compares what classes miss. The thread that lacks chunks looks at samples of items, and orders the page at once.
//! Age is the order of stores, which the items' uniques tell.

use crate::base::atomic::{AtomicU64, Ordering};
use crate::item::ItemRef;
use crate::memory::{CLASS_IDS, ChunkRef};
use crate::store::cas;
use crate::store::worker_store::WorkerStore;
use crate::sync::{Leaf, Pin};

/// A page that a class has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Claim {
    pub(in crate::store) page: u32,
    pub(in crate::store) from: u8,
    pub(in crate::store) to: u8,
    /// The unique of the newest item that was seen in the page.
    newest: u64,
}

/// The claims of all classes. A class has one claim at a time.
pub(in crate::store) struct UnreadPages {
    /// Claims that the page mover has not begun, oldest first.
    claims: Leaf<Vec<Claim>>,
    classes: Box<[ClassClaims; CLASS_IDS]>,
}

/// The claims of one class. Times are milliseconds of the store's clock.
#[derive(Default)]
struct ClassClaims {
    /// Stores wait until then for the page that the class has claimed. 0: it has claimed none.
    waits_until_ms: AtomicU64,
    /// The class looks for a page again from then on.
    looks_at_ms: AtomicU64,
    /// The time between the last two looks.
    rest_ms: AtomicU64,
}

/// How long stores wait for a page. The page mover needs a few milliseconds, or longer on a busy machine.
const WAIT_MS: u64 = 50;
/// Time between two looks. It doubles until a page has moved, or no look was due for the longest time.
const REST_MS_LEAST: u64 = 1;
const REST_MS_MOST: u64 = 256;
/// Items that are looked at in a page.
const SAMPLE: u32 = 32;
/// One of this many items of an unread page may have been read. It is copied if it was read lately.
const UNREAD_PER_READ: u32 = 16;
/// Pages of a class that are looked at. The look at a class ends at a page whose items were read.
const PAGES_LOOKED_AT: usize = 4;
/// The same for the claiming class. The items of a page are about equally old, so more pages count.
const OWN_SAMPLE: u32 = 8;
const OWN_PAGES: usize = 32;
/// The items of a page must be older by this factor, in halves, than those of the claiming class.
const TIMES_AS_OLD_BY_2: u128 = 3;
/// One of this many items of the claiming class may be older than the age that is compared.
const OLD_SHARE: usize = 4;

impl Default for UnreadPages {
    fn default() -> Self {
        Self { claims: Leaf::default(), classes: Box::new(std::array::from_fn(|_| ClassClaims::default())) }
    }
}

impl UnreadPages {
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

    fn claim(&self, claim: Claim, now_ms: u64) {
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

/// How old the items of the claiming class are, in stores.
struct Ages {
    /// The number that the next store may get. Ages count from it.
    next: u64,
    /// Most items are not older.
    old: u64,
    pages: u32,
    /// Ages that differ by less may be equal: each thread hands out its own range of uniques.
    slack: u64,
}

impl Ages {
    /// Whether the class may take a page whose items have at least this `age`, from a class with `pages_from` pages.
    /// Items grow older with a page more, and the other class's items leave sooner with a page less. The page must
    /// not move back for that, and a page that has just moved is half empty for some time.
    fn allow(&self, age: u64, pages_from: u32) -> bool {
        let [pages, pages_from] = [self.pages, pages_from].map(u128::from);
        let [age, old] = [age.saturating_sub(self.slack), self.old].map(u128::from);
        let [age_then, old_then] = [age * pages * (pages_from - 1), old * (pages + 1) * pages_from];
        age_then * 2 > old_then * TIMES_AS_OLD_BY_2
    }
}

impl WorkerStore {
    /// Claims a page of unread items of another class for `class`, which is out of chunks. Returns whether the page
    /// will come, so that nothing should be evicted.
    pub(in crate::store) fn claim_unread_page(&mut self, pin: &Pin, class: u8) -> bool {
        let (moves, now_ms) = (&self.store.page_moves, self.moment.ms());
        if self.is_movers || !self.may_wait || moves.is_by_hand() {
            return false;
        }
        let state = &moves.unread.classes[usize::from(class)];
        let waits_until_ms = state.waits_until_ms.load(Ordering::Relaxed);
        if waits_until_ms != 0 {
            return now_ms < waits_until_ms;
        }
        // Where stores follow misses, the misses tell which class needs a page. A class without a page gets its first
        // one in `refill_late`.
        let is_unasked = self.store.late_reads.0.are_unasked(self.store.items_about());
        if !is_unasked || self.store.slabs.lock(class).usage().pages == 0 || !state.begins_look(now_ms) {
            return false;
        }
        let Some(claim) = self.find_unread_page(pin, class) else { return false };
        moves.unread.claim(claim, now_ms);
        moves.wake();
        true
    }

    /// Whether a claimed page may still leave its class: its items are the same, and the class has pages enough.
    pub(in crate::store) fn is_still_unread(&self, pin: &Pin, claim: &Claim) -> bool {
        let has_pages = self.store.slabs.lock(claim.from).usage().pages > self.pages_floor(claim.from);
        let newest = || self.newest_unread(pin, claim.from, claim.page);
        has_pages && newest().is_some_and(|newest| cas::is_at_or_before(newest, claim.newest))
    }

    /// A page of another class whose items were never read, and are older than those of `class` would be with one page
    /// more. Of several pages, the one with the oldest items.
    fn find_unread_page(&mut self, pin: &Pin, class: u8) -> Option<Claim> {
        let own = self.ages(pin, class)?;
        let mut oldest: Option<(u64, Claim)> = None;
        for from in self.store.slabs.classes.ids().filter(|from| *from != class) {
            let pages_from = self.store.slabs.lock(from).usage().pages;
            if pages_from <= self.pages_floor(from) {
                continue;
            }
            let mut pages = [0; PAGES_LOOKED_AT];
            let count = self.some_pages(from, &mut pages);
            for page in pages[..count].iter().copied() {
                // Other pages of a class that is read have such items, too.
                let Some(newest) = self.newest_unread(pin, from, page) else { break };
                let age = cas::age(newest, own.next);
                let is_oldest = oldest.is_none_or(|(other, _)| age > other);
                if is_oldest && own.allow(age, pages_from) {
                    oldest = Some((age, Claim { page, from, to: class, newest }));
                }
            }
        }
        oldest.map(|(_, claim)| claim)
    }

    /// The ages of the items of `class`, from a sample.
    fn ages(&mut self, pin: &Pin, class: u8) -> Option<Ages> {
        let next = self.store.cas.0.next();
        let mut pages = [0; OWN_PAGES];
        let count = self.some_pages(class, &mut pages);
        let items = pages[..count].iter().flat_map(|page| self.sample(pin, class, *page, OWN_SAMPLE));
        let mut ages: Vec<u64> = items.map(|item| cas::age(item.unique(), next)).collect();
        ages.sort_unstable_by(|one, other| other.cmp(one));
        let old = ages.get(ages.len() / OLD_SHARE).copied()?;
        let (pages, slack) = (self.store.slabs.lock(class).usage().pages, self.store.uniques_not_used());
        Some(Ages { next, old, pages, slack })
    }

    /// The unique of the newest item of a page, if hardly any of its items was read.
    fn newest_unread(&self, pin: &Pin, class: u8, page: u32) -> Option<u64> {
        let mut reads_left = SAMPLE.min(self.store.slabs.classes.per_page(class)) / UNREAD_PER_READ;
        let mut newest: Option<u64> = None;
        for item in self.sample(pin, class, page, SAMPLE) {
            if item.word0().is_fetched() {
                reads_left = reads_left.checked_sub(1)?;
            }
            let unique = item.unique();
            newest =
                Some(newest.map_or(unique, |other| if cas::is_at_or_before(unique, other) { other } else { unique }));
        }
        newest
    }

    /// Some items of a page of `class`, `most` or fewer.
    fn sample<'a>(&'a self, pin: &'a Pin, class: u8, page: u32, most: u32) -> impl Iterator<Item = ItemRef<'a>> {
        let per_page = self.store.slabs.classes.per_page(class);
        let step = (per_page / most).max(1);
        let chunks = (0..per_page.min(most)).map(move |number| ChunkRef::new(page, number * step));
        chunks.filter_map(move |chunk| self.probable_item(pin, chunk))
    }
}

#[cfg(test)]
mod tests {
    use super::Ages;

    #[test]
    fn a_page_must_be_half_as_old_again_however_large_the_numbers_are() {
        let ages = |old, pages| Ages { next: 0, old, pages, slack: 0 };
        assert!(ages(1000, 100).allow(1600, 100) && !ages(1000, 100).allow(1500, 100));
        let (old, pages) = (1 << 39, 1 << 17);
        assert!(ages(old, pages).allow(old / 4 * 7, pages) && !ages(old, pages).allow(old / 4 * 5, pages));
    }
}
