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

/// One refill in so many may come too late: that costs a turn of the loop, which is little beside so many values.
const BETWEEN_LATE: u32 = 64;
/// After so many that did not the reserve shrinks.
const PATIENCE: u32 = 256;

impl Reserve {
    /// How many chunks to keep.
    pub(super) fn chunks(&self, bounds: ReserveBounds) -> u32 {
        self.chunks.clamp(bounds.least, bounds.most)
    }

    /// A refill found something, or came too late.
    pub(super) fn note(&mut self, is_late: bool, bounds: ReserveBounds) {
        let chunks = self.chunks(bounds);
        self.refills += 1;
        if is_late {
            if self.refills <= BETWEEN_LATE {
                self.chunks = chunks + chunks.div_ceil(2);
            }
            self.refills = 0;
        } else if self.refills >= PATIENCE {
            self.chunks = chunks - chunks.div_ceil(16).min(chunks);
            self.refills = 0;
        }
        self.chunks = self.chunks(bounds);
    }
}

#[cfg(test)]
mod tests {
    use super::{BETWEEN_LATE, PATIENCE, Reserve, ReserveBounds};

    const BOUNDS: ReserveBounds = ReserveBounds { least: 8, most: 96 };

    #[test]
    fn who_comes_too_late_finds_more_next_time_up_to_a_bound() {
        let mut reserve = Reserve::default();
        let mut seen = vec![reserve.chunks(BOUNDS)];
        for _ in 0..8 {
            reserve.note(true, BOUNDS);
            seen.push(reserve.chunks(BOUNDS));
        }
        assert_eq!(seen, [8, 12, 18, 27, 41, 62, 93, 96, 96]);
    }

    #[test]
    fn one_who_comes_too_late_among_many_is_no_reason() {
        let mut reserve = Reserve::default();
        for _ in 0..100 {
            (0..BETWEEN_LATE).for_each(|_| reserve.note(false, BOUNDS));
            reserve.note(true, BOUNDS);
        }
        assert_eq!(reserve.chunks(BOUNDS), 8);
        (1..BETWEEN_LATE).for_each(|_| reserve.note(false, BOUNDS));
        reserve.note(true, BOUNDS);
        assert_eq!(reserve.chunks(BOUNDS), 12);
    }

    #[test]
    fn a_reserve_that_nobody_exhausts_shrinks_slowly_to_the_least() {
        let mut reserve = Reserve::default();
        (0..8).for_each(|_| reserve.note(true, BOUNDS));
        (1..PATIENCE).for_each(|_| reserve.note(false, BOUNDS));
        assert_eq!(reserve.chunks(BOUNDS), 96);
        reserve.note(false, BOUNDS);
        assert_eq!(reserve.chunks(BOUNDS), 90);
        (0..100 * PATIENCE).for_each(|_| reserve.note(false, BOUNDS));
        assert_eq!(reserve.chunks(BOUNDS), 8);
    }

    #[test]
    fn a_class_of_a_few_chunks_keeps_none() {
        let mut reserve = Reserve::default();
        let none = ReserveBounds { least: 0, most: 0 };
        reserve.note(true, none);
        (0..PATIENCE).for_each(|_| reserve.note(false, none));
        assert_eq!(reserve.chunks(none), 0);
    }
}
