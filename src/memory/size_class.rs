//! Size classes: the chunk size for an item of n bytes.
//!
//! ```text
//! class     1     2     3   …   largest       largest + 1 …
//! chunk    64    72    80   …  chunk_max      any size below chunk_max
//!          each × growth_factor, up to 8      added while running (store/jobs/fitter.rs)
//! ```
//!
//! Class 0 does not exist, as in memcached. The table is laid out from settings, and every thread reads it. Classes
//! may be added meanwhile, so ids are not in the order of sizes. A class's chunk size never changes. Upholds I1.
//!
//! A memory file that was made with other settings has former classes (`class_change.rs`). They keep their pages, and
//! no size leads to them.

use crate::base::atomic::{AtomicU8, AtomicU32, Ordering};
use crate::sync::Leaf;

use super::live_state::ClassTable;

/// The size of a page of slab memory, in bytes.
pub const PAGE_BYTES: u32 = 1 << 20;
/// The highest possible class id. Tables by class are allocated for all ids at once.
pub const CLASS_MAX: u8 = 127;
/// The number of values of a class byte. Tables that are read on every request have an entry for each, so that no
/// index is out of bounds.
pub const CLASS_IDS: usize = u8::MAX as usize + 1;
/// The highest id laid out at start, unless sizes are given one by one. Fitted classes use the higher ids.
const LAID_OUT_MAX: usize = 100;
/// Chunk sizes and offsets are multiples of this, in bytes.
pub const CHUNK_ALIGN: u32 = 8;
/// The smallest chunk whose index in a page fits a `ChunkRef`: 1 MiB / 2^15.
pub const CHUNK_MIN: u32 = 32;

/// At first, classes below 1/4 of the largest chunk do not take last links. Otherwise the last links of a few
/// thousand chains open all classes, each with one page that is nearly empty. That took a quarter of a cache of 64
/// MiB: it held 2208 values of 10 to 30 KB, and now 2981.
pub(super) const LINK_LEAST_SHARE: u32 = 4;

/// The settings for the layout of the classes.
#[derive(Clone, Debug)]
pub struct ClassPlan {
    /// The smallest chunk in bytes, item header included.
    pub first: u32,
    /// The ratio of one chunk size to the next.
    pub growth_factor: f64,
    /// The largest chunk in bytes. Larger items are chains of chunks.
    pub chunk_max: u32,
    /// Sizes given one by one (`-o slab_sizes`). They override the two numbers above.
    pub explicit: Vec<u32>,
}

/// The table of classes.
pub struct SizeClasses {
    /// Chunk size by class id; 0 for an id that no class has (yet). Each is written once.
    sizes: [AtomicU32; CLASS_MAX as usize + 1],
    /// The classes of whole items and of the heads of chains.
    items: ClassMap,
    /// The classes of the last links of chains.
    links: ClassMap,
    /// The class of the largest chunks.
    largest: u8,
    /// The highest id in use.
    last: AtomicU8,
    /// The former classes, by class id.
    former: [bool; CLASS_MAX as usize + 1],
    /// Whether items have proofs, because a restart may keep them.
    has_proofs: bool,
    /// Locked while a class is added.
    adding: Leaf<()>,
}

impl SizeClasses {
    /// The table for `plan`. Clamps sizes that are out of bounds; the settings table has checked them.
    pub fn build(plan: &ClassPlan) -> Self {
        let sizes = plan.lay_out();
        let chunk_max = sizes.last().copied().unwrap_or(PAGE_BYTES / 2);
        let largest = u8::try_from(sizes.len()).unwrap_or(CLASS_MAX);
        let link_least = if plan.may_be_fitted() { chunk_max / LINK_LEAST_SHARE } else { 0 };
        Self {
            items: ClassMap::of(&sizes, 0),
            links: ClassMap::of(&sizes, link_least),
            largest,
            last: AtomicU8::new(largest),
            former: [false; CLASS_MAX as usize + 1],
            has_proofs: false,
            sizes: std::array::from_fn(|id| {
                AtomicU32::new(id.checked_sub(1).and_then(|index| sizes.get(index)).copied().unwrap_or(0))
            }),
            adding: Leaf::new(()),
        }
    }

