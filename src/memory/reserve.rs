//! How many free chunks a full class keeps ready, or in limbo: as many as its stores have lately needed.
//!
//! ```text
//! refills      ✓ ✓ ✓ ✗ ✓ ✓ ✓ ✗     every few found nothing and had to wait for a grace period: half as many more
//!              ✓ … ✓ ✗ ✓ … ✓ ✗     one in some dozens: enough
//!              ✓ ✓ ✓ … … … ✓ ✓     none for long: a sixteenth fewer, for what is kept ready holds no items
//! ```
//!
//! Belongs to a locked class.

/// A class's reserve.
#[derive(Default)]
pub(super) struct Reserve {
    chunks: u32,
    /// Refills since it last changed.
    refills: u32,
}

/// Between so few and so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReserveBounds {
    /// What a class keeps when nobody waits.
    pub least: u32,
    /// What it keeps at most. Not less than `least`.
    pub most: u32,
}

/// What a worker found that came for chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refill {
    /// Some were there.
    InTime,
    /// None was: he has to wait for a grace period.
    Late,
}

/// One refill in so many may come too late: that costs a turn of the loop, which is little beside so many values.
const REFILLS_PER_LATE: u32 = 64;
/// After so many that did not the reserve shrinks.
const REFILLS_TO_SHRINK: u32 = 256;

impl Reserve {
    /// How many chunks to keep.
    pub(super) fn chunks(&self, bounds: ReserveBounds) -> u32 {
        self.chunks.clamp(bounds.least, bounds.most)
    }

    /// Somebody came for chunks.
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
    fn who_comes_too_late_finds_more_next_time_up_to_a_bound() {
        let mut reserve = Reserve::default();
        let mut seen = vec![reserve.chunks(BOUNDS)];
        for _ in 0..8 {
            reserve.note(Refill::Late, BOUNDS);
            seen.push(reserve.chunks(BOUNDS));
        }
        assert_eq!(seen, [8, 12, 18, 27, 41, 62, 93, 96, 96]);
    }

    #[test]
    fn one_who_comes_too_late_among_many_is_no_reason() {
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
    fn a_reserve_that_nobody_exhausts_shrinks_slowly_to_the_least() {
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
