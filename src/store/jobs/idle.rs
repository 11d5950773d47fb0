//! Measures for how long each class was not used. Pages of an idle class are more useful elsewhere.
//!
//! ```text
//! stored, hit, touched  ▁▂▂▁▂▂▂▂▂▂▂▂▂▂▂▂
//! idle seconds            0 ├──────────▶
//! ```
//!
//! A class that is read at long intervals holds items that its clients need. For some time after a hit it is
//! not idle.

use crate::memory::CLASS_IDS;
use crate::store::statistics::report::ClassActivity;

use super::automove::ClassSample;

/// Last observed state of a class. No activity: the class has no page, or is used in ways that no counter
/// shows.
#[derive(Clone, Copy, Default)]
struct Seen {
    activity: Option<ClassActivity>,
    pages: u32,
    /// Since when its activity has not changed.
    since_s: u32,
    /// When a hit was last seen.
    hit_s: Option<u32>,
}

/// Seconds for which a hit counts as use.
const HIT_COUNTS_S: u32 = 30;

/// What is remembered of all classes.
pub(super) struct IdleTimes(Box<[Seen; CLASS_IDS]>);

impl Default for IdleTimes {
    fn default() -> Self {
        Self(Box::new([Seen::default(); CLASS_IDS]))
    }
}

impl IdleTimes {
    /// Sets the idle time of all classes that have pages. `activity` returns the counters of a class. A class
    /// that gets a page is also in use.
    pub(super) fn measure(
        &mut self,
        samples: &mut [ClassSample],
        now_s: u32,
        activity: impl Fn(u8) -> Option<ClassActivity>,
    ) {
        let before = std::mem::take(self);
        for sample in samples {
            let (activity, seen) = (activity(sample.class), before.0[usize::from(sample.class)]);
            let is_used = activity.is_none() || activity != seen.activity || sample.pages > seen.pages;
            let since_s = if is_used { now_s } else { seen.since_s };
            let hits = |activity: Option<ClassActivity>| activity.map_or(0, |activity| activity.hits);
            let hit_s = if hits(activity) == hits(seen.activity) { seen.hit_s } else { Some(now_s) };
            let is_read = hit_s.is_some_and(|hit_s| now_s.wrapping_sub(hit_s) < HIT_COUNTS_S);
            sample.idle_s = if is_read { 0 } else { now_s.wrapping_sub(since_s) };
            self.0[usize::from(sample.class)] = Seen { activity, pages: sample.pages, since_s, hit_s };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ClassActivity, ClassSample, HIT_COUNTS_S, IdleTimes};

    fn idle_s(idle: &mut IdleTimes, pages: u32, now_s: u32, commands: Option<u64>) -> u32 {
        idle_s_of(idle, pages, now_s, commands.map(|commands| ClassActivity { commands, hits: 0 }))
    }

    fn idle_s_of(idle: &mut IdleTimes, pages: u32, now_s: u32, activity: Option<ClassActivity>) -> u32 {
        let mut samples = [ClassSample { class: 3, pages, ..ClassSample::default() }];
        idle.measure(&mut samples, now_s, |_| activity);
        samples[0].idle_s
    }

    #[test]
    fn a_class_is_not_idle_for_some_time_after_a_hit() {
        let mut idle = IdleTimes::default();
        let mut idle_s = |now_s, hits| idle_s_of(&mut idle, 2, now_s, Some(ClassActivity { commands: 9 + hits, hits }));
        assert_eq!((idle_s(1000, 0), idle_s(1005, 0)), (0, 5));
        assert_eq!(idle_s(1006, 1), 0);
        assert_eq!(idle_s(1005 + HIT_COUNTS_S, 1), 0);
        assert_eq!(idle_s(1006 + HIT_COUNTS_S, 1), HIT_COUNTS_S);
    }

    #[test]
    fn a_class_is_idle_since_its_activity_last_changed() {
        let mut idle = IdleTimes::default();
        assert_eq!(idle_s(&mut idle, 2, 1000, Some(7)), 0, "it is seen for the first time");
        assert_eq!(idle_s(&mut idle, 2, 1300, Some(7)), 300);
        assert_eq!(idle_s(&mut idle, 1, 1301, Some(7)), 301, "a page that leaves is no use");
        assert_eq!(idle_s(&mut idle, 1, 1302, Some(8)), 0, "an item was stored");
        assert_eq!(idle_s(&mut idle, 1, 1400, None), 0, "parts of chains are in it");
        assert_eq!(idle_s(&mut idle, 1, 1500, None), 0, "still");
        assert_eq!(idle_s(&mut idle, 1, 1501, Some(8)), 0);
        assert_eq!(idle_s(&mut idle, 1, 1502, Some(8)), 1);
    }

    #[test]
    fn a_class_that_has_just_got_a_page_is_in_use() {
        let mut idle = IdleTimes::default();
        assert_eq!(idle_s(&mut idle, 1, 1000, Some(0)), 0, "its first one, with nothing in it yet");
        assert_eq!(idle_s(&mut idle, 1, 1300, Some(0)), 300);
        assert_eq!(idle_s(&mut idle, 2, 1301, Some(0)), 0, "another one");
        idle.measure(&mut [], 1400, |_| None);
        assert_eq!(idle_s(&mut idle, 1, 2000, Some(0)), 0, "one again, and the number is the same");
    }
}
