//! Loom models of the order of a change, as doc/restart.md states it (`make loom`).
//!
//! ```text
//! writer A ── store, store, store ─╮
//! writer B ── store, store ────────┤ each stops before any of its stores, when the process is killed
//! killer   ── killed ──────────────╯ ──▶ what the next start finds
//! ```
//!
//! A killed thread stops between two instructions: its earlier stores are in the file, and no later one is. The models
//! have the steps of item/ and store/ on atomics of loom's own, because loom cannot create the atomics of a mapping.
//! Each model fails if two of its steps change places. No get takes part in the delete. Otherwise the store that clears
//! `linked` and the compare-exchange of a hit would come from two threads, and loom lets either be the last one.

use loom::model::Builder;
use loom::sync::Arc;
use loom::thread;

use crate::base::atomic::{AtomicBool, AtomicU64, Ordering};

const LINKED: u64 = 1;
const HIT: u64 = 2;
const BEING_TOUCHED: u64 = 4;
/// How often a thread may lose its turn in a model.
const PREEMPTIONS_MAX: usize = 3;
/// No chunk.
const NONE: u64 = 9;

/// An item's chunk.
#[derive(Default)]
struct Chunk {
    word0: AtomicU64,
    deadline: AtomicU64,
    value: AtomicU64,
    proof: AtomicU64,
}

fn proof_of(value: u64, deadline: u64) -> u64 {
    value * 100 + deadline + 1
}

/// A process with one key. Chunk 0 holds its old item, chunk 1 is free.
struct Process {
    killed: AtomicBool,
    chunks: [Chunk; 2],
    bucket_lock: AtomicBool,
    /// The chunk that the index refers to. Not in the file.
    index: AtomicU64,
    /// What clients were told.
    replies: [AtomicBool; 2],
}

/// The process is gone.
struct Killed;

type Step = Result<(), Killed>;

impl Process {
    fn new() -> Arc<Self> {
        let process = Self {
            killed: AtomicBool::new(false),
            chunks: [Chunk::default(), Chunk::default()],
            bucket_lock: AtomicBool::new(false),
            index: AtomicU64::new(0),
            replies: [AtomicBool::new(false), AtomicBool::new(false)],
        };
        let old = &process.chunks[0];
        old.value.store(7, Ordering::Relaxed);
        old.proof.store(proof_of(7, 0), Ordering::Relaxed);
        old.word0.store(LINKED, Ordering::Release);
        Arc::new(process)
    }

    /// Before each store: a killed process makes no more.
    fn alive(&self) -> Step {
        if self.killed.load(Ordering::Relaxed) { Err(Killed) } else { Ok(()) }
    }

    fn store(&self, word: &AtomicU64, value: u64, order: Ordering) -> Step {
        self.alive()?;
        word.store(value, order);
        Ok(())
    }

    fn lock_bucket(&self) -> Step {
        while self.bucket_lock.swap(true, Ordering::Acquire) {
            self.alive()?;
            thread::yield_now();
        }
        Ok(())
    }

    fn unlock_bucket(&self) {
        self.bucket_lock.store(false, Ordering::Release);
    }

    fn reply(&self, client: usize) -> Step {
        self.alive()?;
        self.replies[client].store(true, Ordering::Release);
        Ok(())
    }

    fn was_answered(&self, client: usize) -> bool {
        self.replies[client].load(Ordering::Acquire)
    }

    /// The item that the index refers to.
    fn present(&self) -> Option<&Chunk> {
        self.chunks.get(usize::try_from(self.index.load(Ordering::Acquire)).expect("chunks have small numbers"))
    }

    /// As `header::clear_linked`.
    fn clear_linked(&self, chunk: &Chunk) -> Step {
        self.store(&chunk.word0, chunk.word0.load(Ordering::Relaxed) & !LINKED, Ordering::Release)
    }

    /// A new value, whether or not there is an old one.
    fn set(&self, client: usize) -> Step {
        let new = &self.chunks[1];
        self.store(&new.value, 8, Ordering::Relaxed)?;
        self.lock_bucket()?;
        self.store(&new.proof, proof_of(8, 0), Ordering::Relaxed)?;
        self.store(&new.word0, LINKED, Ordering::Release)?;
        if let Some(old) = self.present() {
            self.clear_linked(old)?;
        }
        self.store(&self.index, 1, Ordering::Release)?;
        self.unlock_bucket();
        self.reply(client)
    }

