//! The store without a socket: memory limits, eviction, growth, expiry in the background.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::collections::HashMap;
use std::sync::Arc;

use larder::base::{Clock, Deadline, HashedKey, Key, RelTime};
use larder::memory::ClassPlan;
use larder::store::{
    Engine, EngineAdmin as _, Fetched, Item, MoveTuning, Pending as _, Refusal, Removal, Store, StoreConfig,
    StoreOutcome, StoreReport, WorkerStore, Write,
};
use larder::sync::{Participant, Pin};

use crate::random::Random;

pub(crate) fn config(limit_mib: u64) -> StoreConfig {
    StoreConfig {
        limit_bytes: limit_mib << 20,
        classes: ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() },
        value_len_max: 1 << 20,
        evictions: true,
        use_cas: true,
        hashpower: 12,
        threads_max: 8,
        large_pages: false,
        hash_seed: None,
    }
}

/// The limit is kept to the nearest page.
pub(crate) const HALF_A_PAGE: u64 = 512 << 10;

/// Time for which a set is repeated while the store is busy.
const BUSY_US_MAX: u64 = 1_000_000;

/// One thread's access to a store of its own.
pub(crate) struct Rig {
    clock: Arc<Clock>,
    pub(crate) store: &'static Store,
    participant: Participant,
    worker: WorkerStore,
}

impl Rig {
    pub(crate) fn new(config: StoreConfig) -> Self {
        let clock = Arc::new(Clock::start());
        clock.pause();
        let store = Store::new(config, Arc::clone(&clock)).unwrap();
        let (participant, worker) = store.join();
        Self { clock, store, participant, worker }
    }

    /// Runs `work` in a loop turn of its own.
    pub(crate) fn turn<R>(&mut self, work: impl FnOnce(&mut WorkerStore, &Pin) -> R) -> R {
        let guard = self.participant.pin();
        self.worker.begin_turn();
        let result = work(&mut self.worker, &guard);
        self.worker.end_turn();
        result
    }

    /// Sets as a connection does: a busy store is asked again in the next turn, for a second at most.
    pub(crate) fn set(&mut self, key: &str, value: &[u8], deadline: Deadline) -> Result<(), Refusal> {
        let began_us = self.clock.real_us();
        loop {
            let answer = self.turn(|worker, pin| {
                let key = hashed(worker, key);
                let mut pending =
                    worker.reserve(pin, &Write { deadline, ..Write::set(key) }, u32::try_from(value.len()).unwrap())?;
                let mut filled = pending.fill(value);
                while filled < value.len() {
                    worker.extend(pin, &mut pending)?;
                    filled += pending.fill(&value[filled..]);
                }
                assert!(worker.commit(pin, pending).is_ok_and(StoreOutcome::is_stored));
                Ok(())
            });
            if answer != Err(Refusal::Busy) || self.clock.real_us() > began_us + BUSY_US_MAX {
                return answer;
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.turn(|worker, pin| {
            let key = hashed(worker, key);
            let Fetched::Hit(item) = worker.fetch(pin, key) else { return None };
            let mut value = Vec::new();
            item.for_each_piece(&mut |piece| value.extend_from_slice(piece));
            Some(value)
        })
    }

    pub(crate) fn delete(&mut self, key: &str) -> bool {
        self.turn(|worker, pin| {
            let key = hashed(worker, key);
            worker.delete(pin, key, Removal::default()).is_removed()
        })
    }

    pub(crate) fn report(&mut self, group: StoreReport) -> HashMap<String, u64> {
        let mut rows = HashMap::new();
        self.turn(|worker, pin| {
            worker.report(pin, group, &mut |name, value| {
                // Some rows are words.
                rows.extend(value.to_string().parse().ok().map(|number| (name.to_string(), number)));
            });
        });
        rows
    }
}

pub(crate) fn hashed<'k>(worker: &WorkerStore, key: &'k str) -> HashedKey<'k> {
    worker.hash(Key::new(key.as_bytes()).unwrap())
}

#[test]
fn a_full_cache_evicts_and_never_refuses_or_outgrows_its_limit() {
    let mut rig = Rig::new(config(8));
    let value = [b'v'; 300];
    for number in 0..100_000 {
        assert_eq!(rig.set(&format!("key-{number}"), &value, Deadline::NEVER), Ok(()), "set {number}");
    }
    let general = rig.report(StoreReport::General);
    assert!(general["evictions"] > 50_000);
    assert!(general["curr_items"] > 15_000, "8 MiB hold more than {} items", general["curr_items"]);
    assert!(general["slab_bytes"] + general["hash_bytes"] <= (8 << 20) + HALF_A_PAGE);
    assert_eq!(rig.get("key-99999").as_deref(), Some(&value[..]), "the last one in is still there");
}

