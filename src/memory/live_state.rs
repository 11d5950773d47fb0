//! What the superblock keeps besides items: counters, marks, clocks and the size classes.
//!
//! It is encoded field by field, little-endian, in the order of [`LiveState::encode`]. A checksum ends the block.

use crate::sys::boot::BootId;

use super::size_class::CLASS_MAX;
use super::superblock::{BLOCK_BYTES, checksum};

/// Number of class ids, 0 included.
const CLASSES: usize = CLASS_MAX as usize + 1;
/// Where the checksum is.
const CHECKSUM_AT: usize = BLOCK_BYTES - 8;

/// The state of a memory file.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveState {
    /// Counts the writes. Of two complete copies the one with the higher number is valid.
    pub sequence: u64,
    /// The last process ended cleanly. Otherwise items must prove themselves, and some numbers below are old.
    pub is_clean: bool,
    /// The process that uses the file, or used it last.
    pub pid: u32,
    /// How often a process began to use the file.
    pub generation: u64,
    /// The start of the machine in which the file was used last.
    pub boot_id: BootId,
    /// The store's clock when the state was written, in milliseconds.
    pub clock_ms: u64,
    /// Time since the machine's start at that moment, in milliseconds.
    pub boot_ms: u64,
    /// The wall clock at that moment, in milliseconds since 1970.
    pub unix_ms: i64,
    /// No CAS unique at or above this number was drawn.
    pub cas_end: u64,
    /// The flush mark, see `store/flush.rs`.
    pub flush_mark: u64,
    /// The second of a flush ordered for later; 0: none.
    pub flush_due: u32,
    /// Items, when the process ended cleanly.
    pub items: u64,
    /// -m of the last process, in bytes.
    pub limit_bytes: u64,
    /// The index, when the process ended cleanly.
    pub index: KeptIndex,
    /// What is known of the pages, when the process ended cleanly.
    pub pages: KeptPages,
    /// The size classes.
    pub classes: ClassTable,
    /// Stands for the settings that the size classes are made for. 0: those in the header of the file.
    pub class_settings: u64,
    /// The eviction hand of each class, when the process ended cleanly.
    pub hands: Box<[HandState; CLASSES]>,
}

/// Where a file keeps the index. A file without this, or one of an older larder, has zeros: the next start builds the
/// index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptIndex {
    /// Offset in the file, behind all pages; 0: the file keeps no index.
    pub at: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The seed of the key hashes; 0: none.
    pub seed: u64,
    /// The number of its buckets.
    pub buckets: u32,
}

/// Where a file keeps what the last process knew of the pages. Zeros: nowhere, and the next start walks over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeptPages {
    /// Offset in the file, behind the index.
    pub at: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its checksum.
    pub sum: u64,
}

/// The size classes of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassTable {
    /// Chunk bytes by class id; 0 for an id that is not in use.
    pub sizes: Box<[u32; CLASSES]>,
    /// Whether the class also serves last links, by class id.
    pub serves_links: Box<[bool; CLASSES]>,
    /// Whether it is a former class, by class id: it keeps the pages that it has, and no new item is stored in it.
    pub is_former: Box<[bool; CLASSES]>,
    /// The class of the largest chunks.
    pub largest: u8,
}

/// How far the eviction of a class has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandState {
    /// The page and chunk that the hand meets next.
    pub page: u32,
    /// See `page`.
    pub index: u32,
    /// The page and chunk that the first round meets next.
    pub first_round_page: u32,
    /// See `first_round_page`.
    pub first_round_index: u32,
    /// The target length of the small queue. 0: the class has not had to evict.
    pub target: u32,
    /// Whether the first round is over.
    pub first_round_is_over: bool,
}

impl Default for ClassTable {
    fn default() -> Self {
        let none = || Box::new([false; CLASSES]);
        Self { sizes: Box::new([0; CLASSES]), serves_links: none(), is_former: none(), largest: 0 }
    }
}

impl Default for LiveState {
    fn default() -> Self {
        Self {
            sequence: 0,
            is_clean: false,
            pid: 0,
            generation: 0,
            boot_id: BootId::default(),
            clock_ms: 0,
            boot_ms: 0,
            unix_ms: 0,
            cas_end: 0,
            flush_mark: 0,
            flush_due: 0,
            items: 0,
            limit_bytes: 0,
            index: KeptIndex::default(),
            pages: KeptPages::default(),
            classes: ClassTable::default(),
            class_settings: 0,
            hands: Box::new([HandState::default(); CLASSES]),
        }
    }
}

/// The bit of an encoded chunk size that says that the class serves last links. Chunk sizes are below 2^20.
const LINKS_BIT: u32 = 1 << 31;
/// The bit that says that it is a former class.
const FORMER_BIT: u32 = 1 << 30;

