//! What a node keeps of its own changes in the memory file, besides the items: deletes, and how far its clock has come.
//!
//! ```text
//! words   0       1        2          3         4             8 …
//!         node │ number │ reserved │ flushed │ overwritten │ slots: hash, version, sum │ … │
//! ```
//!
//! Words are stored in order, before the client is answered. A process that is killed has made its stores up to some
//! point, and the kernel keeps them. A slot that was cut short has a wrong sum, and its delete was not answered.
//!
//! A delete overwrites the oldest slot. `overwritten` is the highest version that was, and it is stored first. So a
//! restart knows all deletes of the node, from the slots and its note, if the note reaches up to `overwritten`. The
//! clock draws no version above `reserved`, which rises in steps. So a restart draws higher versions than all before.

use std::fmt;

use crate::base::atomic::Ordering;
use crate::base::atomic::fixed::AtomicU64;
use crate::base::{KeyHash, NodeNumber, TICKS_A_MS, Version, combined};
use crate::sync::Leaf;

use super::frame::NodeId;

const NODE: usize = 0;
const NUMBER: usize = 1;
const RESERVED: usize = 2;
const FLUSHED: usize = 3;
const OVERWRITTEN: usize = 4;
const HEAD_WORDS: usize = 8;
const SLOT_WORDS: usize = 3;
/// A number is stored with this bit, and 0 means that no number was stored.
const HAS_NUMBER: u64 = 1 << 32;
/// Ticks that the clock reserves at a time: a tenth of a second.
const RESERVE_TICKS: u64 = 100 * TICKS_A_MS;

/// Deletes of this node, in words that outlive the process. Threads share it.
pub struct KeptDeletes {
    words: &'static [AtomicU64],
    slots: Leaf<DeleteSlots>,
}

#[derive(Default)]
struct DeleteSlots {
    /// The slot of the next delete.
    next: usize,
    /// Deletes that a note does not have.
    unnoted: usize,
}

/// What a former process has kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftDeletes {
    /// The number that it had at the end; `None` if another node has written it.
    pub number: Option<NodeNumber>,
    /// It has drawn no version above these ticks.
    pub reserved_ticks: u64,
    /// Its latest flush.
    pub flushed: Version,
    /// Deletes up to this version may be missing.
    pub overwritten: Version,
    /// Its deletes.
    pub deletes: Vec<(KeyHash, Version)>,
}

impl KeptDeletes {
    /// Most deletes that `words` have room for.
    const fn capacity(words: &[AtomicU64]) -> usize {
        words.len().saturating_sub(HEAD_WORDS) / SLOT_WORDS
    }

    /// What `words` have is still that of a former process. `None`: there is no room for a delete.
    pub fn new(words: &'static [AtomicU64]) -> Option<Self> {
        (Self::capacity(words) > 0).then(|| Self { words, slots: Leaf::default() })
    }

    /// What a former process of `node` has kept.
    pub fn left(&self, node: NodeId) -> LeftDeletes {
        let reserved_ticks = self.load(RESERVED);
        if self.load(NODE) != node.0 {
            return LeftDeletes { reserved_ticks, ..LeftDeletes::default() };
        }
        let [low, high, ..] = self.load(NUMBER).to_le_bytes();
        LeftDeletes {
            number: Some(NodeNumber::new(u16::from_le_bytes([low, high]))).filter(|_| self.load(NUMBER) != 0),
            reserved_ticks,
            flushed: Version::from_bits(self.load(FLUSHED)),
            overwritten: Version::from_bits(self.load(OVERWRITTEN)),
            deletes: (0..Self::capacity(self.words)).filter_map(|slot| self.delete_at(slot)).collect(),
        }
    }

    /// The words belong to this process from now on. What another node has kept is removed.
    pub fn claim(&self, node: NodeId, number: NodeNumber) {
        if self.load(NODE) != node.0 {
            // If this is cut short, the words belong to no node.
            self.store(NODE, 0);
            let kept = (0..self.words.len()).filter(|word| ![NODE, RESERVED].contains(word));
            kept.for_each(|word| self.store(word, 0));
            self.store(NODE, node.0);
        }
        self.renumber(number);
        let slots = 0..Self::capacity(self.words);
        let latest = slots.max_by_key(|slot| self.delete_at(*slot).map(|(_, version)| version));
        self.slots.lock().next = latest.filter(|slot| self.delete_at(*slot).is_some()).map_or(0, |slot| slot + 1);
    }

    /// The node draws versions with another number from now on.
    pub(super) fn renumber(&self, number: NodeNumber) {
        self.store(NUMBER, HAS_NUMBER | u64::from(number.get()));
    }

    /// Keeps a delete.
    pub(super) fn push(&self, hash: KeyHash, version: Version) {
        let mut slots = self.slots.lock();
        let slot = slots.next % Self::capacity(self.words);
        slots.next = slot + 1;
        slots.unnoted += 1;
        if let Some((_, overwritten)) = self.delete_at(slot)
            && overwritten.bits() > self.load(OVERWRITTEN)
        {
            self.store(OVERWRITTEN, overwritten.bits());
        }
        let first = HEAD_WORDS + slot * SLOT_WORDS;
        self.store(first, hash.0);
        self.store(first + 1, version.bits());
        self.store(first + 2, combined(hash.0, version.bits()));
    }

    /// Number of deletes that a note may not have, and whether a note is needed soon: otherwise they are overwritten.
    pub(super) fn unnoted(&self) -> (usize, bool) {
        let unnoted = self.slots.lock().unnoted;
        (unnoted, unnoted > Self::capacity(self.words) / 4)
    }

