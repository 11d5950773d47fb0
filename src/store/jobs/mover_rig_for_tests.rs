//! A store on a clock that stands still, a client, and the page mover, which takes its steps when a test says so.

use std::sync::Arc;

use super::{Job as _, MoverState, NextStep, PageMover};
use crate::base::{Clock, Deadline, HashedKey, Key};
use crate::item::{Extras, Layout};
use crate::memory::ClassPlan;
use crate::store::cache::Store;
use crate::store::engine::{Engine as _, Pending as _, Refusal, Removal, StoreOutcome, Write};
use crate::store::jobs::sweeper::Sweeper;
use crate::store::{Fetched, StoreConfig, WorkerStore};
use crate::sync::Participant;

pub(super) struct Rig {
    pub(super) store: &'static Store,
    pub(super) client: (Participant, WorkerStore),
    pub(super) job: (Participant, WorkerStore),
    pub(super) mover: PageMover,
}

impl Rig {
    pub(super) fn new(limit_mib: u64, evictions: bool) -> Self {
        Self::with_growth_factor(limit_mib, evictions, 1.25)
    }

    pub(super) fn with_growth_factor(limit_mib: u64, evictions: bool, growth_factor: f64) -> Self {
        let config = StoreConfig {
            limit_bytes: limit_mib << 20,
            classes: ClassPlan { first: 64, growth_factor, chunk_max: 16384, explicit: Vec::new() },
            value_len_max: 2 << 20,
            evictions,
            use_cas: true,
            hashpower: 12,
            threads_max: 3,
            large_pages: false,
            hash_seed: None,
        };
        let clock = Arc::new(Clock::start());
        clock.pause();
        let store = Store::new(config, clock).unwrap();
        // The clock stands still, so each step is a tick, however long it took to get here.
        let mover = PageMover { ticked_us: store.clock.now_us(), ..PageMover::default() };
        Self { store, client: store.join(), job: store.join(), mover }
    }

    pub(super) fn hashed<'k>(&self, key: &'k str) -> HashedKey<'k> {
        self.client.1.hash(Key::new(key.as_bytes()).unwrap())
    }

    pub(super) fn layout(&self, key: &str, len: u32) -> Layout {
        Layout::new(&self.store.slabs.classes, self.hashed(key).key, Extras::default(), len)
    }

    /// Stores once.
    pub(super) fn set(&mut self, key: &str, len: usize) -> Result<(), Refusal> {
        let key = self.hashed(key);
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        let reserved = worker.reserve(&pin, &Write::set(key), u32::try_from(len).unwrap());
        let stored = reserved.map(|mut pending| {
            let mut filled = pending.fill(&vec![b'v'; len]);
            while filled < len {
                worker.extend(&pin, &mut pending).unwrap();
                filled += pending.fill(&vec![b'v'; len - filled]);
            }
            assert!(worker.commit(&pin, pending).is_ok_and(StoreOutcome::is_stored));
        });
        worker.end_turn();
        stored
    }

    /// Stores until memory is full, or `count` values. Returns the number of stored values.
    pub(super) fn fill(&mut self, name: &str, count: usize, len: usize) -> usize {
        (0..count).take_while(|number| self.set(&format!("{name}-{number}"), len).is_ok()).count()
    }

    pub(super) fn delete(&mut self, key: &str) {
        let key = self.hashed(key);
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        assert!(worker.delete(&pin, key, Removal::default()).is_removed());
        worker.end_turn();
    }

    /// Reads a key.
    pub(super) fn has(&mut self, key: &str) -> bool {
        let key = self.hashed(key);
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        let is_whole = match worker.fetch(&pin, key) {
            Fetched::Hit(item) => item.contiguous().is_some_and(|value| value.iter().all(|byte| *byte == b'v')),
            Fetched::Miss(_) => false,
        };
        worker.end_turn();
        is_whole
    }

    /// Reads a key whose value may be long.
    pub(super) fn has_long(&mut self, key: &str) -> bool {
        let key = self.hashed(key);
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        let is_hit = matches!(worker.fetch(&pin, key), Fetched::Hit(_));
        worker.end_turn();
        is_hit
    }

    pub(super) fn touch(&mut self, key: &str, deadline: Deadline) {
        let key = self.hashed(key);
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        assert!(matches!(worker.fetch_and_touch(&pin, key, deadline), Fetched::Hit(_)));
        worker.end_turn();
    }

    pub(super) fn step(&mut self) -> NextStep {
        // The client releases its leases.
        drop(self.client.0.pin());
        self.client.1.begin_turn();
        self.client.1.end_turn();
        let (participant, worker) = &mut self.job;
        let pin = participant.pin();
        worker.begin_turn();
        let next = self.mover.step(worker, &pin);
        worker.end_turn();
        next
    }

    /// Takes steps until the mover has nothing to do.
    pub(super) fn run(&mut self) {
        for _ in 0..100_000 {
            if self.step() != NextStep::Again && matches!(self.mover.state, MoverState::Idle) {
                return;
            }
        }
        panic!("the mover has always something to do");
    }

    /// The class of values of `len` bytes under short keys.
    pub(super) fn class(&self, len: usize) -> u8 {
        self.layout("small-1234", u32::try_from(len).unwrap()).head_class
    }

    pub(super) fn moved(&self) -> u64 {
        self.store.page_moves.counts.moved.total()
    }

    /// Drops all items, and frees their memory as the sweeper does.
    pub(super) fn flush(&mut self) {
        self.client.1.flush_now();
        let mut sweeper = Sweeper::default();
        for _ in 0..100_000 {
            if self.store.items() == 0 {
                return;
            }
            let (participant, worker) = &mut self.job;
            sweeper.before_step(self.store);
            let pin = participant.pin();
            worker.begin_turn();
            sweeper.step(worker, &pin);
            worker.end_turn();
        }
        panic!("the sweeper leaves {} items", self.store.items());
    }

    /// Stores `count` values. The mover takes a step whenever a store is busy. Returns the number of busy stores.
    pub(super) fn store(&mut self, name: &str, count: usize, len: usize) -> usize {
        let mut busy = 0;
        for number in 0..count {
            while let Err(refusal) = self.set(&format!("{name}-{number}"), len) {
                assert_eq!(refusal, Refusal::Busy);
                busy += 1;
                self.step();
            }
        }
        busy
    }

    /// How many of the first `count` keys of `name` are there.
    pub(super) fn found(&mut self, name: &str, count: usize) -> usize {
        (0..count).filter(|number| self.has(&format!("{name}-{number}"))).count()
    }

    /// The number of pages of `class`.
    pub(super) fn pages(&self, class: u8) -> u32 {
        self.store.slabs.lock(class).usage().pages
    }
}
