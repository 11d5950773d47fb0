//! Changes to a bucket. The holder of the guard is the only writer of the chain.

use super::bucket::{Bucket, SLOTS};
use super::overflow::NONE;
use super::table::HashIndex;
use crate::base::KeyHash;
use crate::base::atomic::spin_hint;
use crate::item::header::Unlinked;
use crate::memory::ChunkRef;
use crate::sync::{Pin, Rank, Ranked};

#[cfg(loom)]
pub(super) use loom::thread::yield_now as yield_turn;
#[cfg(not(loom))]
pub(super) use std::thread::yield_now as yield_turn;

/// The number of spins before a thread yields. A running holder finishes sooner.
const SPINS_MAX: u32 = if cfg!(loom) { 0 } else { 7 };

/// A locked chain: a main bucket and its overflow buckets. Dropping it releases the lock.
pub(super) struct LockedChain<'a> {
    index: &'a HashIndex,
    main: &'a Bucket,
    number: u32,
    _ranked: Ranked,
}

/// The locked bucket of a hash. Its holder may change the bucket's references.
pub struct BucketGuard<'a> {
    chain: LockedChain<'a>,
    hash: KeyHash,
}

/// A full slot of a locked bucket. `remove` and `insert` may move other items, so use a slot before the next call of
/// either.
#[derive(Clone, Copy)]
pub struct Slot<'a> {
    bucket: &'a Bucket,
    slot: usize,
    chunk: ChunkRef,
}

/// There is no overflow bucket left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexFull;

impl HashIndex {
    /// Locks the bucket of `hash`. The wait is short: a holder waits for no lock but a class's.
    ///
    /// The pin keeps the bucket's memory. A thread with a stale bucket number may find that the bucket was merged
    /// meanwhile, but never that its memory was discarded.
    #[inline]
    pub fn lock(&self, _pin: &Pin, hash: KeyHash) -> BucketGuard<'_> {
        let mut ranked = Ranked::waited(Rank::Bucket);
        loop {
            let state = self.state();
            let chain = LockedChain::wait_for(self, state.bucket_of(hash), ranked);
            // A split or a merge may have moved the hash while we waited. Now it cannot.
            if self.state() == state || self.bucket_of(hash) == chain.number {
                return BucketGuard { chain, hash };
            }
            drop(chain);
            ranked = Ranked::waited(Rank::Bucket);
        }
    }

    /// As [`HashIndex::lock`], but returns `None` if another thread holds the bucket.
    #[inline]
    pub fn try_lock(&self, _pin: &Pin, hash: KeyHash) -> Option<BucketGuard<'_>> {
        loop {
            let number = self.bucket_of(hash);
            let chain = LockedChain::try_for(self, number)?;
            if self.bucket_of(hash) == number {
                return Some(BucketGuard { chain, hash });
            }
        }
    }
}

impl<'a> BucketGuard<'a> {
    /// Offers the chunks with the tag of the locked hash to `find`. Returns the slot of the first result, and the
    /// result.
    #[inline(always)]
    pub fn find<T>(&self, find: impl FnMut(ChunkRef) -> Option<T>) -> Option<(Slot<'a>, T)> {
        self.chain.find(self.hash, find)
    }

