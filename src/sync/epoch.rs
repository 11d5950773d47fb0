//! Epochs: determine when no reader can see an unlinked chunk any more. Upholds I4.
//!
//! ```text
//! reader      v = global · slot = v · FENCE ── reads refs and items ────────────── slot = 0 (or a newer v)
//! remover             unlinks the ref ── FENCE · stamp = global ──▶ retire list
//! any thread                                  advance: global += 1
//! remover                                                    every slot 0 or > stamp? the chunk is free again
//! ```
//!
//! Why a chunk stamped `s` is free of readers once `is_over(s)` (R is a reader, P its fence, U the remover's fence):
//!
//! * The two fences are SeqCst, so one of them is first. If U is first, R reads the ref after P and therefore sees it
//!   unlinked: R never had the chunk. R may still read a later publication of the same chunk there. That is a new
//!   item, which was published by its own Release store.
//! * If P is first, two things hold. (a) A thread that checks after U sees in R's slot `v` or a value that R stored
//!   later. (b) The load of `s` after U sees at least the value that the load of `v` before P saw: `v <= s`. So `v`
//!   itself never passes the test `> s`; a value that passes was stored by R later.
//! * R's later store is 0 at the unpin, or a newer epoch at a refresh or the next pin. It is a Release store after R's
//!   last read of the chunk, and the check loads with Acquire. So all of R's reads happen before the reuse, by that
//!   pair of slot accesses alone. The fences only decide which thread sees which value. (ThreadSanitizer models the
//!   pair, but not the fences.)
//! * The pin's store must be Release, too. C++20 release sequences do not include later relaxed stores of the same
//!   thread.
//! * A slot that changes owner goes through `taken` (Release when a thread leaves, Acquire when one joins), which
//!   extends the chain.

#[cfg(loom)]
use loom::sync::{Mutex, MutexGuard};
use std::ops::Deref;
use std::sync::{Arc, PoisonError};
#[cfg(not(loom))]
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use crate::base::Clock;
use crate::base::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// The slot value of a thread that is not pinned.
const UNPINNED: u64 = 0;

/// The epoch counter of one store, and the epoch that each participant is pinned in.
pub struct Epochs {
    global: PaddedEpoch,
    /// Held during a standstill. A thread that cannot pin waits for it.
    standstill: Mutex<()>,
    slots: Box<[ParticipantSlot]>,
}

/// The epoch, and whether there is a standstill. Every pin reads both, so they have a pair of cache lines to
/// themselves.
#[repr(align(128))]
struct PaddedEpoch(AtomicU64, AtomicBool);

/// Takes 128 bytes, because the prefetcher of x86-64 fetches lines in pairs.
#[repr(align(128))]
struct ParticipantSlot {
    /// The epoch that the owning thread is pinned in, or `UNPINNED`.
    epoch: AtomicU64,
    /// Whether a participant owns this slot.
    taken: AtomicBool,
}

impl Epochs {
    /// Creates epochs for at most `participants_max` threads at a time.
    pub fn new(participants_max: usize) -> Self {
        let slot = || ParticipantSlot { epoch: AtomicU64::new(UNPINNED), taken: AtomicBool::new(false) };
        Self {
            global: PaddedEpoch(AtomicU64::new(UNPINNED + 1), AtomicBool::new(false)),
            standstill: Mutex::new(()),
            slots: (0..participants_max).map(|_| slot()).collect(),
        }
    }

