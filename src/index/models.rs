//! Loom models of the lock-free parts (`make loom`). Loom tries every interleaving and every value that a load may
//! see. Each model fails without the step that its docstring names.
//!
//! ```text
//! chunk n ─ an UnsafeCell with a key: loom reports a read that is not ordered with a write, such as a read of
//!           a reused chunk through a stale reference
//! ```

use std::sync::Arc as StdArc;

use loom::cell::UnsafeCell;
use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use super::{HashIndex, IndexPages, Merge, Split, Walk};
use crate::base::KeyHash;
use crate::item::header::Unlinked;
use crate::memory::ChunkRef;
use crate::sync::{Epochs, Pin, Stamp};

/// Chunk references from 1 to this minus 1 have memory.
const CHUNKS: usize = 24;
/// The content of a reused chunk.
const REUSED: u64 = u64::MAX;

/// A key equals its hash, so its bits select the tag and the bucket.
fn key(tag: u16, bucket: u64) -> u64 {
    u64::from(tag) << 48 | bucket
}

fn chunk(number: u32) -> ChunkRef {
    ChunkRef::from_bits(number).expect("numbers start at 1")
}

struct World {
    index: HashIndex,
    epochs: StdArc<Epochs>,
    chunks: Vec<UnsafeCell<u64>>,
}

impl World {
    /// One bucket with `keys` in chunks 1, 2, … It can be split three times.
    fn with(keys: &[u64]) -> Arc<Self> {
        let world = Self {
            index: HashIndex::new(4 * 64, 0, IndexPages::Huge).expect("the heap has room"),
            epochs: StdArc::new(Epochs::new(2)),
            chunks: (0..CHUNKS).map(|_| UnsafeCell::new(0)).collect(),
        };
        for (number, key) in (1..).zip(keys) {
            world.set(*key, chunk(number));
        }
        Arc::new(world)
    }

    fn key_in(&self, chunk: ChunkRef) -> u64 {
        self.chunks[chunk.bits() as usize].with(|key| {
            // SAFETY: loom panics if another thread may be writing.
            unsafe { *key }
        })
    }

    fn write(&self, chunk: ChunkRef, key: u64) {
        self.chunks[chunk.bits() as usize].with_mut(|place| {
            // SAFETY: loom panics if another thread may be reading or writing.
            unsafe { *place = key }
        });
    }

    fn get(&self, pin: &Pin, key: u64) -> Option<ChunkRef> {
        self.index.find(pin, KeyHash(key), |found| (self.key_in(found) == key).then_some(found))
    }

    /// A get that pins through a new participant.
    fn pinned_get(&self, key: u64) -> Option<ChunkRef> {
        let mut reader = self.epochs.join();
        let pin = reader.pin();
        self.get(&pin, key)
    }

    /// Writes the item, links it, and returns the chunk that it replaced.
    fn set(&self, key: u64, new: ChunkRef) -> Option<ChunkRef> {
        self.write(new, key);
        let mut guard = self.index.lock(&Pin::assumed(), KeyHash(key));
        match guard.find_slot(|found| self.key_in(found) == key) {
            Some(slot) => Some(guard.replace(slot, Unlinked::assumed(), new)),
            None => {
                guard.insert(KeyHash(key), new).expect("there is room");
                None
            }
        }
    }

    fn delete(&self, key: u64) -> Option<ChunkRef> {
        let mut guard = self.index.lock(&Pin::assumed(), KeyHash(key));
        let slot = guard.find_slot(|found| self.key_in(found) == key)?;
        Some(guard.remove(slot, Unlinked::assumed()))
    }

    fn split(&self) {
        assert_eq!(self.index.split_one(|found| KeyHash(self.key_in(found))), Split::Done);
    }

    /// Merges, unless a writer holds one of the buckets.
    fn merge(&self) -> Merge {
        self.index.try_merge(&Pin::assumed())
    }

