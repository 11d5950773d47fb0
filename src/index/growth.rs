//! Growth by linear hashing: one bucket is split at a time, so no thread waits for more than one bucket.
//!
//! ```text
//! state = (mask 0b111, split 2)          buckets 8 + 2
//!   0  1 │ 2  3  4  5  6  7 │ 8  9       buckets below `split` are already split: their hashes use one bit more
//!   └──┴─┼──────────────────┴─┘
//!        split next: its items stay in 2 or move to 10
//! ```
//!
//! The steps of a split, and the reason for their order:
//!
//! 1. Lock the parent and the child. No state names the child yet. A thread that knows the child from before a merge
//!    either finds it locked or leaves it at once. Fill the child, and count that as a relocation.
//! 2. Publish the state. New readers look in the child; readers that still look in the parent find everything there.
//! 3. Strip the parent. A reader that misses a stripped item saw its slot cleared after step 2, so it also sees the
//!    new state.
//! 4. Unlock both, and not earlier. Otherwise a writer could remove an item from the child while the parent still
//!    refers to it, and the chunk could be reused. A thread that pins after the removal could look in the parent for
//!    another key with the same tag. It would follow that reference into a reused chunk.
//!
//! The worker whose items make a split necessary performs it: a few buckets for every few items, unless another thread
//! is splitting. The grower (`store/jobs/grower.rs`) takes memory for the children in advance and performs the
//! remaining splits.

use super::guard::{LockedChain, yield_turn};
use super::overflow::NONE;
use super::region::HUGE_BUCKETS;
use super::table::HashIndex;
use crate::base::KeyHash;
use crate::base::atomic::Ordering;
use crate::memory::ChunkRef;
use crate::sync::{Rank, Ranked};

use super::bucket::SLOTS;

/// Maximum load in percent of the main buckets' slots. Beyond it, buckets are split.
const LOAD_PERCENT: u64 = 80;

/// Take memory for more buckets when fewer than this are left. This is eight times what a million sets per second use
/// in ten milliseconds.
pub(super) const ROOM_AHEAD: usize = HUGE_BUCKETS / 3;

/// The state of growth: `mask` in the low half, `split` in the high half.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct GrowthState(u64);

impl GrowthState {
    /// The state with 2^`level` buckets.
    pub(super) fn with_level(level: u32) -> Self {
        Self((1 << level) - 1)
    }

    /// The state with this many buckets; at least one.
    fn with_buckets(buckets: u32) -> Self {
        let level = buckets.max(1).ilog2();
        Self(u64::from(buckets.max(1) - (1 << level)) << 32 | ((1 << level) - 1))
    }

    #[inline]
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// The number of the bucket that `hash` belongs to.
    #[inline]
    pub(super) fn bucket_of(self, hash: KeyHash) -> u32 {
        let low = low_half(hash.0);
        let narrow = low & self.mask();
        let wide = low & (self.mask() << 1 | 1);
        if narrow < self.split() { wide } else { narrow }
    }

    /// The number of buckets, which is also the number of the next child.
    pub(super) fn buckets(self) -> u32 {
        self.mask() + 1 + self.split()
    }

    pub(super) fn level(self) -> u32 {
        self.mask().count_ones()
    }

    /// The number of low bits in which all hashes of bucket `number` agree.
    pub(super) fn bits_of(self, number: u32) -> u32 {
        let is_split = number < self.split() || number > self.mask();
        self.level() + u32::from(is_split)
    }

    #[inline]
    fn mask(self) -> u32 {
        low_half(self.0)
    }

    /// The number of the bucket that is split next.
    #[inline]
    pub(super) fn split(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The state before the last split. `None` if there is only one bucket.
    pub(super) fn previous(self) -> Option<Self> {
        if self.split() > 0 {
            return Some(Self(self.0 - (1 << 32)));
        }
        let mask = self.mask() >> 1;
        (mask != self.mask()).then(|| Self(u64::from(mask) << 32 | u64::from(mask)))
    }

    /// The state after one more split.
    fn next(self) -> Self {
        if self.split() == self.mask() {
            return Self(u64::from(self.mask() << 1 | 1));
        }
        Self(self.0 + (1 << 32))
    }
}

/// The outcome of a split.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// There is one more bucket.
    Done,
    /// Another thread holds the bucket, or memory for the child is not available yet.
    Busy,
    /// The address space of the index is used up. From now on chains grow longer.
    Full,
}