    /// Gives the calling thread a slot until the participant is dropped.
    ///
    /// # Panics
    /// If more than `participants_max` threads join. The start-up code knows how many threads it starts.
    pub fn join(self: &Arc<Self>) -> Participant {
        let is_ours = |slot: &ParticipantSlot| {
            // Acquire: the reads of the former owner end before we pin.
            slot.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        let index = self.slots.iter().position(is_ours).expect("participants_max counts every thread that joins");
        Participant { epochs: Arc::clone(self), index, pin: Pin { _only_a_guard_lends_it: () } }
    }

    /// The stamp for a chunk that was just unlinked. The unlinking store must happen before this call: the calling
    /// thread made it, or a thread whose lock the calling thread took over.
    #[inline]
    pub fn stamp(&self) -> Stamp {
        // Order: this is fence U of the proof. Readers that pin after it see the unlinking.
        fence(Ordering::SeqCst);
        Stamp(self.global.0.load(Ordering::Relaxed))
    }

    /// Starts the next epoch. Threads that pin or refresh from now on no longer delay chunks that are already stamped.
    #[inline]
    pub fn advance(&self) {
        // Relaxed: an epoch is only a number. A thread that sees it late delays a reuse, see the proof.
        self.global.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Lets no thread pin, and waits until none is pinned. `None`: a thread was still pinned after the time `within`.
    pub fn stand_still(&self, within: Duration) -> Option<Standstill<'_>> {
        let coming = self.hold_up_pins();
        let watch = Clock::start();
        while !self.are_all_unpinned() {
            if Duration::from_micros(watch.real_us()) > within {
                return None;
            }
            thread::yield_now();
        }
        Some(coming)
    }

    /// Lets no thread pin. Some may be pinned still.
    fn hold_up_pins(&self) -> Standstill<'_> {
        let waiting = self.standstill.lock().unwrap_or_else(PoisonError::into_inner);
        self.global.1.store(true, Ordering::Relaxed);
        // Order: this fence and the one of a pin. If the pin's is first, its slot is seen by `are_all_unpinned`. If
        // this one is first, the thread sees the standstill after its fence, and unpins.
        fence(Ordering::SeqCst);
        Standstill { epochs: self, _waiting: waiting }
    }

    fn are_all_unpinned(&self) -> bool {
        self.slots.iter().all(|slot| slot.epoch.load(Ordering::Acquire) == UNPINNED)
    }

    /// Whether no thread can still see what was unlinked before `stamp`.
    pub fn is_over(&self, stamp: Stamp) -> bool {
        // No fence: the one in `stamp` happens before this. The stamp comes from this thread, or was handed over by
        // another one.
        self.slots.iter().all(|slot| {
            let epoch = slot.epoch.load(Ordering::Acquire);
            epoch == UNPINNED || epoch > stamp.0
        })
    }

    /// Every stamp below the result is over, and stays so. The result may therefore be kept. One scan serves a whole
    /// retire list, but chunks stamped in the present epoch wait for the next `advance`.
    pub fn safe_before(&self) -> Stamp {
        let present = self.global.0.load(Ordering::Relaxed);
        // Order: a stamp whose fence precedes this one is covered as in `is_over`. A stamp whose fence follows this
        // one loads at least `present`. It is therefore not below the result, although its readers were not checked.
        fence(Ordering::SeqCst);
        let epochs = self.slots.iter().map(|slot| slot.epoch.load(Ordering::Acquire));
        Stamp(epochs.filter(|epoch| *epoch != UNPINNED).fold(present, u64::min))
    }
}

/// Proof that no thread is pinned, until it is dropped. A thread that pins meanwhile waits.
pub struct Standstill<'e> {
    epochs: &'e Epochs,
    /// Dropped after the flag is cleared.
    _waiting: MutexGuard<'e, ()>,
}

impl Drop for Standstill<'_> {
    fn drop(&mut self) {
        // Release: a thread that pins afterwards sees what happened in the standstill.
        self.epochs.global.1.store(false, Ordering::Release);
    }
}

/// The epoch in which a chunk was unlinked. Comes from [`Epochs::stamp`]; stamps are ordered by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(u64);

/// The slot of one thread in the [`Epochs`].
pub struct Participant {
    epochs: Arc<Epochs>,
    index: usize,
    pin: Pin,
}

