//! The replication thread beside a worker: what both do to one key at the same time, and flushes that are due.

use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use super::replicated::ReplicaStore;
use crate::base::{Clock, HashedKey, Key, KeyHash, Moment, RelTime, Version};
use crate::memory::ClassPlan;
use crate::store::cache::Store;
use crate::store::engine::{Engine as _, StoreOutcome, Write};
use crate::store::worker_store::WorkerStore;
use crate::store::{Journal, JournalEntry, StoreConfig};
use crate::sync::Participant;

/// A version that a worker draws.
const DRAWN: Version = Version::from_bits(100);

/// A journal that keeps what is noted, and can hold back a thread that draws a version.
#[derive(Default)]
struct TestJournal {
    noted: Mutex<Vec<JournalEntry>>,
    /// Called when a version is drawn, with the key's bucket locked.
    on_draw: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

struct SharedJournal(Arc<TestJournal>);

impl Journal for SharedJournal {
    fn draw(&self, _thread: usize, _moment: Moment) -> Version {
        let on_draw = self.0.on_draw.lock().unwrap().take();
        on_draw.into_iter().for_each(|call| call());
        DRAWN
    }

    fn note(&self, _thread: usize, entry: JournalEntry) -> bool {
        self.0.noted.lock().unwrap().push(entry);
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

struct Rig {
    clock: Arc<Clock>,
    journal: Arc<TestJournal>,
    client: (Participant, WorkerStore),
    replica: ReplicaStore,
}

impl Rig {
    fn new() -> Self {
        let config = StoreConfig {
            limit_bytes: 64 << 20,
            classes: ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() },
            value_len_max: 1 << 20,
            evictions: true,
            use_cas: true,
            hashpower: 12,
            threads_max: 3,
            large_pages: false,
            hash_seed: None,
        };
        let clock = Arc::new(Clock::start());
        clock.pause();
        let store = Store::new(config, Arc::clone(&clock)).unwrap();
        let journal = Arc::new(TestJournal::default());
        store.set_journal(Box::new(SharedJournal(Arc::clone(&journal))));
        Self { clock, journal, client: store.join(), replica: ReplicaStore::new(store) }
    }
}

fn hashed<'k>(worker: &WorkerStore, key: &'k str) -> HashedKey<'k> {
    worker.hash(Key::new(key.as_bytes()).unwrap())
}

fn set((participant, worker): &mut (Participant, WorkerStore), key: &str) {
    let key = hashed(worker, key);
    let pin = participant.pin();
    worker.begin_turn();
    let pending = worker.reserve(&pin, &Write::set(key), 0).unwrap();
    assert!(worker.commit(&pin, pending).is_ok_and(StoreOutcome::is_stored));
    worker.end_turn();
}

#[test]
fn a_flush_for_later_that_the_replication_thread_carries_out_is_noted() {
    let mut rig = Rig::new();
    set(&mut rig.client, "k");
    let hash = hashed(&rig.client.1, "k").hash;
    rig.client.1.flush_at(RelTime(rig.clock.read().now.0 + 1));
    assert_eq!(rig.replica.version(hash), Some(DRAWN));
    rig.clock.shift(2);
    rig.replica.end_turn();
    assert_eq!(rig.replica.version(hash), None);
    assert_eq!(*rig.journal.noted.lock().unwrap(), [JournalEntry::Set(hash), JournalEntry::Flush]);
}

#[test]
fn a_value_that_is_stored_during_a_newer_delete_does_not_stay() {
    // Longer than a delete takes that does not wait for the bucket.
    const DELETE_TIME: Duration = Duration::from_millis(100);
    let Rig { journal, mut client, mut replica, .. } = Rig::new();
    let hash = hashed(&client.1, "k").hash;
    let (drawn_sender, drawn) = mpsc::channel();
    let (removed_sender, removed) = mpsc::channel::<()>();
    let hold = move || {
        drawn_sender.send(()).unwrap();
        // Ignored: the delete waits for the bucket, as it should.
        let _ = removed.recv_timeout(DELETE_TIME);
    };
    *journal.on_draw.lock().unwrap() = Some(Box::new(hold));
    thread::scope(|scope| {
        scope.spawn(|| set(&mut client, "k"));
        drawn.recv().unwrap();
        replica.remove(hash, Version::from_bits(DRAWN.bits() + 1));
        // Ignored: the worker waits no longer.
        let _ = removed_sender.send(());
    });
    assert_eq!(replica.version(hash), None);
}
