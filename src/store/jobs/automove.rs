//! Decides which class gives a page to which. It compares how often a little more memory would have made a hit.
//!
//! ```text
//! gradient of a class = keys per second that are stored again soon after their eviction (the ghost knows them)
//!                       ──────────────────────────────────────────────────────────────────────────────────────
//!                       pages whose evicted keys the ghost remembers
//!
//! class 3  ▇▇▇▇▇▇▇▇▇  ◀── a page ──  class 9  ▂▂      while the second is below `ratio` times the first
//! ```
//!
//! The ghost measures the value of one more page. The last page of a class brings more hits than that, above
//! all if the class has few pages. So the loss of a donor is its gradient times pages / (pages - 1). This
//! assumes that hits grow with the logarithm of memory, which is about true. Without this factor, classes of
//! two or three pages exchange pages forever, and lose items each time.
//!
//! When memory has just become full, the ghost has seen little, and more of some classes than of others. So the
//! hits of a class are divided by what the ghost has seen of it. At first, a class of which the ghost has seen
//! less than a tenth gives only its free pages. This lasts until a quarter of memory has been vacated once.
//!
//! A class that has lacked no memory since the last comparison gets no page. Missed chains also count as misses
//! for the class of their last link, which may have enough memory. These misses count as a loss when that class
//! is the donor.
//!
//! Some pages are *gifts*. A page's worth of free chunks is one. So is a page of a class that was not used for
//! much longer than the idle time of what the receiver evicts. Gifts move at once when a class lacks memory,
//! whatever the misses are.
//!
//! This module is pure: samples in, moves out. memcached compares the age of what classes evict instead, which
//! moves memory to large, seldom read values. Hits per byte are what counts.

use std::cmp::Reverse;

use crate::memory::{CLASS_MAX, PAGE_BYTES};

/// State of a class at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClassSample {
    pub(super) class: u8,
    pub(super) pages: u32,
    /// Pages' worth of free chunks, without the class's reserve.
    pub(super) spare_pages: u32,
    /// Whether the class holds no item.
    pub(super) is_empty: bool,
    /// Seconds since the last store or touch in the class; 0 if there was a hit lately.
    pub(super) idle_s: u32,
    /// Seconds for which the last evicted item had not been used.
    pub(super) evicted_idle_s: u64,
    /// Ghost hits since start.
    pub(super) missed: u64,
    /// Pages that other classes are about to give to it freely.
    pub(super) gained: u32,
    /// Chunks that it had to vacate since start. Shows which classes may have unused pages when no misses are
    /// known.
    pub(super) vacated: u64,
    /// Stores that it refused since start.
    pub(super) refused: u64,
    /// Chunks per page.
    pub(super) per_page: u32,
    /// Approximate bytes of the items that leave with a page, including parts of chains in other pages.
    pub(super) bytes_lost: u64,
}

impl ClassSample {
    /// Whether a page can leave without any loss, and the class does not need it at once.
    fn has_page_free(&self) -> bool {
        self.spare_pages >= SPARE_PAGES
    }

    /// Whether the class should lose its last page. Threads may hold free chunks of a page of an empty class.
    fn is_disused(&self) -> bool {
        self.pages == 1 && (self.is_abandoned() || self.idle_s >= DISUSED_AFTER_S)
    }

    /// Whether the class is empty and no item is about to enter it.
    fn is_abandoned(&self) -> bool {
        self.is_empty && self.idle_s >= IDLE_LEAST_S
    }

    /// Whether everything in it was last used much longer ago than what `needy` evicts.
    fn is_idle_beside(&self, needy: &Self) -> bool {
        self.idle_s >= IDLE_LEAST_S && u64::from(self.idle_s) > needy.evicted_idle_s.saturating_mul(IDLE_FACTOR)
    }

    /// Whether it gives a page to `needy` whatever the misses of both are.
    fn gives_unconditionally(&self, needy: &Self) -> bool {
        self.has_page_free() || self.is_abandoned() || self.is_idle_beside(needy)
    }

    /// Pages' worth of chunks that it has vacated: an upper bound of what the ghost has seen of it.
    #[expect(clippy::cast_precision_loss, reason = "a share is no exact number")]
    fn seen_pages(&self) -> f64 {
        self.vacated as f64 / f64::from(self.per_page.max(1))
    }
}

