//! Which chunk size is missing most: classes fitted to the sizes that are really stored.
//!
//! ```text
//! items by size        ▂  █▂         ▁▂▂▁
//! chunk sizes       │      ╎   │          │      each item loses the way to the next line on its right
//!                          new                   saves the most: many items, a long way
//! ```
//!
//! Pure. `store/jobs/fitter.rs` asks it while memory fills up.

use super::size_class::{CHUNK_ALIGN, CHUNK_MIN, PAGE_BYTES, SizeClasses};

/// How many chunks must hold how much, in steps of [`CHUNK_ALIGN`].
pub struct ChunkDemand {
    by_units: Vec<u64>,
    /// What last links would save if they could be half as small, in bytes. May wrap below zero while it is summed up.
    saved_by_halving: u64,
}

/// A class that should be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassFit {
    /// Its chunk size.
    pub chunk_bytes: u32,
    /// What it saves of the memory that the items take which it would hold.
    pub saved_bytes: u64,
}

/// Memory is looked at again when it has grown by this share, so that classes come before most of it is cut up.
const GROWTH_SHARE: u64 = 32;
/// Less than this share of the limit says nothing yet about what will fill the rest.
const SAMPLE_SHARE: u64 = 128;
/// A class must save this share of memory: with all ids in use the sizes lose about so much in sum.
const SAVED_SHARE: u64 = 2048;
/// And, once the limit is reached, it must save this many pages: about one is lost to its last, half full one and to
/// what workers hold ready.
const SAVED_PAGES: u64 = 1;
/// No class is added when this much of the limit is in use: what is cut up already stays so.
const USED_PERCENT_MAX: u64 = 75;

/// Costs are counted in parts of a byte.
const COST_SCALE: u64 = 256;

/// When the first look is worth while, in pages of `limit_pages`.
pub fn first_look(limit_pages: u64) -> u64 {
    (limit_pages / SAMPLE_SHARE).max(1)
}

/// When the next look is worth while, if the last was at `pages`.
pub fn next_look(pages: u64) -> u64 {
    pages + 1 + pages / GROWTH_SHARE
}

impl ChunkDemand {
    /// No chunks, for sizes up to `chunk_max`.
    pub fn new(chunk_max: u32) -> Self {
        Self { by_units: vec![0; (chunk_max / CHUNK_ALIGN) as usize + 1], saved_by_halving: 0 }
    }

    /// Adds `count` chunks that hold `bytes` each. The count may wrap below zero, as long as the sums do not.
    pub fn add(&mut self, bytes: u32, count: u64) {
        if let Some(sum) = self.by_units.get_mut(bytes.div_ceil(CHUNK_ALIGN) as usize) {
            *sum = sum.wrapping_add(count);
        }
    }

    /// Adds `count` last links that hold `bytes` each, with their headers.
    pub fn add_links(&mut self, classes: &SizeClasses, bytes: u32, count: u64) {
        let least = classes.link_least();
        self.add(bytes.max(least), count);
        let [now, then] = [least, least / 2].map(|least| classes.class_for(bytes.max(least)).unwrap_or_default());
        let saved_bytes = u64::from(classes.chunk_bytes(now) - classes.chunk_bytes(then));
        self.saved_by_halving = self.saved_by_halving.wrapping_add(saved_bytes.wrapping_mul(count));
    }

    /// Whether last links should be half as small ([`SizeClasses::halve_link_least`]): that must save more than a nearly
    /// empty page for each class that it opens.
    pub fn wants_smaller_links(&self, classes: &SizeClasses, pages: u64, limit_pages: u64) -> bool {
        let opened = links_open(classes);
        is_time(pages, limit_pages) && is_worth(self.saved_by_halving, opened, pages, limit_pages)
    }

    /// The class that saves most, if that is worth a class when `pages` of at most `limit_pages` are in use.
    pub fn missing_class(&self, classes: &SizeClasses, pages: u64, limit_pages: u64) -> Option<ClassFit> {
        if !is_time(pages, limit_pages) {
            return None;
        }
        self.best_class(classes).filter(|best| is_worth(best.saved_bytes, 1, pages, limit_pages))
    }

    fn best_class(&self, classes: &SizeClasses) -> Option<ClassFit> {
        let (mut class, mut held, mut old_cost) = (0, 0u64, 0);
        let mut best: Option<ClassFit> = None;
        for (units, count) in (0u32..).zip(&self.by_units) {
            let chunk_bytes = units * CHUNK_ALIGN;
            let current = classes.class_for(chunk_bytes)?;
            if current != class {
                (class, held, old_cost) = (current, 0, cost(classes.chunk_bytes(current)));
            }
            held += at_least_none(*count);
            if chunk_bytes < CHUNK_MIN {
                continue;
            }
            let saved_bytes = held.saturating_mul(old_cost - cost(chunk_bytes)) / COST_SCALE;
            // Of two sizes that save the same the larger one serves more.
            if saved_bytes > 0 && best.is_none_or(|best| saved_bytes >= best.saved_bytes) {
                best = Some(ClassFit { chunk_bytes, saved_bytes });
            }
        }
        best
    }
}

/// Whether so much memory is in use that it says something, and so little that something can be done.
fn is_time(pages: u64, limit_pages: u64) -> bool {
    pages >= first_look(limit_pages) && pages * 100 < limit_pages * USED_PERCENT_MAX
}