impl HashIndex {
    /// The number of splits until `items` fit without exceeding the maximum load.
    pub fn splits_wanted(&self, items: u64) -> u64 {
        buckets_for(items).saturating_sub(u64::from(self.buckets()))
    }

    /// Makes an empty index as large as `items` need, if there is room. No thread uses the index yet.
    pub fn reserve_for(&self, items: u64) {
        self.reserve_buckets(usize::try_from(buckets_for(items)).unwrap_or(usize::MAX).min(self.main.len()));
    }

    /// Gives an empty index this number of buckets. False: there is no room, or the index has more of them from the
    /// start. No thread uses the index yet.
    pub fn reserve_exactly(&self, buckets: u32) -> bool {
        let fits = self.buckets() <= buckets && buckets as usize <= self.main.len();
        if fits {
            self.reserve_buckets(buckets as usize);
        }
        fits
    }

    fn reserve_buckets(&self, wanted: usize) {
        if self.populated.load(Ordering::Relaxed) < wanted {
            // The threads that fill the index take its memory side by side, when they touch it.
            let taken = wanted.next_multiple_of(HUGE_BUCKETS).min(self.main.len());
            self.populated.store(taken, Ordering::Relaxed);
            self.taken.store(taken, Ordering::Relaxed);
        }
        if wanted > self.buckets() as usize {
            let buckets = u32::try_from(wanted).unwrap_or(u32::MAX);
            self.state.store(GrowthState::with_buckets(buckets).bits(), Ordering::Release);
        }
    }

    /// Prefetches the next `count` buckets to split and passes their chunks to `prefetch`.
    pub fn prefetch_splits(&self, count: u32, prefetch: impl FnMut(ChunkRef)) {
        let state = self.state();
        let parents = state.split()..state.split().saturating_add(count).min(state.mask());
        parents.clone().for_each(|number| self.main.bucket(number).prefetch());
        parents.flat_map(|number| self.main.bucket(number).full_slots()).map(|(.., chunk)| chunk).for_each(prefetch);
    }

    /// As [`HashIndex::split_one`], but waits neither for a lock nor for memory.
    pub fn try_split(&self, hash_of: impl FnMut(ChunkRef) -> KeyHash) -> Split {
        let state = self.state();
        if state.buckets() as usize >= self.main.len() {
            return Split::Full;
        }
        if self.has_no_room(state) {
            return Split::Busy;
        }
        match LockedChain::try_for(self, state.split()) {
            Some(parent) if self.state() == state => self.split(&parent, state, hash_of),
            Some(_) | None => Split::Busy,
        }
    }

    /// Splits the next bucket, unless the child lies in a closed tail. `hash_of` hashes the key in a linked chunk; it
    /// is called under the bucket's lock.
    pub fn split_one(&self, mut hash_of: impl FnMut(ChunkRef) -> KeyHash) -> Split {
        loop {
            let state = self.state();
            if state.buckets() as usize >= self.main.len() {
                return Split::Full;
            }
            if self.is_closed.load(Ordering::Relaxed) && self.has_no_room(state) {
                return Split::Busy;
            }
            let parent = LockedChain::wait_for(self, state.split(), Ranked::waited(Rank::Bucket));
            // Another thread may have split it while we waited.
            if self.state() == state
                && let done @ (Split::Done | Split::Full) = self.split(&parent, state, &mut hash_of)
            {
                return done;
            }
            drop(parent);
            // Another thread holds the child's lock by a stale number and will release it soon.
            yield_turn();
        }
    }

    /// Whether memory for the next child is not available yet, or lies in a closed tail.
    fn has_no_room(&self, state: GrowthState) -> bool {
        state.buckets() as usize >= self.populated.load(Ordering::Relaxed)
    }

    /// Splits `parent`, the next bucket to split in `state`. The caller unlocks it afterwards.
    pub(super) fn split(
        &self,
        parent: &LockedChain,
        state: GrowthState,
        mut hash_of: impl FnMut(ChunkRef) -> KeyHash,
    ) -> Split {
        let Some(child) = LockedChain::try_for(self, state.buckets()) else { return Split::Busy };
        let belongs_to_child = |chunk: ChunkRef| state.next().bucket_of(hash_of(chunk)) == child.number();
        if !fill_child(parent, &child, belongs_to_child) {
            child.empty();
            return Split::Full;
        }
        child.count_filling();
        // Release: a reader of this state finds the child filled and the fill counted. A split and a merge store the
        // state only under the lock of the bucket that is split next.
        self.state.store(state.next().bits(), Ordering::Release);
        strip_parent(parent);
        parent.close_gaps();
        // The order of the two unlocks does not matter: both follow the stripping of the parent.
        Split::Done
    }

