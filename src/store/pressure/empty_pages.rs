//! Empty pages: a page without a used chunk goes to the next class that asks for memory.
//!
//! ```text
//! class A: a page without a used chunk ──▶ retiring: a grace period ──▶ class B, which is out of chunks
//!                                           B answers Busy meanwhile, and evicts nothing
//! ```
//!
//! The thread that needs memory takes the page itself, without a tick or the page mover. Right after a flush no
//! page is empty. A store then waits a short time for the sweeper.

use crate::base::atomic::{AtomicU64, Ordering};
use crate::memory::{CLASS_IDS, DetachedPage};
use crate::store::cache::Store;
use crate::store::flush::FlushMark;
use crate::store::sinks::JobEvent;
use crate::store::worker_store::WorkerStore;

/// What a class that is out of chunks can get from empty pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum EmptyPage {
    /// It got a page.
    Got,
    /// A page will be ready in a later loop turn.
    Coming,
    /// There is no empty page.
    Nowhere,
}

/// How long a thread waits for the sweeper after a flush.
#[derive(Clone, Copy, Default)]
pub(in crate::store) struct SweepWait {
    mark: FlushMark,
    until_us: u64,
}

/// Pages that the page mover has just given to each class. The class keeps them for some time even if they are
/// empty.
pub(in crate::store) struct GivenPages(Box<[AtomicU64; CLASS_IDS]>);

/// Most pages that leave classes at the same time. Each thread that lacks memory asks for one.
const RETIRING_MAX: usize = 8;
/// How long a store waits for the first page that the sweeper empties, and then for each further one.
const SWEEP_WAIT_US: u64 = 50_000;
/// Seconds for which a class keeps an empty page that it was given.
const GIVEN_KEPT_S: u32 = 2;

impl Default for GivenPages {
    fn default() -> Self {
        Self(Box::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

impl GivenPages {
    /// Records that `class` gets a page at `now_s`. Only the page mover calls it.
    pub(in crate::store) fn note(&self, class: u8, now_s: u32) {
        let pages = self.kept(class, now_s) + 1;
        let until_s = u64::from(now_s.saturating_add(GIVEN_KEPT_S));
        self.0[usize::from(class)].store(until_s << 32 | u64::from(pages), Ordering::Relaxed);
    }

    /// Number of empty pages that `class` keeps at `now_s`.
    fn kept(&self, class: u8, now_s: u32) -> u32 {
        let given = self.0[usize::from(class)].load(Ordering::Relaxed);
        let [pages, until_s] = [given, given >> 32].map(|half| u32::try_from(half & u64::from(u32::MAX)).unwrap_or(0));
        if now_s < until_s { pages } else { 0 }
    }
}

impl Store {
    /// Takes an empty page from the class that has the most, and returns both. `kept` returns how many a class keeps.
    pub(in crate::store) fn detach_empty_page(&self, kept: impl Fn(u8) -> u32) -> Option<(DetachedPage, u8)> {
        let spare = |class: u8| self.slabs.empty_pages(class).checked_sub(kept(class)).filter(|pages| *pages > 0);
        let classes = self.slabs.classes.ids().filter(|class| self.slabs.empty_pages(*class) > 0);
        let (_, class) = classes.filter_map(|class| Some((spare(class)?, class))).max()?;
        let page = self.slabs.lock(class).detach_empty_page(&self.epochs)?;
        self.epochs.advance();
        Some((page, class))
    }
}

impl WorkerStore {
    /// Finds an empty page for `class`, which is out of chunks and may not grow.
    pub(in crate::store) fn find_empty_page(&mut self, class: u8) -> EmptyPage {
        let store = self.store;
        if self.role.takes_no_page() {
            return EmptyPage::Nowhere;
        }
        if let Some(page) = store.slabs.take_reclaimed(&store.epochs) {
            store.slabs.hand_over(page, class);
            self.sweep_wait.until_us = store.clock.now_us() + SWEEP_WAIT_US;
            return EmptyPage::Got;
        }
        let is_coming =
            store.slabs.retiring() >= RETIRING_MAX || self.claim_empty_page(class) || self.waits_for_sweep();
        if !is_coming {
            return EmptyPage::Nowhere;
        }
        // The page's grace period does not end before this thread has unpinned, too.
        self.requests.needs_quiescence.set(true);
        EmptyPage::Coming
    }

    /// Takes an empty page out of another class for `class`.
    fn claim_empty_page(&self, class: u8) -> bool {
        let store = self.store;
        if store.page_moves.is_by_hand() {
            return false;
        }
        let kept = |donor| if donor == class { u32::MAX } else { self.empty_pages_kept(donor) };
        let Some((page, from)) = store.detach_empty_page(kept) else { return false };
        store.slabs.retire_page(page);
        store.page_moves.counts.moved.add(1);
        self.report_job(JobEvent::PageMove { from, to: class, is_moved: true });
        true
    }

    /// Number of empty pages that a class keeps. A chain that is evicted frees more chunks than one store
    /// needs, and the next chain needs them. So the class that chains are cut into keeps a few pages while it
    /// holds any item.
    fn empty_pages_kept(&self, class: u8) -> u32 {
        let given = self.store.page_moves.given.kept(class, self.now().0);
        let is_of_chains = class == self.store.slabs.classes.largest();
        if is_of_chains && self.store.used_chunks(class) > 0 { given.max(self.pages_floor(class)) } else { given }
    }

    /// Whether a store should wait for the sweeper because a flush has dropped items that are not freed yet.
    /// Without evictions there is nothing else to wait for. With evictions it waits as long as empty pages keep
    /// coming.
    fn waits_for_sweep(&mut self) -> bool {
        let (store, mark) = (self.store, self.store.flush.mark());
        if mark == FlushMark::default() || !self.role.may_wait() {
            return false;
        }
        let now_us = store.clock.now_us();
        if self.sweep_wait.mark != mark {
            self.sweep_wait = SweepWait { mark, until_us: now_us + SWEEP_WAIT_US };
        }
        let waits = !store.config.evictions || now_us < self.sweep_wait.until_us;
        if waits {
            // This keeps the sweeper from resting.
            store.sweeps.wakeup.notify();
        }
        waits
    }
}