impl LiveState {
    /// The bytes of the state.
    pub fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut writer = Writer { block: [0; BLOCK_BYTES], at: 0 };
        writer.u64(self.sequence);
        writer.u32(u32::from(self.is_clean));
        writer.u32(self.pid);
        writer.u64(self.generation);
        writer.bytes(&self.boot_id.0);
        writer.u64(self.clock_ms);
        writer.u64(self.boot_ms);
        writer.u64(self.unix_ms.cast_unsigned());
        writer.u64(self.cas_end);
        writer.u64(self.flush_mark);
        writer.u32(self.flush_due);
        writer.u32(u32::from(self.classes.largest));
        writer.u64(self.items);
        writer.u64(self.limit_bytes);
        let ClassTable { sizes, serves_links, is_former, .. } = &self.classes;
        for ((bytes, serves_links), is_former) in sizes.iter().zip(&**serves_links).zip(&**is_former) {
            let bit = |is_set: bool, bit| if is_set { bit } else { 0 };
            writer.u32(bytes | bit(*serves_links, LINKS_BIT) | bit(*is_former, FORMER_BIT));
        }
        for hand in &*self.hands {
            writer.u32(hand.page);
            writer.u32(hand.index);
            writer.u32(hand.first_round_page);
            writer.u32(hand.first_round_index);
            writer.u32(hand.target);
            writer.u32(u32::from(hand.first_round_is_over));
        }
        writer.u64(self.index.at);
        writer.u64(self.index.bytes);
        writer.u64(self.index.seed);
        writer.u32(self.index.buckets);
        writer.u64(self.pages.at);
        writer.u64(self.pages.bytes);
        writer.u64(self.pages.sum);
        writer.u64(self.class_settings);
        let sum = checksum(&writer.block[..CHECKSUM_AT]);
        writer.block[CHECKSUM_AT..].copy_from_slice(&sum.to_le_bytes());
        writer.block
    }

    /// The state in `block`. `None`: the block is incomplete.
    pub fn decode(block: &[u8; BLOCK_BYTES]) -> Option<Self> {
        let sum = block[CHECKSUM_AT..].try_into().map(u64::from_le_bytes).ok()?;
        if sum != checksum(&block[..CHECKSUM_AT]) {
            return None;
        }
        let mut reader = Reader { block, at: 0 };
        let mut state = Self {
            sequence: reader.u64(),
            is_clean: reader.u32() == 1,
            pid: reader.u32(),
            generation: reader.u64(),
            boot_id: BootId(reader.array()),
            clock_ms: reader.u64(),
            boot_ms: reader.u64(),
            unix_ms: reader.u64().cast_signed(),
            cas_end: reader.u64(),
            flush_mark: reader.u64(),
            flush_due: reader.u32(),
            ..Self::default()
        };
        state.classes.largest = u8::try_from(reader.u32()).ok()?;
        (state.items, state.limit_bytes) = (reader.u64(), reader.u64());
        for class in 0..CLASSES {
            let word = reader.u32();
            state.classes.sizes[class] = word & !(LINKS_BIT | FORMER_BIT);
            state.classes.is_former[class] = word & FORMER_BIT != 0;
            state.classes.serves_links[class] = word & LINKS_BIT != 0;
        }
        for hand in &mut *state.hands {
            let [page, index, first_round_page, first_round_index, target, is_over] = [(); 6].map(|()| reader.u32());
            let first_round_is_over = is_over == 1;
            *hand = HandState { page, index, first_round_page, first_round_index, target, first_round_is_over };
        }
        let [at, bytes, seed] = [(); 3].map(|()| reader.u64());
        state.index = KeptIndex { at, bytes, seed, buckets: reader.u32() };
        let [at, bytes, sum] = [(); 3].map(|()| reader.u64());
        state.pages = KeptPages { at, bytes, sum };
        state.class_settings = reader.u64();
        Some(state)
    }
}

const _: () = assert!(BLOCK_BYTES - CHECKSUM_AT == 8);

/// Writes fields one after the other.
struct Writer {
    block: [u8; BLOCK_BYTES],
    at: usize,
}

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.block[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    fn u32(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }
}

/// Reads fields one after the other.
struct Reader<'a> {
    block: &'a [u8; BLOCK_BYTES],
    at: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.block[self.at..self.at + N]);
        self.at += N;
        array
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }
}

#[cfg(test)]
mod tests {
    use super::{BootId, HandState, KeptIndex, KeptPages, LiveState};

    fn state() -> LiveState {
        let mut state = LiveState { sequence: 9, is_clean: true, pid: 77, generation: 3, ..LiveState::default() };
        (state.boot_id, state.clock_ms, state.boot_ms, state.unix_ms) = (BootId([7; 16]), 1, 2, -3);
        (state.cas_end, state.flush_mark, state.flush_due, state.items) = (4, 5, 6, 7);
        state.limit_bytes = 8;
        state.index = KeptIndex { at: 10, bytes: 11, seed: 12, buckets: 13 };
        state.pages = KeptPages { at: 14, bytes: 15, sum: 16 };
        state.classes.largest = 100;
        (state.classes.sizes[127], state.classes.serves_links[127]) = (16384, true);
        (state.classes.sizes[1], state.classes.serves_links[2]) = (64, true);
        (state.classes.sizes[3], state.classes.is_former[3], state.class_settings) = (72, true, 17);
        let hand =
            HandState { page: 1, index: 2, first_round_page: 3, first_round_index: 4, target: 5, ..Default::default() };
        state.hands[127] = HandState { first_round_is_over: true, ..hand };
        state
    }

    #[test]
    fn a_state_reads_as_it_was_written() {
        assert_eq!(LiveState::decode(&state().encode()), Some(state()));
    }

    #[test]
    fn no_changed_bit_and_no_missing_end_goes_unnoticed() {
        let block = state().encode();
        for bit in 0..block.len() * 8 {
            let mut flipped = block;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(LiveState::decode(&flipped), None, "bit {bit}");
        }
        let mut torn = block;
        torn[2048..].fill(0);
        assert_eq!(LiveState::decode(&torn), None);
        assert_eq!(LiveState::decode(&[0; 4096]), None, "a file of zeros");
    }
}
