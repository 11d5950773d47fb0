//! A start with the items of a memory file.
//!
//! ```text
//!    after a clean stop: the kept index is read (kept_index.rs). If the pages are as they were then, the rest is
//!    known, too (kept_pages.rs), and steps 1 to 3 are left out
//! 1  items     all threads, page by page: each item proves itself. Without a kept index the items enter the index; of
//!              two with one key the newer
//! 2  chains    their links are in use
//! 3  free      all threads, page by page: counts, deadlines, small queues; every other chunk is free. With a kept
//!              index, step 1 does this for a page without links
//! 4  finish    pages go to their classes, eviction goes on where it stopped
//! ```
//!
//! If the kept index does not belong to the items that proved themselves, the walk starts again without it. The walk
//! changes no item that is kept, so it can be killed and repeated. doc/restart.md says why no other item is ever
//! served.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;

use crate::base::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use crate::base::{ClockTick, HashedKey};
use crate::eviction::{PolicyProgress, Position, RingEntry, SmallQueue, generation_tag};
use crate::item::{ChunkContent, CountedItem, ItemRef, Whole, Word0, check, header};
use crate::memory::{ChunkHead, ChunkRef, ChunkSet, HandState, KeptIndex, KeptPages, LiveState, Recovery, Superblock};
use crate::sync::{Leaf, LeafGuard, Pin, on_threads};

use super::cache::Store;
use super::cas;
use super::flush::FlushMark;
use super::kept_index::ChunkSum;
use super::statistics::counts::WorkerTally;

/// What a restart kept and dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Items kept.
    pub items: u64,
    /// Items that did not prove themselves.
    pub damaged: u64,
    /// Items that a newer one with the same key had replaced.
    pub replaced: u64,
    /// Items that had expired.
    pub expired: u64,
    /// Items that a flush_all had dropped.
    pub flushed: u64,
    /// Items for which the index had no room.
    pub unindexed: u64,
    /// Pages whose entry in the page table was damaged.
    pub pages_damaged: u32,
    /// The index is that of the last process, and was not built again.
    pub index_was_kept: bool,
    /// What the last process knew of its pages was kept, so no item was looked at.
    pub pages_were_kept: bool,
    /// Time for reading, checking and indexing the items, in microseconds.
    pub index_us: u64,
    /// Time for finding the free memory, in microseconds.
    pub free_us: u64,
}

/// How the last process has left the items.
#[derive(Clone, Copy, Debug)]
pub enum LeftItems<'f> {
    /// It was killed.
    Unclean,
    /// It has ended cleanly, and the memory file may keep the index.
    Clean,
    /// It has handed them over, with a file that may keep the index.
    HandedOver(&'f File),
}

/// Items whose buckets are prefetched together.
const GROUP: usize = 16;

/// What all threads of a recovery share.
struct RecoveryWalk<'r> {
    recovery: &'r Recovery,
    next_page: AtomicUsize,
    mark: FlushMark,
    dropped: &'r Dropped,
    /// The chunks of the index that was read. `None`: the walk builds the index.
    indexed: Option<ChunkSum>,
    /// The index that was read does not belong to the items.
    index_mismatch: AtomicBool,
    found: Leaf<Findings>,
}

/// What the threads of a recovery have found.
#[derive(Default)]
struct Findings {
    /// The chunks of items that proved themselves.
    proven: ChunkSum,
    /// The highest unique of any item.
    unique_max: u64,
    /// The heads of chains that are in the index.
    chains: Vec<ChunkRef>,
    /// Small items by class, with their uniques.
    small: Vec<(u8, u64, ChunkRef)>,
    tallies: Vec<Arc<WorkerTally>>,
}

/// The small queues of items, given as class, unique and chunk. Their order is that of the uniques, to within the
/// ranges that workers draw at once.
fn queues_of(mut small: Vec<(u8, u64, ChunkRef)>) -> Vec<(u8, SmallQueue)> {
    small.sort_unstable_by_key(|(class, unique, _)| (*class, *unique));
    let of_classes = small.chunk_by(|one, other| one.0 == other.0).map(|items| {
        let entries = items.iter().map(|(_, unique, chunk)| RingEntry { chunk: *chunk, mark: generation_tag(*unique) });
        (items[0].0, SmallQueue { stale: 0, entries: entries.collect() })
    });
    of_classes.collect()
}

