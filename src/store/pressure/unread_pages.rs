//! Unread pages: a class that would evict new items claims a page of another class, whose items are older and were
//! never read.
//!
//! Without this, a burst of new keys in a class of few pages evicts its own items. Meanwhile another class is full of
//! items that are not in use. It is meant for keys that no get has asked for. Where stores follow misses, the page
//! mover compares the misses of the classes. The thread that lacks chunks samples items, and orders the page at once.
//! The items' uniques give the order of stores, which is their age.

use crate::item::ItemRef;
use crate::memory::ChunkRef;
use crate::store::cas;
use crate::store::worker_store::WorkerStore;
use crate::sync::Pin;

use super::claims::{Claim, ClaimReason};

/// Items that are looked at in a page.
const SAMPLE: u32 = 32;
/// One of this many items of an unread page may have been read. It is copied if it was read lately.
const UNREAD_PER_READ: u32 = 16;
/// Pages of a class that are sampled. The search ends at a page whose items were read.
const PAGES_LOOKED_AT: usize = 4;
/// The same for the claiming class. The items of a page are about equally old, so more pages count.
const OWN_SAMPLE: u32 = 8;
const OWN_PAGES: usize = 32;
/// The items of a page must be older by this factor, in halves, than those of the claiming class.
const TIMES_AS_OLD_BY_2: u128 = 3;
/// One of this many items of the claiming class may be older than the age that is compared.
const OLD_SHARE: usize = 4;

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
    /// A page of another class whose items were never read, and are older than those of `class` would be with one page
    /// more. Of several pages, the one with the oldest items.
    pub(super) fn find_unread_page(&mut self, pin: &Pin, class: u8) -> Option<Claim> {
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
                    oldest = Some((age, Claim { page, from, to: class, reason: ClaimReason::Unread { newest } }));
                }
            }
        }
        oldest.map(|(_, claim)| claim)
    }

    /// Whether the items of a claimed page are still the same, and its class has pages enough.
    pub(super) fn is_still_unread(&self, pin: &Pin, claim: &Claim, newest: u64) -> bool {
        let has_pages = self.store.slabs.lock(claim.from).usage().pages > self.pages_floor(claim.from);
        let newest_now = || self.newest_unread(pin, claim.from, claim.page);
        has_pages && newest_now().is_some_and(|newest_now| cas::is_at_or_before(newest_now, newest))
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