#[test]
fn items_of_all_sizes_share_the_pages_of_a_small_cache() {
    let mut rig = Rig::new(StoreConfig {
        classes: ClassPlan { first: 64, growth_factor: 1.05, chunk_max: 16384, explicit: Vec::new() },
        ..config(8)
    });
    let value = [b'v'; 16_000];
    let len = |number: usize| 1 + number * 7919 % 16_000;
    for number in 0..20_000 {
        let key = format!("key-{number}");
        assert_eq!(rig.set(&key, &value[..len(number)], Deadline::NEVER), Ok(()), "{key}");
        assert!(rig.get(&key).is_some_and(|found| found.len() == len(number)), "{key} is gone at once");
    }
    let general = rig.report(StoreReport::General);
    // Three pages for the class of large values, and two for classes without a page.
    assert!(general["slab_bytes"] <= (8 + 3 + 2) << 20, "{} bytes for 8 MiB", general["slab_bytes"]);
    assert!(general["curr_items"] > 500, "{} items", general["curr_items"]);
}

#[test]
fn a_full_class_keeps_few_chunks_free_if_few_are_needed_at_a_time() {
    let mut rig = Rig::new(config(8));
    let value = [b'v'; 3000];
    (0..30_000).for_each(|number| rig.set(&format!("key-{number:07}"), &value, Deadline::NEVER).unwrap());
    let rows = rig.report(StoreReport::Slabs);
    let free = rows.iter().find(|(name, _)| name.ends_with(":free_chunks")).map(|(_, free)| *free);
    assert!(free.is_some_and(|free| (8..=16).contains(&free)), "{free:?} of {}", rows["total_malloced"] / 3000);
}

#[test]
fn eviction_spares_what_is_asked_for() {
    let mut rig = Rig::new(config(8));
    let value = [b'v'; 300];
    rig.set("hot", &value, Deadline::NEVER).unwrap();
    for number in 0..100_000 {
        if number % 1000 == 0 {
            assert!(rig.get("hot").is_some(), "lost before set {number}");
        }
        rig.set(&format!("key-{number}"), &value, Deadline::NEVER).unwrap();
    }
}

#[test]
fn large_values_take_the_place_of_large_values() {
    let mut rig = Rig::new(config(8));
    let value: Vec<u8> = (0..1 << 20).map(|index: u32| index.to_le_bytes()[0]).collect();
    for number in 0..60 {
        let len = value.len() - number % 7 * 1000;
        assert_eq!(rig.set(&format!("key-{number}"), &value[..len], Deadline::NEVER), Ok(()), "set {number}");
        assert_eq!(rig.get(&format!("key-{number}")).as_deref(), Some(&value[..len]));
    }
    assert_eq!(rig.set("too large", &[value, vec![0]].concat(), Deadline::NEVER), Err(Refusal::TooLarge));
}

#[test]
fn without_evictions_a_full_cache_refuses_until_something_is_deleted() {
    let mut rig = Rig::new(StoreConfig { evictions: false, ..config(2) });
    let value = [b'v'; 4000];
    let stored = (0..).take_while(|number| rig.set(&format!("key-{number}"), &value, Deadline::NEVER).is_ok()).count();
    assert!((200..600).contains(&stored), "2 MiB hold {stored} values of 4000 bytes");
    assert_eq!(rig.set("more", &value, Deadline::NEVER), Err(Refusal::NoMemory));
    assert!(rig.delete("key-0"));
    assert_eq!(rig.set("more", &value, Deadline::NEVER), Ok(()));
    assert_eq!(rig.report(StoreReport::General)["evictions"], 0);
}

/// Stores values of 100 bytes until memory is full. Returns their number.
fn fill_with_small_values(rig: &mut Rig) -> usize {
    let is_full = |rig: &mut Rig| rig.report(StoreReport::General)["evictions"] > 0;
    let mut number = 0;
    while rig.set(&format!("small-{number}"), &[b'v'; 100], Deadline::NEVER).is_ok() {
        number += 1;
        if number % 1000 == 0 && is_full(rig) {
            break;
        }
    }
    number
}