/// Counts of items that are not kept.
#[derive(Default)]
struct Dropped {
    damaged: AtomicU64,
    replaced: AtomicU64,
    expired: AtomicU64,
    flushed: AtomicU64,
    unindexed: AtomicU64,
}

impl Store {
    /// Takes over the items of the memory file, with `threads` threads. No other thread uses the store yet.
    pub fn recover(&'static self, threads: usize, left: LeftItems<'_>) -> RecoveryReport {
        let Some(superblock) = self.slabs.arena().superblock() else { return RecoveryReport::default() };
        let began_us = self.clock.real_us();
        let (state, recovery) = (superblock.state(Clone::clone), Recovery::begin(&self.slabs));
        let (kept, digest_threads) = match left {
            LeftItems::HandedOver(file) => (Some(file), None),
            LeftItems::Clean if state.index.at >= recovery.end() => (Some(superblock.file()), Some(threads)),
            LeftItems::Clean | LeftItems::Unclean => (None, None),
        };
        let indexed = kept.and_then(|file| self.read_index(file, state.index, threads));
        let summary = kept.zip(indexed).and_then(|(file, indexed)| {
            self.read_pages(file, state.pages).filter(|summary| summary.items() == indexed.len())
        });
        if state.index.at >= recovery.end() {
            // Ignored: what lies behind the pages is memory that no item needs.
            let _ = superblock.cut_behind(state.index.at);
        }
        if let Some(summary) = summary
            && summary.restore(self, &recovery, digest_threads)
        {
            let indexed_us = self.clock.real_us();
            self.forget_kept(superblock);
            self.go_on_with_pages(recovery, &state.hands[..], summary);
            return self.begin_counts(RecoveryReport {
                index_was_kept: true,
                pages_were_kept: true,
                index_us: indexed_us - began_us,
                free_us: self.clock.real_us() - indexed_us,
                ..RecoveryReport::default()
            });
        }
        let walk_began_us = self.clock.real_us();
        let report = self.walk_pages(threads, &state, recovery, indexed, !matches!(left, LeftItems::Unclean));
        let index_us = report.index_us + walk_began_us - began_us;
        self.begin_counts(RecoveryReport { index_us, free_us: self.clock.real_us() - began_us - index_us, ..report })
    }

    /// Steps 1 to 4. The report has the time of the first two.
    fn walk_pages(
        &'static self,
        threads: usize,
        state: &LiveState,
        recovery: Recovery,
        indexed: Option<ChunkSum>,
        was_clean: bool,
    ) -> RecoveryReport {
        let began_us = self.clock.real_us();
        let (mark, dropped) = (FlushMark::at(state.flush_mark), Dropped::default());
        let with_index = indexed.and_then(|indexed| {
            let walk = RecoveryWalk::new(&recovery, mark, &dropped, Some(indexed));
            self.on_threads(threads, |pin| PageReader::new(self, pin, &walk).read_pages());
            if walk.index_matches() { Some(walk) } else { None }
        });
        let walk = with_index.unwrap_or_else(|| {
            self.index.clear();
            self.statistics.large_sizes.clear();
            recovery.start_again();
            let expected = if was_clean { state.items } else { self.count_linked_chunks(&recovery, threads) };
            self.index.reserve_for(expected.min(recovery.len() as u64 * u64::from(ChunkRef::CHUNKS_PER_PAGE_MAX)));
            let walk = RecoveryWalk::new(&recovery, mark, &dropped, None);
            self.on_threads(threads, |pin| PageReader::new(self, pin, &walk).read_pages());
            walk
        });
        if let Some(superblock) = self.slabs.arena().superblock() {
            self.forget_kept(superblock);
        }
        let links = self.links_in_use(&walk);
        let indexed_us = self.clock.real_us();
        walk.next_page.store(0, Ordering::Relaxed);
        self.on_threads(threads, |pin| PageReader::new(self, pin, &walk).free_chunks_of_pages(&links));
        let Findings { unique_max, small, tallies, .. } = std::mem::take(&mut *walk.found());
        self.statistics.tallies.lock().extend(tallies);
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let report = RecoveryReport {
            damaged: read(&dropped.damaged),
            replaced: read(&dropped.replaced),
            expired: read(&dropped.expired),
            flushed: read(&dropped.flushed),
            unindexed: read(&dropped.unindexed),
            pages_damaged: recovery.pages_damaged(),
            index_was_kept: walk.indexed.is_some(),
            index_us: indexed_us - began_us,
            ..RecoveryReport::default()
        };
        recovery.finish(&self.slabs);
        self.restore_hands(&state.hands[..], queues_of(small));
        if !was_clean {
            self.cas.0.skip(unique_max);
        }
        report
    }