    fn delete(&self, client: usize) -> Step {
        self.lock_bucket()?;
        if let Some(item) = self.present() {
            self.clear_linked(item)?;
            self.store(&self.index, NONE, Ordering::Release)?;
        }
        self.unlock_bucket();
        self.reply(client)
    }

    fn touch(&self, client: usize, deadline: u64) -> Step {
        self.lock_bucket()?;
        if let Some(item) = self.present() {
            self.alive()?;
            item.word0.fetch_or(BEING_TOUCHED, Ordering::Relaxed);
            self.store(&item.deadline, deadline, Ordering::Release)?;
            let value = item.value.load(Ordering::Relaxed);
            self.store(&item.proof, proof_of(value, deadline), Ordering::Release)?;
            self.alive()?;
            item.word0.fetch_and(!BEING_TOUCHED, Ordering::Release);
        }
        self.unlock_bucket();
        self.reply(client)
    }

    /// A get notes its hit without a lock.
    fn get(&self) -> Step {
        if let Some(item) = self.present() {
            let seen = item.word0.load(Ordering::Acquire);
            if seen & LINKED != 0 {
                self.alive()?;
                // Ignored: a hit that another change overtakes is not counted.
                let _ = item.word0.compare_exchange(seen, seen | HIT, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// What the next start keeps: value and deadline of the newer of the proven items.
    fn found(&self) -> Option<(u64, u64)> {
        let item = |chunk: &Chunk| {
            let [word0, value, deadline, proof] =
                [&chunk.word0, &chunk.value, &chunk.deadline, &chunk.proof].map(|word| word.load(Ordering::Relaxed));
            let is_proven = proof == proof_of(value, deadline) || word0 & BEING_TOUCHED != 0;
            assert!(word0 & LINKED == 0 || is_proven, "no order of stores leaves a damaged item");
            (word0 & LINKED != 0).then_some((value, deadline))
        };
        item(&self.chunks[1]).or_else(|| item(&self.chunks[0]))
    }
}

/// Runs both writers until the process is killed at any moment, and passes what it leaves to `check`.
fn killed(one: fn(&Process) -> Step, other: fn(&Process) -> Step, check: fn(&Process, Option<(u64, u64)>)) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(PREEMPTIONS_MAX);
    builder.check(move || {
        let process = Process::new();
        let writers = [one, other].map(|work| {
            let process = Arc::clone(&process);
            thread::spawn(move || drop(work(&process)))
        });
        process.killed.store(true, Ordering::Relaxed);
        writers.into_iter().for_each(|writer| writer.join().expect("no writer panics"));
        check(&process, process.found());
    });
}

#[test]
fn loom_of_a_replaced_value_and_a_new_one_a_start_finds_the_acknowledged_one() {
    killed(
        |process| process.set(0),
        Process::get,
        |process, found| {
            assert!(matches!(found, Some((7 | 8, 0))), "{found:?}");
            assert!(!process.was_answered(0) || found == Some((8, 0)), "{found:?}");
        },
    );
}

#[test]
fn loom_a_value_that_was_acknowledged_as_deleted_is_never_found() {
    killed(
        |process| process.delete(0),
        |process| process.touch(1, 50),
        |process, found| assert!(!process.was_answered(0) || found.is_none(), "{found:?}"),
    );
}

#[test]
fn loom_a_touch_loses_no_item_whenever_it_is_cut_off() {
    killed(
        |process| process.touch(0, 50),
        Process::get,
        |process, found| {
            assert!(matches!(found, Some((7, 0 | 50))), "{found:?}");
            assert!(!process.was_answered(0) || found == Some((7, 50)), "{found:?}");
        },
    );
}

#[test]
fn loom_a_set_beside_a_delete_leaves_the_item_of_the_later_one() {
    killed(
        |process| process.set(0),
        |process| process.delete(1),
        |process, found| {
            let acknowledged = [process.was_answered(0), process.was_answered(1)];
            assert!(acknowledged != [false, true] || found != Some((7, 0)), "{found:?}");
            assert!(acknowledged != [true, false] || found != Some((7, 0)), "{found:?}");
            assert!(acknowledged != [true, true] || matches!(found, None | Some((8, 0))), "{found:?}");
        },
    );
}
