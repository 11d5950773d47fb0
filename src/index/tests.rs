//! Compares the index with a `HashMap`, in one thread and in several. A chunk number encodes its key; chunks have no
//! memory.

use std::collections::HashMap;
use std::collections::HashSet;
use std::sync::Arc;

use super::guard::LockedChain;
use super::{HashIndex, IndexFull, IndexPages, Merge, Split, Walk};
use crate::base::KeyHash;
use crate::base::atomic::{AtomicBool, AtomicU64, Ordering};
use crate::item::header::Unlinked;
use crate::memory::ChunkRef;
use crate::sync::{Epochs, Participant, Pin};

/// Chunk numbers per key, one for each version.
const VERSIONS: u32 = 8;

fn chunk(key: u32, version: u32) -> ChunkRef {
    ChunkRef::from_bits((key + 1) * VERSIONS + version % VERSIONS).unwrap()
}

fn key_in(chunk: ChunkRef) -> u32 {
    chunk.bits() / VERSIONS - 1
}

/// The hash has only four tags, so that every bucket has keys with equal tags.
fn hash(key: u32) -> KeyHash {
    let mixed = u64::from(key).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    KeyHash((mixed ^ mixed >> 29) & 0x0003_ffff_ffff_ffff)
}

fn hash_in(chunk: ChunkRef) -> KeyHash {
    hash(key_in(chunk))
}

fn index(bytes: usize, hashpower: u32) -> HashIndex {
    HashIndex::new(bytes, hashpower, IndexPages::Huge).unwrap()
}

fn participant() -> Participant {
    Arc::new(Epochs::new(1)).join()
}

/// A small deterministic generator, so that failures repeat.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from((self.0 >> 33) % u64::from(bound)).unwrap()
    }
}

fn set(index: &HashIndex, key: u32, version: u32) -> Result<Option<ChunkRef>, IndexFull> {
    let mut guard = index.lock(&Pin::assumed(), hash(key));
    match guard.find_slot(|found| key_in(found) == key) {
        Some(slot) => Ok(Some(guard.replace(slot, Unlinked::assumed(), chunk(key, version)))),
        None => guard.insert(hash(key), chunk(key, version)).map(|()| None),
    }
}

fn delete(index: &HashIndex, key: u32) -> Option<ChunkRef> {
    let mut guard = index.lock(&Pin::assumed(), hash(key));
    let slot = guard.find_slot(|found| key_in(found) == key)?;
    Some(guard.remove(slot, Unlinked::assumed()))
}

/// Asserts that every item is found, is visited once, and has no gap before it.
fn assert_holds(index: &HashIndex, model: &HashMap<u32, ChunkRef>) {
    let mut reader = participant();
    let pin = reader.pin();
    for (key, chunk) in model {
        assert_eq!(index.find(&pin, hash(*key), |found| (key_in(found) == *key).then_some(found)), Some(*chunk));
    }
    let mut visited = HashSet::new();
    let chunks = (0..index.buckets()).flat_map(|number| index.chain(number)).flat_map(|bucket| bucket.full_slots());
    chunks.for_each(|(.., chunk)| assert!(visited.insert(chunk), "{chunk:?} twice"));
    assert_eq!(visited, model.values().copied().collect());
    for number in 0..index.buckets() {
        let full: Vec<usize> = index.chain(number).map(|bucket| bucket.full_slots().count()).collect();
        let (last, others) = full.split_last().unwrap();
        assert!(others.iter().all(|slots| *slots == 9), "a gap in {full:?}");
        assert!(*last > 0 || others.is_empty(), "an empty overflow bucket in {full:?}");
    }
}