/// Proof that the calling thread is pinned: no chunk that it can see is reused while this is borrowed. Only a
/// [`PinGuard`] lends it; it cannot be made or copied elsewhere. It covers the chunks of the store whose `Epochs` the
/// thread has joined.
#[derive(Debug)]
pub struct Pin {
    _only_a_guard_lends_it: (),
}

#[cfg(test)]
impl Pin {
    /// A pin for tests of the index that reuse no memory.
    pub const fn assumed() -> Self {
        Self { _only_a_guard_lends_it: () }
    }
}

/// Keeps its thread pinned until it is dropped.
pub struct PinGuard<'t> {
    participant: &'t mut Participant,
}

impl Participant {
    /// Pins the thread: nothing that it sees from now on is reused until the guard is dropped or refreshed.
    #[inline]
    pub fn pin(&mut self) -> PinGuard<'_> {
        self.enter(self.epochs.global.0.load(Ordering::Relaxed));
        // Acquire: see `Standstill`.
        while self.epochs.global.1.load(Ordering::Acquire) {
            self.wait_for_standstill();
        }
        PinGuard { participant: self }
    }

    #[cold]
    fn wait_for_standstill(&self) {
        self.leave();
        drop(self.epochs.standstill.lock().unwrap_or_else(PoisonError::into_inner));
        self.enter(self.epochs.global.0.load(Ordering::Relaxed));
    }

    #[inline]
    fn enter(&self, epoch: u64) {
        // Release: the reads of an earlier pin happen before a reuse that this store allows.
        self.slot().epoch.store(epoch, Ordering::Release);
        // Order: this is fence P of the proof. All later reads happen with the slot visible.
        fence(Ordering::SeqCst);
    }

    #[inline]
    fn leave(&self) {
        // Release: all reads under the pin happen before a reuse that this store allows.
        self.slot().epoch.store(UNPINNED, Ordering::Release);
    }

    #[inline]
    fn slot(&self) -> &ParticipantSlot {
        &self.epochs.slots[self.index]
    }
}

impl Drop for Participant {
    fn drop(&mut self) {
        // A guard may have been forgotten instead of dropped.
        self.leave();
        // Release: see `join`.
        self.slot().taken.store(false, Ordering::Release);
    }
}

impl PinGuard<'_> {
    /// Ends the use of everything seen so far, which the borrow proves, and pins again in the present epoch. Costs one
    /// load while the epoch is unchanged, and a fence after a change.
    #[inline]
    pub fn refresh(&mut self) {
        let present = self.participant.epochs.global.0.load(Ordering::Relaxed);
        // Relaxed: this is our own slot, and no other thread stores to it. A new pin in the same epoch would change
        // nothing.
        if self.participant.slot().epoch.load(Ordering::Relaxed) != present {
            self.participant.enter(present);
        }
    }
}

impl Deref for PinGuard<'_> {
    type Target = Pin;

    #[inline]
    fn deref(&self) -> &Pin {
        &self.participant.pin
    }
}

impl Drop for PinGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.participant.leave();
    }
}

#[cfg(test)]
#[cfg(not(loom))]
mod tests {
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;

    use super::Epochs;
    use crate::base::atomic::{AtomicBool, Ordering};

    #[test]
    fn a_pin_from_before_the_stamp_holds_it_up_until_it_ends() {
        let epochs = Arc::new(Epochs::new(2));
        let mut reader = epochs.join();
        let pin = reader.pin();
        let stamp = epochs.stamp();
        epochs.advance();
        assert!(!epochs.is_over(stamp));
        assert!(epochs.safe_before() <= stamp);
        drop(pin);
        assert!(epochs.is_over(stamp));
        assert!(epochs.safe_before() > stamp);
    }

    #[test]
    fn a_pin_of_a_later_epoch_holds_nothing_up() {
        let epochs = Arc::new(Epochs::new(1));
        let mut reader = epochs.join();
        let stamp = epochs.stamp();
        epochs.advance();
        let _pin = reader.pin();
        assert!(epochs.is_over(stamp));
        assert!(epochs.safe_before() > stamp);
        assert!(!epochs.is_over(epochs.stamp()), "the pin is in the present epoch");
    }