/// Moves a page between two classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: u8,
    pub(super) to: u8,
}

/// How eagerly pages move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// A donor's loss must be below this ratio of the receiver's gradient.
    pub(super) ratio: f64,
    /// Weight of the previous rate in the moving average; the last tick has the rest.
    pub(super) memory: f64,
}

/// Time between two ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick {
    /// Seconds of the store's clock.
    pub(super) now_s: u32,
    pub(super) elapsed_s: f64,
    /// Pages' worth of bytes that were stored since the last tick.
    pub(super) stored_pages: f64,
}

/// What is remembered of a class.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    is_known: bool,
    missed: u64,
    /// Ghost hits per second, averaged.
    rate: f64,
    /// Chunks vacated and stores refused, as of the last look.
    lacks: Option<u64>,
    /// Whether the class lacked memory between the last two looks.
    is_lacking: bool,
    /// The most pages that it had in this period and in the previous one.
    peak: u32,
    peak_before: u32,
    /// As of the last tick.
    gradient: f64,
}

/// The gradients of all classes.
pub(super) struct Automove {
    classes: Box<[History]>,
    /// Little memory has been vacated so far, so nothing is known of some classes.
    is_learning: bool,
    period_began_s: u32,
    /// Pages that may move. Stored bytes add to it.
    credit: f64,
}

/// At most this share of all pages moves per tick.
const SHARE_PER_TICK: f64 = 0.02;
/// A class keeps half of the peak of its pages in the last one to two periods of this length.
const PERIOD_S: u32 = 60;
/// Least span of the ghost, in pages, that a gradient is divided by.
const SPAN_MIN: f64 = 0.25;
/// Until this share of all memory has been vacated …
const LEARNING_SHARE: f64 = 0.25;
/// … a class gives no page before this share of its own memory has been vacated.
const SEEN_LEAST_SHARE: f64 = 0.1;
/// A class gets at most pages / `GAIN_SHARE` + 1 gifts at a time. A few may be all it needs, and surplus pages
/// would have to move back.
const GAIN_SHARE: u32 = 4;
/// A class gives its pages freely if it was not used for this long …
const IDLE_LEAST_S: u32 = 2;
/// … and for this many times as long as what the receiver evicts.
const IDLE_FACTOR: u64 = 2;
/// Idle seconds after which the last page of a class leaves. A class that is seldom used loses all its items
/// with that page.
const DISUSED_AFTER_S: u32 = 300;
/// A class with at least this many free pages gives before all others. A class with one free page needs no page
/// either. The gap between the two keeps pages from moving back and forth.
const SPARE_PAGES: u32 = 2;

impl Default for Automove {
    fn default() -> Self {
        Self {
            classes: vec![History::default(); usize::from(CLASS_MAX) + 1].into_boxed_slice(),
            is_learning: true,
            period_began_s: 0,
            credit: 0.0,
        }
    }
}

impl Automove {
    /// Records which classes lacked memory since the last look.
    pub(super) fn note_lacks(&mut self, samples: &[ClassSample]) {
        for sample in samples {
            let history = &mut self.classes[usize::from(sample.class)];
            let lacks = sample.vacated + sample.refused;
            history.is_lacking = history.lacks.replace(lacks).is_some_and(|before| before != lacks);
        }
    }

    /// Records the state of the classes at a tick.
    pub(super) fn observe(&mut self, samples: &[ClassSample], tick: Tick, rule: Rule) {
        let is_new_period = tick.now_s.wrapping_sub(self.period_began_s) >= PERIOD_S;
        if is_new_period {
            self.period_began_s = tick.now_s;
        }
        for sample in samples {
            let history = &mut self.classes[usize::from(sample.class)];
            if is_new_period {
                history.peak_before = std::mem::take(&mut history.peak);
            }
            history.peak = history.peak.max(sample.pages);
            let hits = if history.is_known { sample.missed.saturating_sub(history.missed) } else { 0 };
            history.is_known = true;
            history.missed = sample.missed;
            #[expect(clippy::cast_precision_loss, reason = "a rate is no exact number")]
            let rate = hits as f64 / tick.elapsed_s.max(f64::MIN_POSITIVE);
            history.rate = rule.memory * history.rate + (1.0 - rule.memory) * rate;
            let span = f64::from(sample.pages.saturating_sub(sample.spare_pages)).min(sample.seen_pages());
            history.gradient = history.rate / span.max(SPAN_MIN);
        }
        let pages: f64 = samples.iter().map(|sample| f64::from(sample.pages)).sum();
        self.is_learning = samples.iter().map(ClassSample::seen_pages).sum::<f64>() < pages * LEARNING_SHARE;
        let most = (pages * SHARE_PER_TICK).max(1.0);
        self.credit = (self.credit + tick.stored_pages).min(most);
    }