#[test]
fn any_sequence_of_changes_leaves_what_a_map_has() {
    for seed in 0..20 {
        let (index, mut model, mut dice) = (index(1 << 20, 1), HashMap::new(), Dice(seed));
        let keys = 20 + dice.below(400);
        for step in 0..3000 {
            let key = dice.below(keys);
            match dice.below(10) {
                0..=3 => assert_eq!(set(&index, key, step), Ok(model.insert(key, chunk(key, step)))),
                4..=6 => assert_eq!(delete(&index, key), model.remove(&key)),
                7 if index.buckets() > 2 => assert_eq!(index.try_merge(&Pin::assumed()), Merge::Done),
                _ if index.splits_wanted(model.len() as u64) > 0 => assert_eq!(index.split_one(hash_in), Split::Done),
                _ => (),
            }
        }
        assert_holds(&index, &model);
        for key in 0..keys {
            assert_eq!(delete(&index, key), model.remove(&key));
        }
        assert_holds(&index, &model);
    }
}

#[test]
fn growth_keeps_every_item_and_returns_the_overflow_buckets() {
    let index = index(1 << 20, 0);
    let mut model = HashMap::new();
    for key in 0..2000 {
        set(&index, key, 0).unwrap();
        model.insert(key, chunk(key, 0));
    }
    let before = index.bytes_touched();
    assert!(before > 2000 / 9 * 64, "one main bucket, the rest overflows");
    while index.splits_wanted(2000) > 0 {
        assert_eq!(index.split_one(hash_in), Split::Done);
    }
    assert_holds(&index, &model);
    assert_eq!(index.buckets(), 278);
    assert_eq!(index.level(), 8);
    let grown = index.bytes_touched();
    (2000..2500).for_each(|key| assert_eq!(set(&index, key, 0), Ok(None)));
    assert_eq!(index.bytes_touched(), grown, "overflow buckets are used again");
}

#[test]
fn an_attempt_to_split_waits_neither_for_a_lock_nor_for_memory() {
    let index = index(4 << 20, 0);
    (0..20).for_each(|key| assert_eq!(set(&index, key, 0), Ok(None)));
    let holder = index.lock(&Pin::assumed(), hash(3));
    assert_eq!(index.try_split(hash_in), Split::Busy);
    drop(holder);
    assert_eq!((index.try_split(hash_in), index.buckets()), (Split::Done, 2));
    while index.try_split(hash_in) == Split::Done {}
    assert_eq!(index.buckets(), 32768, "a huge page's worth is there from the start");
    assert!(index.wants_room());
    let small = index.bytes_touched();
    index.make_room();
    assert!(!index.wants_room());
    assert_eq!(index.try_split(hash_in), Split::Done);
    assert!(index.bytes_touched() >= 2 * small - 64 * 64, "memory counts from when it is taken");
    while index.try_split(hash_in) == Split::Done {}
    assert_eq!((index.try_split(hash_in), index.buckets()), (Split::Full, 65536));
    assert_holds(&index, &(0..20).map(|key| (key, chunk(key, 0))).collect());
}

#[test]
fn without_huge_pages_memory_counts_as_it_is_used() {
    let index = HashIndex::new(4 << 20, 0, IndexPages::Small).unwrap();
    for buckets in 1..40_000 {
        assert_eq!((index.try_split(hash_in), index.wants_room()), (Split::Done, false));
        assert_eq!(index.bytes_touched(), (buckets + 1) * 64);
    }
}

fn filled(index: &HashIndex, keys: u32) -> HashMap<u32, ChunkRef> {
    (0..keys).for_each(|key| assert_eq!(set(index, key, 0), Ok(None)));
    while index.splits_wanted(u64::from(keys)) > 0 {
        assert_eq!(index.split_one(hash_in), Split::Done);
    }
    (0..keys).map(|key| (key, chunk(key, 0))).collect()
}

