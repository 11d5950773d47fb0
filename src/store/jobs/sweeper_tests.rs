//! Tests of the sweeper, step by step on a clock that stands still.

use std::sync::Arc;
use std::time::Duration;

use super::{Job as _, NextStep, REST, Sweeper, WALK_S};
use crate::base::{Clock, Deadline, Exptime, HashedKey, Key};
use crate::memory::ClassPlan;
use crate::store::cache::Store;
use crate::store::engine::{Engine as _, EngineAdmin as _, StoreOutcome, Write};
use crate::store::worker_store::WorkerStore;
use crate::store::{Fetched, StoreConfig, StoreReport};
use crate::sync::Participant;

struct Rig {
    clock: Arc<Clock>,
    client: (Participant, WorkerStore),
    job: (Participant, WorkerStore),
    sweeper: Sweeper,
}

impl Rig {
    fn new() -> Self {
        let config = StoreConfig {
            limit_bytes: 128 << 20,
            classes: ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() },
            value_len_max: 1 << 20,
            evictions: true,
            use_cas: true,
            hashpower: 16,
            threads_max: 3,
            large_pages: false,
            hash_seed: None,
        };
        let clock = Arc::new(Clock::start());
        clock.pause();
        let store = Store::new(config, Arc::clone(&clock)).unwrap();
        Self { clock, client: store.join(), job: store.join(), sweeper: Sweeper::default() }
    }

    fn hashed<'k>(&self, key: &'k str) -> HashedKey<'k> {
        self.client.1.hash(Key::new(key.as_bytes()).unwrap())
    }

    /// The deadline `seconds` from now.
    fn after(&self, seconds: u32) -> Deadline {
        Exptime::new(i64::from(seconds)).deadline(self.clock.read(), || 0)
    }

    fn set(&mut self, key: &str, deadline: Deadline) {
        let key = self.hashed(key);
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        let pending = worker.reserve(&pin, &Write { deadline, ..Write::set(key) }, 0).unwrap();
        assert!(worker.commit(&pin, pending).is_ok_and(StoreOutcome::is_stored));
        worker.end_turn();
    }

    fn touch(&mut self, key: &str, deadline: Deadline) {
        let key = self.hashed(key);
        let (participant, worker) = &mut self.client;
        let pin = participant.pin();
        worker.begin_turn();
        assert!(matches!(worker.fetch_and_touch(&pin, key, deadline), Fetched::Hit(_)));
        worker.end_turn();
    }

    fn step(&mut self) -> NextStep {
        let (participant, worker) = &mut self.job;
        let pin = participant.pin();
        worker.begin_turn();
        let next = self.sweeper.step(worker, &pin);
        worker.end_turn();
        next
    }

    fn round(&mut self) {
        for _ in 0..100_000 {
            if self.step() == NextStep::Wait(Some(REST)) {
                return;
            }
        }
        panic!("the round has no end");
    }

    fn figure(&mut self, name: &str) -> u64 {
        let pin = self.client.0.pin();
        let mut figure = None;
        self.client.1.report(&pin, StoreReport::General, &mut |row, value| {
            if row == name {
                figure = value.to_string().parse().ok();
            }
        });
        figure.unwrap()
    }
}

#[test]
fn a_page_in_which_nothing_ends_is_not_entered() {
    let mut rig = Rig::new();
    let later = rig.after(1000);
    (0..5000).for_each(|number| rig.set(&format!("key-{number}"), Deadline::NEVER));
    rig.set("later", later);
    rig.clock.shift(999);
    rig.round();
    assert_eq!((rig.figure("crawler_items_checked"), rig.figure("lru_crawler_starts")), (0, 0));
    rig.clock.shift(1);
    rig.round();
    assert_eq!((rig.figure("crawler_items_checked"), rig.figure("crawler_reclaimed")), (5001, 1));
    assert_eq!((rig.figure("lru_crawler_starts"), rig.figure("lru_crawler_running")), (1, 0));
    assert_eq!(rig.figure("reclaimed"), 0, "no store needed the memory");
}

#[test]
fn one_round_collects_what_ended_together() {
    let mut rig = Rig::new();
    let end = rig.after(20);
    for number in 0..40_000 {
        rig.set(&format!("key-{number}"), if number % 2 == 0 { end } else { Deadline::NEVER });
    }
    rig.clock.shift(20);
    rig.round();
    assert_eq!((rig.figure("crawler_reclaimed"), rig.figure("curr_items")), (20_000, 20_000));
    rig.clock.shift(1000);
    let looked = rig.figure("crawler_items_checked");
    rig.round();
    assert_eq!(rig.figure("crawler_items_checked"), looked, "nothing that ends is left");
}