    #[test]
    fn a_refresh_lets_go_only_after_an_advance() {
        let epochs = Arc::new(Epochs::new(1));
        let mut reader = epochs.join();
        let mut pin = reader.pin();
        let stamp = epochs.stamp();
        pin.refresh();
        assert!(!epochs.is_over(stamp), "the same epoch says nothing new");
        epochs.advance();
        assert!(!epochs.is_over(stamp), "the reader has not come by yet");
        pin.refresh();
        assert!(epochs.is_over(stamp));
    }

    #[test]
    fn a_bound_taken_before_a_stamp_never_covers_it() {
        let epochs = Arc::new(Epochs::new(1));
        let bound = epochs.safe_before();
        assert!(epochs.stamp() >= bound);
        epochs.advance();
        assert!(epochs.stamp() >= bound);
    }

    #[test]
    fn a_slot_comes_back_and_a_forgotten_guard_does_not_outlive_its_participant() {
        let epochs = Arc::new(Epochs::new(1));
        let mut reader = epochs.join();
        std::mem::forget(reader.pin());
        let stamp = epochs.stamp();
        epochs.advance();
        assert!(!epochs.is_over(stamp));
        drop(reader);
        assert!(epochs.is_over(stamp));
        drop(epochs.join());
    }

    #[test]
    fn a_standstill_waits_for_pins_and_holds_up_later_ones() {
        let epochs = Arc::new(Epochs::new(2));
        let mut reader = epochs.join();
        let pin = reader.pin();
        assert!(epochs.stand_still(Duration::ZERO).is_none());
        drop(pin);
        let standstill = epochs.stand_still(Duration::ZERO).unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                let _pin = reader.pin();
                assert!(is_over.load(Ordering::Relaxed));
            });
            is_over.store(true, Ordering::Relaxed);
            drop(standstill);
            waiter.join().unwrap();
        });
    }

    #[test]
    #[should_panic(expected = "participants_max")]
    fn more_threads_than_slots_are_refused() {
        let epochs = Arc::new(Epochs::new(1));
        let _first = epochs.join();
        let _second = epochs.join();
    }
}

#[cfg(test)]
#[cfg(loom)]
mod models {
    //! Loom models of the proof at the top of this file. They fail without any one of the fences, without the Release
    //! or Acquire of the slots, and without the bound of `safe_before`.

    use std::sync::Arc;

    use loom::cell::UnsafeCell;
    use loom::thread;

    use super::{Epochs, Pin, Stamp};
    use crate::base::atomic::{AtomicU64, Ordering};

    /// One chunk and the only reference to it.
    struct World {
        epochs: Arc<Epochs>,
        is_linked: AtomicU64,
        chunk: UnsafeCell<u64>,
    }

    impl World {
        fn new(participants_max: usize) -> loom::sync::Arc<Self> {
            let epochs = Arc::new(Epochs::new(participants_max));
            loom::sync::Arc::new(Self { epochs, is_linked: AtomicU64::new(1), chunk: UnsafeCell::new(0) })
        }

        fn look(&self, _pin: &Pin) {
            if self.is_linked.load(Ordering::Acquire) == 1 {
                // SAFETY: loom panics if another thread may be writing.
                self.chunk.with(|chunk| assert_eq!(unsafe { *chunk }, 0));
            }
        }

        fn unlink_and_reuse(&self) {
            self.unlink_and_reuse_if(|stamp| {
                self.epochs.advance();
                self.epochs.is_over(stamp)
            });
        }

        fn unlink_and_reuse_if(&self, is_over: impl FnOnce(Stamp) -> bool) {
            self.is_linked.store(0, Ordering::Release);
            if is_over(self.epochs.stamp()) {
                // SAFETY: loom panics if another thread may be reading.
                self.chunk.with_mut(|chunk| unsafe { *chunk = 1 });
            }
        }
    }

