//! Which class should give a page to which: by how often a little more memory would have been a hit.
//!
//! ```text
//! gradient of a class = keys per second that are stored again soon after they were evicted (the ghost knows them)
//!                       ──────────────────────────────────────────────────────────────────────────────────────
//!                       pages whose evicted keys the ghost remembers
//!
//! class 3  ▇▇▇▇▇▇▇▇▇  ◀── a page ──  class 9  ▂▂      while the second is below `ratio` times the first
//! ```
//!
//! What the ghost tells of is the next page; the page that a class would lose brings more hits than that, and the more so the
//! fewer it has. A donor's gradient is its own times pages / (pages - 1), as if hits grew with the logarithm of memory, which
//! they about do. Without it classes of two or three pages pass one to each other for ever, and lose items each time.
//!
//! When memory has just become full the ghost has seen little, of one class more than of another. So it is what it has seen
//! that its hits are divided by; and until a quarter of memory has been vacated once, a class of which it has seen less
//! than a tenth gives nothing but what it has free.
//!
//! A class that has lacked no memory since the last look gets no page: the last links of chains that are missed count for
//! their class, too, which may have all that it needs. What they count is what would be lost with their page.
//!
//! Some pages are *gifts*: a page's worth of free chunks, and pages of a class that was not used for much longer than what
//! the other one evicts. They move whatever is missed, and as soon as they are lacked.
//!
//! Pure: samples in, moves out. memcached compares the age of what classes evict instead, which moves memory to large,
//! seldom asked values; what counts is hits per byte.

use std::cmp::Reverse;

use crate::memory::{CLASS_MAX, PAGE_BYTES};

/// What a class looks like now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ClassSample {
    pub(super) class: u8,
    pub(super) pages: u32,
    /// Pages' worth of chunks that are free, beyond what a class keeps ready.
    pub(super) spare_pages: u32,
    /// Nothing is in it.
    pub(super) is_empty: bool,
    /// For how long nothing was stored in it or renewed; 0 if something was hit lately.
    pub(super) idle_s: u32,
    /// For how long the item that it evicted last had not been used.
    pub(super) evicted_idle_s: u64,
    /// Keys that the ghost remembered since start.
    pub(super) missed: u64,
    /// Pages that it is about to get from classes that give them freely.
    pub(super) gained: u32,
    /// Chunks it has had to vacate since start. Says which class may have pages that nobody uses, when nothing is known to be
    /// missed.
    pub(super) vacated: u64,
    /// Stores that it has refused since start.
    pub(super) refused: u64,
    /// Chunks in a page.
    pub(super) per_page: u32,
    /// Bytes of the items that leave with a page, those of chains that go on elsewhere included, about.
    pub(super) bytes_lost: u64,
}

impl ClassSample {
    /// Whether nothing is lost with a page of it, and it does not need that at once.
    fn has_page_free(&self) -> bool {
        self.spare_pages >= SPARE_PAGES
    }

    /// Whether it is better off without its last page. Threads may hold free chunks of a page of an empty class.
    fn is_disused(&self) -> bool {
        self.pages == 1 && (self.is_abandoned() || self.idle_s >= DISUSED_AFTER_S)
    }

    /// Whether nothing is in it, and nothing is on its way into it.
    fn is_abandoned(&self) -> bool {
        self.is_empty && self.idle_s >= IDLE_LEAST_S
    }

    /// Whether all it holds was used much longer ago than what `needy` evicts.
    fn is_idle_beside(&self, needy: &Self) -> bool {
        self.idle_s >= IDLE_LEAST_S && u64::from(self.idle_s) > needy.evicted_idle_s.saturating_mul(IDLE_FACTOR)
    }

    /// Whether it gives a page to `needy` whatever either misses.
    fn gives_freely(&self, needy: &Self) -> bool {
        self.has_page_free() || self.is_abandoned() || self.is_idle_beside(needy)
    }

    /// Pages' worth of chunks that it has vacated: more than that the ghost cannot have seen of it.
    #[expect(clippy::cast_precision_loss, reason = "a share is no exact number")]
    fn seen_pages(&self) -> f64 {
        self.vacated as f64 / f64::from(self.per_page.max(1))
    }
}

/// A page for another class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: u8,
    pub(super) to: u8,
}

/// How eagerly pages move.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// A donor's gradient is below this times the receiver's.
    pub(super) ratio: f64,
    /// Of the rate as it was, so much counts beside the last tick's.
    pub(super) memory: f64,
}

/// Time between two ticks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tick {
    /// Seconds on the store's clock.
    pub(super) now_s: u32,
    pub(super) elapsed_s: f64,
    /// Pages' worth of bytes that were stored meanwhile.
    pub(super) stored_pages: f64,
}

