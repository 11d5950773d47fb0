//! Many threads, little memory: no value is ever torn, foreign, or older than a delete that was answered.
//!
//! Every value carries its key, a number that only grows while its writer owns the key, padding, and a checksum over
//! all of it. Each key has one writer at a time, which knows exactly what may be read. All threads read all keys.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::sync::Arc;
use std::thread;

use larder::base::atomic::{AtomicU64, Ordering};
use larder::base::{Clock, Delta, Key, StoreMode};
use larder::item::{ItemLease, ItemRef};
use larder::memory::ClassPlan;
use larder::store::{
    ArithOptions, ArithOutcome, Engine, EngineAdmin, Fetched, Item, Pending as _, Refusal, Removal, Store, StoreConfig,
    StoreOutcome, StoreReport, WorkerStore, Write,
};
use larder::sync::Pin;

use crate::random::Random;

/// Operations of all threads together; `LARDER_STRESS_OPS` overrides it.
const OPERATIONS: u64 = 10_000_000;
const THREADS: usize = 4;
const KEYS_PER_THREAD: usize = 3000;
/// Size classes that `tiny` lays out, and 0 for none.
const CLASSES: usize = 6;
/// Requests between two pins.
const TURN: u64 = 50;

#[test]
fn no_value_is_torn_foreign_or_older_than_its_delete() {
    let operations = std::env::var("LARDER_STRESS_OPS").ok().and_then(|text| text.parse().ok()).unwrap_or(OPERATIONS);
    let store = Store::new(tiny(), Arc::new(Clock::start())).unwrap();
    store.start_jobs().unwrap();
    // The lowest number that may be read of each key: that of the last delete or set that its writer has finished.
    let floors: Vec<AtomicU64> = (0..THREADS * KEYS_PER_THREAD).map(|_| AtomicU64::new(0)).collect();
    let seen: u64 = thread::scope(|scope| {
        let run = |thread: usize| {
            let random = Random::with_seed(thread as u64 + 1);
            Stress { thread, floors: &floors, random, hits: 0, leased: None }
        };
        let threads =
            (0..THREADS).map(|thread| scope.spawn(move || run(thread).run(store, operations / THREADS as u64)));
        threads.collect::<Vec<_>>().into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!(seen > operations / 20, "only {seen} of {operations} operations found a value: nothing was tested");
    let moved = figure(store, "slabs_moved");
    // Mostly ten times as many: it depends on the load of the machine.
    assert!(moved > operations / 500_000, "only {moved} pages were moved while {operations} operations ran");
    assert!(figure(store, "slab_reassign_rescues") > moved, "hardly anything was rescued");
}

fn figure(store: &'static Store, name: &str) -> u64 {
    let (mut participant, worker) = store.join();
    let mut figure = None;
    worker.report(&participant.pin(), StoreReport::General, &mut |row, value| {
        if row == name {
            figure = value.to_string().parse().ok();
        }
    });
    figure.unwrap()
}

fn tiny() -> StoreConfig {
    StoreConfig {
        limit_bytes: 6 << 20,
        classes: ClassPlan { first: 64, growth_factor: 3.0, chunk_max: 4096, explicit: Vec::new() },
        value_len_max: 1 << 20,
        evictions: true,
        use_cas: true,
        hashpower: 12,
        threads_max: 16,
        large_pages: false,
        hash_seed: None,
    }
}

struct Stress<'a> {
    thread: usize,
    floors: &'a [AtomicU64],
    random: Random,
    hits: u64,
    /// A value that stands for one that is still being sent.
    leased: Option<(String, ItemLease)>,
}

impl Stress<'_> {
    fn run(mut self, store: &'static Store, operations: u64) -> u64 {
        let (mut participant, mut worker) = store.join();
        let mut number = 0;
        for _ in 0..operations / TURN {
            let guard = participant.pin();
            worker.begin_turn();
            for _ in 0..TURN {
                number += 1;
                match self.random.below(10) {
                    0..3 => self.set(&mut worker, &guard, number, StoreMode::Set),
                    3 => self.set(&mut worker, &guard, number, StoreMode::Replace),
                    4 if self.random.once_in(5000) => self.flush(&mut worker, number),
                    4 if self.random.once_in(200) => self.move_page(&mut worker),
                    4 => self.delete(&mut worker, &guard, number),
                    5..7 => self.get_in_steps(&mut worker, &guard, number),
                    _ => self.get(&mut worker, &guard),
                }
            }
            worker.end_turn();
            drop(guard);
            // As for a slow client: the bytes are checked some turns later.
            if self.random.once_in(20)
                && let Some((name, lease)) = self.leased.take()
            {
                check(&name, &lease.pieces().collect::<Vec<_>>().concat());
            }
        }
        self.hits
    }

    /// Flushes everything, also what others are storing. The thread knows the result only for its own keys.
    fn flush(&mut self, worker: &mut WorkerStore, number: u64) {
        worker.flush_now();
        let own = self.thread * KEYS_PER_THREAD..(self.thread + 1) * KEYS_PER_THREAD;
        self.floors[own].iter().for_each(|floor| floor.store(number, Ordering::SeqCst));
    }

    /// Takes a page from a class while all threads work on its items, for another class or for the page pool.
    fn move_page(&mut self, worker: &mut WorkerStore) {
        let to = u8::try_from(self.random.below(CLASSES)).unwrap();
        // Any answer is right: a class may have no page to spare, and another move may be running.
        let _answer = worker.reassign_page(None, to);
        if self.random.once_in(4) {
            let pages = 3 + self.random.below(6) as u64;
            assert!(worker.set_memory_limit(pages << 20));
        }
    }

    fn own_key(&mut self) -> usize {
        self.thread * KEYS_PER_THREAD + self.random.below(KEYS_PER_THREAD)
    }

    fn set(&mut self, worker: &mut WorkerStore, pin: &Pin, number: u64, mode: StoreMode) {
        let id = self.own_key();
        self.set_key(worker, pin, number, mode, id);
    }

    fn set_key(&mut self, worker: &mut WorkerStore, pin: &Pin, number: u64, mode: StoreMode, id: usize) {
        let name = name(id);
        let key = worker.hash(Key::new(name.as_bytes()).unwrap());
        // Mostly one chunk, sometimes a chain.
        let padding = if self.random.below(200) == 0 { self.random.below(12_000) } else { self.random.below(600) };
        let value = value(&name, number, padding);
        let len = u32::try_from(value.len()).unwrap();
        match worker.reserve(pin, &Write { client_flags: 7, mode, ..Write::set(key) }, len) {
            Ok(mut pending) => {
                assert_eq!(pending.fill(&value), value.len());
                match worker.commit(pin, pending) {
                    Ok(StoreOutcome::Stored { .. }) => self.floors[id].store(number, Ordering::SeqCst),
                    Ok(StoreOutcome::NotStored) => assert_eq!(mode, StoreMode::Replace),
                    Ok(other) => panic!("{other:?}"),
                    Err(_pending) => panic!("neither set nor replace needs more memory"),
                }
            }
            // The next turn tries another key; this one keeps its old value.
            Err(Refusal::Busy | Refusal::NoMemory) => {}
            Err(Refusal::TooLarge) => panic!("{len} bytes are not too large"),
        }
    }

    fn delete(&mut self, worker: &mut WorkerStore, pin: &Pin, number: u64) {
        let id = self.own_key();
        self.delete_key(worker, pin, number, id);
    }

    fn delete_key(&mut self, worker: &mut WorkerStore, pin: &Pin, number: u64, id: usize) {
        let name = name(id);
        let key = worker.hash(Key::new(name.as_bytes()).unwrap());
        worker.delete(pin, key, Removal::default());
        self.floors[id].store(number, Ordering::SeqCst);
    }

    fn get(&mut self, worker: &mut WorkerStore, pin: &Pin) {
        let id = self.random.below(THREADS * KEYS_PER_THREAD);
        let name = name(id);
        let floor = self.floors[id].load(Ordering::SeqCst);
        let key = worker.hash(Key::new(name.as_bytes()).unwrap());
        if let Fetched::Hit(item) = worker.fetch(pin, key) {
            self.take(&name, &item, floor);
        }
    }

    /// A key twice in one batch, as a connection gets it. Both are located before the first is executed. The key may
    /// change before, between and after that.
    fn get_in_steps(&mut self, worker: &mut WorkerStore, pin: &Pin, number: u64) {
        let is_own = self.random.once_in(2);
        let id = if is_own { self.own_key() } else { self.random.below(THREADS * KEYS_PER_THREAD) };
        let name = name(id);
        let key = worker.hash(Key::new(name.as_bytes()).unwrap());
        let mut floor = 0;
        let mut located = [None; 2];
        for place in &mut located {
            let bucket = worker.prefetch_bucket(key.hash);
            *place = worker.prefetch_item(pin, bucket, key.hash);
            match self.random.below(6) {
                0 if is_own => self.set_key(worker, pin, number, StoreMode::Set, id),
                1 if is_own => self.delete_key(worker, pin, number, id),
                // Other threads take a turn.
                2 => thread::yield_now(),
                _ => {}
            }
        }
        for candidate in located {
            floor = self.floors[id].load(Ordering::SeqCst).max(floor);
            let found = candidate.and_then(|candidate| worker.fetch_candidate(key.key, candidate));
            if let Fetched::Hit(item) = found.unwrap_or_else(|| worker.fetch(pin, key)) {
                floor = self.take(&name, &item, floor);
            }
        }
    }

    /// Checks a value: it must be complete, belong to the key, and have number `floor` or a later one. Returns its
    /// number.
    fn take(&mut self, name: &str, item: &ItemRef<'_>, floor: u64) -> u64 {
        self.hits += 1;
        let mut bytes = Vec::new();
        item.for_each_piece(&mut |piece| bytes.extend_from_slice(piece));
        assert_eq!((item.key(), item.client_flags()), (name.as_bytes(), 7));
        if self.leased.is_none() && self.random.once_in(50) {
            self.leased = Some((name.to_string(), item.lease()));
        }
        let number = check(name, &bytes);
        assert!(number >= floor, "{name}: read number {number}, but {floor} was stored, deleted or read before");
        number
    }
}