    /// The next gift, if there is one. Changes `samples` as if the page had moved.
    pub(super) fn next_gift(&mut self, samples: &mut [ClassSample]) -> Option<Move> {
        let to = self.neediest(samples, |needy| needy.gained <= needy.pages / GAIN_SHARE)?;
        let needy = samples[to];
        let from = self.donor_for(samples, to).filter(|from| samples[*from].gives_unconditionally(&needy))?;
        samples[to].gained += 1;
        Some(self.move_page(samples, from, to))
    }

    /// The next move at a tick, if it pays. `samples` must be as observed; changes them as if the page had
    /// moved.
    pub(super) fn next_move(&mut self, samples: &mut [ClassSample], rule: Rule) -> Option<Move> {
        let to = self.neediest(samples, |_| true)?;
        let from = self.donor_for(samples, to)?;
        if self.credit < 1.0 || self.loss(&samples[from]) >= rule.ratio * self.gradient(&samples[to]) {
            return None;
        }
        self.credit -= 1.0;
        Some(self.move_page(samples, from, to))
    }

    /// Updates the gradients as if a page had moved: with fewer pages the donor misses more, with more pages
    /// the receiver misses less.
    fn move_page(&mut self, samples: &mut [ClassSample], from: usize, to: usize) -> Move {
        let (donor, needy) = (samples[from], samples[to]);
        self.classes[usize::from(donor.class)].gradient *= 1.0 + 1.0 / f64::from(donor.pages);
        self.classes[usize::from(needy.class)].gradient *= 1.0 - 1.0 / f64::from(needy.pages + 1);
        samples[from].spare_pages = donor.spare_pages.saturating_sub(1);
        samples[from].pages -= 1;
        samples[to].pages += 1;
        Move { from: donor.class, to: needy.class }
    }

    /// The class with the highest gradient among those that lack memory, have no free page and `may_get` one.
    fn neediest(&self, samples: &[ClassSample], may_get: impl Fn(&ClassSample) -> bool) -> Option<usize> {
        let is_needy = |sample: &ClassSample| {
            let is_lacking = self.classes[usize::from(sample.class)].is_lacking;
            is_lacking && sample.spare_pages == 0 && sample.pages > 0 && may_get(sample)
        };
        let needy = samples.iter().enumerate().filter(|(_, sample)| is_needy(sample));
        let less = |one: &ClassSample, other: &ClassSample| {
            self.gradient(one).total_cmp(&self.gradient(other)).then(other.gained.cmp(&one.gained))
        };
        needy.max_by(|(_, one), (_, other)| less(one, other)).map(|(at, _)| at)
    }

    /// The donor for a class: first a class with free pages, then an idle class, then the class that loses
    /// least. Only classes that may give a page count.
    fn donor_for(&self, samples: &[ClassSample], to: usize) -> Option<usize> {
        let needy = &samples[to];
        let donors = samples.iter().enumerate().filter(|(at, sample)| *at != to && self.may_give(sample, needy));
        let rank = |sample: &ClassSample| (!sample.has_page_free(), !sample.is_idle_beside(needy));
        let cheaper = |one: &ClassSample, other: &ClassSample| {
            rank(one).cmp(&rank(other)).then(self.loss(one).total_cmp(&self.loss(other)))
        };
        donors.min_by(|(_, one), (_, other)| cheaper(one, other)).map(|(at, _)| at)
    }

    fn gradient(&self, sample: &ClassSample) -> f64 {
        self.classes[usize::from(sample.class)].gradient
    }

