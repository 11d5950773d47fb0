//! The hooks of the store: a listener learns of all changes, and a copy made from them alone is right.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use larder::base::{Clock, Deadline, Delta, HashedKey, Key, RelTime, StoreMode};
use larder::memory::ClassPlan;
use larder::store::{
    ArithOptions, Departure, DepartureReason, DepartureSink, Engine, FetchOptions, Flush, Mutation, MutationKind,
    MutationSink, Removal, SinkSwitch, Store, StoreConfig, StoreOutcome, Vivify, WorkerStore, Write, WriteOptions,
};
use larder::sync::Participant;

use crate::engine_calls::{Call, KEYS, On, make};
use crate::random::{Random, each_seed};

/// The parts of an item that a listener keeps.
#[derive(Clone, Debug, PartialEq)]
struct Copied {
    value: Vec<u8>,
    client_flags: u32,
    deadline: Deadline,
    cas: u64,
}

#[derive(Clone, Debug, PartialEq)]
enum Event {
    Mutated(MutationKind, String, Copied),
    Flushed(Flush),
    Departed(DepartureReason, String),
}

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Event>>>);

impl Listener {
    fn note(&self, event: Event) {
        self.0.lock().expect("no test panics while it holds this").push(event);
    }

    fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.0.lock().expect("no test panics while it holds this"))
    }

    fn kinds(&self) -> Vec<(MutationKind, String)> {
        let mutated = |event| if let Event::Mutated(kind, key, _) = event { Some((kind, key)) } else { None };
        self.take().into_iter().filter_map(mutated).collect()
    }

    fn departed(&self) -> Vec<(DepartureReason, String)> {
        let departed = |event| if let Event::Departed(reason, key) = event { Some((reason, key)) } else { None };
        self.take().into_iter().filter_map(departed).collect()
    }
}

fn text(key: &[u8]) -> String {
    String::from_utf8(key.to_vec()).expect("keys of tests are text")
}

impl MutationSink for Listener {
    fn mutated(&self, mutation: &Mutation<'_>) {
        let item = &mutation.item;
        let value = item.pieces().flatten().copied().collect();
        let (client_flags, deadline, cas) = (item.client_flags(), item.deadline(), item.cas());
        self.note(Event::Mutated(mutation.kind, text(item.key()), Copied { value, client_flags, deadline, cas }));
    }

    fn flushed(&self, flush: Flush, _thread: usize) {
        self.note(Event::Flushed(flush));
    }
}

impl DepartureSink for Listener {
    fn departed(&self, departure: &Departure<'_>) {
        self.note(Event::Departed(departure.reason, text(departure.item.key())));
    }
}

/// A store of one thread with a listener.
struct Rig {
    clock: Arc<Clock>,
    participant: Participant,
    worker: WorkerStore,
    listener: Listener,
    mutations: SinkSwitch,
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
        let (participant, worker) = store.join();
        let listener = Listener::default();
        let mutations = store.add_mutation_sink(Box::new(listener.clone()));
        let departures = store.add_departure_sink(Box::new(listener.clone()));
        Self { clock, participant, worker, listener, mutations, departures }
    }

    fn turn<R>(&mut self, work: impl FnOnce(&mut On<'_, WorkerStore>) -> R) -> R {
        let pin = self.participant.pin();
        self.worker.begin_turn();
        let result = work(&mut On { engine: &mut self.worker, pin: &pin });
        self.worker.end_turn();
        result
    }
}

fn hashed<'k>(worker: &WorkerStore, key: &'k str) -> HashedKey<'k> {
    worker.hash(Key::new(key.as_bytes()).expect("keys of tests are short"))
}