    /// The same classes, for items with or without proofs.
    #[must_use]
    pub fn with_proofs(self, has_proofs: bool) -> Self {
        Self { has_proofs, ..self }
    }

    /// Whether items have proofs.
    #[inline]
    pub fn has_proofs(&self) -> bool {
        self.has_proofs
    }

    /// The classes of a memory file whose items have proofs. `None`: the table is no table of classes.
    pub fn restore(table: &ClassTable) -> Option<Self> {
        let largest = table.largest;
        let chunk_max = *table.sizes.get(usize::from(largest)).filter(|bytes| **bytes > 0)?;
        let last = (1..=CLASS_MAX).take_while(|id| table.sizes[usize::from(*id)] > 0).last()?;
        let is_size = |bytes: u32| bytes.is_multiple_of(CHUNK_ALIGN) && (CHUNK_MIN..=PAGE_BYTES / 2).contains(&bytes);
        let is_class = |id: u8| {
            let (bytes, is_former) = (table.sizes[usize::from(id)], table.is_former[usize::from(id)]);
            is_size(bytes) && (is_former || bytes <= chunk_max)
        };
        let is_table = largest <= last
            && table.serves_links[usize::from(largest)]
            && !table.is_former[usize::from(largest)]
            && (1..=last).all(is_class)
            && table.sizes[usize::from(last) + 1..].iter().all(|bytes| *bytes == 0);
        is_table.then(|| Self {
            items: ClassMap::from_table(table, last, |_| true),
            links: ClassMap::from_table(table, last, |id| table.serves_links[usize::from(id)]),
            largest,
            last: AtomicU8::new(last),
            former: *table.is_former,
            has_proofs: true,
            sizes: std::array::from_fn(|id| AtomicU32::new(table.sizes[id])),
            adding: Leaf::new(()),
        })
    }

    /// The classes as a memory file keeps them.
    pub fn table(&self) -> ClassTable {
        let mut table = ClassTable { largest: self.largest, is_former: Box::new(self.former), ..ClassTable::default() };
        for id in self.ids() {
            table.sizes[usize::from(id)] = self.chunk_bytes(id);
        }
        for class in &self.links.by_units {
            table.serves_links[usize::from(class.load(Ordering::Acquire))] = true;
        }
        table
    }

    /// As [`SizeClasses::table`], with the class that [`SizeClasses::add`] would add for `bytes`.
    pub fn table_with(&self, bytes: u32) -> ClassTable {
        let mut table = self.table();
        let bytes = align(bytes).max(CHUNK_MIN);
        let has_class = table.sizes.iter().zip(&self.former).any(|(size, is_former)| *size == bytes && !is_former);
        if let Some(size) = table.sizes.get_mut(usize::from(self.last()) + 1).filter(|_| !has_class) {
            *size = bytes;
        }
        table
    }

    /// The class whose chunks hold `bytes`. `None` if that is more than the largest chunk.
    #[inline]
    pub fn class_for(&self, bytes: u32) -> Option<u8> {
        self.items.class_for(bytes)
    }

    /// The class for the last link of a chain. `bytes` includes the link's header. Its chunks may be larger than
    /// those of an item of `bytes`.
    pub fn class_for_link(&self, bytes: u32) -> Option<u8> {
        self.links.class_for(bytes)
    }

    /// The chunk size of `class` in bytes; 0 for a class that does not exist.
    #[inline]
    pub fn chunk_bytes(&self, class: u8) -> u32 {
        self.sizes.get(usize::from(class)).map_or(0, |size| size.load(Ordering::Relaxed))
    }

    /// The number of chunks in a page of `class`.
    #[inline]
    pub fn per_page(&self, class: u8) -> u32 {
        PAGE_BYTES.checked_div(self.chunk_bytes(class)).unwrap_or(0)
    }

