//! Finds the chunk size that would save most memory, for a fitted class.
//!
//! ```text
//! items by size        ▂  █▂         ▁▂▂▁
//! chunk sizes       │      ╎   │          │      each item wastes the distance to the next line on its right
//!                          new                   saves most: many items, a long distance
//! ```
//!
//! Pure computation. `store/jobs/fitter.rs` calls it while memory fills up.

use super::size_class::{CHUNK_ALIGN, CHUNK_MIN, PAGE_BYTES, SizeClasses};

/// How many chunks are needed for each size, in units of [`CHUNK_ALIGN`].
pub struct ChunkDemand {
    /// Counts of whole items, by size.
    items: Vec<u64>,
    /// Counts of the last links of chains, by size.
    links: Vec<u64>,
    /// The number of chains. Their heads and full links need the largest class.
    chains: u64,
}

/// A class that should be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassFit {
    /// Its chunk size in bytes.
    pub chunk_bytes: u32,
    /// Bytes that the class would save on the items that it would hold.
    pub saved_bytes: u64,
}

/// The next check comes when memory in use has grown by 1/32, so that classes are added before most pages are
/// divided.
const GROWTH_SHARE: u64 = 32;
/// The first check comes at 1/128 of the limit. Less memory does not predict what will fill the rest.
const SAMPLE_SHARE: u64 = 128;
/// A class must save 1/2048 of the limit. With all ids in use, the sizes together waste about that share.
const SAVED_SHARE: u64 = 2048;
/// At the limit, a class must also save this many pages. It costs about one page: its last page is half full, and
/// workers hold ready chunks of it.
const SAVED_PAGES: u64 = 1;
/// No class is added when this percentage of the limit is in use: pages that are already divided stay so.
const USED_PERCENT_MAX: u64 = 75;

/// Costs are counted in 1/256 of a byte.
const COST_SCALE: u64 = 256;

/// The number of used pages at which the first check is due, for a limit of `limit_pages`.
pub fn first_look(limit_pages: u64) -> u64 {
    (limit_pages / SAMPLE_SHARE).max(1)
}

/// The number of used pages at which the next check is due, if the last one was at `pages`.
pub fn next_look(pages: u64) -> u64 {
    pages + 1 + pages / GROWTH_SHARE
}

impl ChunkDemand {
    /// An empty demand, for chunk sizes up to `chunk_max` bytes.
    pub fn new(chunk_max: u32) -> Self {
        let none = vec![0; (chunk_max / CHUNK_ALIGN) as usize + 1];
        Self { items: none.clone(), links: none, chains: 0 }
    }

    /// Adds `count` items of `bytes` each. A count may be negative (wrapped), as long as the sums are not.
    pub fn add_items(&mut self, bytes: u32, count: u64) {
        add(&mut self.items, bytes, count);
    }

    /// Adds `count` chains. Their last links, if they are short, are added with [`ChunkDemand::add_links`]. The count
    /// may wrap as that of items.
    pub fn add_chains(&mut self, count: u64) {
        self.chains = self.chains.wrapping_add(count);
    }

    /// Whether any item or link of the demand would now be stored in a chunk of `class`.
    pub fn needs(&self, classes: &SizeClasses, class: u8) -> bool {
        count_of(self.chains) > 0 && class == classes.largest()
            || serves_one(class, &self.items, |bytes| classes.class_for(bytes))
            || serves_one(class, &self.links, |bytes| classes.class_for_link(bytes))
    }

    /// Adds `count` last links of `bytes` each, headers included.
    pub fn add_links(&mut self, bytes: u32, count: u64) {
        add(&mut self.links, bytes, count);
    }

    /// The class that saves most, if it saves enough, while `pages` of at most `limit_pages` are in use.
    pub fn missing_class(&self, classes: &SizeClasses, pages: u64, limit_pages: u64) -> Option<ClassFit> {
        if pages < first_look(limit_pages) || pages * 100 >= limit_pages * USED_PERCENT_MAX {
            return None;
        }
        let for_items = best_class(classes, &self.items, |bytes| classes.class_for(bytes));
        let for_links = best_class(classes, &self.links, |bytes| classes.class_for_link(bytes));
        let best = for_items.into_iter().chain(for_links).max_by_key(|fit| fit.saved_bytes)?;
        // Estimate: pages that are added later hold the same mix of sizes as those in use.
        let saved_later = best.saved_bytes.saturating_mul(limit_pages) / pages.max(1);
        let least = (limit_pages / SAVED_SHARE).max(SAVED_PAGES) * u64::from(PAGE_BYTES);
        (saved_later >= least).then_some(best)
    }
}

