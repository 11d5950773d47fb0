//! The interface to the page mover: orders and requests for it, and counts of what it has done.
//!
//! ```text
//! slabs reassign ──order──┐
//! an unused class ────────┤
//! a class that starves, ──┤
//! or claims a page ───────┼──▶ wakeup ──▶ page mover (jobs/page_mover.rs) ──▶ counts for `stats`
//! cache_memlimit, evictions
//! ```

use crate::base::atomic::{AtomicBool, AtomicU8, Ordering};
use crate::memory::PAGE_BYTES;
use crate::store::cache::Store;
use crate::store::engine::{MoveTuning, Reassign};
use crate::store::jobs::Wakeup;
use crate::store::statistics::counts::{Tally, tallies};
use crate::store::worker_store::WorkerStore;
use crate::sync::Leaf;

use super::claims::PageClaims;
use super::empty_pages::GivenPages;

/// Maximum share of the limit that all classes together may have beyond it, while page moves are pending. The mover
/// then takes that number of pages from other classes.
const BEYOND_SHARE: u64 = 32;
/// The same as a number of pages, which counts if it is larger: a large value on each of a few connections.
const BEYOND_MIN: u64 = 8;
/// Classes get first pages beyond the limit while no more pages than this are beyond it, or the share above.
/// After that a larger class serves instead, until the mover has taken pages from others. With sizes of all
/// kinds, a page for each class would be many times a small limit.
const FIRST_PAGES_BEYOND_MIN: u64 = 2;

/// Requests to the page mover, and its results.
#[derive(Default)]
pub(in crate::store) struct PageMoves {
    pub(in crate::store) wakeup: Wakeup,
    /// The mover sleeps until a class lacks memory.
    is_asleep: AtomicBool,
    /// The mover has recently found pages to move. It looks again as soon as a class lacks memory.
    pub(in crate::store) is_eager: AtomicBool,
    order: Leaf<Option<Order>>,
    to_clear_out: Leaf<Vec<ClearOut>>,
    /// A class that can neither evict nor grow; 0: none.
    pub(in crate::store) class_in_need: AtomicU8,
    /// A page is being moved.
    pub(in crate::store) is_running: AtomicBool,
    tuning: Leaf<MoveTuning>,
    /// Pages leave classes only by order of an operator, or while memory is beyond its limit.
    is_by_hand: AtomicBool,
    pub(in crate::store) given: GivenPages,
    pub(in crate::store) claims: PageClaims,
    pub(in crate::store) counts: MoveCounts,
    last_busy: Leaf<Option<Busy>>,
}

/// Why a page was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Busy {
    /// A chunk of it stays in use.
    Held,
    /// Its items must not be evicted, and there is no memory for copies.
    NoRoom,
}

tallies! {
    /// What the page mover has done.
    MoveCounts {
        /// Pages that have left a class.
        moved;
        /// Items that were copied out of a page.
        rescues;
        /// Bytes of these items.
        rescued_bytes;
        /// Number of chains among these items.
        chunk_rescues;
        /// Items that were copied out of a former class.
        reinserted;
        /// Dead items that were found in a page.
        reclaimed;
        /// Pages that were given up.
        busy_items;
        /// Items that were read, and were evicted all the same because there was no memory for a copy.
        no_memory;
    }
}

/// `slabs reassign`: moves a page of one class to another one, or to the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Order {
    pub(in crate::store) from: u8,
    /// 0: the pool.
    pub(in crate::store) to: u8,
}

/// A class that is no longer needed.
struct ClearOut {
    class: u8,
    /// Number of its pages to empty.
    pages: u32,
    /// How many failed pages may still be retried.
    retries_left: u32,
}

/// Most pages in use that are retried when a class is cleared out. A failure costs only some memory.
const CLEAR_OUT_RETRIES: u32 = 8;

impl PageMoves {
    /// Takes the pending order, if there is one. Sets `is_running` first, so that at every moment the order is
    /// pending or running.
    pub(in crate::store) fn take_order(&self) -> Option<Order> {
        let mut order = self.order.lock();
        if order.is_some() {
            self.is_running.store(true, Ordering::Relaxed);
        }
        order.take()
    }

    /// `class` is no longer needed: its `pages` pages can leave while there is memory elsewhere for their
    /// items. If pages do not move automatically, this waits until they do.
    pub(in crate::store) fn clear_out(&self, class: u8, pages: u32) {
        self.to_clear_out.lock().push(ClearOut { class, pages, retries_left: CLEAR_OUT_RETRIES });
        self.wake();
    }

    /// A class that has a page to empty. Returns it once for each of its pages.
    fn take_clear_out(&self) -> Option<u8> {
        let mut orders = self.to_clear_out.lock();
        orders.retain(|order| order.pages > 0);
        let order = orders.last_mut()?;
        order.pages -= 1;
        Some(order.class)
    }

    /// Forgets the orders of other classes.
    fn keep_clear_outs(&self, keep: impl Fn(u8) -> bool) {
        self.to_clear_out.lock().retain(|order| keep(order.class));
    }

    /// A page of `class` could not be emptied: retry, unless that has happened too often.
    pub(in crate::store) fn retry_clear_out(&self, class: u8) {
        let mut orders = self.to_clear_out.lock();
        if let Some(order) = orders.iter_mut().find(|order| order.class == class && order.retries_left > 0) {
            order.retries_left -= 1;
            order.pages += 1;
        }
    }

    /// How pages move automatically.
    pub(in crate::store) fn tuning(&self) -> MoveTuning {
        *self.tuning.lock()
    }

    /// Records the result of the last page: moved (None), or given up.
    pub(in crate::store) fn note_tried(&self, why_busy: Option<Busy>) {
        *self.last_busy.lock() = why_busy;
    }