    /// Notes in the file that it keeps no index, no pages and no flush mark. The items that the mark covers are gone by
    /// now. The mark must go, too: later uniques could be compared with it.
    fn forget_kept(&self, superblock: &Superblock) {
        // Ignored: the next start drops the same items again.
        let _ = superblock.update(|state| {
            state.flush_mark = 0;
            state.index = KeptIndex { seed: self.seed, ..KeptIndex::default() };
            state.pages = KeptPages::default();
        });
    }

    /// Lets the counts of the store begin with the items that were kept.
    fn begin_counts(&'static self, report: RecoveryReport) -> RecoveryReport {
        self.statistics.items_stored_at_reset.store(self.items_stored(), Ordering::Relaxed);
        let items = self.items();
        self.count_items(items.cast_signed());
        RecoveryReport { items, ..report }
    }

    /// Runs `work` on `threads` threads, each pinned, and waits for all.
    pub(super) fn on_threads(&'static self, threads: usize, work: impl Fn(&Pin) + Sync) {
        let run = || {
            let mut participant = self.epochs.join();
            work(&participant.pin());
        };
        on_threads(threads, run);
    }

    /// The number of chunks that seem to hold an item. It decides the size of the index.
    fn count_linked_chunks(&'static self, recovery: &Recovery, threads: usize) -> u64 {
        let (next_page, count) = (AtomicUsize::new(0), AtomicU64::new(0));
        self.on_threads(threads, |pin| {
            while let Some((page, class)) = recovery.page(next_page.fetch_add(1, Ordering::Relaxed)) {
                let chunks = (0..self.slabs.classes.per_page(class)).map(|index| ChunkRef::new(page, index));
                let heads = chunks.filter_map(|chunk| self.slabs.arena().try_head(pin, chunk));
                count.fetch_add(heads.filter(|head| Word0::load(head).is_linked()).count() as u64, Ordering::Relaxed);
            }
        });
        count.load(Ordering::Relaxed)
    }

    /// Step 2.
    fn links_in_use(&'static self, walk: &RecoveryWalk<'_>) -> ChunkSet {
        let links = walk.recovery.chunk_set();
        let mut participant = self.epochs.join();
        let pin = participant.pin();
        for head in &walk.found().chains {
            let Some(item) = ItemRef::try_view(&pin, &self.slabs, *head) else { continue };
            item.chunks().skip(1).for_each(|link| _ = links.add(link));
        }
        links
    }

    /// Step 4: hands, first rounds and small queues.
    pub(super) fn restore_hands(&'static self, hands: &[HandState], queues: Vec<(u8, SmallQueue)>) {
        let mut queues: HashMap<u8, SmallQueue> = queues.into_iter().collect();
        for class in self.slabs.classes.ids() {
            let small = queues.remove(&class);
            let kept = hands.get(usize::from(class)).copied().unwrap_or_default();
            if kept.target == 0 && small.is_none() {
                continue;
            }
            let mut locked = self.lock_hand(class);
            let hand = &mut *locked.hand;
            {
                let slab = self.slabs.lock(class);
                hand.pages = slab.pages().to_vec();
                hand.pages_version = slab.pages_version();
            }
            let pages = &hand.pages;
            let index_max = self.slabs.classes.per_page(class).saturating_sub(1);
            let position = |page: u32, index: u32| {
                let (place, index) = pages.binary_search(&page).map_or_else(|place| (place, 0), |place| (place, index));
                Position { page: u32::try_from(place).unwrap_or(0), index: index.min(index_max) }
            };
            let progress = PolicyProgress {
                hand: position(kept.page, kept.index),
                first_round: position(kept.first_round_page, kept.first_round_index),
                // After an unclean end the file may not say it. Small items are a sign of evictions.
                first_round_is_over: kept.first_round_is_over || kept.target == 0,
                target: kept.target,
            };
            let items = u32::try_from(self.class_items(class)).unwrap_or(u32::MAX);
            hand.policy.restore(progress, items, small.unwrap_or_default());
            self.ring_bytes.fetch_add(hand.policy.ring_bytes(), Ordering::Relaxed);
            self.ghost_times.publish(class, hand.policy.time());
        }
    }
}