#[test]
fn an_empty_page_goes_to_the_class_that_asks() {
    for evictions in [true, false] {
        let mut rig = Rig::new(StoreConfig { evictions, ..config(16) });
        let count = fill_with_small_values(&mut rig);
        let evicted = rig.report(StoreReport::General)["evictions"];
        (0..count).for_each(|number| {
            rig.delete(&format!("small-{number}"));
        });
        let value = [b'v'; 1000];
        for number in 0..12_000 {
            assert_eq!(rig.set(&format!("key-{number}"), &value, Deadline::NEVER), Ok(()), "set {number}");
        }
        assert_eq!(rig.report(StoreReport::General)["evictions"], evicted);
        assert!((0..12_000).all(|number| rig.get(&format!("key-{number}")).is_some()));
    }
}

#[test]
fn an_empty_page_stays_where_pages_move_by_hand() {
    let mut rig = Rig::new(config(16));
    rig.store.tune_moves(MoveTuning { level: 0, ..MoveTuning::default() });
    let count = fill_with_small_values(&mut rig);
    (0..count).for_each(|number| {
        rig.delete(&format!("small-{number}"));
    });
    (0..2000).for_each(|number| rig.set(&format!("key-{number}"), &[b'v'; 1000], Deadline::NEVER).unwrap());
    let rows = rig.report(StoreReport::General);
    assert!(rows["curr_items"] < 1100, "{} items: a page holds fewer", rows["curr_items"]);
}

#[test]
fn after_a_flush_a_store_waits_a_short_time_for_the_sweeper_before_it_evicts() {
    let mut rig = Rig::new(config(16));
    let count = fill_with_small_values(&mut rig);
    // They are read, so no page is claimed: no page mover runs here.
    (0..count).for_each(|number| {
        rig.get(&format!("small-{number}"));
    });
    (0..2000).for_each(|number| rig.set(&format!("key-{number}"), &[b'v'; 1000], Deadline::NEVER).unwrap());
    rig.turn(|worker, _| worker.flush_now());
    assert!((2000..4000).any(|number| rig.set(&format!("key-{number}"), &[b'v'; 1000], Deadline::NEVER).is_err()));
    rig.clock.resume();
    while rig.set("patient", &[b'v'; 1000], Deadline::NEVER).is_err() {}
}

#[test]
fn a_rare_size_takes_chunks_of_a_larger_class_before_it_gets_a_page() {
    let mut rig = Rig::new(config(16));
    let pages = |rig: &mut Rig| rig.report(StoreReport::General)["slab_bytes"] >> 20;
    let set = |rig: &mut Rig, len: usize| {
        assert_eq!(rig.set(&format!("key-{len}"), &vec![b'v'; len], Deadline::NEVER), Ok(()));
    };
    [3000, 2500, 2000].into_iter().for_each(|len| set(&mut rig, len));
    assert_eq!(pages(&mut rig), 1);
    set(&mut rig, 1000);
    assert_eq!(pages(&mut rig), 2, "a chunk of 3000 bytes would be too large");
    for number in 0..200 {
        rig.set(&format!("more-{number}"), &[b'v'; 2500], Deadline::NEVER).unwrap();
    }
    assert_eq!(pages(&mut rig), 3, "it is no rare size");
    assert!([3000, 2500, 2000, 1000].into_iter().all(|len| rig.get(&format!("key-{len}")) == Some(vec![b'v'; len])));
    assert!((0..200).all(|number| rig.get(&format!("more-{number}")).is_some()));
}

#[test]
fn the_index_grows_without_losing_anything() {
    let mut rig = Rig::new(config(64));
    rig.store.start_jobs().unwrap();
    let level = rig.report(StoreReport::General)["hash_power_level"];
    for number in 0..200_000 {
        rig.set(&format!("key-{number}"), b"v", Deadline::NEVER).unwrap();
    }
    while rig.report(StoreReport::General)["hash_is_expanding"] != 0 {
        std::thread::yield_now();
    }
    assert!(rig.report(StoreReport::General)["hash_power_level"] > level + 3);
    for number in 0..200_000 {
        assert!(rig.get(&format!("key-{number}")).is_some(), "key-{number} is gone");
    }
}

#[test]
fn items_of_one_size_get_a_class_of_their_size_while_memory_fills() {
    let mut rig = Rig::new(config(64));
    rig.store.start_jobs().unwrap();
    let value = [b'v'; 378];
    let fill = |rig: &mut Rig, numbers: std::ops::Range<u32>| {
        numbers.for_each(|number| rig.set(&format!("key-{number:07}"), &value, Deadline::NEVER).unwrap());
    };
    fill(&mut rig, 0..10_000);
    let chunk_bytes = (16 + 11 + 378u32).next_multiple_of(8);
    let class = loop {
        match rig.store.classes().find(|(_, bytes, _)| *bytes == chunk_bytes) {
            Some((class, ..)) => break class,
            None => std::thread::yield_now(),
        }
    };
    assert!(usize::from(class) > 25, "{class} is not the id of a class that was there before");
    fill(&mut rig, 10_000..20_000);
    let in_class = rig.report(StoreReport::Items)[&format!("items:{class}:number")];
    assert!((10_000..=20_000).contains(&in_class), "{in_class} items: not all those after it came");
    assert!((0..20_000).all(|number| rig.get(&format!("key-{number:07}")).as_deref() == Some(&value[..])));
}