    /// Whether memory for future buckets should be taken now.
    pub fn wants_room(&self) -> bool {
        let populated = self.populated.load(Ordering::Relaxed);
        let is_closed = self.is_closed.load(Ordering::Relaxed);
        !is_closed && populated < self.main.len() && self.buckets() as usize + ROOM_AHEAD > populated
    }

    /// Takes memory for one huge page of future buckets. This takes milliseconds, in which no other thread waits. Only
    /// one thread may call it, and only while the tail is not closed.
    pub fn make_room(&self) {
        let populated = self.populated.load(Ordering::Relaxed);
        self.main.populate(populated, HUGE_BUCKETS);
        self.populated.store(populated + HUGE_BUCKETS, Ordering::Relaxed);
        self.taken.store(populated + HUGE_BUCKETS, Ordering::Relaxed);
    }
}

/// The number of buckets that hold `items` at the maximum load.
pub(super) fn buckets_for(items: u64) -> u64 {
    (items * 100).div_ceil(SLOTS as u64 * LOAD_PERCENT)
}

/// Copies the child's items and records them in the parent. Returns false if there is no overflow bucket left.
fn fill_child(parent: &LockedChain, child: &LockedChain, mut belongs: impl FnMut(ChunkRef) -> bool) -> bool {
    for bucket in parent.buckets() {
        let mut leaving = 0;
        for (slot, tag, chunk) in bucket.full_slots() {
            if belongs(chunk) {
                leaving |= 1 << slot;
                if child.append(tag, chunk).is_err() {
                    return false;
                }
            }
        }
        bucket.set_leaving(leaving);
    }
    true
}

/// Clears the slots that `fill_child` recorded.
fn strip_parent(parent: &LockedChain) {
    for bucket in parent.buckets() {
        let leaving = bucket.leaving();
        (0..SLOTS).filter(|slot| leaving >> slot & 1 == 1).for_each(|slot| bucket.clear(slot));
    }
}

#[inline]
#[expect(clippy::cast_possible_truncation, reason = "the low half is wanted")]
fn low_half(bits: u64) -> u32 {
    bits as u32
}

const _: () = assert!(NONE == 0, "zeroed memory is an empty bucket without a chain");

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use super::GrowthState;
    use crate::base::KeyHash;

    #[test]
    fn a_split_moves_hashes_from_the_parent_to_the_child_and_nowhere_else() {
        let mut state = GrowthState::with_level(0);
        assert!(state.previous().is_none());
        for buckets in 1..70 {
            assert_eq!(state.buckets(), buckets);
            let (next, parent) = (state.next(), state.split());
            for hash in (0..512).map(KeyHash) {
                let (before, after) = (state.bucket_of(hash), next.bucket_of(hash));
                assert!(before < buckets);
                assert!(after == before || (before, after) == (parent, buckets), "{before} to {after} of {buckets}");
            }
            assert!(next.previous() == Some(state), "a merge of {buckets} leads back");
            state = next;
        }
    }

    #[test]
    fn a_state_of_any_size_is_one_that_splits_lead_to() {
        let mut state = GrowthState::with_level(0);
        for buckets in 1..70 {
            assert!(GrowthState::with_buckets(buckets) == state, "{buckets}");
            state = state.next();
        }
    }

    #[test]
    fn hashes_belong_to_the_buckets_of_earlier_releases() {
        // The index in a memory file depends on them.
        let state = GrowthState::with_buckets(100);
        for (hash, bucket) in [(0xc8fa_edfc, 60), (0xdc50_7009, 9), (0xdc50_7049, 73), (0x4aae_340a, 10)] {
            assert_eq!(state.bucket_of(KeyHash(hash)), bucket, "{hash:x}");
        }
    }

    #[test]
    fn the_level_counts_complete_doublings() {
        let mut state = GrowthState::with_level(4);
        for _ in 0..15 {
            state = state.next();
        }
        assert_eq!((state.level(), state.buckets()), (4, 31));
        assert_eq!((state.next().level(), state.next().buckets()), (5, 32));
    }
}