impl<'r> RecoveryWalk<'r> {
    fn new(recovery: &'r Recovery, mark: FlushMark, dropped: &'r Dropped, indexed: Option<ChunkSum>) -> Self {
        let (next_page, index_mismatch, found) = (AtomicUsize::new(0), AtomicBool::new(false), Leaf::default());
        Self { recovery, next_page, mark, dropped, indexed, index_mismatch, found }
    }

    fn found(&self) -> LeafGuard<'_, Findings> {
        self.found.lock()
    }

    /// Whether the index that was read has exactly the items of the pages.
    fn index_matches(&self) -> bool {
        !self.index_mismatch.load(Ordering::Relaxed)
            && self.recovery.pages_damaged() == 0
            && self.indexed == Some(self.found().proven)
    }
}

/// One thread of a recovery.
struct PageReader<'r> {
    store: &'static Store,
    pin: &'r Pin,
    walk: &'r RecoveryWalk<'r>,
    found: Findings,
    tally: Arc<WorkerTally>,
    now: ClockTick,
    /// Items whose buckets are being prefetched.
    group: Vec<(HashedKey<'r>, u64, ChunkRef)>,
}

impl<'r> PageReader<'r> {
    fn new(store: &'static Store, pin: &'r Pin, walk: &'r RecoveryWalk<'r>) -> Self {
        let tally = Arc::new(WorkerTally::new(Arc::clone(&store.statistics.large_sizes)));
        let found = Findings { tallies: vec![Arc::clone(&tally)], ..Findings::default() };
        Self { store, pin, walk, found, tally, now: store.clock.read().tick, group: Vec::with_capacity(GROUP) }
    }

    /// Step 1, until no page is left.
    fn read_pages(mut self) {
        while !self.walk.index_mismatch.load(Ordering::Relaxed) {
            let index = self.walk.next_page.fetch_add(1, Ordering::Relaxed);
            let Some((page, class)) = self.walk.recovery.page(index) else { break };
            if self.read_page(index, page, class).is_none() {
                return self.walk.index_mismatch.store(true, Ordering::Relaxed);
            }
        }
        self.enter_group();
        self.finish();
    }

    /// Reads the items of a page. Frees its other chunks if it has no links and the index was read. `None`: that index
    /// does not belong to the items.
    fn read_page(&mut self, index: usize, page: u32, class: u8) -> Option<()> {
        let (slabs, recovery) = (&self.store.slabs, self.walk.recovery);
        let (chunks, has_index) = (slabs.classes.per_page(class), self.walk.indexed.is_some());
        let (mut items, mut has_links) = (0, false);
        for chunk in (0..chunks).map(|index| ChunkRef::new(page, index)) {
            match check(recovery, slabs, chunk) {
                ChunkContent::Nothing => {}
                ChunkContent::Link => has_links = true,
                ChunkContent::Damaged if has_index => return None,
                ChunkContent::Damaged => self.drop_chunk(chunk, &self.walk.dropped.damaged),
                ChunkContent::Item(item) => items += u32::from(self.take(chunk, class, &item)?),
            }
        }
        if has_index && items == chunks {
            recovery.keep_all(slabs, index);
        } else if has_index && !has_links {
            self.free_chunks_of(index, class, |_| false);
        }
        Some(())
    }

    /// Keeps or drops an item that proved itself, and returns whether it is kept. `None`: as for `read_page`.
    fn take(&mut self, chunk: ChunkRef, class: u8, item: &Whole<'r>) -> Option<bool> {
        let (store, walk) = (self.store, self.walk);
        let Whole { key, is_chain, facts } = *item;
        let CountedItem { unique, deadline, .. } = facts;
        self.found.proven.add(chunk);
        self.found.unique_max = self.found.unique_max.max(unique);
        let why = if deadline.is_over(self.now) {
            Some(&walk.dropped.expired)
        } else {
            walk.mark.covers(|| unique).then_some(&walk.dropped.flushed)
        };
        if walk.indexed.is_some() {
            if let Some(count) = why {
                let mut bucket = store.index.lock(self.pin, store.hasher.hash(key).hash);
                let slot = bucket.find_ref(store.hasher.hash(key).hash, chunk)?;
                count.fetch_add(1, Ordering::Relaxed);
                bucket.remove(slot, header::clear_linked(store.slabs.arena().head(chunk)));
            } else {
                self.count(chunk, class, facts);
            }
        } else if let Some(count) = why {
            self.drop_chunk(chunk, count);
        } else {
            let hashed = store.hasher.hash(key);
            store.index.prefetch(hashed.hash);
            self.group.push((hashed, unique, chunk));
            if self.group.len() == GROUP {
                self.enter_group();
            }
        }
        if is_chain && why.is_none() {
            self.found.chains.push(chunk);
        }
        Some(why.is_none())
    }