    /// The slot whose chunk satisfies `is_match`.
    #[cfg(test)]
    pub(super) fn find_slot(&self, mut is_match: impl FnMut(ChunkRef) -> bool) -> Option<Slot<'a>> {
        self.find(|found| is_match(found).then_some(())).map(|(slot, ())| slot)
    }

    /// The slot that refers to `chunk` under `hash`.
    #[inline]
    pub fn find_ref(&self, hash: KeyHash, chunk: ChunkRef) -> Option<Slot<'a>> {
        debug_assert!(self.holds(hash));
        self.chain.find(hash, |found| (found == chunk).then_some(())).map(|(slot, ())| slot)
    }

    /// The locked chain.
    pub(super) fn chain(&self) -> &LockedChain<'a> {
        &self.chain
    }

    /// Whether `hash` belongs to this bucket, so that its lock is already held.
    #[inline]
    pub fn holds(&self, hash: KeyHash) -> bool {
        self.chain.index.bucket_of(hash) == self.chain.number
    }

    /// Replaces an old item with a new one of the same key, in one store. The old item lost its `linked` mark before
    /// (I14) and can be stamped now.
    #[inline]
    pub fn replace(&mut self, slot: Slot<'a>, _old: Unlinked, new: ChunkRef) -> ChunkRef {
        debug_assert_eq!(slot.bucket.chunk(slot.slot), Some(slot.chunk));
        slot.bucket.replace(slot.slot, new);
        slot.chunk
    }

    /// Makes an item visible whose key is not in the index.
    ///
    /// # Errors
    /// [`IndexFull`] if the chain is full and there is no overflow bucket left. Nothing has changed then.
    #[inline]
    pub fn insert(&mut self, hash: KeyHash, new: ChunkRef) -> Result<(), IndexFull> {
        debug_assert!(self.holds(hash));
        self.chain.append(hash.tag(), new)
    }

    /// Makes an item invisible to later readers. The item lost its `linked` mark before (I14) and can be stamped now.
    #[inline]
    pub fn remove(&mut self, slot: Slot<'a>, _item: Unlinked) -> ChunkRef {
        debug_assert_eq!(slot.bucket.chunk(slot.slot), Some(slot.chunk));
        slot.bucket.clear(slot.slot);
        if self.chain.main.overflow() != NONE {
            self.chain.fill_gap(slot.bucket, slot.slot);
        }
        slot.chunk
    }
}

impl Slot<'_> {
    /// The chunk it refers to.
    #[inline]
    pub fn chunk(&self) -> ChunkRef {
        self.chunk
    }
}

impl<'a> LockedChain<'a> {
    /// Locks main bucket `number`; waits for its holder.
    #[inline]
    pub(super) fn wait_for(index: &'a HashIndex, number: u32, ranked: Ranked) -> Self {
        let main = index.main.bucket(number);
        if !main.try_lock() {
            wait_until_locked(main);
        }
        Self { index, main, number, _ranked: ranked }
    }

    /// Locks main bucket `number` if no thread holds it.
    pub(super) fn try_for(index: &'a HashIndex, number: u32) -> Option<Self> {
        let main = index.main.bucket(number);
        main.try_lock().then(|| Self { index, main, number, _ranked: Ranked::tried(Rank::Bucket) })
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    pub(super) fn buckets(&self) -> impl Iterator<Item = &'a Bucket> {
        self.index.chain(self.number)
    }

    #[inline(always)]
    fn find<T>(&self, hash: KeyHash, mut find: impl FnMut(ChunkRef) -> Option<T>) -> Option<(Slot<'a>, T)> {
        let mut bucket = self.main;
        loop {
            if let Some((slot, chunk, found)) = bucket.scan(hash.tag(), &mut find) {
                return Some((Slot { bucket, slot, chunk }, found));
            }
            bucket = self.index.next_in_chain(bucket)?;
        }
    }

    /// Fills the first empty slot of the chain.
    #[inline]
    pub(super) fn append(&self, tag: u16, chunk: ChunkRef) -> Result<(), IndexFull> {
        let mut bucket = self.main;
        loop {
            if let Some(slot) = bucket.empty_slot() {
                bucket.put(slot, tag, chunk);
                return Ok(());
            }
            match self.index.next_in_chain(bucket) {
                Some(next) => bucket = next,
                None => return self.extend(bucket, tag, chunk),
            }
        }
    }