#[test]
fn a_class_whose_every_item_fits_a_new_one_keeps_no_page() {
    let mut rig = Rig::new(config(64));
    rig.store.start_jobs().unwrap();
    let value = [b'v'; 3500];
    let mut number = 0;
    let fitted = |rig: &Rig| rig.store.classes().find(|(_, bytes, _)| *bytes == 3528).map(|(class, ..)| class);
    let owners = |rig: &mut Rig| {
        let rows = rig.report(StoreReport::Slabs);
        rows.into_keys().filter_map(|name| name.strip_suffix(":total_pages")?.parse().ok()).collect::<Vec<u8>>()
    };
    let class = loop {
        match fitted(&rig) {
            Some(class) => break class,
            None => rig.set(&format!("key-{number:07}"), &value, Deadline::NEVER).unwrap(),
        }
        number += 1;
        assert!(number < 15_000, "no class for them before memory is full");
        std::thread::yield_now();
    };
    while owners(&mut rig) != [class] {
        std::thread::yield_now();
    }
    assert!((0..number).all(|number| rig.get(&format!("key-{number:07}")).is_some_and(|found| found == value)));
    let general = rig.report(StoreReport::General);
    assert_eq!((general["curr_items"], general["evictions"]), (number, 0));
    assert_eq!(general["total_items"], number, "copies are nothing new");
}

#[test]
fn the_sweeper_collects_expired_items_without_a_read() {
    let mut rig = Rig::new(config(64));
    rig.store.start_jobs().unwrap();
    let end = Deadline::at(RelTime(rig.clock.read().now.0 + 100));
    for number in 0..10_000 {
        let deadline = if number % 2 == 0 { end } else { Deadline::NEVER };
        rig.set(&format!("key-{number}"), b"v", deadline).unwrap();
    }
    rig.clock.shift(101);
    // What a step has collected is counted at its end. Some may be found by the page mover, if the fitter has made it
    // empty a page by then.
    let collected =
        |report: &HashMap<String, u64>| report["crawler_reclaimed"] + report["slab_reassign_inline_reclaim"];
    let is_done = |report: HashMap<String, u64>| (report["curr_items"], collected(&report)) == (5000, 5000);
    while !is_done(rig.report(StoreReport::General)) {
        std::thread::yield_now();
    }
    assert!((0..10_000).all(|number| rig.get(&format!("key-{number}")).is_some() == (number % 2 == 1)));
}

#[test]
fn a_flush_frees_the_memory_of_what_it_drops() {
    let mut rig = Rig::new(config(64));
    rig.store.start_jobs().unwrap();
    (0..1000).for_each(|number| rig.set(&format!("key-{number}"), b"v", Deadline::NEVER).unwrap());
    rig.turn(|worker, _| worker.flush_now());
    rig.set("after", b"v", Deadline::NEVER).unwrap();
    while rig.report(StoreReport::General)["curr_items"] != 1 {
        std::thread::yield_now();
    }
    assert!(rig.get("after").is_some());
    assert!(rig.get("key-7").is_none());
}

#[test]
fn sizes_are_counted_exactly() {
    let mut rig = Rig::new(config(8));
    rig.set("a", &[0; 15], Deadline::NEVER).unwrap();
    rig.set("b", &[0; 16], Deadline::NEVER).unwrap();
    rig.set("c", &[0; 100], Deadline::NEVER).unwrap();
    let expected = HashMap::from([("32".to_string(), 1), ("64".to_string(), 1), ("128".to_string(), 1)]);
    assert_eq!(rig.report(StoreReport::Sizes), expected, "16 bytes of header, one of key, and the value");
    rig.delete("c");
    assert!(!rig.report(StoreReport::Sizes).contains_key("128"));
}