    #[test]
    fn loom_nothing_is_reused_under_a_pin_of_any_kind() {
        check_some(|| {
            let world = World::new(1);
            let reader = thread::spawn({
                let world = loom::sync::Arc::clone(&world);
                move || {
                    let mut participant = world.epochs.join();
                    let mut pin = participant.pin();
                    world.look(&pin);
                    pin.refresh();
                    world.look(&pin);
                    drop(pin);
                    world.look(&participant.pin());
                }
            });
            world.unlink_and_reuse();
            reader.join().expect("the reader ends");
        });
    }

    #[test]
    fn loom_a_slot_that_changes_hands_protects_both() {
        check_some(|| {
            let world = World::new(1);
            let reader = thread::spawn({
                let world = loom::sync::Arc::clone(&world);
                move || {
                    (0..2).for_each(|_| {
                        let mut participant = world.epochs.join();
                        world.look(&participant.pin());
                    });
                }
            });
            world.unlink_and_reuse();
            reader.join().expect("the reader ends");
        });
    }

    #[test]
    fn loom_a_third_thread_may_start_epochs_at_any_time() {
        check_some(|| {
            let world = World::new(1);
            let (reader, other) = (loom::sync::Arc::clone(&world), loom::sync::Arc::clone(&world));
            let threads = [
                thread::spawn(move || reader.look(&reader.epochs.join().pin())),
                thread::spawn(move || other.epochs.advance()),
            ];
            world.unlink_and_reuse();
            threads.into_iter().for_each(|thread| thread.join().expect("it ends"));
        });
    }

    #[test]
    fn loom_a_bound_may_come_from_another_thread() {
        check_some(|| {
            let world = World::new(1);
            let bound = loom::sync::Arc::new(AtomicU64::new(0));
            let reader = thread::spawn({
                let world = loom::sync::Arc::clone(&world);
                move || world.look(&world.epochs.join().pin())
            });
            let scanner = thread::spawn({
                let (world, bound) = (loom::sync::Arc::clone(&world), loom::sync::Arc::clone(&bound));
                move || {
                    world.epochs.advance();
                    bound.store(world.epochs.safe_before().0, Ordering::Release);
                }
            });
            world.unlink_and_reuse_if(|stamp| stamp < Stamp(bound.load(Ordering::Acquire)));
            [reader, scanner].into_iter().for_each(|thread| thread.join().expect("it ends"));
        });
    }

    #[test]
    fn loom_no_thread_uses_memory_in_a_standstill() {
        check_some(|| {
            let world = World::new(1);
            let reader = thread::spawn({
                let world = loom::sync::Arc::clone(&world);
                move || {
                    let mut participant = world.epochs.join();
                    // SAFETY: loom panics if another thread may be writing.
                    let look = |_: &Pin| world.chunk.with(|chunk| unsafe { *chunk });
                    let before = look(&participant.pin());
                    assert!(before <= look(&participant.pin()));
                }
            });
            let standstill = world.epochs.hold_up_pins();
            while !world.epochs.are_all_unpinned() {
                thread::yield_now();
            }
            // SAFETY: loom panics if another thread may be reading.
            world.chunk.with_mut(|chunk| unsafe { *chunk = 1 });
            drop(standstill);
            reader.join().expect("the reader ends");
        });
    }

    /// Runs a model with at most three preemptions.
    fn check_some(model: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(model);
    }

    #[test]
    fn loom_two_readers_both_hold_it_up() {
        check_some(|| {
            let world = World::new(2);
            let readers = [(); 2].map(|()| {
                thread::spawn({
                    let world = loom::sync::Arc::clone(&world);
                    move || world.look(&world.epochs.join().pin())
                })
            });
            world.unlink_and_reuse();
            readers.into_iter().for_each(|reader| reader.join().expect("the reader ends"));
        });
    }
}
