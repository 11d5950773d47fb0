//! Versions, and the hybrid logical clock that they come from.
//!
//! ```text
//! 64 bits   │ milliseconds since 2020, 42 │ counter, 12 │ node number, 10 │
//!             until the year 2159            4096 a ms     two nodes never draw the same version
//! ```
//!
//! A version orders all changes of a key in the whole mesh: the highest one wins. It is also the CAS unique that
//! clients see. It is never 0, and a node never draws one twice.
//!
//! Milliseconds and counter together are one number, the ticks of the clock. A draw takes the next number, or the
//! present millisecond if that is higher. So a counter that overflows runs into the next millisecond, and a clock that
//! is set back stands still instead. A node that learns of a higher version goes on from there.

use crate::base::atomic::{AtomicU16, AtomicU64, Ordering};

const NODE_BITS: u32 = 10;
const COUNTER_BITS: u32 = 12;
const MS_BITS: u32 = 42;
const _: () = assert!(NODE_BITS + COUNTER_BITS + MS_BITS == 64);

/// 1 January 2020, in Unix milliseconds.
const EPOCH_MS: u64 = 1_577_836_800_000;

/// Number of different node numbers.
pub(super) const NODE_NUMBERS: u16 = 1 << NODE_BITS;

/// The number of a node in the versions that it draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeNumber(u16);

impl NodeNumber {
    /// The number with the low bits of `bits`.
    pub const fn new(bits: u16) -> Self {
        Self(bits % NODE_NUMBERS)
    }

    /// The number itself.
    pub const fn get(self) -> u16 {
        self.0
    }
}

/// When, and by which node, a key was changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(u64);

impl Version {
    /// Before all versions.
    pub const ZERO: Self = Self(0);

    /// The version with these bits.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits: the CAS unique.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The node that drew it.
    pub const fn node(self) -> NodeNumber {
        let [low, high, ..] = self.0.to_le_bytes();
        NodeNumber::new(u16::from_le_bytes([low, high]))
    }

    /// When it was drawn, in Unix milliseconds of its node's clock.
    pub const fn unix_ms(self) -> u64 {
        (self.0 >> (NODE_BITS + COUNTER_BITS)) + EPOCH_MS
    }

    /// The highest version below this one that the same node may have drawn.
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(NODE_NUMBERS as u64))
    }

    /// Whether only the node numbers tell which one is higher.
    #[cfg(test)]
    pub(super) const fn is_tie_with(self, other: Self) -> bool {
        self.ticks() == other.ticks()
    }

    /// Milliseconds and counter.
    const fn ticks(self) -> u64 {
        self.0 >> NODE_BITS
    }

    const fn from_ticks(ticks: u64, node: u16) -> Self {
        Self(ticks << NODE_BITS | node as u64)
    }
}

/// The ticks at a Unix time. A time outside of the 42 bits is brought to the nearest inside.
const fn ticks_at(unix_ms: u64) -> u64 {
    let ms = unix_ms.saturating_sub(EPOCH_MS);
    let ms_max = (1 << MS_BITS) - 1;
    (if ms > ms_max { ms_max } else { ms }) << COUNTER_BITS
}

/// A node's hybrid logical clock. Threads share it.
#[derive(Debug)]
pub struct HybridClock {
    /// The highest ticks that were drawn or observed.
    ticks: AtomicU64,
    number: AtomicU16,
}

impl HybridClock {
    /// A clock that draws versions above `latest`.
    pub fn new(number: NodeNumber, latest: Version) -> Self {
        Self { ticks: AtomicU64::new(latest.ticks()), number: AtomicU16::new(number.0) }
    }

    /// The number of this node.
    pub fn number(&self) -> NodeNumber {
        NodeNumber(self.number.load(Ordering::Relaxed))
    }

    /// Takes another number, because a peer has this one.
    pub(super) fn renumber(&self, number: NodeNumber) {
        self.number.store(number.0, Ordering::Relaxed);
    }

    /// The next version, above all that this clock has drawn or observed.
    #[inline]
    pub fn draw(&self, now_ms: u64) -> Version {
        let present = ticks_at(now_ms);
        let next = |ticks: u64| Some(present.max(ticks + 1));
        // AcqRel: a thread that sees a version sees a clock at or above it.
        let before = self.ticks.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).unwrap_or_else(|kept| kept);
        Version::from_ticks(present.max(before + 1), self.number().0)
    }

    /// Goes on above `version`, which another node has drawn.
    pub fn observe(&self, version: Version) {
        self.ticks.fetch_max(version.ticks(), Ordering::AcqRel);
    }

    /// A version at or above all that this clock has drawn, and below all that it will draw.
    pub fn present(&self, now_ms: u64) -> Version {
        let ticks = ticks_at(now_ms).max(self.ticks.fetch_max(ticks_at(now_ms), Ordering::AcqRel));
        Version::from_ticks(ticks, self.number().0)
    }
}

#[cfg(test)]
mod tests {
    use super::{COUNTER_BITS, EPOCH_MS, HybridClock, NODE_NUMBERS, NodeNumber, Version};

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
        let last = (0..1 << COUNTER_BITS).map(|_| clock.draw(EPOCH_MS + 5)).last().unwrap();
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