    /// Unlinks an item that is not kept and that the index does not have.
    fn drop_chunk(&self, chunk: ChunkRef, count: &AtomicU64) {
        // The index does not refer to it, so the proof of its unlinking is not needed.
        let _ = header::clear_linked(self.store.slabs.arena().head(chunk));
        count.fetch_add(1, Ordering::Relaxed);
    }

    fn enter_group(&mut self) {
        let group = std::mem::take(&mut self.group);
        group.iter().for_each(|(key, unique, chunk)| self.enter(*key, *unique, *chunk));
        self.group = group;
        self.group.clear();
    }

    /// Makes the index refer to an item, unless there is a newer one with the same key.
    fn enter(&self, key: HashedKey<'_>, unique: u64, chunk: ChunkRef) {
        let (store, dropped) = (self.store, self.walk.dropped);
        let mut bucket = store.index.lock(self.pin, key.hash);
        let Some((slot, present)) = bucket.find_item(self.pin, &store.slabs, key) else {
            if bucket.insert(key.hash, chunk).is_err() {
                self.drop_chunk(chunk, &dropped.unindexed);
            }
            return;
        };
        // The process died between the link of the newer one and the unlink of the older one. No client was answered.
        if cas::is_at_or_before(unique, present.unique()) {
            return self.drop_chunk(chunk, &dropped.replaced);
        }
        bucket.replace(slot, header::clear_linked(present.head()), chunk);
        dropped.replaced.fetch_add(1, Ordering::Relaxed);
    }

    /// Step 3, until no page is left.
    fn free_chunks_of_pages(mut self, links: &ChunkSet) {
        loop {
            let index = self.walk.next_page.fetch_add(1, Ordering::Relaxed);
            let Some((_, class)) = self.walk.recovery.page(index) else { break };
            if !self.walk.recovery.is_listed(index) {
                self.free_chunks_of(index, class, |chunk| links.contains(chunk));
            }
        }
        self.finish();
    }

    /// Makes the chunks of a page free that are not in use. Counts links, and the items of an index that was built:
    /// some that entered it have left it again.
    fn free_chunks_of(&mut self, index: usize, class: u8, is_used_link: impl Fn(ChunkRef) -> bool) {
        let (slabs, counts_items) = (&self.store.slabs, self.walk.indexed.is_none());
        self.walk.recovery.free_chunks(slabs, index, |chunk, head: &ChunkHead| {
            let word0 = Word0::load(head);
            if !word0.is_linked() {
                let is_used = word0.is_link() && is_used_link(chunk);
                self.tally.classes[usize::from(class)].links_linked.add(u64::from(is_used));
                return is_used;
            }
            if counts_items && let Some(item) = ItemRef::try_view(self.pin, slabs, chunk) {
                self.count(chunk, class, CountedItem::of(&item));
            }
            true
        });
    }

    /// Counts an item that is kept.
    fn count(&mut self, chunk: ChunkRef, class: u8, facts: CountedItem) {
        let CountedItem { bytes, unique, deadline, in_main } = facts;
        self.tally.count_linked(class, bytes);
        self.store.slabs.dues.note(chunk.page(), deadline);
        if !in_main {
            self.found.small.push((class, unique, chunk));
        }
    }

    /// Adds what this thread has found to the rest.
    fn finish(self) {
        let Findings { proven, unique_max, chains, small, tallies } = self.found;
        let mut all = self.walk.found();
        all.proven = all.proven.with(proven);
        all.unique_max = all.unique_max.max(unique_max);
        all.chains.extend(chains);
        all.small.extend(small);
        all.tallies.extend(tallies);
    }
}