    /// Prepares to fill an empty chain.
    pub(super) fn fill(self) -> Filling<'a> {
        Filling { last: self.main, slot: 0, chain: self }
    }

    /// Puts the item into a new bucket and links the bucket after `last`.
    #[cold]
    fn extend(&self, last: &Bucket, tag: u16, chunk: ChunkRef) -> Result<(), IndexFull> {
        self.add_bucket(last, tag, chunk).map(drop)
    }

    /// As `extend`; returns the new bucket.
    fn add_bucket(&self, last: &Bucket, tag: u16, chunk: ChunkRef) -> Result<&'a Bucket, IndexFull> {
        let number = self.index.overflow.take(self.number).ok_or(IndexFull)?;
        let bucket = self.index.overflow.bucket(number);
        bucket.put(0, tag, chunk);
        last.set_overflow(number);
        Ok(bucket)
    }

    /// Moves an item from the end of the chain into a slot that was just cleared.
    #[cold]
    fn fill_gap(&self, gap: &Bucket, slot: usize) {
        let last = self.buckets().last().expect("a chain has a main bucket");
        if !std::ptr::eq(last, gap) {
            let moved = last.full_slots().next().expect("no overflow bucket is empty");
            self.relocate(last, moved, gap, slot);
        }
        self.cut_empty_end();
    }

    /// Moves items from the end of the chain forward until there are no gaps. Frees the buckets that become empty.
    pub(super) fn close_gaps(&self) {
        let mut target = self.main;
        for source in self.buckets() {
            for item in source.full_slots() {
                let gap = loop {
                    if std::ptr::eq(target, source) {
                        break None;
                    }
                    if let Some(slot) = target.empty_slot() {
                        break Some(slot);
                    }
                    target = self.index.next_in_chain(target).expect("the target is before the source");
                };
                let Some(slot) = gap else { break };
                self.relocate(source, item, target, slot);
            }
        }
        self.cut_empty_end();
    }

    /// Moves one item within the chain. A reader that misses the cleared original sees the move counted.
    fn relocate(&self, source: &Bucket, (from, tag, chunk): (usize, u16, ChunkRef), target: &Bucket, to: usize) {
        target.put(to, tag, chunk);
        self.main.count_relocation();
        source.clear(from);
    }

    /// Frees the empty buckets at the end of a chain without gaps.
    fn cut_empty_end(&self) {
        let mut bucket = self.main;
        while let Some(next) = self.index.next_in_chain(bucket) {
            if next.is_empty() {
                self.cut_after(bucket);
                return;
            }
            bucket = next;
        }
    }

    /// Frees all buckets behind `last`. They are empty.
    fn cut_after(&self, last: &Bucket) {
        let mut number = last.overflow();
        // A reader in these buckets sees slots of other chains from now on. That is safe: its item was before the cut,
        // which the reader has passed. If the item was moved there after that, the move was counted.
        last.set_overflow(NONE);
        while number != NONE {
            let bucket = self.index.overflow.bucket(number);
            let next = bucket.overflow();
            bucket.set_overflow(NONE);
            self.index.overflow.give(self.number, number);
            number = next;
        }
    }

    /// Counts that a split or a merge filled the bucket with items of another bucket. Call it before publishing the
    /// state that assigns them to this bucket. A reader that searched here in vain, under an earlier identical state,
    /// then searches again.
    pub(super) fn count_filling(&self) {
        self.main.count_relocation();
    }

    /// Empties a bucket that the state does not contain, and frees its overflow buckets.
    pub(super) fn empty(&self) {
        for bucket in self.buckets() {
            bucket.full_slots().for_each(|(slot, ..)| bucket.clear(slot));
        }
        self.cut_empty_end();
    }

    /// Removes the copies that an abandoned merge has made of the items of `other`.
    pub(super) fn remove_copies(&self, other: &Self) {
        for bucket in self.buckets() {
            let is_copy = |chunk: ChunkRef| {
                other.buckets().any(|theirs| theirs.full_slots().any(|(.., their_chunk)| their_chunk == chunk))
            };
            let copies = bucket.full_slots().filter(|(.., chunk)| is_copy(*chunk));
            copies.for_each(|(slot, ..)| bucket.clear(slot));
        }
        self.close_gaps();
    }
}

/// A locked chain that was empty and is being filled, slot by slot.
pub(super) struct Filling<'a> {
    chain: LockedChain<'a>,
    last: &'a Bucket,
    /// The first empty slot of `last`.
    slot: usize,
}

impl Filling<'_> {
    /// Adds an item.
    ///
    /// # Errors
    /// [`IndexFull`] if there is no overflow bucket left.
    #[inline]
    pub(super) fn push(&mut self, tag: u16, chunk: ChunkRef) -> Result<(), IndexFull> {
        if self.slot == SLOTS {
            self.last = self.chain.add_bucket(self.last, tag, chunk)?;
            self.slot = 1;
        } else {
            self.last.put(self.slot, tag, chunk);
            self.slot += 1;
        }
        Ok(())
    }
}

impl Drop for LockedChain<'_> {
    #[inline]
    fn drop(&mut self) {
        self.main.unlock();
    }
}

#[cold]
fn wait_until_locked(main: &Bucket) {
    let mut spins = 0;
    while !main.try_lock() {
        if spins < SPINS_MAX {
            // The spin doubles each time, so that waiting threads seldom take the cache line from the holder.
            (0..1 << spins).for_each(|_| spin_hint());
            spins += 1;
        } else {
            // The holder is not running: there are more threads than processors.
            yield_turn();
        }
    }
}
