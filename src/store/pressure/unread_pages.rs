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
use crate::store::worker_store::WorkerStore;
use crate::sync::{Leaf, Pin};

/// A page that a class has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Claim {
    pub(in crate::store) page: u32,
    pub(in crate::store) from: u8,
    pub(in crate::store) to: u8,
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
    /// The last time between two looks.
    rest_ms: AtomicU64,
}

/// How long stores wait for a page. The page mover needs a few milliseconds, or longer on a busy machine.
const WAIT_MS: u64 = 50;
/// Time after a look that found no page, which doubles with each of them. A look takes some tens of microseconds.
const REST_MS_LEAST: u64 = 1;
const REST_MS_MOST: u64 = 256;
/// Items that are looked at in a page.
const SAMPLE: u32 = 32;
/// One of this many items of an unread page may have been read. The page mover then copies it.
const UNREAD_PER_READ: u32 = 16;
/// Pages of a class that are looked at.
const PAGES_LOOKED_AT: usize = 4;
/// The items of a page must be older by this factor, in halves, than those of the claiming class.
const TIMES_AS_OLD_BY_2: u64 = 3;
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
    pub(in crate::store) fn note_done(&self, class: u8, has_moved: bool, now_ms: u64) {
        let class = &self.classes[usize::from(class)];
        if !has_moved {
            class.rest(now_ms);
        }
        class.waits_until_ms.store(0, Ordering::Relaxed);
    }

    /// Adds a claim, unless another thread has just added one for the class.
    fn claim(&self, claim: Claim, now_ms: u64) {
        let class = &self.classes[usize::from(claim.to)];
        let until_ms = now_ms + WAIT_MS;
        if class.waits_until_ms.compare_exchange(0, until_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            class.rest_ms.store(0, Ordering::Relaxed);
            self.claims.lock().push(claim);
        }
    }
}

impl ClassClaims {
    /// Looks for no page for some time.
    fn rest(&self, now_ms: u64) {
        let rest_ms = (self.rest_ms.load(Ordering::Relaxed) * 2).clamp(REST_MS_LEAST, REST_MS_MOST);
        self.rest_ms.store(rest_ms, Ordering::Relaxed);
        self.looks_at_ms.store(now_ms + rest_ms, Ordering::Relaxed);
    }
}

/// How old the items of the claiming class are, in stores.
struct Ages {
    /// The unique of the newest one. Ages count from it.
    newest: u64,
    /// Most items are not older.
    old: u64,
    pages: u32,
}

impl Ages {
    /// Whether the class may take a page whose items have at least this `age`, from a class with `pages_from` pages.
    /// Items grow older with a page more, and the other class's items leave sooner with a page less. The page must
    /// not move back for that, and a page that has just moved is half empty for some time.
    fn allow(&self, age: u64, pages_from: u32) -> bool {
        let [pages, pages_from] = [self.pages, pages_from].map(u64::from);
        let [age_then, old_then] = [age * pages * (pages_from - 1), self.old * (pages + 1) * pages_from];
        age_then * 2 > old_then * TIMES_AS_OLD_BY_2
    }
}

impl WorkerStore {
    /// Whether `class`, which is out of chunks, will get a page of unread items of another class.
    pub(in crate::store) fn claims_unread_page(&mut self, pin: &Pin, class: u8) -> bool {
        let (moves, now_ms) = (&self.store.page_moves, self.moment.ms());
        let state = &moves.unread.classes[usize::from(class)];
        let waits_until_ms = state.waits_until_ms.load(Ordering::Relaxed);
        if waits_until_ms != 0 {
            return now_ms < waits_until_ms;
        }
        if self.is_movers || moves.is_by_hand() || now_ms < state.looks_at_ms.load(Ordering::Relaxed) {
            return false;
        }
        // A class gets its first page in another way, at once. Where stores follow misses, the misses tell which class
        // needs a page.
        let is_unasked = self.store.late_reads.0.are_unasked(self.store.items_about());
        if !is_unasked || self.store.slabs.lock(class).usage().pages == 0 {
            return false;
        }
        let Some(claim) = self.find_unread_page(pin, class) else {
            state.rest(now_ms);
            return false;
        };
        moves.unread.claim(claim, now_ms);
        moves.wake();
        true
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
                let Some(newest) = self.newest_unread(pin, from, page) else { continue };
                let age = own.newest.saturating_sub(newest);
                let is_oldest = oldest.is_none_or(|(other, _)| age > other);
                if is_oldest && own.allow(age, pages_from) {
                    oldest = Some((age, Claim { page, from, to: class }));
                }
            }
        }
        oldest.map(|(_, claim)| claim)
    }

    /// The ages of the items of `class`, from a sample.
    fn ages(&mut self, pin: &Pin, class: u8) -> Option<Ages> {
        let mut pages = [0; PAGES_LOOKED_AT];
        let count = self.some_pages(class, &mut pages);
        let mut uniques: Vec<u64> =
            pages[..count].iter().flat_map(|page| self.sample(pin, class, *page)).map(|item| item.unique()).collect();
        uniques.sort_unstable();
        let newest = uniques.last().copied()?;
        let old = newest - uniques[uniques.len() / OLD_SHARE];
        Some(Ages { newest, old, pages: self.store.slabs.lock(class).usage().pages })
    }

    /// The unique of the newest item of a page, if hardly any of its items was read.
    fn newest_unread(&self, pin: &Pin, class: u8, page: u32) -> Option<u64> {
        let mut reads_left = SAMPLE.min(self.store.slabs.classes.per_page(class)) / UNREAD_PER_READ;
        let mut newest = None;
        for item in self.sample(pin, class, page) {
            if item.word0().is_fetched() {
                reads_left = reads_left.checked_sub(1)?;
            }
            newest = newest.max(Some(item.unique()));
        }
        newest
    }

    /// Some items of a page of `class`.
    fn sample<'a>(&'a self, pin: &'a Pin, class: u8, page: u32) -> impl Iterator<Item = ItemRef<'a>> {
        let per_page = self.store.slabs.classes.per_page(class);
        let step = (per_page / SAMPLE).max(1);
        let chunks = (0..per_page.min(SAMPLE)).map(move |number| ChunkRef::new(page, number * step));
        chunks.filter_map(move |chunk| self.probable_item(pin, chunk))
    }
}