#[test]
fn sizes_are_counted_exactly_above_a_mebibyte_too() {
    let mut rig = Rig::new(StoreConfig { value_len_max: 64 << 20, ..config(128) });
    let bytes = vec![b'v'; 64 << 20];
    // A chain's header, its extension, and one byte of key.
    let overhead = 16 + 8 + 1;
    let mebibyte = (1 << 20) - overhead;
    for (key, len) in
        [("a", mebibyte), ("b", mebibyte + 1), ("c", mebibyte + 32), ("d", mebibyte + 33), ("e", 64 << 20)]
    {
        rig.set(key, &bytes[..len], Deadline::NEVER).unwrap();
    }
    let rows = |rows: &[(u64, u64)]| -> HashMap<String, u64> {
        rows.iter().map(|(bytes, count)| (bytes.to_string(), *count)).collect()
    };
    let longest = ((64 << 20) + overhead as u64).next_multiple_of(32);
    let expected = rows(&[(1 << 20, 1), ((1 << 20) + 32, 2), ((1 << 20) + 64, 1), (longest, 1)]);
    assert_eq!(rig.report(StoreReport::Sizes), expected);
    rig.set("c", &bytes[..mebibyte + 40], Deadline::NEVER).unwrap();
    rig.set("e", b"", Deadline::NEVER).unwrap();
    rig.delete("d");
    assert_eq!(
        rig.report(StoreReport::Sizes),
        rows(&[(32, 1), (1 << 20, 1), ((1 << 20) + 32, 1), ((1 << 20) + 64, 1)])
    );
    for number in 0..200 {
        rig.set(&format!("evicts-{number:03}"), &bytes[..2 << 20], Deadline::NEVER).unwrap();
    }
    let items = rig.report(StoreReport::General)["curr_items"];
    assert!((50..70).contains(&items), "{items} items of 2 MiB in 128");
    let sizes = rig.report(StoreReport::Sizes);
    assert_eq!(sizes.values().sum::<u64>(), items, "{sizes:?}");
}

#[test]
fn random_sizes_are_stored_and_read_back_while_memory_is_short() {
    let mut rig = Rig::new(config(16));
    // No page mover runs, and the clock stands still: a claimed page would never come.
    rig.turn(|worker, _| worker.let_stores_wait(false));
    let mut random = Random::with_seed(7);
    let bytes: Vec<u8> = (0..300_000u32).map(|index| index.to_le_bytes()[1]).collect();
    let mut refused = 0;
    for number in 0..3000 {
        let len = if random.once_in(10) { random.below(300_000) } else { random.below(3000) };
        let key = format!("key-{}", number % 500);
        match rig.set(&key, &bytes[..len], Deadline::NEVER) {
            Ok(()) => assert_eq!(rig.get(&key).as_deref(), Some(&bytes[..len])),
            Err(Refusal::NoMemory) => refused += 1,
            Err(other) => panic!("{other:?} for {len} bytes"),
        }
    }
    assert!(refused < 300, "{refused} of 3000 sets found no memory");
}

#[test]
fn used_chunks_are_those_of_items_and_every_byte_of_the_pages_is_somewhere() {
    let mut rig = Rig::new(config(16));
    let check = |rig: &mut Rig, small: u64, large: u64| {
        let slabs = rig.report(StoreReport::Slabs);
        let of =
            |name: &str| slabs.iter().filter(move |(row, _)| row.ends_with(name)).map(|(_, value)| value).sum::<u64>();
        // 40,000 bytes: two whole chunks of 16 KiB, and one for the rest.
        assert_eq!(of(":used_chunks"), small + 3 * large);
        assert_eq!(of(":used_chunks") + of(":free_chunks"), of(":total_chunks"));
        let general = rig.report(StoreReport::General);
        let parts =
            ["used", "free", "limbo", "held", "tail", "moving"].map(|part| general[&format!("slab_{part}_bytes")]);
        assert_eq!(parts.iter().sum::<u64>(), general["slab_bytes"]);
        assert!(general["slab_used_bytes"] >= general["bytes"] && general["slab_held_bytes"] > 0);
        let requested: u64 = rig
            .report(StoreReport::Items)
            .iter()
            .filter(|(row, _)| row.ends_with(":mem_requested"))
            .map(|(_, value)| value)
            .sum();
        assert_eq!(requested, general["bytes"]);
    };
    for number in 0..100 {
        rig.set(&format!("small-{number}"), b"v", Deadline::NEVER).unwrap();
        rig.set(&format!("large-{number}"), &[b'v'; 40_000], Deadline::NEVER).unwrap();
    }
    check(&mut rig, 100, 100);
    for number in 0..50 {
        assert!(rig.delete(&format!("small-{number}")));
        assert!(rig.delete(&format!("large-{number}")));
        rig.set(&format!("large-{}", number + 50), b"short", Deadline::NEVER).unwrap();
    }
    check(&mut rig, 100, 0);
}