#[test]
fn no_increment_is_lost_between_threads() {
    const INCREMENTS: u64 = 50_000;
    let store = Store::new(StoreConfig { limit_bytes: 64 << 20, ..tiny() }, Arc::new(Clock::start())).unwrap();
    store.start_jobs().unwrap();
    let (mut participant, mut worker) = store.join();
    let guard = participant.pin();
    let counter = worker.hash(Key::new(b"counter").unwrap());
    let mut pending = worker.reserve(&guard, &Write::set(counter), 1).ok().unwrap();
    pending.fill(b"0");
    assert!(worker.commit(&guard, pending).is_ok());
    worker.end_turn();
    drop(guard);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let (mut participant, mut worker) = store.join();
                let mut done = 0;
                while done < INCREMENTS {
                    let guard = participant.pin();
                    match worker.arith(&guard, counter, Delta::Up(1), ArithOptions::default()) {
                        ArithOutcome::Value { .. } => done += 1,
                        // Memory becomes free with the next turn.
                        ArithOutcome::Busy => {}
                        other => panic!("{other:?}"),
                    }
                    worker.end_turn();
                }
            });
        }
    });
    let guard = participant.pin();
    let last = worker.arith(&guard, counter, Delta::Up(0), ArithOptions::default());
    assert!(matches!(last, ArithOutcome::Value { value, .. } if value == INCREMENTS * THREADS as u64), "{last:?}");
}

fn name(id: usize) -> String {
    format!("key-{id}")
}

/// `name number padding checksum`.
fn value(name: &str, number: u64, padding: usize) -> Vec<u8> {
    let mut value = format!("{name} {number} ").into_bytes();
    value.extend((0..padding).map(|index| b'a' + u8::try_from((index as u64 + number) % 26).unwrap()));
    let checksum = crc32fast::hash(&value);
    value.extend_from_slice(&checksum.to_le_bytes());
    value
}

/// The number in a value, which must be complete and belong to `name`.
fn check(name: &str, value: &[u8]) -> u64 {
    let (text, checksum) = value.split_at(value.len() - 4);
    assert_eq!(crc32fast::hash(text).to_le_bytes(), checksum, "{name}: torn");
    let mut words = text.split(|byte| *byte == b' ');
    assert_eq!(words.next(), Some(name.as_bytes()), "foreign");
    std::str::from_utf8(words.next().unwrap()).unwrap().parse().unwrap()
}
