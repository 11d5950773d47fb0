//! The index as a memory file keeps it between two processes: the items of each bucket, part by part.
//!
//! ```text
//! part of 2^14 buckets   ┌─────┬───────────┬─────┬───────────┬───┬─────┬───────────┬───┬┄┄
//!                        │ tag │ reference │ tag │ reference │ 0 │ tag │ reference │ 0 │
//!                        └─────┴───────────┴─────┴───────────┴───┴─────┴───────────┴───┴┄┄
//!                          2        4        one bucket        2    the next bucket
//! ```
//!
//! Numbers are little-endian. A tag of 0 ends a bucket, overflow buckets included. So the form depends neither on the
//! slots of a bucket nor on the numbers of overflow buckets.

use super::guard::LockedChain;
use super::table::HashIndex;
use crate::memory::ChunkRef;
use crate::sync::{Rank, Ranked};

/// Buckets of a part.
const PART_BUCKETS: u32 = 1 << 14;
/// The tag that ends a bucket.
const END: u16 = 0;

impl HashIndex {
    /// The number of parts.
    pub fn parts(&self) -> u32 {
        self.buckets().div_ceil(PART_BUCKETS)
    }

    /// Appends the items of a part. No other thread changes the index.
    pub fn write_part(&self, part: u32, bytes: &mut Vec<u8>) {
        for number in self.part(part) {
            let chain = self.locked(number);
            for (_, tag, chunk) in chain.buckets().flat_map(|bucket| bucket.full_slots()) {
                bytes.extend_from_slice(&tag.to_le_bytes());
                bytes.extend_from_slice(&chunk.bits().to_le_bytes());
            }
            bytes.extend_from_slice(&END.to_le_bytes());
        }
    }

    /// Fills the buckets of a part, which are empty, and shows each chunk to `note`. `None`: `bytes` are not such a
    /// part. No other thread uses these buckets.
    pub fn fill_part(&self, part: u32, bytes: &[u8], mut note: impl FnMut(ChunkRef)) -> Option<()> {
        let (mut rest, numbers) = (bytes, self.part(part));
        self.main.populate(numbers.start as usize, numbers.len());
        for number in numbers {
            let mut filling = self.locked(number).fill();
            loop {
                let tag = next_of(&mut rest).map(u16::from_le_bytes)?;
                if tag == END {
                    break;
                }
                let chunk = ChunkRef::from_bits(u32::from_le_bytes(next_of(&mut rest)?))?;
                filling.push(tag, chunk).ok()?;
                note(chunk);
            }
        }
        rest.is_empty().then_some(())
    }

    /// Removes all items. No other thread uses the index.
    pub fn clear(&self) {
        (0..self.buckets()).for_each(|number| self.locked(number).empty());
    }

    fn part(&self, part: u32) -> std::ops::Range<u32> {
        let first = part.saturating_mul(PART_BUCKETS).min(self.buckets());
        first..first.saturating_add(PART_BUCKETS).min(self.buckets())
    }

    fn locked(&self, number: u32) -> LockedChain<'_> {
        LockedChain::wait_for(self, number, Ranked::waited(Rank::Bucket))
    }
}

/// Takes the next bytes off `rest`.
fn next_of<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (next, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*next)
}

#[cfg(test)]
#[cfg(not(any(miri, loom)))]
mod tests {
    use super::{ChunkRef, HashIndex};
    use crate::base::KeyHash;
    use crate::index::IndexPages;
    use crate::sync::Pin;

    fn index() -> HashIndex {
        HashIndex::new(4 << 20, 4, IndexPages::Small).unwrap()
    }

    fn hash(number: u32) -> KeyHash {
        KeyHash(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32))
    }

    fn filled(items: u32) -> HashIndex {
        let index = index();
        index.reserve_for(u64::from(items));
        for number in 0..items {
            let chunk = ChunkRef::new(1 + number / 1000, number % 1000);
            index.lock(&Pin::assumed(), hash(number)).insert(hash(number), chunk).unwrap();
        }
        index
    }

    fn parts_of(index: &HashIndex) -> Vec<Vec<u8>> {
        let written = |part| {
            let mut bytes = Vec::new();
            index.write_part(part, &mut bytes);
            bytes
        };
        (0..index.parts()).map(written).collect()
    }

    #[test]
    fn an_index_reads_as_it_was_written() {
        for items in [0, 1, 1000, 200_000] {
            let written = filled(items);
            let (parts, read) = (parts_of(&written), index());
            assert!(read.reserve_exactly(written.buckets()));
            let mut chunks = 0;
            parts.iter().zip(0..).for_each(|(bytes, part)| read.fill_part(part, bytes, |_| chunks += 1).unwrap());
            assert_eq!((chunks, parts_of(&read)), (items, parts), "{items}");
            let pin = Pin::assumed();
            let found = (0..items).filter(|number| {
                let chunk = ChunkRef::new(1 + number / 1000, number % 1000);
                read.find(&pin, hash(*number), |found| (found == chunk).then_some(())).is_some()
            });
            assert_eq!(found.count() as u64, u64::from(items));
            read.clear();
            assert!(parts_of(&read).iter().all(|bytes| bytes.iter().all(|byte| *byte == 0)));
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        let (written, bytes) = (filled(100), parts_of(&filled(100)).concat());
        let refuses = |bytes: &[u8]| {
            let read = index();
            read.reserve_exactly(written.buckets()) && read.fill_part(0, bytes, |_| ()).is_none()
        };
        assert!(!refuses(&bytes));
        assert!((0..bytes.len()).all(|len| refuses(&bytes[..len])), "cut off");
        assert!(refuses(&[&bytes[..], &[0]].concat()), "too long");
        let mut without_reference = bytes.clone();
        let first = bytes.iter().position(|byte| *byte != 0).unwrap() / 2 * 2;
        without_reference[first + 2..first + 6].fill(0);
        assert!(refuses(&without_reference));
        assert!(!index().reserve_exactly(1), "it has more buckets from the start");
        assert!(!index().reserve_exactly(u32::MAX), "there is no room");
    }
}