#[test]
fn a_sparse_index_shrinks_to_what_its_items_want_and_keeps_them() {
    let index = index(1 << 20, 2);
    let mut model = filled(&index, 20_000);
    assert!(!index.is_sparse(20_000) && !index.is_sparse(10_000));
    (500..20_000).for_each(|key| assert_eq!(delete(&index, key), model.remove(&key)));
    assert!(index.is_sparse(500));
    assert_eq!(index.merges_wanted(500), u64::from(index.buckets()) - 88, "a quarter more than the 70 that 500 want");
    while index.merges_wanted(500) > 0 {
        assert_eq!(index.try_merge(&Pin::assumed()), Merge::Done);
    }
    assert!(!index.is_sparse(500) && index.splits_wanted(500) == 0);
    assert_holds(&index, &model);
    model.keys().for_each(|key| assert!(delete(&index, *key).is_some()));
    while index.try_merge(&Pin::assumed()) == Merge::Done {}
    assert_eq!((index.buckets(), index.try_merge(&Pin::assumed())), (4, Merge::Least), "what it began with");
    let grown = filled(&index, 3000);
    assert_holds(&index, &grown);
}

/// For each chunk that `work` examines, the buckets whose lock is held.
fn held_at_each(index: &HashIndex, work: impl FnOnce(&mut dyn FnMut(ChunkRef) -> KeyHash)) -> Vec<Vec<u32>> {
    let mut held = Vec::new();
    work(&mut |chunk| {
        let is_held = |number: &u32| {
            let bucket = index.main.bucket(*number);
            let is_free = bucket.try_lock();
            is_free.then(|| bucket.unlock());
            !is_free
        };
        held.push((0..=index.buckets()).filter(is_held).collect());
        hash_in(chunk)
    });
    held
}

#[test]
fn a_split_holds_one_bucket_and_looks_at_the_items_of_no_other() {
    let index = index(1 << 20, 4);
    let model = filled(&index, 1000);
    let parent = index.state().split();
    let items = index.chain(parent).map(|bucket| bucket.full_slots().count()).sum::<usize>();
    let all = held_at_each(&index, |hash_of| assert_eq!(index.split_one(hash_of), Split::Done));
    let child = index.buckets() - 1;
    assert_eq!(all, vec![vec![parent, child]; items], "no other thread sees the child before it is published");
    assert_holds(&index, &model);
    let before = index.buckets();
    let held = held_at_each(&index, |hash_of| {
        while index.splits_wanted(4000) > 0 {
            assert_eq!(index.try_split(&mut *hash_of), Split::Done);
        }
    });
    assert!(held.iter().all(|held| held.len() == 2), "a worker's split, too");
    assert!(index.buckets() > before + 300);
    let longest = (0..index.buckets()).map(|number| index.chain(number).count()).max().unwrap();
    assert!(longest <= 4, "a chain of {longest} buckets, in an index that keeps up with its items");
}

#[test]
fn the_memory_ahead_is_taken_one_huge_page_at_a_time() {
    let index = HashIndex::new(64 << 20, 0, IndexPages::Huge).unwrap();
    let mut taken = index.bytes_touched();
    for _ in 0..300_000 {
        if index.wants_room() {
            index.make_room();
            let more = index.bytes_touched() - taken;
            assert!(
                more <= (2 << 20) + 32768 * 64,
                "{more} bytes: a page, and at first the one that was touched before"
            );
            assert!(!index.wants_room(), "one page is enough for now");
        }
        taken = index.bytes_touched();
        assert_eq!(index.try_split(hash_in), Split::Done, "no split waited for memory");
    }
}

#[test]
fn a_merge_waits_for_no_lock() {
    let index = index(1 << 16, 2);
    filled(&index, 60);
    // There are nine buckets. The ninth merges into the first, and the second is split next.
    assert_eq!(index.buckets(), 9);
    for number in [0, 1, 8] {
        let key = (0..60).find(|key| index.bucket_of(hash(*key)) == number).unwrap();
        let holder = index.lock(&Pin::assumed(), hash(key));
        assert_eq!(index.try_merge(&Pin::assumed()), Merge::Busy, "bucket {number} is held");
        drop(holder);
    }
    assert_eq!((index.try_merge(&Pin::assumed()), index.buckets()), (Merge::Done, 8));
}