    /// Walks over all chains, one at a time. Returns the keys that it visits, in ascending order.
    fn walk(&self) -> Vec<u64> {
        let (pin, mut at, mut visited) = (Pin::assumed(), Walk::default(), Vec::new());
        while !at.is_over() {
            let mut found = Vec::new();
            self.index.walk(&pin, &mut at, 1, usize::MAX, &mut found);
            let keys = found.iter().map(|one| (one, self.key_in(one.chunk())));
            visited.extend(keys.filter(|(one, key)| one.is_new(KeyHash(*key))).map(|(_, key)| key));
        }
        visited.sort_unstable();
        visited
    }

    /// Reuses an unlinked chunk if no reader can see it any more.
    fn retire(&self, chunk: ChunkRef, is_over: impl FnOnce(&Epochs, Stamp) -> bool) {
        let stamp = self.epochs.stamp();
        self.epochs.advance();
        if is_over(&self.epochs, stamp) {
            self.write(chunk, REUSED);
        }
    }
}

/// Runs a model with at most this many preemptions. A yield is not a preemption.
fn check(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.max_branches = 100_000;
    builder.preemption_bound = Some(preemptions);
    builder.check(model);
}

/// Fails if a stamp or a pin has no fence, if `is_over` is not Acquire, or if a reference is stored Relaxed.
#[test]
fn loom_a_reader_finds_the_old_item_or_the_new_one_and_never_a_reused_chunk() {
    check(3, || {
        let colour = key(7, 0);
        let world = World::with(&[colour]);
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let old = world.set(colour, chunk(2)).expect("it was there");
                world.retire(old, Epochs::is_over);
            }
        });
        assert!(world.pinned_get(colour).is_some());
        writer.join().expect("the writer ends");
    });
}

/// Fails if `safe_before` has no fence, or is not bounded by the present epoch.
#[test]
fn loom_a_bound_kept_for_many_chunks_is_as_safe() {
    check(3, || {
        let colour = key(7, 0);
        let world = World::with(&[colour]);
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let early = world.epochs.safe_before();
                let old = world.set(colour, chunk(2)).expect("it was there");
                world.retire(old, |epochs, stamp| stamp < early || stamp < epochs.safe_before());
            }
        });
        assert!(world.pinned_get(colour).is_some());
        writer.join().expect("the writer ends");
    });
}

/// Fails if the parent is stripped before the state is published, or if `find` does not check the state.
#[test]
fn loom_a_split_hides_no_key() {
    check(2, || {
        let (stays, goes) = (key(7, 0), key(7, 1));
        let world = World::with(&[stays, goes]);
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || world.split()
        });
        assert_eq!(world.pinned_get(goes), Some(chunk(2)));
        assert_eq!(world.pinned_get(stays), Some(chunk(1)));
        grower.join().expect("the grower ends");
    });
}

/// The ninth tag has a word of its own. Fails if that word is stored or loaded Relaxed.
#[test]
fn loom_a_split_hides_no_key_of_the_last_slot() {
    check(1, || {
        let keys: Vec<u64> = (1..=9).map(|tag| key(tag, u64::from(tag / 9))).collect();
        let world = World::with(&keys);
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || world.split()
        });
        assert_eq!(world.pinned_get(keys[8]), Some(chunk(9)));
        grower.join().expect("the grower ends");
    });
}

/// Fails if the child is unlocked before the parent is stripped.
#[test]
fn loom_what_is_deleted_during_a_split_is_reused_only_when_no_reader_sees_it() {
    check(2, || {
        let (stays, goes) = (key(7, 0), key(7, 1));
        let world = World::with(&[goes, stays]);
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || world.split()
        });
        let deleter = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                let gone = world.delete(goes).expect("it was there");
                world.retire(gone, Epochs::is_over);
            }
        });
        assert_eq!(world.pinned_get(stays), Some(chunk(2)));
        grower.join().expect("the grower ends");
        deleter.join().expect("the deleter ends");
    });
}

