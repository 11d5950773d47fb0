//! A start with the items of a memory file, and a stop that leaves it clean.
//!
//! ```text
//! 1  index     all threads, page by page: items that prove themselves enter the index; of two with one key the newer
//! 2  chains    their links are in use
//! 3  settle    all threads, page by page: counts, deadlines, small queues; every other chunk is free
//! 4  finish    pages go to their classes, eviction goes on where it stopped
//! ```
//!
//! The same walk serves a clean and an unclean end. It changes no item that is kept, so it can be killed and repeated.
//! doc/restart.md says why no other item is ever served.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::atomic::{AtomicU64, AtomicUsize, Ordering};
use crate::base::{Deadline, HashedKey};
use crate::eviction::{PolicyProgress, Position, RingEntry, generation_tag};
use crate::item::{ChunkContent, ItemRef, Whole, Word0, check, header};
use crate::memory::{ChunkHead, ChunkRef, HandState, LiveState, Recovery, SUPERBLOCK_PAGES};
use crate::sync::Pin;

use super::cache::Store;
use super::cas;
use super::flush::FlushMark;
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
    /// Pages whose entry in the page table was damaged.
    pub pages_damaged: u32,
    /// Time for reading, checking and indexing the items, in microseconds.
    pub index_us: u64,
    /// Time for finding the free memory, in microseconds.
    pub settle_us: u64,
}

/// Items whose buckets are prefetched together.
const GROUP: usize = 16;

/// How far ahead of the item that is checked chunks are prefetched.
const CHUNKS_AHEAD: u32 = 8;

/// What all threads of a recovery share.
struct RecoveryWalk<'r> {
    recovery: &'r Recovery,
    next_page: AtomicUsize,
    mark: FlushMark,
    dropped: Dropped,
    /// The highest unique of any item.
    unique_max: AtomicU64,
    /// The heads of chains that entered the index.
    chains: Mutex<Vec<ChunkRef>>,
    /// Small items by class, with their uniques.
    small: Mutex<Vec<(u8, u64, ChunkRef)>>,
}

/// Counts of items that are not kept.
#[derive(Default)]
struct Dropped {
    damaged: AtomicU64,
    replaced: AtomicU64,
    expired: AtomicU64,
    flushed: AtomicU64,
}

/// A bit for each chunk: it is a link of a chain that is kept. Untouched parts take no memory.
struct UsedLinks(Vec<u64>);

impl UsedLinks {
    const WORDS_PER_PAGE: usize = ChunkRef::CHUNKS_PER_PAGE_MAX as usize / 64;

    fn new(pages: u32) -> Self {
        Self(vec![0; pages as usize * Self::WORDS_PER_PAGE])
    }

    /// The index of the word with the chunk's bit, and the bit.
    fn place(chunk: ChunkRef) -> (usize, u64) {
        (chunk.page() as usize * Self::WORDS_PER_PAGE + chunk.index() as usize / 64, 1 << (chunk.index() % 64))
    }

    fn add(&mut self, chunk: ChunkRef) {
        let (word, bit) = Self::place(chunk);
        self.0[word] |= bit;
    }

    fn contains(&self, chunk: ChunkRef) -> bool {
        let (word, bit) = Self::place(chunk);
        self.0[word] & bit != 0
    }
}

impl Store {
    /// Takes over the items of the memory file, with `threads` threads. `was_clean`: the last process ended cleanly. No
    /// other thread uses the store yet.
    pub fn recover(&'static self, threads: usize, was_clean: bool) -> RecoveryReport {
        let Some(superblock) = self.slabs.arena().superblock() else { return RecoveryReport::default() };
        let began_us = self.clock.real_us();
        let (state, recovery) = (superblock.state(Clone::clone), Recovery::begin(&self.slabs));
        let expected = if was_clean { state.items } else { self.count_linked_chunks(&recovery, threads) };
        self.index.reserve_for(expected.min(recovery.len() as u64 * u64::from(ChunkRef::CHUNKS_PER_PAGE_MAX)));
        let walk = RecoveryWalk {
            recovery: &recovery,
            next_page: AtomicUsize::new(0),
            mark: FlushMark::at(state.flush_mark),
            dropped: Dropped::default(),
            unique_max: AtomicU64::new(0),
            chains: Mutex::default(),
            small: Mutex::default(),
        };
        self.on_threads(threads, |pin| self.index_pages(pin, &walk));
        // What the flush covers is unlinked by now. Later uniques would look as if it covered them, some day.
        // Ignored: the next start drops the same items again.
        let _ = superblock.update(|state| state.flush_mark = 0);
        let links = self.links_in_use(&walk);
        let indexed_us = self.clock.real_us();
        walk.next_page.store(0, Ordering::Relaxed);
        self.on_threads(threads, |pin| self.settle_pages(pin, &walk, &links));
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let unique_max = read(&walk.unique_max);
        let report = RecoveryReport {
            items: self.items(),
            damaged: read(&walk.dropped.damaged),
            replaced: read(&walk.dropped.replaced),
            expired: read(&walk.dropped.expired),
            flushed: read(&walk.dropped.flushed),
            pages_damaged: recovery.pages_damaged(),
            index_us: indexed_us - began_us,
            settle_us: 0,
        };
        let small = walk.small.into_inner();
        recovery.finish(&self.slabs);
        self.restore_hands(&state.hands[..], small.unwrap_or_else(PoisonError::into_inner));
        if !was_clean {
            self.cas.0.skip(unique_max);
        }
        self.statistics.items_stored_at_reset.store(self.items_stored(), Ordering::Relaxed);
        self.count_items(report.items.cast_signed());
        RecoveryReport { settle_us: self.clock.real_us() - indexed_us, ..report }
    }

