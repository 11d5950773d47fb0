//! The hooks of the store: the journal has each change by a request, and a listener learns of items that leave.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use larder::base::{Clock, Deadline, Delta, HashedKey, Key, KeyHash, Moment, RelTime, StoreMode, Version};
use larder::memory::ClassPlan;
use larder::store::{
    ArithOptions, Departure, DepartureReason, DepartureSink, Engine, FetchOptions, Journal, JournalEntry, Removal,
    SinkSwitch, Store, StoreConfig, Vivify, WorkerStore, Write, WriteOptions,
};
use larder::sync::Participant;

use crate::calls::{Call, KEYS, On, make};
use crate::random::{Random, each_seed};

/// A list that a test shares with its store.
#[derive(Clone)]
struct Noted<T>(Arc<Mutex<Vec<T>>>);

impl<T> Noted<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn push(&self, event: T) {
        self.0.lock().expect("no test panics while it holds this").push(event);
    }

    fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().expect("no test panics while it holds this"))
    }
}

/// A journal for one thread.
struct NotedJournal {
    last: AtomicU64,
    entries: Noted<JournalEntry>,
}

impl Journal for NotedJournal {
    fn draw(&self, _thread: usize, _moment: Moment) -> Version {
        Version::from_bits(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn note(&self, _thread: usize, entry: JournalEntry) -> bool {
        self.entries.push(entry);
        false
    }

    fn take_delay_ms(&self) -> u32 {
        0
    }

    fn withdraw(&self, _thread: usize) {}

    fn has_delete(&self, _hash: KeyHash, _version: Version) -> bool {
        false
    }
}

impl DepartureSink for Noted<(DepartureReason, String)> {
    fn departed(&self, departure: &Departure<'_>) {
        let key = String::from_utf8(departure.item.key().to_vec()).expect("keys of tests are text");
        self.push((departure.reason, key));
    }
}

/// A store of one thread with a journal and a listener.
struct Rig {
    clock: Arc<Clock>,
    participant: Participant,
    worker: WorkerStore,
    journal: Noted<JournalEntry>,
    departed: Noted<(DepartureReason, String)>,
    departures: SinkSwitch,
}

impl Rig {
    fn new(limit_mib: u64) -> Self {
        let clock = Arc::new(Clock::start());
        clock.pause();
        let config = StoreConfig {
            limit_bytes: limit_mib << 20,
            classes: ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() },
            value_len_max: 60_000,
            evictions: true,
            use_cas: true,
            hashpower: 12,
            threads_max: 1,
            large_pages: false,
            hash_seed: None,
        };
        let store = Store::new(config, Arc::clone(&clock)).expect("the memory can be mapped");
        let (journal, departed) = (Noted::new(), Noted::new());
        store.set_journal(Box::new(NotedJournal { last: AtomicU64::new(0), entries: journal.clone() }));
        let departures = store.add_departure_sink(Box::new(departed.clone()));
        let (participant, worker) = store.join();
        Self { clock, participant, worker, journal, departed, departures }
    }

    fn turn<R>(&mut self, work: impl FnOnce(&mut On<'_, WorkerStore>) -> R) -> R {
        let pin = self.participant.pin();
        self.worker.begin_turn();
        let result = work(&mut On { engine: &mut self.worker, pin: &pin });
        self.worker.end_turn();
        result
    }

    /// What the journal has noted of a turn.
    fn noted<R>(&mut self, work: impl FnOnce(&mut On<'_, WorkerStore>) -> R) -> Vec<JournalEntry> {
        self.journal.take();
        self.turn(work);
        self.journal.take()
    }

    fn hash(&self, key: &str) -> KeyHash {
        hashed(&self.worker, key).hash
    }
}

fn hashed<'k>(worker: &WorkerStore, key: &'k str) -> HashedKey<'k> {
    worker.hash(Key::new(key.as_bytes()).expect("keys of tests are short"))
}

#[test]
fn the_journal_has_each_change_by_a_request() {
    let mut rig = Rig::new(64);
    let hash = rig.hash("a");
    for mode in [StoreMode::Set, StoreMode::Replace, StoreMode::Append, StoreMode::Prepend] {
        assert_eq!(rig.noted(|on| on.store("a", "5", mode, WriteOptions::NONE)), [JournalEntry::Set(hash)]);
    }
    let noted = rig.noted(|on| {
        on.arith("a", Delta::Up(1), ArithOptions::default());
        on.arith("a", Delta::Down(1), ArithOptions::default());
    });
    assert_eq!(noted, [JournalEntry::Set(hash); 2]);
    let touched = rig.noted(|on| {
        on.fetch("a", FetchOptions { touch: Some(Deadline::NEVER), ..FetchOptions::default() });
    });
    assert!(
        matches!(touched[..], [JournalEntry::Touch { hash: of, base }] if of == hash && base > Version::ZERO),
        "{touched:?}"
    );
    let invalidated = rig.noted(|on| {
        on.delete("a", Removal { invalidate: true, ..Removal::default() });
        on.delete("a", Removal { drop_value: true, ..Removal::default() });
    });
    assert_eq!(invalidated, [JournalEntry::Set(hash); 2]);
    // A peer may have an item that is missing here.
    let deleted = rig.noted(|on| {
        on.delete("a", Removal::default());
        on.delete("a", Removal::default());
    });
    assert_eq!(deleted, [JournalEntry::Delete(hash); 2]);
    let (number, vivified) = (rig.hash("n"), rig.hash("v"));
    let created = rig.noted(|on| {
        let vivify = Some(Vivify { deadline: Deadline::NEVER, initial: 1 });
        on.arith("n", Delta::Down(1), ArithOptions { vivify, ..ArithOptions::default() });
        on.fetch("v", FetchOptions { vivify: Some(Deadline::NEVER), ..FetchOptions::default() });
        on.store("a", "5", StoreMode::Add, WriteOptions::NONE);
    });
    assert_eq!(created, [number, vivified, hash].map(JournalEntry::Set));
}

#[test]
fn the_journal_has_no_refused_change() {
    let mut rig = Rig::new(64);
    rig.turn(|on| on.set("a", "x"));
    let noted = rig.noted(|on| {
        on.store("a", "y", StoreMode::Add, WriteOptions::NONE);
        on.store("none", "y", StoreMode::Replace, WriteOptions::NONE);
        on.store("a", "y", StoreMode::Set, WriteOptions { compare: Some(1 << 50), ..WriteOptions::NONE });
        on.delete("a", Removal { compare: Some(1 << 50), ..Removal::default() });
        on.arith("a", Delta::Up(1), ArithOptions::default());
        on.fetch("none", FetchOptions { touch: Some(Deadline::NEVER), ..FetchOptions::default() });
        on.fetch("a", FetchOptions::default());
    });
    assert_eq!(noted, []);
}

#[test]
fn the_journal_has_a_flush_when_it_is_due() {
    let mut rig = Rig::new(64);
    let at = RelTime(rig.clock.read().now.0 + 5);
    assert_eq!(rig.noted(|on| on.engine.flush_now()), [JournalEntry::Flush]);
    assert_eq!(rig.noted(|on| on.engine.flush_at(at)), []);
    rig.clock.shift(4);
    assert_eq!(rig.noted(|_| {}), []);
    rig.clock.shift(1);
    assert_eq!(rig.noted(|_| {}), [JournalEntry::Flush]);
    assert_eq!(rig.noted(|_| {}), []);
}

#[test]
fn a_dead_item_departs_when_its_key_is_stored_or_deleted() {
    let mut rig = Rig::new(64);
    rig.departures.switch_on();
    for key in ["stored", "deleted"] {
        rig.turn(|on| {
            let deadline = on.after_s(5);
            on.write(key, "x", |write| write.deadline = deadline)
        });
    }
    rig.turn(|on| on.set("flushed", "x"));
    rig.clock.shift(6);
    rig.turn(|on| {
        on.set("stored", "y");
        on.delete("deleted", Removal::default());
        on.engine.flush_now();
    });
    rig.turn(|on| on.set("flushed", "y"));
    let expected = [
        (DepartureReason::Expired, "stored"),
        (DepartureReason::Expired, "deleted"),
        (DepartureReason::Flushed, "flushed"),
    ];
    assert_eq!(rig.departed.take(), expected.map(|(reason, key)| (reason, key.to_string())));
}

#[test]
fn a_live_item_departs_when_it_is_evicted() {
    let mut rig = Rig::new(8);
    rig.departures.switch_on();
    let value = "v".repeat(10_000);
    // Four times what fits. A busy store is tried again with the next key.
    for number in 0..3000 {
        let key = format!("key-{number}");
        rig.turn(|on| on.engine.store(on.pin, &Write::set(hashed(on.engine, &key)), value.as_bytes()).is_ok());
    }
    let departed = rig.departed.take();
    assert!(departed.len() > 1000, "{} of 3000", departed.len());
    assert!(departed.iter().all(|(reason, _)| *reason == DepartureReason::Evicted));
    let left = departed.iter().filter(|(_, key)| rig.turn(|on| on.peek(key)).is_none()).count();
    assert_eq!(left, departed.len(), "no key was stored twice");
}

/// The parts of an item that peers have, too.
#[derive(Clone, Debug, PartialEq)]
struct Copied {
    value: Vec<u8>,
    client_flags: u32,
    deadline: Deadline,
    cas: u64,
}

#[test]
fn what_the_journal_does_not_name_has_not_changed() {
    let mut rig = Rig::new(64);
    let mut copies: HashMap<&str, Copied> = HashMap::new();
    each_seed("journal", 20, |seed| {
        let mut random = Random::with_seed(seed);
        for _ in 0..300 {
            let call = Call::any(&mut random, rig.clock.read());
            rig.turn(|on| make(on, &call));
            if random.once_in(50) {
                rig.turn(|on| on.engine.flush_now());
            }
            if random.once_in(10) {
                rig.clock.shift(1);
            }
            let entries = rig.journal.take();
            let tick = rig.clock.read().tick;
            copies.retain(|_, copied| !copied.deadline.is_over(tick));
            for key in KEYS {
                let hash = rig.hash(key);
                let names_key = |entry: &JournalEntry| match entry {
                    JournalEntry::Set(of) | JournalEntry::Delete(of) | JournalEntry::Touch { hash: of, .. } => {
                        *of == hash
                    }
                    JournalEntry::Flush => true,
                };
                let item = rig.turn(|on| on.peek(key)).map(|shown| Copied {
                    value: shown.value,
                    client_flags: shown.client_flags,
                    deadline: shown.deadline,
                    cas: shown.cas,
                });
                if entries.iter().any(names_key) {
                    copies.remove(key);
                    copies.extend(item.map(|item| (*key, item)));
                } else {
                    assert_eq!(copies.get(key), item.as_ref(), "{key} after {call:?}");
                }
            }
        }
    });
}