fn add(by_units: &mut [u64], bytes: u32, count: u64) {
    if let Some(sum) = by_units.get_mut(bytes.div_ceil(CHUNK_ALIGN) as usize) {
        *sum = sum.wrapping_add(count);
    }
}

/// The counters of threads are read one after the other, so a sum may seem negative; it then counts as 0.
fn count_of(sum: u64) -> u64 {
    if sum > u64::MAX / 2 { 0 } else { sum }
}

/// Whether any size with a count in `by_units` gets a chunk of `class` from `class_for`.
fn serves_one(class: u8, by_units: &[u64], class_for: impl Fn(u32) -> Option<u8>) -> bool {
    let mut counts = (0u32..).zip(by_units).filter(|(_, count)| count_of(**count) > 0);
    counts.any(|(units, _)| class_for(units * CHUNK_ALIGN) == Some(class))
}

/// The new class that would save most for the sizes in `by_units`, which now get the chunks that `class_for` says.
fn best_class(classes: &SizeClasses, by_units: &[u64], class_for: impl Fn(u32) -> Option<u8>) -> Option<ClassFit> {
    let (mut class, mut held, mut old_cost) = (0, 0u64, 0);
    let mut best: Option<ClassFit> = None;
    for (units, count) in (0u32..).zip(by_units) {
        let chunk_bytes = units * CHUNK_ALIGN;
        let current = class_for(chunk_bytes)?;
        if current != class {
            (class, held, old_cost) = (current, 0, cost(classes.chunk_bytes(current)));
        }
        held += count_of(*count);
        if chunk_bytes < CHUNK_MIN {
            continue;
        }
        let saved_bytes = held.saturating_mul(old_cost - cost(chunk_bytes)) / COST_SCALE;
        // If two sizes save the same, the larger one is better: it serves more sizes.
        if saved_bytes > 0 && best.is_none_or(|best| saved_bytes >= best.saved_bytes) {
            best = Some(ClassFit { chunk_bytes, saved_bytes });
        }
    }
    best
}

/// The cost of a chunk in 1/256 of a byte, including its share of the unused rest of the page.
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
        sizes.iter().for_each(|(bytes, count)| demand.add_items(*bytes, *count));
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
    fn between_two_classes_the_middle_of_many_sizes_is_split_off() {
        let sizes: Vec<(u32, u64)> = (353..=440).map(|bytes| (bytes, 300)).collect();
        let fit = demand(&sizes).missing_class(&classes(), 16, LIMIT_PAGES).unwrap();
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
    fn last_links_get_a_small_class_when_it_pays() {
        let classes = classes();
        let mut demand = ChunkDemand::new(16384);
        demand.add_links(1090, 4);
        demand.add_items(1090, 1000);
        assert_eq!(
            demand.missing_class(&classes, 16, LIMIT_PAGES),
            None,
            "4 times 3128 bytes, and 64 times that, is no page"
        );
        demand.add_links(1090, 2);
        let fit = demand.missing_class(&classes, 16, LIMIT_PAGES).unwrap();
        assert_eq!(classes.add(fit.chunk_bytes), classes.class_for(1090), "such a class was there for items");
        assert_eq!(demand.missing_class(&classes, 16, LIMIT_PAGES), None);
    }

    #[test]
    fn a_class_is_needed_by_what_fits_no_smaller_chunk() {
        let classes = classes();
        let mut demand = demand(&[(405, 20_000), (500, 1), (600, 1u64.wrapping_neg())]);
        let [of_405, of_500, of_600] = [405, 500, 600].map(|bytes| classes.class_for(bytes).unwrap());
        assert!(demand.needs(&classes, of_405));
        classes.add(408).unwrap();
        assert!(!demand.needs(&classes, of_405), "the new one serves all of its items");
        assert!(demand.needs(&classes, classes.last()));
        assert_eq!([of_500, of_600].map(|class| demand.needs(&classes, class)), [true, false]);
        assert!(!demand.needs(&classes, classes.largest()));
        demand.add_links(5000, 1);
        assert!(demand.needs(&classes, classes.class_for_link(5000).unwrap()));
        demand.add_chains(10);
        assert!(demand.needs(&classes, classes.largest()));
        demand.add_chains(10u64.wrapping_neg());
        assert!(!demand.needs(&classes, classes.largest()), "another thread has deleted them");
    }

    #[test]
    fn counts_below_zero_are_none() {
        let mut demand = demand(&[(405, 20_000)]);
        demand.add_items(380, 1u64.wrapping_neg());
        demand.add_items(405, 1u64.wrapping_neg());
        assert_eq!(demand.missing_class(&classes(), 16, LIMIT_PAGES).unwrap().chunk_bytes, 408);
    }
}