#[test]
fn a_listener_learns_of_each_change_while_it_is_switched_on() {
    let mut rig = Rig::new(64);
    let store = |mode, options| {
        move |on: &mut On<'_, WorkerStore>| {
            let write = Write { mode, options: Some(&options), client_flags: 7, ..Write::set(hashed(on.engine, "a")) };
            assert!(on.engine.store(on.pin, &write, b"5").is_ok_and(StoreOutcome::is_stored));
        }
    };
    rig.turn(store(StoreMode::Set, WriteOptions::NONE));
    assert_eq!(rig.listener.take(), [], "nobody listens yet");
    rig.mutations.switch_on();
    let chosen = WriteOptions { new_cas: Some(9), ..WriteOptions::NONE };
    rig.turn(store(StoreMode::Set, chosen));
    let copied = Copied { value: b"5".to_vec(), client_flags: 7, deadline: Deadline::NEVER, cas: 9 };
    assert_eq!(rig.listener.take(), [Event::Mutated(MutationKind::Set, "a".into(), copied)]);
    rig.turn(store(StoreMode::Replace, WriteOptions::NONE));
    rig.turn(store(StoreMode::Append, chosen));
    rig.turn(store(StoreMode::Prepend, chosen));
    rig.turn(store(StoreMode::Set, WriteOptions { compare: Some(9), ..WriteOptions::NONE }));
    rig.turn(|on| {
        on.arith("a", Delta::Up(1), ArithOptions::default());
        on.arith("a", Delta::Down(1), ArithOptions::default());
        on.fetch("a", FetchOptions { touch: Some(Deadline::NEVER), ..FetchOptions::default() });
        on.delete("a", Removal { invalidate: true, ..Removal::default() });
        on.fetch("a", FetchOptions::default());
        on.fetch("a", FetchOptions::default());
        on.delete("a", Removal { drop_value: true, ..Removal::default() });
        on.delete("a", Removal::default());
        on.delete("a", Removal::default());
    });
    rig.turn(store(StoreMode::Add, WriteOptions::NONE));
    rig.turn(|on| {
        let vivify = Some(Vivify { deadline: Deadline::NEVER, initial: 1 });
        on.arith("n", Delta::Down(1), ArithOptions { vivify, ..ArithOptions::default() });
        on.fetch("v", FetchOptions { vivify: Some(Deadline::NEVER), ..FetchOptions::default() });
    });
    use MutationKind as Kind;
    let of_a = [
        Kind::Replace,
        Kind::Append,
        Kind::Prepend,
        Kind::Cas,
        Kind::Incr,
        Kind::Decr,
        Kind::Touch,
        Kind::Invalidate,
        Kind::Token,
        Kind::DropValue,
        Kind::Delete,
        Kind::Add,
    ];
    let expected = of_a.map(|kind| (kind, "a".to_string()));
    let created = [(Kind::Decr, "n".to_string()), (Kind::Vivify, "v".to_string())];
    assert_eq!(rig.listener.kinds(), expected.into_iter().chain(created).collect::<Vec<_>>());
    rig.mutations.switch_off();
    rig.turn(store(StoreMode::Set, WriteOptions::NONE));
    assert_eq!(rig.listener.take(), []);
}

#[test]
fn a_refused_change_is_no_mutation() {
    let mut rig = Rig::new(64);
    rig.turn(|on| on.set("a", "x"));
    rig.mutations.switch_on();
    rig.turn(|on| {
        on.store("a", "y", StoreMode::Add, WriteOptions::NONE);
        on.store("none", "y", StoreMode::Replace, WriteOptions::NONE);
        on.store("a", "y", StoreMode::Set, WriteOptions { compare: Some(1 << 50), ..WriteOptions::NONE });
        on.delete("a", Removal { compare: Some(1 << 50), ..Removal::default() });
        on.arith("a", Delta::Up(1), ArithOptions::default());
        on.fetch("none", FetchOptions { touch: Some(Deadline::NEVER), ..FetchOptions::default() });
        on.fetch("a", FetchOptions::default());
    });
    assert_eq!(rig.listener.take(), []);
}

#[test]
fn a_flush_is_told_when_it_is_ordered_and_when_it_is_due() {
    let mut rig = Rig::new(64);
    rig.mutations.switch_on();
    let at = RelTime(rig.clock.read().now.0 + 5);
    rig.turn(|on| on.engine.flush_now());
    rig.turn(|on| on.engine.flush_at(at));
    rig.clock.shift(4);
    rig.turn(|_| {});
    assert_eq!(rig.listener.take(), [Event::Flushed(Flush::Now), Event::Flushed(Flush::Ordered(at))]);
    rig.clock.shift(1);
    rig.turn(|_| {});
    rig.turn(|_| {});
    assert_eq!(rig.listener.take(), [Event::Flushed(Flush::Due)]);
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
    assert_eq!(rig.listener.departed(), expected.map(|(reason, key)| (reason, key.to_string())));
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
    let departed = rig.listener.departed();
    assert!(departed.len() > 1000, "{} of 3000", departed.len());
    assert!(departed.iter().all(|(reason, _)| *reason == DepartureReason::Evicted));
    let left = departed.iter().filter(|(_, key)| rig.turn(|on| on.peek(key)).is_none()).count();
    assert_eq!(left, departed.len(), "no key was stored twice");
}

/// A copy of the cache, made from what a listener learns.
#[derive(Default)]
struct Replica(HashMap<String, Copied>);

impl Replica {
    fn apply(&mut self, event: Event) {
        match event {
            Event::Mutated(MutationKind::Delete, key, _) => drop(self.0.remove(&key)),
            Event::Mutated(_, key, copied) => drop(self.0.insert(key, copied)),
            Event::Flushed(Flush::Now | Flush::Due) => self.0.clear(),
            Event::Flushed(Flush::Ordered(_)) | Event::Departed(..) => {}
        }
    }
}

#[test]
fn a_copy_made_from_mutations_alone_is_the_same() {
    let mut rig = Rig::new(64);
    rig.mutations.switch_on();
    let mut replica = Replica::default();
    each_seed("mutations", 20, |seed| {
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
            rig.listener.take().into_iter().for_each(|event| replica.apply(event));
            let tick = rig.clock.read().tick;
            for key in KEYS {
                let copied = replica.0.get(*key).filter(|copied| !copied.deadline.is_over(tick)).cloned();
                let item = rig.turn(|on| on.peek(key)).map(|shown| Copied {
                    value: shown.value,
                    client_flags: shown.client_flags,
                    deadline: shown.deadline,
                    cas: shown.cas,
                });
                assert_eq!(copied, item, "{key} after {call:?}");
            }
        }
    });
}