/// What is remembered of a class.
#[derive(Clone, Copy, Debug, Default)]
struct History {
    is_known: bool,
    missed: u64,
    /// By how much it grows per second.
    rate: f64,
    /// Chunks it had vacated and stores it had refused when it was last looked at.
    lacks: Option<u64>,
    /// It has lacked memory since it was looked at before.
    is_lacking: bool,
    /// The most pages it had in this period, and in the one before.
    peak: u32,
    peak_before: u32,
    /// As of the last tick.
    gradient: f64,
}

/// The gradients of all classes.
pub(super) struct Automove {
    classes: Box<[History]>,
    /// Little has been vacated so far: of some classes nothing is known.
    is_learning: bool,
    period_began_s: u32,
    /// Pages that may move because so much was stored.
    credit: f64,
}

/// In a tick at most this share of all pages moves.
const SHARE_PER_TICK: f64 = 0.02;
/// A class keeps half of the pages it had in the last so many seconds (up to twice as many: periods are whole).
const PERIOD_S: u32 = 60;
/// A class whose ghost spans less counts as if it spanned so many pages.
const SPAN_MIN: f64 = 0.25;
/// Until this share of all memory has been vacated …
const LEARNING_SHARE: f64 = 0.25;
/// … a class gives no page before this share of its own has.
const SEEN_LEAST_SHARE: f64 = 0.1;
/// At a time a class gets as many pages that others give freely as are this share of its own, and one: a few may be all it
/// needs, and what is too much would have to go back.
const GAIN_SHARE: u32 = 4;
/// A class gives its pages freely if it was not used for so long …
const IDLE_LEAST_S: u32 = 2;
/// … and for more than so many times as long as what the other one evicts.
const IDLE_FACTOR: u64 = 2;
/// So long nothing happens in a class before its last page goes. A class that is seldom used loses all it has with it.
const DISUSED_AFTER_S: u32 = 300;
/// A class with so many free pages gives before all others. One with a single free page needs none either: between the
/// two, pages would come and go.
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
    /// Takes note of which classes have lacked memory since they were last looked at.
    pub(super) fn note_lacks(&mut self, samples: &[ClassSample]) {
        for sample in samples {
            let history = &mut self.classes[usize::from(sample.class)];
            let lacks = sample.vacated + sample.refused;
            history.is_lacking = history.lacks.replace(lacks).is_some_and(|before| before != lacks);
        }
    }

    /// Takes note of the classes as they are at a tick.
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

    /// The next move of a page that nobody misses. `samples` are changed as if it had moved.
    pub(super) fn next_gift(&mut self, samples: &mut [ClassSample]) -> Option<Move> {
        let to = self.neediest(samples, |needy| needy.gained <= needy.pages / GAIN_SHARE)?;
        let needy = samples[to];
        let from = self.donor_for(samples, to).filter(|from| samples[*from].gives_freely(&needy))?;
        samples[to].gained += 1;
        Some(self.move_page(samples, from, to))
    }

    /// The next move at a tick, if one pays. `samples` are as they were observed, and are changed as if the page had moved.
    pub(super) fn next_move(&mut self, samples: &mut [ClassSample], rule: Rule) -> Option<Move> {
        let to = self.neediest(samples, |_| true)?;
        let from = self.donor_for(samples, to)?;
        if self.credit < 1.0 || self.loss(&samples[from]) >= rule.ratio * self.gradient(&samples[to]) {
            return None;
        }
        self.credit -= 1.0;
        Some(self.move_page(samples, from, to))
    }

    /// Changes what is known of two classes as if a page had moved: with fewer pages the donor will miss more, with more
    /// the receiver less.
    fn move_page(&mut self, samples: &mut [ClassSample], from: usize, to: usize) -> Move {
        let (donor, needy) = (samples[from], samples[to]);
        self.classes[usize::from(donor.class)].gradient *= 1.0 + 1.0 / f64::from(donor.pages);
        self.classes[usize::from(needy.class)].gradient *= 1.0 - 1.0 / f64::from(needy.pages + 1);
        samples[from].spare_pages = donor.spare_pages.saturating_sub(1);
        samples[from].pages -= 1;
        samples[to].pages += 1;
        Move { from: donor.class, to: needy.class }
    }

    /// Of the classes that lack memory, have nothing free and `may_get` a page, the one to which that would bring most.
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

    /// Of the others that may give a page, one that has some free, else one that is idle, else the one that loses least.
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

    /// What it would lose with a page.
    fn loss(&self, sample: &ClassSample) -> f64 {
        self.gradient(sample) * last_page_factor(sample.pages)
    }

    /// Two pages at least, and half of what it lately had, unless nothing is lost. Or the last one, if it is disused. At
    /// first, nothing that is missed by a class that little is known of.
    fn may_give(&self, sample: &ClassSample, needy: &ClassSample) -> bool {
        if sample.pages < 2 || sample.gives_freely(needy) {
            return sample.pages >= 2 || sample.is_disused();
        }
        let history = &self.classes[usize::from(sample.class)];
        let is_seen_enough = sample.seen_pages() >= f64::from(sample.pages) * SEEN_LEAST_SHARE;
        (is_seen_enough || !self.is_learning) && (sample.pages - 1) * 2 >= history.peak.max(history.peak_before)
    }

    /// The class that loses least with a page, for a page that must go whatever it holds. `least` says how many pages
    /// each keeps at least.
    pub(super) fn cheapest_donor(&self, samples: &[ClassSample], least: impl Fn(u8) -> u32) -> Option<u8> {
        let may_give = |sample: &&ClassSample| sample.pages > least(sample.class) || sample.is_abandoned();
        let cost = |sample: &ClassSample| {
            let history = &self.classes[usize::from(sample.class)];
            let gradient = if sample.spare_pages > 0 || sample.is_abandoned() { -1.0 } else { history.gradient };
            // Of two that nobody misses, the one that loses fewer bytes, by pages: a chain leaves as a whole, and may have
            // been what the page was needed for. Then the one with more pages.
            (gradient, sample.bytes_lost / u64::from(PAGE_BYTES), Reverse(sample.pages))
        };
        let cheapest = samples.iter().filter(may_give).min_by(|one, other| {
            let (one, other) = (cost(one), cost(other));
            one.0.total_cmp(&other.0).then((one.1, one.2).cmp(&(other.1, other.2)))
        })?;
        Some(cheapest.class)
    }
}