    /// Runs `work` on `threads` threads, each pinned, and waits for all.
    fn on_threads(&'static self, threads: usize, work: impl Fn(&Pin) + Sync) {
        let run = || {
            let mut participant = self.epochs.join();
            work(&participant.pin());
        };
        std::thread::scope(|scope| {
            // Ignored: without a thread, the others do its part.
            (1..threads).for_each(|_| drop(std::thread::Builder::new().spawn_scoped(scope, run)));
            run();
        });
    }

    /// The number of chunks that seem to hold an item. It decides the size of the index.
    fn count_linked_chunks(&'static self, recovery: &Recovery, threads: usize) -> u64 {
        let (next_page, count) = (AtomicUsize::new(0), AtomicU64::new(0));
        self.on_threads(threads, |pin| {
            while let Some((page, class)) = recovery.page(next_page.fetch_add(1, Ordering::Relaxed)) {
                self.slabs.arena().preload_page(page);
                let chunks = (0..self.slabs.classes.per_page(class)).map(|index| ChunkRef::new(page, index));
                let heads = chunks.filter_map(|chunk| self.slabs.arena().try_head(pin, chunk));
                count.fetch_add(heads.filter(|head| Word0::load(head).is_linked()).count() as u64, Ordering::Relaxed);
            }
        });
        count.load(Ordering::Relaxed)
    }

    /// Step 1, until no page is left.
    fn index_pages(&'static self, pin: &Pin, walk: &RecoveryWalk<'_>) {
        let (mut group, mut chains, mut unique_max) = (Vec::with_capacity(GROUP), Vec::new(), 0);
        let now = self.clock.read().tick;
        while let Some((page, class)) = walk.recovery.page(walk.next_page.fetch_add(1, Ordering::Relaxed)) {
            self.slabs.arena().preload_page(page);
            let per_page = self.slabs.classes.per_page(class);
            for chunk in (0..per_page).map(|index| ChunkRef::new(page, index)) {
                if chunk.index() + CHUNKS_AHEAD < per_page {
                    self.slabs.arena().prefetch(ChunkRef::new(page, chunk.index() + CHUNKS_AHEAD));
                }
                let item = match check(walk.recovery, &self.slabs, chunk) {
                    ChunkContent::Nothing => continue,
                    ChunkContent::Damaged => {
                        self.drop_chunk(chunk, &walk.dropped.damaged);
                        continue;
                    }
                    ChunkContent::Item(item) => item,
                };
                unique_max = unique_max.max(item.unique);
                if item.deadline.is_over(now) {
                    self.drop_chunk(chunk, &walk.dropped.expired);
                } else if walk.mark.covers(|| item.unique) {
                    self.drop_chunk(chunk, &walk.dropped.flushed);
                } else {
                    let Whole { key, unique, is_chain, .. } = item;
                    let hashed = self.hasher.hash(key);
                    self.index.prefetch(hashed.hash);
                    if is_chain {
                        chains.push(chunk);
                    }
                    group.push((hashed, unique, chunk));
                    if group.len() == GROUP {
                        group.drain(..).for_each(|(key, unique, chunk)| self.enter(pin, walk, key, unique, chunk));
                    }
                }
            }
        }
        group.drain(..).for_each(|(key, unique, chunk)| self.enter(pin, walk, key, unique, chunk));
        walk.unique_max.fetch_max(unique_max, Ordering::Relaxed);
        walk.chains.lock().unwrap_or_else(PoisonError::into_inner).extend(chains);
    }