/// Whether `count` classes more are worth the bytes that they would save now.
fn is_worth(saved_bytes: u64, count: u64, pages: u64, limit_pages: u64) -> bool {
    // The pages to come are taken to hold what those in use hold.
    let saved_later = at_least_none(saved_bytes).saturating_mul(limit_pages) / pages.max(1);
    let least = (limit_pages / SAVED_SHARE).max(SAVED_PAGES) * u64::from(PAGE_BYTES);
    count > 0 && saved_later >= least * count
}

/// How many classes last links would open if they could be half as small.
fn links_open(classes: &SizeClasses) -> u64 {
    let least = classes.link_least();
    let opened = |class: &u8| (least / 2..least).contains(&classes.chunk_bytes(*class));
    classes.ids().filter(opened).count() as u64
}

/// Threads are read one after the other: there may seem to be less than none.
fn at_least_none(count: u64) -> u64 {
    if count > u64::MAX / 2 { 0 } else { count }
}

/// What a chunk costs, its share of the page's lost rest included, in parts of a byte.
fn cost(chunk_bytes: u32) -> u64 {
    u64::from(PAGE_BYTES) * COST_SCALE / u64::from(PAGE_BYTES / chunk_bytes)
}

#[cfg(test)]
mod tests {
    use super::super::size_class::ClassPlan;
    use super::{ChunkDemand, SizeClasses, first_look, next_look};

    const LIMIT_PAGES: u64 = 1024;

    fn classes() -> SizeClasses {
        SizeClasses::build(&ClassPlan { first: 64, growth_factor: 1.25, chunk_max: 16384, explicit: Vec::new() })
    }

    fn demand(sizes: &[(u32, u64)]) -> ChunkDemand {
        let mut demand = ChunkDemand::new(16384);
        sizes.iter().for_each(|(bytes, count)| demand.add(*bytes, *count));
        demand
    }

    #[test]
    fn items_of_one_size_get_chunks_of_their_size() {
        let fit = demand(&[(405, 20_000)]).missing_class(&classes(), 16, LIMIT_PAGES).unwrap();
        assert_eq!(fit.chunk_bytes, 408);
        assert!((20_000 * 31..20_000 * 34).contains(&fit.saved_bytes), "440 less 408 each, {}", fit.saved_bytes);
    }

    #[test]
    fn items_that_fill_their_chunks_get_no_class() {
        assert_eq!(demand(&[(440, 20_000), (64, 1_000_000)]).missing_class(&classes(), 16, LIMIT_PAGES), None);
        assert_eq!(demand(&[]).missing_class(&classes(), 16, LIMIT_PAGES), None);
    }

    #[test]
    fn the_class_that_saves_most_comes_first_and_none_that_saves_less_than_a_page() {
        let demand = demand(&[(370, 20_000), (300, 30_000), (1300, 1)]);
        let classes = classes();
        let mut added = Vec::new();
        while let Some(fit) = demand.missing_class(&classes, 16, LIMIT_PAGES) {
            classes.add(fit.chunk_bytes).unwrap();
            added.push(fit.chunk_bytes);
        }
        assert_eq!(added, [304, 376], "30,000 times 48 bytes, 20,000 times 64, one time some more");
    }

    #[test]
    fn between_two_classes_the_middle_of_a_crowd_is_split_off() {
        let crowd: Vec<(u32, u64)> = (353..=440).map(|bytes| (bytes, 300)).collect();
        let fit = demand(&crowd).missing_class(&classes(), 16, LIMIT_PAGES).unwrap();
        assert!((392..=400).contains(&fit.chunk_bytes), "{}", fit.chunk_bytes);
    }

    #[test]
    fn a_size_that_divides_the_page_badly_gets_the_larger_chunk_at_the_same_cost() {
        let fit = demand(&[(9000, 1000)]).missing_class(&classes(), 16, LIMIT_PAGES).unwrap();
        assert_eq!(fit.chunk_bytes, 9032, "116 chunks to a page, as with 9000");
    }

    #[test]
    fn neither_too_little_nor_too_late() {
        let demand = demand(&[(405, 20_000)]);
        let asked_at = |pages| demand.missing_class(&classes(), pages, LIMIT_PAGES).is_some();
        assert!(!asked_at(first_look(LIMIT_PAGES) - 1));
        assert!(asked_at(first_look(LIMIT_PAGES)));
        assert!(!asked_at(LIMIT_PAGES));
        assert!(next_look(0) > 0);
    }

    #[test]
    fn last_links_become_smaller_when_that_saves_more_than_the_classes_it_opens() {
        let classes = classes();
        let wants = |links: u64| {
            let mut demand = ChunkDemand::new(16384);
            demand.add_links(&classes, 30, links);
            demand.wants_smaller_links(&classes, 16, LIMIT_PAGES)
        };
        // 4224 bytes become 2152 for each, sixty-four times as often in the end; 2152, 2696 and 3376 are opened.
        assert!(wants(30));
        assert!(!wants(20));
        assert!(!wants(30u64.wrapping_neg()));
        while classes.link_least() > 0 {
            classes.halve_link_least();
        }
        assert!(!wants(1_000_000), "there is nothing left to halve");
    }

    #[test]
    fn counts_below_zero_are_none() {
        let mut demand = demand(&[(405, 20_000)]);
        demand.add(380, 1u64.wrapping_neg());
        demand.add(405, 1u64.wrapping_neg());
        assert_eq!(demand.missing_class(&classes(), 16, LIMIT_PAGES).unwrap().chunk_bytes, 408);
    }
}