/// Fails if `lock` does not check the state again.
#[test]
fn loom_what_is_set_during_a_split_is_found_after_it() {
    check(3, || {
        let (old, new) = (key(7, 0), key(8, 1));
        let world = World::with(&[old]);
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || world.split()
        });
        assert_eq!(world.set(new, chunk(2)), None);
        grower.join().expect("the grower ends");
        assert_eq!(world.pinned_get(new), Some(chunk(2)));
    });
}

/// Fails if the child is emptied before the state is published, or if `find` does not check the state.
#[test]
fn loom_a_merge_hides_no_key() {
    check(2, || {
        let (stays, comes) = (key(7, 0), key(7, 1));
        let world = World::with(&[stays, comes]);
        world.split();
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || assert_eq!(world.merge(), Merge::Done)
        });
        assert_eq!(world.pinned_get(comes), Some(chunk(2)));
        assert_eq!(world.pinned_get(stays), Some(chunk(1)));
        grower.join().expect("the grower ends");
    });
}

/// The key moves to the child and back while a reader looks for it in the parent. Fails if a merge does not count the
/// fill of the parent, or if `find` reads the count before the state.
#[test]
fn loom_a_state_that_comes_back_after_a_merge_hides_no_key() {
    check(2, || {
        let goes = key(7, 1);
        let world = World::with(&[goes]);
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                world.split();
                thread::yield_now();
                assert_eq!(world.merge(), Merge::Done);
            }
        });
        assert_eq!(world.get(&Pin::assumed(), goes), Some(chunk(1)));
        grower.join().expect("the grower ends");
    });
}

/// The same, while a reader looks for the key in the child. Fails if a split does not count the fill of the child.
#[test]
fn loom_a_state_that_comes_back_after_a_split_hides_no_key() {
    check(2, || {
        let goes = key(7, 1);
        let world = World::with(&[goes]);
        world.split();
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                assert_eq!(world.merge(), Merge::Done);
                thread::yield_now();
                world.split();
            }
        });
        assert_eq!(world.get(&Pin::assumed(), goes), Some(chunk(1)));
        grower.join().expect("the grower ends");
    });
}

/// The writer may reach the child's lock when no state contains the child, or when a split is about to add it again.
/// Fails if `lock` does not check the state again, or if a split takes the child's lock without trying it.
#[test]
fn loom_what_is_set_during_a_merge_and_a_split_is_found_after_them() {
    check(2, || {
        let (old, new) = (key(7, 1), key(8, 1));
        let world = World::with(&[old]);
        world.split();
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                if world.merge() == Merge::Done {
                    thread::yield_now();
                    world.split();
                }
            }
        });
        assert_eq!(world.set(new, chunk(2)), None);
        grower.join().expect("the grower ends");
        assert_eq!(world.pinned_get(new), Some(chunk(2)));
        assert_eq!(world.pinned_get(old), Some(chunk(1)));
    });
}

/// A worker splits while the grower merges. Fails if a merge does not lock the bucket that is split next.
#[test]
fn loom_a_split_and_a_merge_at_once_lose_nothing() {
    check(3, || {
        let keys = [key(7, 0), key(7, 1), key(7, 2), key(7, 3)];
        let world = World::with(&keys);
        world.split();
        world.split();
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || world.merge()
        });
        world.split();
        let merge = grower.join().expect("the grower ends");
        let buckets = 4 - u32::from(merge == Merge::Done);
        assert_eq!(world.index.buckets(), buckets);
        for (number, key) in (1..).zip(keys) {
            assert_eq!(world.pinned_get(key), Some(chunk(number)));
        }
    });
}

/// Fails if a walk asks for the range of its bucket after it has unlocked it. Then it visits keys twice that a split
/// moves.
#[test]
fn loom_a_walk_beside_a_split_visits_each_key_once() {
    check(2, || {
        let keys = [key(7, 0), key(7, 1)];
        let world = World::with(&keys);
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            move || world.split()
        });
        assert_eq!(world.walk(), keys);
        grower.join().expect("the grower ends");
    });
}