    /// The class of the largest chunks. Not the highest id, once classes have been added.
    #[inline]
    pub fn largest(&self) -> u8 {
        self.largest
    }

    /// Whether no new item is stored in `class`, because the settings have no such class any more.
    pub fn is_former(&self, class: u8) -> bool {
        self.former.get(usize::from(class)).is_some_and(|is_former| *is_former)
    }

    /// The highest class id in use.
    pub fn last(&self) -> u8 {
        self.last.load(Ordering::Acquire)
    }

    /// The size of the largest chunk in bytes.
    #[inline]
    pub fn chunk_max(&self) -> u32 {
        self.chunk_bytes(self.largest())
    }

    /// All class ids in use.
    pub fn ids(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.last()
    }

    /// Adds a class with chunks of `bytes` (rounded up to [`CHUNK_ALIGN`]). From now on it serves the items and last
    /// links that fit it and no smaller chunk. If items already have a class of this size, last links use it from now
    /// on. `None` if all ids are in use, if both already use such a class, or if it would be the largest.
    pub fn add(&self, bytes: u32) -> Option<u8> {
        let bytes = align(bytes).max(CHUNK_MIN);
        let _adding = self.adding.lock();
        let (for_items, for_links) = (self.class_for(bytes)?, self.class_for_link(bytes)?);
        if self.chunk_bytes(for_items) == bytes {
            let is_new = for_links != for_items;
            return is_new.then(|| self.links.split(bytes, for_links, for_items));
        }
        let class = self.last().checked_add(1).filter(|id| *id <= CLASS_MAX)?;
        self.sizes[usize::from(class)].store(bytes, Ordering::Relaxed);
        // Release, three times: a thread sees the chunk size, whether it finds the class by a size or by its id.
        self.items.split(bytes, for_items, class);
        self.links.split(bytes, for_links, class);
        self.last.store(class, Ordering::Release);
        Some(class)
    }
}

/// Class id by size in units of [`CHUNK_ALIGN`], rounded up.
struct ClassMap {
    by_units: Box<[AtomicU8]>,
}

impl ClassMap {
    /// A map to the classes with these chunk sizes, except those below `least` bytes.
    fn of(sizes: &[u32], least: u32) -> Self {
        let mut class = 0u8;
        let chunk_max = sizes.last().copied().unwrap_or(0);
        let by_units = (0..=chunk_max / CHUNK_ALIGN).map(|units| {
            while sizes[usize::from(class)] < (units * CHUNK_ALIGN).max(least) {
                class += 1;
            }
            AtomicU8::new(class + 1)
        });
        Self { by_units: by_units.collect() }
    }

    /// A map to the smallest class of `table` that holds each size, among those that `serves` and are not former.
    fn from_table(table: &ClassTable, last: u8, serves: impl Fn(u8) -> bool) -> Self {
        let bytes = |id: u8| table.sizes[usize::from(id)];
        let mut ids: Vec<u8> = (1..=last).filter(|id| serves(*id) && !table.is_former[usize::from(*id)]).collect();
        ids.sort_by_key(|id| bytes(*id));
        let chunk_max = bytes(table.largest);
        let mut at = 0;
        let by_units = (0..=chunk_max / CHUNK_ALIGN).map(|units| {
            while at + 1 < ids.len() && bytes(ids[at]) < units * CHUNK_ALIGN {
                at += 1;
            }
            AtomicU8::new(ids[at])
        });
        Self { by_units: by_units.collect() }
    }

    #[inline]
    fn class_for(&self, bytes: u32) -> Option<u8> {
        // Acquire: a thread that learns of a class sees its chunk size.
        self.by_units.get(bytes.div_ceil(CHUNK_ALIGN) as usize).map(|class| class.load(Ordering::Acquire))
    }

    /// Sizes up to `bytes` that `larger` served belong to `class` from now on.
    fn split(&self, bytes: u32, larger: u8, class: u8) -> u8 {
        let up_to = self.by_units[..=(bytes / CHUNK_ALIGN) as usize].iter().rev();
        up_to.take_while(|slot| slot.load(Ordering::Relaxed) == larger).for_each(|slot| {
            slot.store(class, Ordering::Release);
        });
        class
    }
}

