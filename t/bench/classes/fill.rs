//! Fills memory with one mix of sizes, in expected values: no item is drawn, so a figure has no noise.
#![expect(clippy::cast_possible_truncation, reason = "sizes and counts fit, and `as` saturates")]

use larder::memory::{CLASS_MAX, ChunkDemand, ClassPlan, PAGE_BYTES, SizeClasses, first_look, next_look};

use crate::sizes::Mix;

/// Steps from empty to full.
const STEPS: f64 = 4096.0;

pub(crate) struct Layout {
    plan: ClassPlan,
    /// An item's bytes beside key and value.
    overhead: u32,
    /// A link's bytes beside the value's.
    link_overhead: u32,
    is_fitted: bool,
}

pub(crate) struct Fill {
    /// Bytes of keys and values over bytes of pages.
    pub(crate) payload_share: f64,
    /// Classes that have pages.
    pub(crate) classes: usize,
}

impl Layout {
    pub(crate) fn ours(growth_factor: f64, is_fitted: bool) -> Self {
        let plan = ClassPlan { first: 64, growth_factor, chunk_max: 16 << 10, explicit: Vec::new() };
        Self { plan, overhead: 16, link_overhead: 16, is_fitted }
    }

    /// Header 48, CAS unique 8, the key's NUL, CRLF; 39 classes of up to half a mebibyte.
    pub(crate) fn memcached() -> Self {
        let plan = ClassPlan { first: 96, growth_factor: 1.25, chunk_max: 512 << 10, explicit: Vec::new() };
        Self { plan, overhead: 59, link_overhead: 48, is_fitted: false }
    }
}

/// A class's chunks and how many more each item brings, on average.
#[derive(Clone, Copy, Default)]
struct ClassFill {
    chunks: f64,
    per_item: f64,
}

pub(crate) fn fill(mix: &Mix, layout: &Layout, limit_pages: u64) -> Fill {
    let classes = SizeClasses::build(&layout.plan);
    let limit_bytes = limit_pages as f64 * f64::from(PAGE_BYTES);
    let step = limit_bytes / mix.mean_payload() / STEPS;
    let mut fills = spread(mix, layout, &classes, &[ClassFill::default(); CLASS_MAX as usize + 1]);
    let mut items = 0.0;
    let mut look_at = first_look(limit_pages);
    loop {
        for fill in &mut fills {
            fill.chunks += fill.per_item * step;
        }
        let pages: u64 = classes.ids().map(|class| pages_of(&fills, &classes, class)).sum();
        if pages > limit_pages {
            break;
        }
        items += step;
        if layout.is_fitted && pages >= look_at {
            look_at = next_look(pages);
            let demand = demand(mix, layout, &classes, items);
            while let Some(fit) = demand.missing_class(&classes, pages, limit_pages) {
                if classes.add(fit.chunk_bytes).is_none() {
                    break;
                }
            }
            fills = spread(mix, layout, &classes, &fills);
        }
    }
    let used = classes.ids().filter(|class| pages_of(&fills, &classes, *class) > 0).count();
    Fill { payload_share: items * mix.mean_payload() / limit_bytes, classes: used }
}

fn pages_of(fills: &[ClassFill], classes: &SizeClasses, class: u8) -> u64 {
    let chunks = fills[usize::from(class)].chunks;
    // A class with an expected number of chunks below one half has no page.
    if chunks < 0.5 { 0 } else { (chunks / f64::from(classes.per_page(class))).ceil() as u64 }
}

/// The present chunks, and the distribution of further items.
fn spread(mix: &Mix, layout: &Layout, classes: &SizeClasses, filled: &[ClassFill]) -> Vec<ClassFill> {
    let mut fills: Vec<ClassFill> =
        filled.iter().map(|fill| ClassFill { chunks: fill.chunks, per_item: 0.0 }).collect();
    for (payload, share) in mix.shares() {
        let (chain, rest) = chunks_of(layout, classes, payload);
        fills[usize::from(classes.largest())].per_item += chain * share;
        let class = match rest {
            Some(bytes) if chain > 0.0 => classes.class_for_link(bytes),
            Some(bytes) => classes.class_for(bytes),
            None => None,
        };
        if let Some(class) = class {
            fills[usize::from(class)].per_item += share;
        }
    }
    fills
}

fn demand(mix: &Mix, layout: &Layout, classes: &SizeClasses, items: f64) -> ChunkDemand {
    let mut demand = ChunkDemand::new(classes.chunk_max());
    for (payload, share) in mix.shares() {
        let (chain, rest) = chunks_of(layout, classes, payload);
        let add = if chain > 0.0 { ChunkDemand::add_links } else { ChunkDemand::add_items };
        if let Some(bytes) = rest {
            add(&mut demand, bytes, (items * share).round() as u64);
        }
    }
    demand
}

/// Chunks of the largest class, and what the last or only chunk holds.
fn chunks_of(layout: &Layout, classes: &SizeClasses, payload: u32) -> (f64, Option<u32>) {
    let whole = payload + layout.overhead;
    if whole <= classes.chunk_max() {
        return (0.0, Some(whole));
    }
    let in_link = classes.chunk_max() - layout.link_overhead;
    let rest = whole + 8 - classes.chunk_max();
    let tail = rest % in_link;
    (f64::from(1 + rest / in_link), (tail > 0).then_some(tail + layout.link_overhead))
}