/// Fails if a walk does not ask what is new in its bucket: then it visits the keys of the other half twice. Fails also
/// if it asks for the range too late: then it never visits the keys that a merge brings.
#[test]
fn loom_a_walk_beside_a_merge_visits_each_key_once() {
    check(2, || {
        let keys = [key(7, 0), key(7, 1)];
        let world = World::with(&keys);
        world.split();
        let grower = thread::spawn({
            let world = Arc::clone(&world);
            // Busy: the walk holds one of the buckets.
            move || world.merge()
        });
        assert_eq!(world.walk(), keys);
        grower.join().expect("the grower ends");
    });
}

/// Nine keys fill the bucket; the tenth overflows. Fails if a relocation is not counted, or is counted too late, or if
/// `find` does not check the count.
#[test]
fn loom_a_key_moved_within_its_chain_is_not_missed() {
    check(2, || {
        let keys: Vec<u64> = (1..=10).map(|tag| key(tag, 0)).collect();
        let world = World::with(&keys);
        let remover = thread::spawn({
            let (world, first) = (Arc::clone(&world), keys[0]);
            move || world.delete(first)
        });
        assert_eq!(world.pinned_get(keys[9]), Some(chunk(10)));
        remover.join().expect("the remover ends");
    });
}

/// The overflow bucket of one chain is cut and joins another chain while a reader is in it. Fails if a relocation is
/// not counted, or if a link is stored or cut Relaxed.
#[test]
fn loom_a_reader_in_a_recycled_overflow_bucket_looks_again() {
    check(2, || {
        // Two chains after the split: bucket 0 has eleven keys, bucket 1 has nine.
        let keys: Vec<u64> = (1..=20).map(|tag| key(tag, if tag <= 11 { 0 } else { 1 })).collect();
        let world = World::with(&[]);
        world.split();
        (1..).zip(&keys).for_each(|(number, key)| assert_eq!(world.set(*key, chunk(number)), None));
        let writer = thread::spawn({
            let (world, removed) = (Arc::clone(&world), [keys[0], keys[1]]);
            move || {
                removed.iter().for_each(|key| assert!(world.delete(*key).is_some()));
                assert_eq!(world.set(key(21, 1), chunk(21)), None);
            }
        });
        assert_eq!(world.pinned_get(keys[10]), Some(chunk(11)));
        writer.join().expect("the writer ends");
    });
}

/// The reader may see the old item's tag and then the new item's reference. Fails if a reference is stored or loaded
/// Relaxed.
#[test]
fn loom_an_item_in_a_slot_just_left_is_read_whole() {
    check(3, || {
        let (old, new) = (key(7, 0), key(7, 2));
        let world = World::with(&[old]);
        let writer = thread::spawn({
            let world = Arc::clone(&world);
            move || {
                assert!(world.delete(old).is_some());
                assert_eq!(world.set(new, chunk(2)), None);
            }
        });
        let found = world.pinned_get(old);
        assert!(found.is_none() || found == Some(chunk(1)));
        writer.join().expect("the writer ends");
        assert_eq!(world.pinned_get(new), Some(chunk(2)));
    });
}

/// Fails if the lock is taken without Acquire or released without Release.
#[test]
fn loom_two_writers_of_one_bucket_lose_nothing() {
    check(3, || {
        let world = World::with(&[]);
        let other = thread::spawn({
            let world = Arc::clone(&world);
            move || world.set(key(8, 0), chunk(2))
        });
        assert_eq!(world.set(key(7, 0), chunk(1)), None);
        assert_eq!(other.join().expect("the other ends"), None);
        assert_eq!(world.pinned_get(key(7, 0)), Some(chunk(1)));
        assert_eq!(world.pinned_get(key(8, 0)), Some(chunk(2)));
    });
}