impl ClassPlan {
    /// Whether classes may be added while running. Sizes that the user gave one by one are final.
    pub fn may_be_fitted(&self) -> bool {
        self.explicit.is_empty()
    }

    /// The initial chunk sizes, ascending; at least one.
    pub fn lay_out(&self) -> Vec<u32> {
        let chunk_max = align(self.chunk_max).clamp(1024, PAGE_BYTES / 2);
        let mut sizes = Vec::new();
        if self.explicit.is_empty() {
            let factor = self.growth_factor.max(1.01);
            let mut size = align(self.first).clamp(CHUNK_MIN, chunk_max);
            while f64::from(size) < f64::from(chunk_max) / factor && sizes.len() < LAID_OUT_MAX - 1 {
                sizes.push(size);
                size = align(grown(size, factor)).max(size + CHUNK_ALIGN);
            }
        } else {
            sizes.extend(self.explicit.iter().map(|size| align(*size).max(CHUNK_MIN)));
            sizes.retain(|size| *size < chunk_max);
            sizes.sort_unstable();
            sizes.dedup();
            sizes.truncate(usize::from(CLASS_MAX) - 1);
        }
        sizes.push(chunk_max);
        sizes
    }
}

fn align(bytes: u32) -> u32 {
    bytes.div_ceil(CHUNK_ALIGN).saturating_mul(CHUNK_ALIGN)
}

#[expect(clippy::cast_possible_truncation, reason = "a chunk size times at most 1024 fits; `as` saturates")]
#[expect(clippy::cast_sign_loss, reason = "both factors are positive")]
fn grown(size: u32, factor: f64) -> u32 {
    (f64::from(size) * factor) as u32
}

#[cfg(test)]
mod tests {
    use super::{CLASS_MAX, ClassPlan, LAID_OUT_MAX, PAGE_BYTES, SizeClasses};

    fn plan(growth_factor: f64, chunk_max: u32) -> ClassPlan {
        ClassPlan { first: 64, growth_factor, chunk_max, explicit: Vec::new() }
    }

    #[test]
    fn every_size_gets_the_smallest_chunk_that_holds_it() {
        for (factor, chunk_max) in [(1.01, 16384), (1.05, 16384), (1.10, 16384), (1.25, 524_288), (2.0, 65536)] {
            let classes = SizeClasses::build(&plan(factor, chunk_max));
            assert_eq!(classes.largest(), classes.last());
            assert!(usize::from(classes.last()) <= LAID_OUT_MAX);
            for bytes in 1..=chunk_max {
                let class = classes.class_for(bytes).unwrap();
                assert!(classes.chunk_bytes(class) >= bytes);
                assert!(class == 1 || classes.chunk_bytes(class - 1) < bytes);
            }
            assert_eq!(classes.class_for(chunk_max + 1), None);
        }
    }

    #[test]
    fn chunks_are_aligned_and_fill_a_page() {
        let classes = SizeClasses::build(&plan(1.10, 16384));
        for class in classes.ids() {
            assert_eq!(classes.chunk_bytes(class) % 8, 0);
            assert!(classes.per_page(class) * classes.chunk_bytes(class) <= PAGE_BYTES);
        }
    }

    #[test]
    fn explicit_sizes_replace_the_progression() {
        let explicit = vec![200, 100, 100, 1_000_000];
        let classes = SizeClasses::build(&ClassPlan { explicit, ..plan(1.25, 16384) });
        let sizes: Vec<u32> = classes.ids().map(|class| classes.chunk_bytes(class)).collect();
        assert_eq!(sizes, [104, 200, 16384]);
        assert!(!ClassPlan { explicit: vec![96], ..plan(1.25, 16384) }.may_be_fitted());
        assert!(plan(1.25, 16384).may_be_fitted());
    }

