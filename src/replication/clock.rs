//! The hybrid logical clock that versions come from.
//!
//! Milliseconds and counter together are one number, the ticks of the clock. A draw takes the next number, or the
//! present millisecond if that is higher. So a counter that overflows runs into the next millisecond, and a clock that
//! is set back stands still instead. A node that learns of a higher version goes on from there.
//!
//! If items outlive the process, the clock reserves ticks in memory that outlives it, too. The next process goes on
//! above them.

use std::sync::{Arc, OnceLock};

use crate::base::atomic::{AtomicU16, AtomicU64, Ordering};
use crate::base::{NodeNumber, Version, ticks_at};

use super::kept_deletes::KeptDeletes;

/// A node's hybrid logical clock. Threads share it.
#[derive(Debug)]
pub struct HybridClock {
    /// The highest ticks that were drawn or observed.
    ticks: AtomicU64,
    number: AtomicU16,
    /// Ticks up to which versions may be drawn without another reservation.
    reserved: AtomicU64,
    /// Where they are reserved; unset if that is not necessary.
    kept: OnceLock<Arc<KeptDeletes>>,
}

impl HybridClock {
    /// A clock that draws versions above `latest`.
    pub fn new(number: NodeNumber, latest: Version) -> Self {
        let [ticks, reserved] = [latest.ticks(), u64::MAX].map(AtomicU64::new);
        Self { ticks, number: AtomicU16::new(number.get()), reserved, kept: OnceLock::new() }
    }

    /// Reserves ticks in `kept` from now on, before it draws any.
    pub fn keep_in(&self, kept: Arc<KeptDeletes>) {
        kept.renumber(self.number());
        // Ignored: there is one place.
        let _ = self.kept.set(kept);
        self.reserved.store(0, Ordering::Release);
    }

    /// Where it reserves ticks.
    pub(super) fn kept(&self) -> Option<&KeptDeletes> {
        self.kept.get().map(|kept| &**kept)
    }

    /// The number of this node.
    pub fn number(&self) -> NodeNumber {
        NodeNumber::new(self.number.load(Ordering::Relaxed))
    }

    /// Takes another number, because a peer has this one.
    pub(super) fn renumber(&self, number: NodeNumber) {
        // First: after a kill in between, the file has another number than the items, and the node takes a third one.
        if let Some(kept) = self.kept.get() {
            kept.renumber(number);
        }
        self.number.store(number.get(), Ordering::Relaxed);
    }

    /// The next version, above all that this clock has drawn or observed.
    #[inline]
    pub fn draw(&self, now_ms: u64) -> Version {
        let present = ticks_at(now_ms);
        let next = |ticks: u64| Some(present.max(ticks + 1));
        // AcqRel: a thread that sees a version sees a clock at or above it.
        let before = self.ticks.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).unwrap_or_else(|kept| kept);
        self.reserve(present.max(before + 1))
    }

    /// The version at `ticks`, which no later process draws again.
    #[inline]
    fn reserve(&self, ticks: u64) -> Version {
        // Acquire: what is loaded here was stored after the reservation.
        if ticks > self.reserved.load(Ordering::Acquire) {
            self.reserve_more(ticks);
        }
        Version::from_ticks(ticks, self.number())
    }

    #[cold]
    fn reserve_more(&self, ticks: u64) {
        if let Some(kept) = self.kept.get() {
            self.reserved.fetch_max(kept.reserve(ticks), Ordering::AcqRel);
        }
    }

    /// Goes on above `version`, which another node has drawn.
    pub fn observe(&self, version: Version) {
        self.ticks.fetch_max(version.ticks(), Ordering::AcqRel);
    }

    /// A version at or above all that this clock has drawn, and below all that it will draw.
    pub fn present(&self, now_ms: u64) -> Version {
        let ticks = ticks_at(now_ms).max(self.ticks.fetch_max(ticks_at(now_ms), Ordering::AcqRel));
        self.reserve(ticks)
    }
}

#[cfg(test)]
mod tests {
    use super::{HybridClock, NodeNumber, Version};
    use crate::base::NODE_NUMBERS;

    /// 1 January 2020, in Unix milliseconds.
    const EPOCH_MS: u64 = 1_577_836_800_000;
    /// Versions that a node draws in a millisecond.
    const VERSIONS_A_MS: u32 = 4096;

    fn clock(number: u16) -> HybridClock {
        HybridClock::new(NodeNumber::new(number), Version::ZERO)
    }

    #[test]
    fn versions_rise_also_when_the_wall_clock_falls() {
        let clock = clock(7);
        let mut before = Version::ZERO;
        for now_ms in [EPOCH_MS + 50, EPOCH_MS + 51, EPOCH_MS + 51, EPOCH_MS + 9, 0, EPOCH_MS + 60, u64::MAX] {
            let version = clock.draw(now_ms);
            assert!(version > before, "{now_ms}");
            assert_eq!(version.node(), NodeNumber::new(7));
            before = version;
        }
    }

    #[test]
    fn a_counter_that_overflows_runs_into_the_next_millisecond() {
        let clock = clock(1);
        let first = clock.draw(EPOCH_MS + 5);
        let last = (0..VERSIONS_A_MS).map(|_| clock.draw(EPOCH_MS + 5)).last().unwrap();
        assert_eq!((first.unix_ms(), last.unix_ms()), (EPOCH_MS + 5, EPOCH_MS + 6));
    }

    #[test]
    fn the_first_version_is_not_zero() {
        assert_ne!(clock(0).draw(0), Version::ZERO);
    }

    #[test]
    fn a_clock_goes_on_above_what_it_observes() {
        let (behind, ahead) = (clock(1), clock(2));
        let seen = ahead.draw(EPOCH_MS + 3_600_000);
        behind.observe(seen);
        assert!(behind.draw(EPOCH_MS) > seen);
        assert!(clock(1).draw(EPOCH_MS) < seen);
    }

    #[test]
    fn the_present_lies_between_what_was_drawn_and_what_will_be() {
        let clock = clock(NODE_NUMBERS - 1);
        for now_ms in [EPOCH_MS + 1, EPOCH_MS + 1, EPOCH_MS + 8] {
            let before = clock.draw(now_ms);
            let present = clock.present(now_ms);
            assert!(before <= present);
            let next = clock.draw(now_ms);
            assert!(next > present);
            assert!((present..next).contains(&next.before()));
        }
    }

    #[test]
    fn two_nodes_never_draw_the_same_version() {
        let (one, two) = (clock(1), clock(2));
        assert_ne!(one.draw(EPOCH_MS + 1), two.draw(EPOCH_MS + 1));
    }
}