/// How much more the last of so many pages brings than one more would.
fn last_page_factor(pages: u32) -> f64 {
    f64::from(pages) / f64::from(pages.saturating_sub(1).max(1))
}

#[cfg(test)]
mod tests {
    use super::{Automove, ClassSample, DISUSED_AFTER_S, Move, Rule, Tick};

    const RULE: Rule = Rule { ratio: 0.8, memory: 0.8 };

    /// Classes by pages and the ghost hits each has per tick and page.
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
                // Enough for the ghost to have seen all of it.
                vacated: 10_000,
                ..ClassSample::default()
            };
            let mut world = Self {
                automove: Automove::default(),
                samples: classes.iter().enumerate().map(sample).collect(),
                hits_per_tick: classes.iter().map(|(_, hits)| *hits).collect(),
                now_s: 2,
            };
            // The first look only learns where the counters stand.
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
        // Class 2 did not evict in this tick. And yet it gives nothing: with its page 33 times as many chains would go.
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
    fn a_page_of_few_is_worth_more_than_the_ghost_tells() {
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
        assert_eq!(world.tick(0.0), [Move { from: 2, to: 1 }], "nobody stores in the other one");
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
        // Two periods later, what it has is half of nothing it had.
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
    fn free_pages_go_first_and_who_has_them_needs_none() {
        let mut world = World::new(&[(100, 1000), (100, 5000), (100, 0)]);
        world.samples[1].spare_pages = 3;
        let moves = world.tick(0.25);
        assert_eq!(moves, [Move { from: 2, to: 1 }, Move { from: 2, to: 1 }]);
    }

    #[test]
    fn pages_that_nobody_uses_go_to_who_evicts_even_if_nothing_is_missed() {
        let mut world = World::new(&[(100, 0), (100, 0), (100, 0)]);
        world.samples[2].spare_pages = 3;
        assert_eq!(world.tick(2.0), [], "nobody evicts");
        world.samples[1].vacated = 5;
        assert_eq!(world.tick(0.0), [Move { from: 3, to: 2 }, Move { from: 3, to: 2 }]);
        assert_eq!(world.tick(9.0), [], "one is left, and nobody has evicted since");
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
    fn a_class_that_was_not_used_for_much_longer_than_what_another_evicts_gives_freely() {
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
    fn a_page_that_must_go_comes_from_who_misses_it_least() {
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
    fn a_page_that_must_go_comes_from_a_class_without_long_chains_if_nobody_misses_either() {
        let mut world = World::new(&[(10, 0), (60, 0), (20, 0)]);
        world.samples[0].bytes_lost = 1_000_000;
        world.samples[1].bytes_lost = 8_000_000;
        world.samples[2].bytes_lost = 900_000;
        world.observe(0.0);
        let donor = |world: &World, least: u32| world.automove.cheapest_donor(&world.samples, |_| least);
        assert_eq!(donor(&world, 1), Some(3), "about a page each: the one with more of them");
        assert_eq!(donor(&world, 20), Some(2), "no other has so many");
    }
}
