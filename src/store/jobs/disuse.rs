//! Which classes nobody uses: the last page of such a class is better off elsewhere.
//!
//! ```text
//! stored, hit   ▁▂▂▁▂▂▂▂▂▂▂▂▂▂▂▂      no change for five minutes, while the class has one page: disused
//! seconds       ├──────────────▶
//! ```
//!
//! The time is long, and a hit is use as well: a class that is seldom stored in, but read, loses all it has with its page,
//! and needs one again at the next miss. Of a class in which nothing is, nothing is lost: two seconds are enough to see that
//! its page did not come just now, for an item that is on its way.

use crate::memory::CLASS_IDS;

use super::automove::ClassSample;

/// A class's activity when it last changed. None: it has not one page, or is in use in ways that no number shows.
#[derive(Clone, Copy, Default)]
struct Seen {
    activity: Option<u64>,
    since_s: u32,
}

/// What is remembered of all classes.
pub(super) struct Disuse(Box<[Seen; CLASS_IDS]>);

/// So long nothing happens in a class before its last page goes.
const DISUSED_AFTER_S: u32 = 300;
/// And so long, if it is empty.
const EMPTY_AFTER_S: u32 = 2;

impl Default for Disuse {
    fn default() -> Self {
        Self(Box::new([Seen::default(); CLASS_IDS]))
    }
}

impl Disuse {
    /// Marks the classes of one page that nobody uses. `activity` of a class is a number that changes with its use, or
    /// `None` if it is in use in ways that no number shows.
    pub(super) fn mark(&mut self, samples: &mut [ClassSample], now_s: u32, activity: impl Fn(u8) -> Option<u64>) {
        for sample in samples {
            let seen = &mut self.0[usize::from(sample.class)];
            let activity = if sample.pages == 1 { activity(sample.class) } else { None };
            if activity != seen.activity {
                *seen = Seen { activity, since_s: now_s };
            }
            let after_s = if sample.is_empty { EMPTY_AFTER_S } else { DISUSED_AFTER_S };
            sample.is_disused = activity.is_some() && now_s.wrapping_sub(seen.since_s) >= after_s;
        }
    }

    /// A page of `class` goes: if it gets one again, its time begins with that.
    pub(super) fn forget(&mut self, class: u8) {
        self.0[usize::from(class)] = Seen::default();
    }
}

#[cfg(test)]
mod tests {
    use super::{ClassSample, DISUSED_AFTER_S, Disuse, EMPTY_AFTER_S};

    #[test]
    fn a_class_of_one_page_is_disused_after_a_while_without_activity() {
        let mut disuse = Disuse::default();
        let mut is_disused = |pages, now_s, activity| {
            let mut samples = [ClassSample { class: 3, pages, ..ClassSample::default() }];
            disuse.mark(&mut samples, now_s, |_| activity);
            samples[0].is_disused
        };
        assert!(!is_disused(1, 1000, Some(7)), "it is seen for the first time");
        assert!(!is_disused(1, 999 + DISUSED_AFTER_S, Some(7)));
        assert!(is_disused(1, 1000 + DISUSED_AFTER_S, Some(7)));
        assert!(!is_disused(1, 1001 + DISUSED_AFTER_S, Some(8)), "somebody came");
        assert!(!is_disused(1, 1000 + 2 * DISUSED_AFTER_S, Some(8)));
        assert!(!is_disused(1, 1001 + 2 * DISUSED_AFTER_S, None), "parts of chains are in it");
        assert!(!is_disused(2, 1001 + 4 * DISUSED_AFTER_S, Some(8)), "it has a page to give in any case");
        assert!(!is_disused(1, 1002 + 4 * DISUSED_AFTER_S, Some(8)), "the time begins when one is left");
    }

    #[test]
    fn an_empty_class_is_disused_soon() {
        let mut disuse = Disuse::default();
        let mut is_disused = |now_s, activity| {
            let mut samples = [ClassSample { class: 3, pages: 1, is_empty: true, ..ClassSample::default() }];
            disuse.mark(&mut samples, now_s, |_| Some(activity));
            samples[0].is_disused
        };
        assert!(!is_disused(1000, 7) && !is_disused(999 + EMPTY_AFTER_S, 7));
        assert!(is_disused(1000 + EMPTY_AFTER_S, 7));
        assert!(!is_disused(1001 + EMPTY_AFTER_S, 8), "something came and went");
    }

    #[test]
    fn a_class_that_has_just_got_a_page_is_in_use() {
        let mut disuse = Disuse::default();
        let is_disused = |disuse: &mut Disuse, now_s| {
            let mut samples = [ClassSample { class: 3, pages: 1, ..ClassSample::default() }];
            disuse.mark(&mut samples, now_s, |_| Some(0));
            samples[0].is_disused
        };
        assert!(!is_disused(&mut disuse, 1000), "its first one, with nothing in it yet");
        assert!(is_disused(&mut disuse, 1000 + DISUSED_AFTER_S));
        disuse.forget(3);
        assert!(!is_disused(&mut disuse, 2000), "one again, and the number is the same");
    }
}