    #[test]
    fn an_added_class_takes_the_items_that_fit_it_and_no_others() {
        let classes = SizeClasses::build(&plan(1.25, 16384));
        let before: Vec<u8> = (0..=16384).map(|bytes| classes.class_for(bytes).unwrap()).collect();
        let coarse = classes.class_for(408).unwrap();
        let class = classes.add(408).unwrap();
        assert_eq!((class, classes.largest() + 1), (classes.last(), class));
        assert_eq!(classes.chunk_bytes(class), 408);
        for (bytes, was) in (0..=16384).zip(before) {
            let is_its = was == coarse && bytes <= 408;
            assert_eq!(classes.class_for(bytes), Some(if is_its { class } else { was }), "{bytes}");
        }
    }

    #[test]
    fn last_links_open_no_small_class_before_it_pays() {
        let classes = SizeClasses::build(&plan(1.25, 16384));
        let [exact, coarse] = [classes.class_for(1096), classes.class_for(4096)];
        assert_eq!(classes.class_for_link(17), coarse);
        assert_eq!(classes.class_for_link(4300), classes.class_for(4300));
        assert_eq!(classes.add(1096), exact, "the class was there, and not for last links");
        assert_eq!((classes.class_for_link(17), classes.class_for_link(1097)), (exact, coarse));
        assert_eq!(classes.add(1096), None);
        let exact = SizeClasses::build(&ClassPlan { explicit: vec![96, 8192], ..plan(1.25, 16384) });
        assert_eq!(exact.class_for_link(90), exact.class_for(90), "who gives the sizes wants them used");
    }

    #[test]
    fn restored_classes_serve_what_the_old_ones_served() {
        let classes = SizeClasses::build(&plan(1.25, 16384));
        for bytes in [408, 1096, 16_376] {
            classes.add(bytes).unwrap();
        }
        classes.add(classes.chunk_bytes(5)).unwrap();
        let restored = SizeClasses::restore(&classes.table()).unwrap();
        for bytes in 0..=16384 {
            assert_eq!(restored.class_for(bytes), classes.class_for(bytes), "{bytes}");
            assert_eq!(restored.class_for_link(bytes), classes.class_for_link(bytes), "{bytes}");
        }
        assert_eq!((restored.largest(), restored.last()), (classes.largest(), classes.last()));
        assert_eq!(restored.table(), classes.table());
    }

    #[test]
    fn what_is_no_table_of_classes_is_refused() {
        let table = SizeClasses::build(&plan(1.25, 16384)).table();
        let refused = |change: fn(&mut super::ClassTable)| {
            let mut changed = table.clone();
            change(&mut changed);
            SizeClasses::restore(&changed).is_none()
        };
        assert!(!refused(|_| {}));
        assert!(refused(|table| table.largest = 0));
        assert!(refused(|table| table.largest = 127));
        assert!(refused(|table| table.largest = 200));
        assert!(refused(|table| table.sizes[1] = 0));
        assert!(refused(|table| table.sizes[1] = 65));
        assert!(refused(|table| table.sizes[1] = 16));
        assert!(refused(|table| table.sizes[2] = 32768));
        assert!(refused(|table| table.sizes[127] = 64));
        assert!(refused(|table| table.serves_links[usize::from(table.largest)] = false));
        assert!(refused(|table| table.is_former[usize::from(table.largest)] = true));
        assert!(!refused(|table| (table.sizes[2], table.is_former[2]) = (32768, true)));
    }

    #[test]
    fn no_class_is_added_twice_or_beyond_the_largest_or_the_last_id() {
        let classes = SizeClasses::build(&plan(1.25, 16384));
        assert_eq!(classes.add(16384), None);
        assert_eq!(classes.add(20_000), None);
        assert!(classes.add(405).is_some());
        assert_eq!(classes.add(408), None);
        let ids: Vec<u8> = (0..200).filter_map(|number| classes.add(8000 + 8 * number)).collect();
        assert_eq!(ids.last(), Some(&CLASS_MAX));
        assert_eq!(classes.ids().count(), usize::from(CLASS_MAX));
    }
}