    /// Expected loss of hits when a page leaves the class.
    fn loss(&self, sample: &ClassSample) -> f64 {
        self.gradient(sample) * last_page_factor(sample.pages)
    }

    /// A donor keeps one page, and half of its recent peak unless nothing is lost. A disused class gives its
    /// last page, too. While little memory has been vacated, a class that the ghost has hardly seen gives only
    /// gifts.
    fn may_give(&self, sample: &ClassSample, needy: &ClassSample) -> bool {
        if sample.pages < 2 || sample.gives_unconditionally(needy) {
            return sample.pages >= 2 || sample.is_disused();
        }
        let history = &self.classes[usize::from(sample.class)];
        let is_seen_enough = sample.seen_pages() >= f64::from(sample.pages) * SEEN_LEAST_SHARE;
        (is_seen_enough || !self.is_learning) && (sample.pages - 1) * 2 >= history.peak.max(history.peak_before)
    }

    /// The class that loses least by giving a page, when a page must leave in any case. `least(class)` is the
    /// number of pages that a class keeps.
    pub(super) fn cheapest_donor(&self, samples: &[ClassSample], least: impl Fn(u8) -> u32) -> Option<u8> {
        let may_give = |sample: &&ClassSample| sample.pages > least(sample.class) || sample.is_abandoned();
        let cost = |sample: &ClassSample| {
            let history = &self.classes[usize::from(sample.class)];
            let gradient = if sample.spare_pages > 0 || sample.is_abandoned() { -1.0 } else { history.gradient };
            // Among classes without misses: fewest lost bytes, in pages, then most pages. A chain leaves as a
            // whole, and may be what the page was needed for.
            (gradient, sample.bytes_lost / u64::from(PAGE_BYTES), Reverse(sample.pages))
        };
        let cheapest = samples.iter().filter(may_give).min_by(|one, other| {
            let (one, other) = (cost(one), cost(other));
            one.0.total_cmp(&other.0).then((one.1, one.2).cmp(&(other.1, other.2)))
        })?;
        Some(cheapest.class)
    }
}