    /// A note has all deletes of an earlier moment, with this number of unnoted ones.
    pub(super) fn note(&self, unnoted: usize) {
        let mut slots = self.slots.lock();
        slots.unnoted = slots.unnoted.saturating_sub(unnoted);
    }

    /// Keeps a flush.
    pub(super) fn flush(&self, version: Version) {
        // One flush may overtake another one.
        self.words[FLUSHED].fetch_max(version.bits(), Ordering::AcqRel);
    }

    /// The clock may draw versions up to the result, which is above `ticks`.
    pub(super) fn reserve(&self, ticks: u64) -> u64 {
        let reserved = ticks + RESERVE_TICKS;
        // AcqRel: before the version is in an item.
        self.words[RESERVED].fetch_max(reserved, Ordering::AcqRel).max(reserved)
    }

    /// The delete in a slot. `None`: it is empty, or was cut short.
    fn delete_at(&self, slot: usize) -> Option<(KeyHash, Version)> {
        let first = HEAD_WORDS + slot * SLOT_WORDS;
        let [hash, version, sum] = [0, 1, 2].map(|word| self.load(first + word));
        (version != 0 && sum == combined(hash, version)).then_some((KeyHash(hash), Version::from_bits(version)))
    }

    fn load(&self, word: usize) -> u64 {
        self.words[word].load(Ordering::Acquire)
    }

    fn store(&self, word: usize, value: u64) {
        // Release: neither the compiler nor the processor makes it before an earlier one.
        self.words[word].store(value, Ordering::Release);
    }
}

impl fmt::Debug for KeptDeletes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeptDeletes").field("capacity", &Self::capacity(self.words)).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        AtomicU64, HEAD_WORDS, KeptDeletes, LeftDeletes, NodeId, NodeNumber, RESERVE_TICKS, SLOT_WORDS, Version,
    };
    use crate::base::KeyHash;

    const NODE: NodeId = NodeId(5);
    const NUMBER: NodeNumber = NodeNumber::new(7);

    /// Words for three deletes.
    fn words() -> &'static [AtomicU64] {
        (0..HEAD_WORDS + 3 * SLOT_WORDS + 1).map(|_| AtomicU64::new(0)).collect::<Vec<_>>().leak()
    }

    fn claimed(words: &'static [AtomicU64]) -> KeptDeletes {
        let kept = KeptDeletes::new(words).unwrap();
        kept.claim(NODE, NUMBER);
        kept
    }

    fn at(number: u64) -> Version {
        Version::from_bits(number << 22 | 7)
    }

    fn hashes(left: &LeftDeletes) -> Vec<u64> {
        let mut hashes: Vec<u64> = left.deletes.iter().map(|(hash, _)| hash.0).collect();
        hashes.sort_unstable();
        hashes
    }

    #[test]
    fn a_restart_finds_the_latest_deletes_and_knows_which_may_be_missing() {
        let words = words();
        let kept = claimed(words);
        assert_eq!(kept.left(NODE).number, Some(NUMBER));
        (1..=3).for_each(|number| kept.push(KeyHash(number), at(number)));
        kept.flush(at(9));
        kept.flush(at(8));
        let left = kept.left(NODE);
        assert_eq!((hashes(&left), left.overwritten, left.flushed), (vec![1, 2, 3], Version::ZERO, at(9)));
        // The next process goes on behind the latest delete.
        let kept = claimed(words);
        kept.push(KeyHash(4), at(4));
        let left = kept.left(NODE);
        assert_eq!((hashes(&left), left.overwritten), (vec![2, 3, 4], at(1)));
        kept.push(KeyHash(5), at(5));
        assert_eq!(kept.left(NODE).overwritten, at(2));
        assert_eq!(kept.unnoted(), (2, true));
        kept.push(KeyHash(6), at(6));
        kept.note(2);
        assert_eq!(kept.unnoted(), (1, true));
        kept.note(1);
        assert_eq!(kept.unnoted(), (0, false));
    }

    #[test]
    fn a_delete_that_was_cut_short_is_not_found_and_nothing_else_is_lost() {
        for cut in 0..SLOT_WORDS {
            let words = words();
            let kept = claimed(words);
            (1..=4).for_each(|number| kept.push(KeyHash(number), at(number)));
            // The fifth one overwrites the second one, and the process ends after some of its stores.
            let before: Vec<u64> = (0..SLOT_WORDS).map(|word| kept.load(HEAD_WORDS + SLOT_WORDS + word)).collect();
            kept.push(KeyHash(5), at(5));
            (cut..SLOT_WORDS).for_each(|word| kept.store(HEAD_WORDS + SLOT_WORDS + word, before[word]));
            let left = KeptDeletes::new(words).unwrap().left(NODE);
            assert_eq!(left.overwritten, at(2));
            assert_eq!(hashes(&left), if cut == 0 { vec![2, 3, 4] } else { vec![3, 4] });
        }
    }

    #[test]
    fn another_node_finds_nothing_but_how_far_the_clock_has_come() {
        let words = words();
        let kept = claimed(words);
        kept.push(KeyHash(1), at(1));
        let reserved_ticks = kept.reserve(50);
        assert_eq!(reserved_ticks, 50 + RESERVE_TICKS);
        assert_eq!(kept.reserve(20), reserved_ticks);
        assert_eq!(kept.left(NodeId(6)), LeftDeletes { reserved_ticks, ..LeftDeletes::default() });
        kept.claim(NodeId(6), NUMBER);
        assert_eq!(kept.left(NodeId(6)).deletes, []);
        assert_eq!(kept.left(NODE).number, None);
        assert!(KeptDeletes::new(&[]).is_none());
    }
}