#[test]
fn a_merge_that_finds_no_overflow_bucket_changes_nothing() {
    // One page of main buckets and one page of overflow buckets.
    let index = index(4096, 0);
    assert_eq!(index.split_one(hash_in), Split::Done);
    let mut model = HashMap::new();
    for key in 0..5000 {
        if set(&index, key, 0).is_ok() {
            model.insert(key, chunk(key, 0));
        }
    }
    assert_eq!((index.try_merge(&Pin::assumed()), index.buckets()), (Merge::Busy, 2));
    assert_holds(&index, &model);
}

#[test]
fn the_memory_of_an_index_that_has_shrunk_goes_back_when_no_reader_knows_its_buckets() {
    for (pages, first_tail) in [(IndexPages::Small, 1024), (IndexPages::Huge, 32768)] {
        let index = HashIndex::new(16 << 20, 0, pages).unwrap();
        let epochs = Arc::new(Epochs::new(1));
        let mut reader = epochs.join();
        while index.buckets() < 100_000 {
            if index.wants_room() {
                index.make_room();
            }
            assert_eq!(index.try_split(hash_in), Split::Done);
        }
        assert!(index.close_tail(&epochs).is_none(), "all is in use, or will be soon");
        let mut model = filled(&index, 100);
        let full = index.bytes_touched();
        while index.merges_wanted(100) > 0 {
            assert_eq!(index.try_merge(&Pin::assumed()), Merge::Done);
        }
        assert_eq!(index.bytes_touched(), full, "nothing is given back yet");
        let pin = reader.pin();
        let tail = index.close_tail(&epochs).unwrap();
        let tail = index.discard_tail(tail, &epochs).expect_err("the reader may know a bucket of it");
        assert_eq!(index.try_merge(&Pin::assumed()), Merge::Busy);
        drop(pin);
        index.discard_tail(tail, &epochs).unwrap();
        assert_eq!(index.bytes_touched(), (first_tail + index.overflow.touched()) * 64);
        assert!(index.close_tail(&epochs).is_none());
        assert_holds(&index, &model);
        model.extend((100..2000).map(|key| (key, chunk(key, 0))));
        (100..2000).for_each(|key| assert_eq!(set(&index, key, 0), Ok(None)));
        while index.buckets() < 100_000 {
            if index.wants_room() {
                index.make_room();
            }
            assert_eq!(index.try_split(hash_in), Split::Done, "what was given back can be had again");
        }
        assert_holds(&index, &model);
    }
}

#[test]
fn a_closed_tail_is_not_split_into_and_stays_if_a_split_came_before() {
    let index = HashIndex::new(1 << 20, 0, IndexPages::Small).unwrap();
    let epochs = Arc::new(Epochs::new(1));
    while index.buckets() < 4000 {
        assert_eq!(index.try_split(hash_in), Split::Done);
    }
    while index.buckets() > 1023 {
        assert_eq!(index.try_merge(&Pin::assumed()), Merge::Done);
    }
    let tail = index.close_tail(&epochs).unwrap();
    assert_eq!((index.try_split(hash_in), index.try_split(hash_in)), (Split::Done, Split::Busy));
    // Simulates a split that read the end of the index before the tail was closed.
    let (state, early) = (index.state(), index.split_one(hash_in));
    let parent = LockedChain::try_for(&index, state.split()).unwrap();
    assert_eq!((early, index.split(&parent, state, hash_in)), (Split::Busy, Split::Done));
    drop(parent);
    let before = index.bytes_touched();
    index.discard_tail(tail, &epochs).unwrap();
    assert_eq!((index.bytes_touched(), index.try_split(hash_in)), (before, Split::Done));
}