/// The value of the last of `pages` pages relative to one more page.
fn last_page_factor(pages: u32) -> f64 {
    f64::from(pages) / f64::from(pages.saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::{Automove, ClassSample, DISUSED_AFTER_S, Move, Rule, Tick};

    const RULE: Rule = Rule { ratio: 0.8, memory: 0.8 };

    /// Classes by pages, and the ghost hits of each per tick and page.
    struct World {
        automove: Automove,
        samples: Vec<ClassSample>,
        hits_per_tick: Vec<u64>,
        now_s: u32,
    }

    impl World {
        fn new(classes: &[(u32, u64)]) -> Self {
            let sample = |(index, (pages, _)): (usize, &(u32, u64))| ClassSample {
                class: u8::try_from(index + 1).unwrap(),
                pages: *pages,
                per_page: 10,
                // Enough for the ghost to have seen the whole class.
                vacated: 10_000,
                ..ClassSample::default()
            };
            let mut world = Self {
                automove: Automove::default(),
                samples: classes.iter().enumerate().map(sample).collect(),
                hits_per_tick: classes.iter().map(|(_, hits)| *hits).collect(),
                now_s: 2,
            };
            // The first look only reads the counters.
            world.observe(0.0);
            world
        }

        fn observe(&mut self, stored_pages: f64) {
            for (sample, hits) in self.samples.iter_mut().zip(&self.hits_per_tick) {
                sample.missed += hits;
                sample.vacated += hits;
            }
            self.automove.note_lacks(&self.samples);
            self.automove.observe(&self.samples, Tick { now_s: self.now_s, elapsed_s: 0.25, stored_pages }, RULE);
        }

        fn tick(&mut self, stored_pages: f64) -> Vec<Move> {
            self.observe(stored_pages);
            let mut moves: Vec<Move> = std::iter::from_fn(|| self.automove.next_gift(&mut self.samples)).collect();
            moves.extend(std::iter::from_fn(|| self.automove.next_move(&mut self.samples, RULE)));
            moves
        }
    }

    #[test]
    fn a_page_goes_where_it_would_have_brought_more_hits() {
        let mut world = World::new(&[(100, 10_000), (100, 100), (100, 5_000)]);
        let moves = world.tick(100.0);
        assert_eq!(moves, [Move { from: 2, to: 1 }; 6], "2 % of 300 pages");
    }

    #[test]
    fn last_links_of_missed_chains_get_a_page_only_where_they_are_what_is_lacking() {
        let mut world = World::new(&[(100, 1000), (3, 1000)]);
        world.samples[1].vacated -= 1000;
        world.observe(100.0);
        // Class 2 did not evict in this tick, yet it gives no page: 33 times as many chains would leave with
        // it.
        assert_eq!(world.automove.next_move(&mut world.samples, RULE), None);
        assert_eq!(world.tick(0.0)[..1], [Move { from: 1, to: 2 }], "now it does");
    }

    #[test]
    fn classes_that_differ_by_less_than_the_ratio_leave_each_other_alone() {
        let mut world = World::new(&[(100, 1000), (100, 820)]);
        assert_eq!(world.tick(100.0), []);
        let mut world = World::new(&[(100, 1000), (100, 780)]);
        assert!(!world.tick(100.0).is_empty());
    }

    #[test]
    fn a_page_of_few_is_worth_more_than_its_ghost_hits() {
        let mut world = World::new(&[(3, 300), (2, 120)]);
        assert_eq!(world.tick(100.0), [], "100 a page, and twice 60 with the last page but one");
        let mut world = World::new(&[(3, 300), (2, 60)]);
        assert_eq!(world.tick(100.0), [Move { from: 2, to: 1 }]);
    }

    #[test]
    fn a_small_class_that_would_lose_too_much_leaves_the_giving_to_another() {
        let mut world = World::new(&[(100, 10_000), (2, 100), (100, 6000)]);
        assert_eq!(
            world.tick(1.0),
            [Move { from: 3, to: 1 }],
            "twice 50 with a page of two, 60.6 with one of a hundred"
        );
    }

    #[test]
    fn misses_are_divided_by_what_the_ghost_has_seen() {
        let mut world = World::new(&[(100, 0), (100, 0)]);
        world.samples.iter_mut().for_each(|sample| (sample.vacated, sample.per_page) = (0, 1000));
        world.observe(0.0);
        world.samples[0].vacated += 100_000;
        world.samples[1].vacated += 20_000;
        world.hits_per_tick = vec![2000, 1000];
        assert_eq!(world.tick(1.0), [Move { from: 1, to: 2 }], "1000 for 20 pages are more than 2000 for 100");
    }

    #[test]
    fn a_class_that_little_is_known_of_gives_nothing_at_first() {
        let mut world = World::new(&[(100, 0), (100, 0)]);
        world.samples.iter_mut().for_each(|sample| (sample.vacated, sample.per_page) = (0, 1000));
        world.observe(0.0);
        world.samples[0].vacated += 40_000;
        world.hits_per_tick = vec![1000, 0];
        assert_eq!(world.tick(1.0), [], "40 of 200 pages have been vacated");
        world.samples[0].vacated += 10_000;
        assert_eq!(world.tick(0.0), [Move { from: 2, to: 1 }], "nothing is stored in the other one");
    }

    #[test]
    fn no_more_moves_than_pages_were_filled() {
        let mut world = World::new(&[(100, 1000), (100, 0)]);
        assert_eq!(world.tick(0.4), []);
        assert_eq!(world.tick(0.4), []);
        assert_eq!(world.tick(0.4).len(), 1, "what was too little for a page counts on");
        assert_eq!(world.tick(0.0), [], "an idle server moves nothing");
    }

    #[test]
    fn no_class_falls_below_half_its_pages_within_a_minute() {
        let mut world = World::new(&[(100, 10_000), (9, 0)]);
        let mut moved = 0;
        for _ in 0..100 {
            moved += world.tick(10.0).len();
        }
        assert_eq!((moved, world.samples[1].pages), (4, 5));
        // Two periods later, its pages are no longer limited by an old peak.
        for _ in 0..2 {
            world.now_s += 60;
            world.observe(0.0);
        }
        moved += world.tick(10.0).len();
        assert_eq!(moved, 6);
    }

    #[test]
    fn a_class_keeps_its_last_page_as_long_as_it_is_used() {
        let mut world = World::new(&[(10, 10_000), (1, 0)]);
        assert_eq!(world.tick(10.0), []);
        world.samples[1].idle_s = DISUSED_AFTER_S;
        assert_eq!(world.tick(10.0), [Move { from: 2, to: 1 }], "and only once");
    }

    #[test]
    fn free_pages_go_first_and_a_class_that_has_them_gets_none() {
        let mut world = World::new(&[(100, 1000), (100, 5000), (100, 0)]);
        world.samples[1].spare_pages = 3;
        let moves = world.tick(0.25);
        assert_eq!(moves, [Move { from: 2, to: 1 }, Move { from: 2, to: 1 }]);
    }

    #[test]
    fn unused_pages_go_to_a_class_that_evicts_even_if_nothing_is_missed() {
        let mut world = World::new(&[(100, 0), (100, 0), (100, 0)]);
        world.samples[2].spare_pages = 3;
        assert_eq!(world.tick(2.0), [], "no class evicts");
        world.samples[1].vacated = 5;
        assert_eq!(world.tick(0.0), [Move { from: 3, to: 2 }, Move { from: 3, to: 2 }]);
        assert_eq!(world.tick(9.0), [], "one is left, and no class has evicted since");
    }

    #[test]
    fn a_class_that_refuses_gets_free_pages_as_one_that_evicts() {
        let mut world = World::new(&[(2, 0), (100, 0)]);
        world.samples[1].spare_pages = 3;
        assert_eq!(world.tick(9.0), []);
        world.samples[0].refused = 1;
        assert_eq!(world.tick(0.0), [Move { from: 2, to: 1 }], "though nothing was stored meanwhile");
    }

    #[test]
    fn a_class_that_was_not_used_for_much_longer_than_what_another_evicts_gives_unconditionally() {
        let mut world = World::new(&[(8, 0), (100, 0), (2, 0)]);
        (world.samples[1].idle_s, world.samples[2].idle_s) = (10, 1);
        world.samples[0].vacated += 5;
        world.samples[0].evicted_idle_s = 5;
        assert_eq!(world.tick(9.0), [], "not for more than twice as long");
        world.samples[0].vacated += 5;
        world.samples[0].evicted_idle_s = 4;
        assert_eq!(world.tick(0.0), [Move { from: 2, to: 1 }; 3], "a quarter of what it has, and one");
        for _ in 0..30 {
            world.samples[0].gained = 0;
            world.samples[0].vacated += 5;
            world.tick(0.0);
        }
        assert_eq!(world.samples.iter().map(|sample| sample.pages).collect::<Vec<_>>(), [107, 1, 2]);
    }

    #[test]
    fn a_small_class_gets_free_pages_one_by_one() {
        let mut world = World::new(&[(2, 0), (100, 0)]);
        world.samples[1].spare_pages = 30;
        world.samples[0].vacated = 5;
        assert_eq!(world.tick(9.0), [Move { from: 2, to: 1 }], "it may be all that it needs");
    }

    #[test]
    fn a_page_that_must_go_comes_from_the_class_that_misses_it_least() {
        let mut world = World::new(&[(10, 100), (10, 10), (3, 0), (1, 0)]);
        world.observe(0.0);
        let donor = |world: &World, least: u32| world.automove.cheapest_donor(&world.samples, |_| least);
        assert_eq!(donor(&world, 1), Some(3));
        assert_eq!(donor(&world, 3), Some(2));
        assert_eq!(donor(&world, 10), None);
        world.samples[0].spare_pages = 1;
        assert_eq!(donor(&world, 1), Some(1), "a free page costs nothing");
    }

    #[test]
    fn a_page_that_must_go_comes_from_a_class_without_long_chains_if_no_class_misses_one() {
        let mut world = World::new(&[(10, 0), (60, 0), (20, 0)]);
        world.samples[0].bytes_lost = 1_000_000;
        world.samples[1].bytes_lost = 8_000_000;
        world.samples[2].bytes_lost = 900_000;
        world.observe(0.0);
        let donor = |world: &World, least: u32| world.automove.cheapest_donor(&world.samples, |_| least);
        assert_eq!(donor(&world, 1), Some(3), "about a page each: the one with more of them");
        assert_eq!(donor(&world, 20), Some(2), "no other class has that many");
    }
}