    /// Unlinks an item that is not kept.
    fn drop_chunk(&self, chunk: ChunkRef, count: &AtomicU64) {
        // The index does not refer to it, so the proof of its unlinking is not needed.
        let _ = header::clear_linked(self.slabs.arena().head(chunk));
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes the index refer to an item, unless there is a newer one with the same key.
    fn enter(&'static self, pin: &Pin, walk: &RecoveryWalk<'_>, key: HashedKey<'_>, unique: u64, chunk: ChunkRef) {
        let mut bucket = self.index.lock(pin, key.hash);
        let Some((slot, present)) = bucket.find_item(pin, &self.slabs, key) else {
            if bucket.insert(key.hash, chunk).is_err() {
                self.drop_chunk(chunk, &walk.dropped.damaged);
            }
            return;
        };
        // The process died between the link of the newer one and the unlink of the older one. No client was answered.
        if cas::is_at_or_before(unique, present.unique()) {
            return self.drop_chunk(chunk, &walk.dropped.replaced);
        }
        bucket.replace(slot, header::clear_linked(present.head()), chunk);
        walk.dropped.replaced.fetch_add(1, Ordering::Relaxed);
    }

    /// Step 2.
    fn links_in_use(&'static self, walk: &RecoveryWalk<'_>) -> UsedLinks {
        let pages = (0..walk.recovery.len()).filter_map(|index| walk.recovery.page(index)).map(|(page, _)| page + 1);
        let mut links = UsedLinks::new(pages.max().unwrap_or(SUPERBLOCK_PAGES));
        let mut participant = self.epochs.join();
        let pin = participant.pin();
        for head in &*walk.chains.lock().unwrap_or_else(PoisonError::into_inner) {
            let Some(item) = ItemRef::try_view(&pin, &self.slabs, *head) else { continue };
            item.chunks().skip(1).for_each(|link| links.add(link));
        }
        links
    }

    /// Step 3, until no page is left.
    fn settle_pages(&'static self, pin: &Pin, walk: &RecoveryWalk<'_>, links: &UsedLinks) {
        let tally = Arc::new(WorkerTally::new(Arc::clone(&self.statistics.large_sizes)));
        let mut small = Vec::new();
        loop {
            let index = walk.next_page.fetch_add(1, Ordering::Relaxed);
            let Some((page, class)) = walk.recovery.page(index) else { break };
            let mut due = Deadline::NEVER;
            walk.recovery.settle(&self.slabs, index, |chunk, head: &ChunkHead| {
                let Some(item) = ItemRef::try_view(pin, &self.slabs, chunk) else {
                    let is_used = Word0::load(head).is_link() && links.contains(chunk);
                    if is_used {
                        tally.classes[usize::from(class)].links_linked.add(1);
                    }
                    return is_used;
                };
                tally.count_linked(class, item.bytes());
                let deadline = item.deadline();
                if deadline != Deadline::NEVER && (due == Deadline::NEVER || deadline.0 < due.0) {
                    due = deadline;
                }
                if !item.word0().in_main() {
                    small.push((class, item.unique(), chunk));
                }
                true
            });
            self.slabs.dues.note(page, due);
        }
        self.statistics.tallies.lock().push(tally);
        walk.small.lock().unwrap_or_else(PoisonError::into_inner).extend(small);
    }

    /// Step 4: hands, first rounds and small queues. The order of a small queue is that of the uniques, to within the
    /// ranges that workers draw at once.
    fn restore_hands(&'static self, hands: &[HandState], mut small: Vec<(u8, u64, ChunkRef)>) {
        small.sort_unstable_by_key(|(class, unique, _)| (*class, *unique));
        for class in self.slabs.classes.ids() {
            let start = small.partition_point(|(of, ..)| *of < class);
            let end = small.partition_point(|(of, ..)| *of <= class);
            let kept = hands.get(usize::from(class)).copied().unwrap_or_default();
            if kept.target == 0 && start == end {
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
            let entries = small[start..end].iter();
            let entries = entries.map(|(_, unique, chunk)| RingEntry { chunk: *chunk, mark: generation_tag(*unique) });
            let items = u32::try_from(self.class_items(class)).unwrap_or(u32::MAX);
            hand.policy.restore(progress, items, entries);
            self.ring_bytes.fetch_add(hand.policy.ring_bytes(), Ordering::Relaxed);
            self.set_ghost_time(class, hand.policy.time());
        }
    }

    /// How far the eviction of each class has come.
    fn hand_states(&'static self) -> impl Iterator<Item = (u8, HandState)> {
        let evicting = self.slabs.classes.ids().filter(|class| self.ghost_time(*class).runs());
        evicting.map(|class| {
            let locked = self.lock_hand(class);
            let PolicyProgress { hand, first_round, first_round_is_over, target } = locked.hand.policy.progress();
            let page = |at: Position| locked.hand.pages.get(at.page as usize).copied().unwrap_or(0);
            let state = HandState {
                page: page(hand),
                index: hand.index,
                first_round_page: page(first_round),
                first_round_index: first_round.index,
                target: target.max(1),
                first_round_is_over,
            };
            (class, state)
        })
    }

    /// Leaves the memory file clean. All other threads have stopped. Without a memory file it does nothing.
    ///
    /// # Errors
    /// The kernel's error. The next start then finds an unclean end, and checks every item.
    pub fn close(&'static self, stamp: impl FnOnce(&mut LiveState)) -> io::Result<()> {
        let Some(superblock) = self.slabs.arena().superblock() else { return Ok(()) };
        // The items come first: a file that says it is clean holds them all.
        self.slabs.arena().sync()?;
        let (items, cas_end, limit_bytes) = (self.items(), self.cas.0.next(), self.limit_bytes());
        let hands: Vec<(u8, HandState)> = self.hand_states().collect();
        superblock.update(|state| {
            stamp(state);
            (state.items, state.cas_end, state.limit_bytes) = (items, cas_end, limit_bytes);
            hands.into_iter().for_each(|(class, hand)| state.hands[usize::from(class)] = hand);
            state.is_clean = true;
        })?;
        self.slabs.arena().sync()
    }
}