#[test]
fn a_full_index_refuses_and_changes_nothing() {
    // One page of main buckets and one page of overflow buckets.
    let index = index(4096, 0);
    let mut model = HashMap::new();
    let full = (0..5000).find(|key| {
        let is_full = set(&index, *key, 0).is_err();
        if !is_full {
            model.insert(*key, chunk(*key, 0));
        }
        is_full
    });
    assert_eq!(full, Some(64 * 9), "the main bucket and 63 for the overflow");
    assert_holds(&index, &model);
    assert!(delete(&index, 7).is_some());
    model.remove(&7);
    assert_eq!(set(&index, 5000, 0), Ok(None));
    model.insert(5000, chunk(5000, 0));
    let refused = index.split_one(hash_in);
    assert_eq!((refused, index.buckets()), (Split::Full, 1), "the child's chain finds no bucket either");
    assert_holds(&index, &model);
    for key in (0..5001).filter(|key| key % 4 != 0) {
        assert_eq!(delete(&index, key), model.remove(&key));
    }
    while index.split_one(hash_in) == Split::Done {}
    assert_eq!(index.buckets(), 64);
    assert_holds(&index, &model);
}

#[test]
fn eviction_finds_a_chunk_by_its_reference_alone() {
    let index = index(1 << 16, 0);
    (0..40).for_each(|key| assert_eq!(set(&index, key, 3), Ok(None)));
    let mut guard = index.try_lock(&Pin::assumed(), hash(17)).unwrap();
    assert!(index.try_lock(&Pin::assumed(), hash(17)).is_none());
    assert!(guard.holds(hash(17)));
    assert!(guard.find_ref(hash(17), chunk(17, 4)).is_none(), "another version");
    let slot = guard.find_ref(hash(17), chunk(17, 3)).unwrap();
    assert_eq!((slot.chunk(), guard.remove(slot, Unlinked::assumed())), (chunk(17, 3), chunk(17, 3)));
    drop(guard);
    assert!(index.try_lock(&Pin::assumed(), hash(17)).is_some());
}

#[test]
fn a_candidate_is_what_the_main_bucket_shows_first() {
    let index = index(1 << 16, 4);
    assert_eq!(index.home(hash(5)).candidate(hash(5)), None);
    set(&index, 5, 0).unwrap();
    index.prefetch(hash(5));
    assert_eq!(index.home(hash(5)).candidate(hash(5)), Some(chunk(5, 0)));
}

/// Keys below this are never deleted, so a reader must never miss one.
const LASTING_KEYS: u32 = 600;
const KEYS: u32 = 1200;
const CHANGES: u32 = 5_000;

