//! Tests of the grower together with the page mover, step by step.

use std::sync::Arc;

use super::{Grower, Job as _, NextStep};
use crate::base::atomic::Ordering;
use crate::base::{Clock, Key};
use crate::memory::ClassPlan;
use crate::store::StoreConfig;
use crate::store::cache::Store;
use crate::store::engine::{Engine as _, EngineAdmin as _, Pending as _, Refusal, Removal, StoreOutcome, Write};
use crate::store::worker_store::WorkerStore;
use crate::sync::Participant;
use crate::sys::mapping::refusal::without_huge_pages;

struct Rig {
    store: &'static Store,
    client: (Participant, WorkerStore),
    job: (Participant, WorkerStore),
    grower: Grower,
}

impl Rig {
    fn new(limit_mib: u64) -> Self {
        Self::with(limit_mib, false)
    }

    fn with(limit_mib: u64, large_pages: bool) -> Self {
        let config = StoreConfig {
            limit_bytes: limit_mib << 20,
            classes: ClassPlan { first: 48, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() },
            value_len_max: 1 << 20,
            evictions: true,
            use_cas: true,
            hashpower: 12,
            threads_max: 3,
            large_pages,
            hash_seed: None,
        };
        let store = Store::new(config, Arc::new(Clock::start())).unwrap();
        Self { store, client: store.join(), job: store.join(), grower: Grower::default() }
    }

    fn set(&mut self, key: &str) -> Result<(), Refusal> {
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        let key = worker.hash(Key::new(key.as_bytes()).unwrap());
        let stored = worker.reserve(&pin, &Write::set(key), 1).map(|mut pending| {
            assert_eq!(pending.fill(b"v"), 1);
            assert!(worker.commit(&pin, pending).is_ok_and(StoreOutcome::is_stored));
        });
        worker.end_turn();
        stored
    }

    fn delete(&mut self, key: &str) {
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        let key = worker.hash(Key::new(key.as_bytes()).unwrap());
        assert!(worker.delete(&pin, key, Removal::default()).is_removed());
        worker.end_turn();
    }

    fn step(&mut self) -> NextStep {
        self.grower.before_step(self.store);
        let (participant, worker) = &mut self.job;
        let pin = participant.pin();
        self.grower.step(worker, &pin)
    }

    fn run(&mut self) {
        let steps = (0..100_000).take_while(|_| self.step() != NextStep::Wait(None)).count();
        assert!(steps < 100_000, "the grower has always something to do");
    }
}

#[test]
fn an_index_that_is_too_large_shrinks_when_memory_is_short_and_not_before() {
    let mut rig = Rig::new(64);
    let count = 600_000;
    (0..count).for_each(|number| rig.set(&format!("{number}")).unwrap());
    rig.run();
    let full = rig.store.index.bytes_touched();
    (2000..count).for_each(|number| rig.delete(&format!("{number}")));
    rig.store.shrink_if_beyond();
    rig.run();
    assert_eq!(rig.store.index.bytes_touched(), full, "no job wants the memory");
    let side_bytes = rig.store.side_bytes();
    rig.client.1.set_memory_limit(8 << 20);
    rig.store.shrink_if_beyond();
    assert!(rig.store.index_growth.shrinks.load(Ordering::Relaxed));
    assert!(rig.store.side_bytes_to_be() + (4 << 20) < side_bytes, "no page need go for what the index gives back");
    rig.run();
    assert!(!rig.store.index_growth.shrinks.load(Ordering::Relaxed));
    assert!(rig.store.index.bytes_touched() + (4 << 20) < full);
    assert_eq!(rig.store.side_bytes(), rig.store.side_bytes_to_be());
    (0..2000).for_each(|number| rig.delete(&format!("{number}")));
}

#[test]
fn without_huge_pages_everything_goes_on_in_small_ones() {
    for (limit_mib, large_pages, least) in [(64, false, 2), (512, false, 4), (512, true, 5)] {
        let refusals = without_huge_pages(|| {
            let mut rig = Rig::with(limit_mib, large_pages);
            // More items than the first 32768 buckets hold: an index of huge pages takes memory ahead.
            (0..300_000).for_each(|number| rig.set(&format!("{number}")).unwrap());
            rig.run();
            assert_eq!((rig.store.splits_wanted(), rig.store.items()), (0, 300_000));
            (0..300_000).for_each(|number| rig.delete(&format!("{number}")));
        });
        assert!(refusals >= least, "{refusals} requests were refused at {limit_mib} MiB");
    }
}

#[test]
fn the_memory_that_a_shrunk_index_leaves_waits_for_pinned_threads() {
    let mut rig = Rig::new(64);
    (0..200_000).for_each(|number| rig.set(&format!("{number}")).unwrap());
    rig.run();
    (1000..200_000).for_each(|number| rig.delete(&format!("{number}")));
    let full = rig.store.index.bytes_touched();
    rig.store.shrink_index();
    let store = rig.store;
    let (mut reader, _) = store.join();
    let pin = reader.pin();
    let steps = (0..100_000).take_while(|_| rig.step() == NextStep::Again).count();
    assert!(steps > 100, "merges come a few at a time");
    (0..100).for_each(|_| assert!(rig.step() != NextStep::Again));
    assert_eq!(store.index.bytes_touched(), full);
    drop(pin);
    rig.run();
    assert!(store.index.bytes_touched() < full / 2);
}
