//! Size classes: which chunk size serves an item of n bytes.
//!
//! ```text
//! class     1     2     3   …    last
//! chunk    64    72    80   …   chunk_max      each × growth_factor, rounded up to 8
//! ```
//!
//! Class 0 is none, as in memcached. Pure: built once from settings, then read by every thread. Upholds I1.

/// One page of slab memory, in bytes.
pub const PAGE_BYTES: u32 = 1 << 20;
/// The highest class id: tools of memcached's world expect ids below 64.
pub const CLASS_MAX: u8 = 63;
/// Chunks start on this boundary.
pub const CHUNK_ALIGN: u32 = 8;
/// The smallest chunk that a `ChunkRef` can name in every page: 1 MiB / 2^15.
pub const CHUNK_MIN: u32 = 32;

/// How the classes are laid out.
#[derive(Clone, Debug)]
pub struct ClassPlan {
    /// The smallest chunk, in bytes, item header included.
    pub first: u32,
    /// Ratio of one chunk size to the next.
    pub growth_factor: f64,
    /// The largest chunk, in bytes; larger items are chains of chunks.
    pub chunk_max: u32,
    /// Sizes given one by one (`-o slab_sizes`), which override the two numbers above.
    pub explicit: Vec<u32>,
}

/// The table of classes.
pub struct SizeClasses {
    /// Chunk size by class id; index 0 is 0.
    sizes: Vec<u32>,
    /// Class id by size in units of [`CHUNK_ALIGN`], rounded up.
    by_units: Vec<u8>,
}

impl SizeClasses {
    /// The table that `plan` describes. Sizes out of bounds are clamped: the settings table has checked them.
    pub fn build(plan: &ClassPlan) -> Self {
        let chunk_max = align(plan.chunk_max).clamp(1024, PAGE_BYTES / 2);
        let mut sizes = vec![0];
        if plan.explicit.is_empty() {
            let factor = plan.growth_factor.max(1.01);
            let mut size = align(plan.first).clamp(CHUNK_MIN, chunk_max);
            while f64::from(size) < f64::from(chunk_max) / factor && sizes.len() < usize::from(CLASS_MAX) {
                sizes.push(size);
                size = align(grown(size, factor)).max(size + CHUNK_ALIGN);
            }
        } else {
            let mut explicit: Vec<u32> = plan.explicit.iter().map(|size| align(*size).max(CHUNK_MIN)).collect();
            explicit.retain(|size| *size < chunk_max);
            explicit.sort_unstable();
            explicit.dedup();
            explicit.truncate(usize::from(CLASS_MAX) - 1);
            sizes.append(&mut explicit);
        }
        sizes.push(chunk_max);
        let mut by_units = vec![0u8; (chunk_max / CHUNK_ALIGN) as usize + 1];
        let mut class = 1u8;
        for (units, slot) in by_units.iter_mut().enumerate() {
            while (sizes[usize::from(class)] as usize) < units * CHUNK_ALIGN as usize {
                class += 1;
            }
            *slot = class;
        }
        Self { sizes, by_units }
    }

    /// The class whose chunks hold `bytes`, unless that is more than the largest chunk.
    #[inline]
    pub fn class_for(&self, bytes: u32) -> Option<u8> {
        self.by_units.get(bytes.div_ceil(CHUNK_ALIGN) as usize).copied()
    }

    /// The chunk size of `class`, in bytes; 0 for a class that does not exist.
    #[inline]
    pub fn chunk_bytes(&self, class: u8) -> u32 {
        self.sizes.get(usize::from(class)).copied().unwrap_or(0)
    }

    /// How many chunks a page of `class` has.
    #[inline]
    pub fn per_page(&self, class: u8) -> u32 {
        PAGE_BYTES.checked_div(self.chunk_bytes(class)).unwrap_or(0)
    }

    /// The largest chunk's class.
    #[expect(clippy::cast_possible_truncation, reason = "at most CLASS_MAX classes are built")]
    pub fn largest(&self) -> u8 {
        (self.sizes.len() - 1) as u8
    }

    /// The largest chunk, in bytes.
    #[inline]
    pub fn chunk_max(&self) -> u32 {
        self.chunk_bytes(self.largest())
    }

    /// Every class id, smallest chunks first.
    pub fn ids(&self) -> impl Iterator<Item = u8> + use<> {
        1..=self.largest()
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
    use super::{CLASS_MAX, ClassPlan, PAGE_BYTES, SizeClasses};

    fn plan(growth_factor: f64, chunk_max: u32) -> ClassPlan {
        ClassPlan { first: 64, growth_factor, chunk_max, explicit: Vec::new() }
    }

    #[test]
    fn every_size_gets_the_smallest_chunk_that_holds_it() {
        for (factor, chunk_max) in [(1.05, 16384), (1.10, 16384), (1.25, 524_288), (2.0, 65536)] {
            let classes = SizeClasses::build(&plan(factor, chunk_max));
            assert!(classes.largest() <= CLASS_MAX);
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
    }
}
