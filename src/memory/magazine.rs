//! Magazines: ready chunks of each class that a worker holds for itself, so that most allocations take no lock.

use super::chunk_ref::ChunkRef;
use super::size_class::{CLASS_IDS, SizeClasses};

/// Maximum number of chunks in one magazine.
const CHUNKS_MAX: usize = 32;
const CHUNKS_MAX_U8: u8 = 32;
const _: () = assert!(CHUNKS_MAX == CHUNKS_MAX_U8 as usize);
/// Maximum bytes in one magazine, unless one chunk is larger. Other workers cannot use these chunks.
const BYTES_MAX: u32 = 8 << 10;

/// One worker's magazines, one per class.
pub struct Magazines {
    rack: Box<[Magazine; CLASS_IDS]>,
}

struct Magazine {
    /// The first `len` entries are valid.
    chunks: [Option<ChunkRef>; CHUNKS_MAX],
    len: u8,
    /// 0 until `room` first asks for the class's chunk size: the class may be added later.
    capacity: u8,
}

impl Default for Magazines {
    /// Empty magazines for all class ids.
    fn default() -> Self {
        let empty = |_| Magazine { chunks: [None; CHUNKS_MAX], len: 0, capacity: 0 };
        Self { rack: Box::new(std::array::from_fn(empty)) }
    }
}

impl Magazines {
    /// Takes a ready chunk of `class`.
    #[inline]
    pub fn pop(&mut self, class: u8) -> Option<ChunkRef> {
        let magazine = &mut self.rack[usize::from(class)];
        let last = magazine.len.checked_sub(1)?;
        magazine.len = last;
        magazine.chunks[usize::from(last)]
    }

    /// Adds a ready chunk. False: the magazine is full, and the caller keeps the chunk.
    #[inline]
    pub fn push(&mut self, class: u8, chunk: ChunkRef) -> bool {
        let magazine = &mut self.rack[usize::from(class)];
        let fits = magazine.len < magazine.capacity;
        if fits {
            magazine.chunks[usize::from(magazine.len)] = Some(chunk);
            magazine.len += 1;
        }
        fits
    }

    /// Whether there is no ready chunk of `class`.
    pub fn is_empty(&self, class: u8) -> bool {
        self.rack[usize::from(class)].len == 0
    }

    /// Takes all chunks of `class` out.
    pub fn drain(&mut self, class: u8) -> impl Iterator<Item = ChunkRef> {
        std::iter::from_fn(move || self.pop(class))
    }

    /// The number of chunks of `class` that still fit.
    pub fn room(&mut self, class: u8, classes: &SizeClasses) -> u32 {
        let magazine = &mut self.rack[usize::from(class)];
        if magazine.capacity == 0 {
            let by_bytes = BYTES_MAX.checked_div(classes.chunk_bytes(class)).unwrap_or(0);
            magazine.capacity = u8::try_from(by_bytes.max(1)).map_or(CHUNKS_MAX_U8, |chunks| chunks.min(CHUNKS_MAX_U8));
        }
        u32::from(magazine.capacity - magazine.len)
    }
}

#[cfg(test)]
mod tests {
    use super::super::size_class::{ClassPlan, SizeClasses};
    use super::{ChunkRef, Magazines};

    #[test]
    fn a_magazine_holds_few_chunks_and_fewer_large_ones() {
        let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 16384, explicit: Vec::new() };
        let classes = SizeClasses::build(&plan);
        let mut magazines = Magazines::default();
        assert_eq!(magazines.room(1, &classes), 32);
        assert_eq!(magazines.room(classes.largest(), &classes), 1);
        let chunk = ChunkRef::new(1, 0);
        assert!(magazines.push(classes.largest(), chunk));
        assert!(!magazines.push(classes.largest(), chunk));
        assert_eq!(magazines.pop(classes.largest()), Some(chunk));
        assert_eq!(magazines.pop(classes.largest()), None);
    }
}