    /// Why the last page did not move, in memcached's words.
    pub(in crate::store) fn last_busy_status(&self) -> &'static str {
        match *self.last_busy.lock() {
            None => "none",
            Some(Busy::Held) => "busy_floating",
            Some(Busy::NoRoom) => "busy_nomem",
        }
    }

    /// Whether pages move only by order.
    pub(in crate::store) fn is_by_hand(&self) -> bool {
        self.is_by_hand.load(Ordering::Relaxed)
    }

    /// Changes how pages move automatically.
    pub(in crate::store) fn tune(&self, tuning: MoveTuning) {
        *self.tuning.lock() = tuning;
        self.is_by_hand.store(tuning.level == 0, Ordering::Relaxed);
        if tuning.level == 0 {
            self.claims.drop_all();
        }
        self.wakeup.notify();
    }

    /// A class has evicted or refused an item, so memory is short. The mover should check whether pages are
    /// where they are needed.
    #[inline]
    pub(in crate::store) fn note_need(&self) {
        if self.is_asleep.load(Ordering::Relaxed) || self.is_eager.load(Ordering::Relaxed) {
            self.is_eager.store(false, Ordering::Relaxed);
            self.wake();
        }
    }

    /// The mover sleeps until it is notified.
    pub(in crate::store) fn fall_asleep(&self) {
        self.is_asleep.store(true, Ordering::Relaxed);
    }

    /// Wakes the mover at once.
    pub(in crate::store) fn wake(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
        self.wakeup.notify();
    }

    /// Takes the class that can neither evict nor grow.
    pub(in crate::store) fn take_class_in_need(&self) -> Option<u8> {
        let class = self.class_in_need.swap(0, Ordering::Relaxed);
        (class != 0).then_some(class)
    }
}

impl Store {
    /// Number of pages beyond the limit, once an index that is too large has shrunk.
    pub(in crate::store) fn pages_beyond(&self) -> u64 {
        self.slabs.pages_owed(self.side_bytes_to_be())
    }

    /// A class that is no longer needed, if it has a page and there is memory elsewhere for its items. Once memory is
    /// full, only former classes are remembered.
    pub(in crate::store) fn class_to_clear_out(&self) -> Option<u8> {
        if self.page_moves.tuning().level == 0 {
            return None;
        }
        if !self.slabs.has_page(self.side_bytes()) {
            self.page_moves.keep_clear_outs(|class| self.slabs.classes.is_former(class));
            return None;
        }
        while let Some(class) = self.page_moves.take_clear_out() {
            if self.slabs.lock(class).usage().pages > 0 {
                return Some(class);
            }
        }
        None
    }

    /// Whether a class that cannot continue otherwise may have a page beyond the limit.
    pub(in crate::store) fn may_exceed(&self) -> bool {
        let pages = self.limit_bytes() / u64::from(PAGE_BYTES);
        self.pages_beyond() < BEYOND_MIN.max(pages / BEYOND_SHARE)
    }

    /// Whether a class without a page may have its first one beyond the limit.
    pub(in crate::store) fn may_begin_class(&self) -> bool {
        let pages = self.limit_bytes() / u64::from(PAGE_BYTES);
        self.pages_beyond() < FIRST_PAGES_BEYOND_MIN.max(pages / BEYOND_SHARE)
    }

    /// A class can neither evict nor grow. True: the mover will take a page from another class.
    pub(in crate::store) fn ask_for_page(&self, class: u8, pages: u32) -> bool {
        let others_have = self.slabs.pages_used() > u64::from(pages);
        if others_have {
            self.page_moves.class_in_need.store(class, Ordering::Relaxed);
            self.page_moves.wake();
        }
        others_have
    }

    /// `slabs reassign`: moves a page of `from` (None: any class) to `to` (0: the pool).
    pub(in crate::store) fn reassign(&self, from: Option<u8>, to: u8) -> Reassign {
        let last = self.slabs.classes.last();
        if from == Some(to) {
            return Reassign::Same;
        }
        let from = match from {
            Some(from) => from,
            None => match self.any_donor(to) {
                Some(donor) => donor,
                None => return Reassign::BadClass,
            },
        };
        if from > last || to > last || self.slabs.classes.is_former(to) {
            return Reassign::BadClass;
        }
        let has_spare = if from == 0 {
            self.slabs.pool_ready() > 0
        } else {
            let pages = self.slabs.lock(from).usage().pages;
            pages > 1 || pages == 1 && self.used_chunks(from) == 0
        };
        if !has_spare {
            return Reassign::NoSpare;
        }
        let mut order = self.page_moves.order.lock();
        if order.is_some() || self.page_moves.is_running.load(Ordering::Relaxed) {
            return Reassign::Running;
        }
        *order = Some(Order { from, to });
        drop(order);
        self.page_moves.wake();
        Reassign::Started
    }

    /// The class with the most pages, if it can spare one.
    fn any_donor(&self, to: u8) -> Option<u8> {
        let others = self.slabs.classes.ids().filter(|class| *class != to);
        let pages = others.map(|class| (self.slabs.lock(class).usage().pages, class));
        pages.max().filter(|(pages, _)| *pages > 1).map(|(_, class)| class)
    }
}

impl WorkerStore {
    /// Gives back this thread's free chunks of the recalled class.
    #[cold]
    pub(in crate::store) fn answer_recall(&mut self) {
        self.recall = self.store.slabs.last_recall();
        self.give_back_ready(self.recall.class());
    }

    /// Gives back this thread's free chunks of a class.
    pub(in crate::store) fn give_back_ready(&mut self, class: u8) {
        let mut slab = self.store.slabs.lock(class);
        self.magazines.drain(class).for_each(|chunk| slab.give_back(chunk));
    }
}