#[test]
fn of_many_that_end_beside_as_many_that_do_not_95_percent_are_free_soon() {
    const DATED: u64 = 50_000;
    let mut rig = Rig::new();
    // They expire within two seconds, and items that never expire lie between them.
    let ends = [rig.after(20), rig.after(21)];
    for number in 0..2 * DATED {
        let deadline = if number % 2 == 0 { ends[usize::from(number >= DATED)] } else { Deadline::NEVER };
        rig.set(&format!("key-{number}"), deadline);
    }
    let free_bytes = rig.figure("slab_free_bytes");
    rig.clock.shift(20);
    // The cost of a step is bounded. In larger caches rounds rest as long, and pages rest longer.
    let (mut steps, mut waited) = (0, Duration::ZERO);
    while rig.figure("slab_free_bytes") < free_bytes + DATED * 64 * 95 / 100 {
        steps += 1;
        match rig.step() {
            NextStep::Again => {}
            NextStep::Wait(time) => {
                let before_s = waited.as_secs();
                waited += time.expect("the sweeper never waits for a wakeup alone");
                rig.clock.shift(i64::try_from(waited.as_secs() - before_s).unwrap());
            }
            NextStep::Rest(..) => panic!("the sweeper does not rest when it is notified"),
        }
        assert!(steps < 500 && waited < Duration::from_secs(3), "{steps} steps, {waited:?} of waiting");
    }
    assert_eq!(rig.figure("crawler_reclaimed") + rig.figure("curr_items"), 2 * DATED);
}

#[test]
fn what_is_collected_does_not_pile_up_in_limbo() {
    let mut rig = Rig::new();
    let end = rig.after(20);
    (0..40_000).for_each(|number| rig.set(&format!("key-{number}"), end));
    rig.clock.shift(20);
    let mut limbo_bytes_max = 0;
    while rig.figure("curr_items") > 0 {
        rig.step();
        limbo_bytes_max = limbo_bytes_max.max(rig.figure("slab_limbo_bytes"));
    }
    assert!(limbo_bytes_max <= 1024 * 64, "{limbo_bytes_max}");
    rig.round();
    rig.round();
    assert_eq!(rig.figure("slab_limbo_bytes"), 0, "what the last walk has left");
}

#[test]
fn a_touch_that_shortens_a_life_is_noticed() {
    let mut rig = Rig::new();
    rig.set("colour", Deadline::NEVER);
    let end = rig.after(5);
    rig.touch("colour", end);
    rig.clock.shift(5);
    rig.round();
    assert_eq!(rig.figure("curr_items"), 0);
}

#[test]
fn what_is_stored_while_a_page_is_taken_is_not_forgotten() {
    let mut rig = Rig::new();
    let (soon, later) = (rig.after(1), rig.after(9));
    rig.set("soon", soon);
    rig.clock.shift(1);
    // This reader was pinned before the page was taken. It may have seen the old due second, so the walk waits
    // for it.
    let (mut other, waits) = (rig.client.1.store.epochs.join(), NextStep::Wait(Some(super::GRACE)));
    let guard = other.pin();
    assert_eq!((rig.step(), rig.step()), (waits, waits));
    rig.set("later", later);
    drop(guard);
    rig.round();
    assert_eq!(rig.figure("curr_items"), 1);
    rig.clock.shift(8);
    rig.round();
    assert_eq!(rig.figure("curr_items"), 0);
}

#[test]
fn a_few_stragglers_wait_longer_than_many() {
    let mut rig = Rig::new();
    // Enough pages for the longest rests. The last item of each page expires first.
    let ends = [rig.after(10), rig.after(25), rig.after(55 + WALK_S)];
    for number in 0..60 * 16_384 {
        let deadline = if number % 1024 == 0 { ends[number / 1024 % 3] } else { Deadline::NEVER };
        rig.set(&format!("{number}"), deadline);
    }
    rig.clock.shift(10);
    rig.round();
    let collected = rig.figure("crawler_reclaimed");
    assert_eq!(collected, 320, "the first walk takes all that have ended");
    rig.clock.shift(15);
    rig.round();
    assert_eq!(rig.figure("crawler_reclaimed"), collected, "one item in a thousand is not worth a walk yet");
    rig.clock.shift(i64::from(WALK_S));
    rig.round();
    assert_eq!(rig.figure("crawler_reclaimed"), 2 * collected);
    rig.clock.shift(30);
    rig.round();
    assert_eq!(rig.figure("crawler_reclaimed"), 2 * collected, "again not worth a walk");
    rig.client.1.sweep_now();
    rig.round();
    assert_eq!(rig.figure("crawler_reclaimed"), 3 * collected, "an ordered sweep takes stragglers, too");
}

#[test]
fn a_flush_is_forgotten_when_a_round_has_collected_it() {
    let mut rig = Rig::new();
    (0..5000).for_each(|number| rig.set(&format!("key-{number}"), Deadline::NEVER));
    rig.client.1.flush_now();
    rig.set("after", Deadline::NEVER);
    rig.round();
    assert_eq!((rig.figure("curr_items"), rig.figure("crawler_reclaimed")), (1, 5000));
    rig.step();
    assert_eq!(rig.client.1.store.flush.mark(), super::FlushMark::default());
}