#[test]
fn readers_find_every_lasting_key_while_others_change_split_and_merge() {
    let index = index(1 << 20, 0);
    (0..LASTING_KEYS).for_each(|key| assert_eq!(set(&index, key, 0), Ok(None)));
    let (is_over, lookups) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let changers: Vec<_> = (0..2)
            .map(|seed| {
                scope.spawn({
                    let index = &index;
                    move || change(index, seed)
                })
            })
            .collect();
        for seed in 10..12 {
            let (index, is_over, lookups) = (&index, &is_over, &lookups);
            scope.spawn(move || {
                let (mut reader, mut dice) = (participant(), Dice(seed));
                while !is_over.load(Ordering::Relaxed) {
                    let (pin, key) = (reader.pin(), dice.below(KEYS));
                    let found = index.find(&pin, hash(key), |found| (key_in(found) == key).then_some(found));
                    lookups.fetch_add(1, Ordering::Relaxed);
                    assert!(found.is_some() || key >= LASTING_KEYS, "missed {key}");
                }
            });
        }
        for round in 1..=4 {
            while index.buckets() < 2048 {
                assert_eq!(index.split_one(hash_in), Split::Done);
                std::thread::yield_now();
            }
            while round < 4 && index.buckets() > 64 {
                // Busy: a writer holds one of the buckets.
                index.try_merge(&Pin::assumed());
                std::thread::yield_now();
            }
        }
        changers.into_iter().for_each(|changer| changer.join().unwrap());
        // On a busy machine the readers may not have run yet.
        while lookups.load(Ordering::Relaxed) == 0 {
            std::thread::yield_now();
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let lasting = (0..LASTING_KEYS).map(|key| {
        (key, index.lock(&Pin::assumed(), hash(key)).find_slot(|found| key_in(found) == key).unwrap().chunk())
    });
    assert_holds(&index, &lasting.collect());
}

/// The keys that one slice of a walk visits.
fn walk(index: &HashIndex, at: &mut Walk, chains: u32) -> Vec<u32> {
    let (pin, mut found) = (Pin::assumed(), Vec::new());
    index.walk(&pin, at, chains, 30, &mut found);
    found.iter().filter(|one| one.is_new(hash_in(one.chunk()))).map(|one| key_in(one.chunk())).collect()
}

#[test]
fn a_walk_visits_lasting_keys_once_while_the_index_changes_between_its_slices() {
    for seed in 0..60 {
        let (index, mut dice) = (index(1 << 20, 1), Dice(seed));
        (0..LASTING_KEYS).for_each(|key| assert_eq!(set(&index, key, 0), Ok(None)));
        (0..dice.below(300)).for_each(|_| assert_eq!(index.split_one(hash_in), Split::Done));
        let (mut at, mut visits) = (Walk::default(), HashMap::<u32, u32>::new());
        while !at.is_over() {
            walk(&index, &mut at, 1 + dice.below(4)).into_iter().for_each(|key| *visits.entry(key).or_default() += 1);
            for _ in 0..dice.below(12) {
                let other = LASTING_KEYS + dice.below(KEYS - LASTING_KEYS);
                match dice.below(5) {
                    0 => assert!(set(&index, other, dice.below(8)).is_ok()),
                    1 => drop(delete(&index, other)),
                    2 => assert!(set(&index, dice.below(LASTING_KEYS), 1).is_ok()),
                    3 => drop(index.split_one(hash_in)),
                    _ => drop(index.try_merge(&Pin::assumed())),
                }
            }
        }
        (0..LASTING_KEYS).for_each(|key| assert_eq!(visits.get(&key), Some(&1), "{key}, seed {seed}"));
        assert!(visits.values().all(|count| *count == 1), "another key was visited twice, seed {seed}");
        assert_eq!(walk(&index, &mut at, 1), []);
    }
}

#[test]
fn walks_visit_lasting_keys_once_while_others_change_split_and_merge() {
    let index = index(1 << 20, 0);
    (0..LASTING_KEYS).for_each(|key| assert_eq!(set(&index, key, 0), Ok(None)));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (index, is_over) = (&index, &is_over);
        let changers: Vec<_> = (0..2).map(|seed| scope.spawn(move || change(index, seed))).collect();
        scope.spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                while index.buckets() < 300 && index.split_one(hash_in) == Split::Done {}
                // Busy: a writer or the walk holds one of the buckets.
                (0..400).for_each(|_| _ = index.try_merge(&Pin::assumed()));
            }
        });
        for _ in 0..20 {
            let (mut at, mut visits) = (Walk::default(), HashMap::<u32, u32>::new());
            while !at.is_over() {
                walk(index, &mut at, 2).into_iter().for_each(|key| *visits.entry(key).or_default() += 1);
            }
            let lasting = (0..LASTING_KEYS).map(|key| visits.get(&key).copied());
            lasting.for_each(|count| assert_eq!(count, Some(1)));
        }
        changers.into_iter().for_each(|changer| changer.join().unwrap());
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Replaces lasting keys. Inserts and deletes its own share of the other keys, and finally deletes them all.
fn change(index: &HashIndex, seed: u32) {
    let mut dice = Dice(u64::from(seed));
    for step in 0..CHANGES {
        set(index, dice.below(LASTING_KEYS), step).unwrap();
        let own = LASTING_KEYS + dice.below((KEYS - LASTING_KEYS) / 2) * 2 + seed;
        if dice.below(2) == 0 {
            set(index, own, step).unwrap();
        } else {
            delete(index, own);
        }
    }
    (LASTING_KEYS..KEYS).filter(|key| key % 2 == seed).for_each(|key| {
        delete(index, key);
    });
}
