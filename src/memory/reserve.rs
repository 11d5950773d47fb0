//! The reserve: how many free chunks a full class keeps ready or in limbo. It adapts to the demand of sets.
//!
//! ```text
//! refills      ✓ ✓ ✓ ✗ ✓ ✓ ✓ ✗     often late (no chunk ready, wait for a grace period): the reserve grows by half
//!              ✓ … ✓ ✗ ✓ … ✓ ✗     late once in some dozens: no change
//!              ✓ ✓ ✓ … … … ✓ ✓     never late for long: it shrinks by 1/16, since reserved chunks hold no items
//! ```
//!
//! Part of a class, under the class's lock.

/// The reserve of one class.
#[derive(Default)]
pub(super) struct Reserve {
    chunks: u32,
    /// Refills since the reserve last changed, or since the last late refill.
    refills: u32,
}

/// Bounds of a reserve, in chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveBounds {
    /// The reserve while no refill is late.
    pub least: u32,
    /// Its maximum. Not less than `least`.
    pub most: u32,
}

/// The result of a worker's refill of its magazine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// Chunks were ready.
    InTime,
    /// No chunk was ready: the worker has to wait for a grace period.
    Late,
}

/// One late refill in this many is acceptable: a late refill costs one turn, which is little beside that many
/// refills.
const REFILLS_PER_LATE: u32 = 64;
/// The reserve shrinks after this many refills in time.
const REFILLS_TO_SHRINK: u32 = 256;

impl Reserve {
    /// The number of chunks to keep.
    pub(super) fn chunks(&self, bounds: ReserveBounds) -> u32 {
        self.chunks.clamp(bounds.least, bounds.most)
    }

    /// Notes the result of a refill.
    pub(super) fn note(&mut self, refill: Refill, bounds: ReserveBounds) {
        let chunks = self.chunks(bounds);
        self.refills += 1;
        match refill {
            Refill::Late => {
                if self.refills <= REFILLS_PER_LATE {
                    self.chunks = chunks + chunks.div_ceil(2);
                }
                self.refills = 0;
            }
            Refill::InTime if self.refills >= REFILLS_TO_SHRINK => {
                self.chunks = chunks - chunks.div_ceil(16);
                self.refills = 0;
            }
            Refill::InTime => {}
        }
        self.chunks = self.chunks(bounds);
    }
}

#[cfg(test)]
mod tests {
    use super::{REFILLS_PER_LATE, REFILLS_TO_SHRINK, Refill, Reserve, ReserveBounds};

    const BOUNDS: ReserveBounds = ReserveBounds { least: 8, most: 96 };

    #[test]
    fn late_refills_grow_the_reserve_up_to_a_bound() {
        let mut reserve = Reserve::default();
        let mut seen = vec![reserve.chunks(BOUNDS)];
        for _ in 0..8 {
            reserve.note(Refill::Late, BOUNDS);
            seen.push(reserve.chunks(BOUNDS));
        }
        assert_eq!(seen, [8, 12, 18, 27, 41, 62, 93, 96, 96]);
    }

    #[test]
    fn one_late_refill_among_many_changes_nothing() {
        let mut reserve = Reserve::default();
        for _ in 0..100 {
            (0..REFILLS_PER_LATE).for_each(|_| reserve.note(Refill::InTime, BOUNDS));
            reserve.note(Refill::Late, BOUNDS);
        }
        assert_eq!(reserve.chunks(BOUNDS), 8);
        (1..REFILLS_PER_LATE).for_each(|_| reserve.note(Refill::InTime, BOUNDS));
        reserve.note(Refill::Late, BOUNDS);
        assert_eq!(reserve.chunks(BOUNDS), 12);
    }

    #[test]
    fn a_reserve_without_late_refills_shrinks_slowly_to_the_least() {
        let mut reserve = Reserve::default();
        (0..8).for_each(|_| reserve.note(Refill::Late, BOUNDS));
        (1..REFILLS_TO_SHRINK).for_each(|_| reserve.note(Refill::InTime, BOUNDS));
        assert_eq!(reserve.chunks(BOUNDS), 96);
        reserve.note(Refill::InTime, BOUNDS);
        assert_eq!(reserve.chunks(BOUNDS), 90);
        (0..100 * REFILLS_TO_SHRINK).for_each(|_| reserve.note(Refill::InTime, BOUNDS));
        assert_eq!(reserve.chunks(BOUNDS), 8);
    }

    #[test]
    fn a_class_of_a_few_chunks_keeps_none() {
        let mut reserve = Reserve::default();
        let none = ReserveBounds { least: 0, most: 0 };
        reserve.note(Refill::Late, none);
        (0..REFILLS_TO_SHRINK).for_each(|_| reserve.note(Refill::InTime, none));
        assert_eq!(reserve.chunks(none), 0);
    }
}
