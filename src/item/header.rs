//! The 16-byte item header, and the first words of all other kinds of chunk.
//!
//! ```text
//! word0   63        56 55         43 42  41 40        33 32      31     30    29 28 27     20 19        0
//!        ┌────────────┬─────────────┬──────┬────────────┬───────┬──────┬─────┬─────┬─────────┬───────────┐
//!        │unique 39…32│access (min) │ free │ marks, see │fetched│linked│queue│freq │ key_len │ value_len │
//!        └────────────┴─────────────┴──────┴─ below ────┴───────┴──────┴─────┴─────┴─────────┴───────────┘
//! marks   40 being touched │ 39 binary key │ 38 token sent │ 37 stale
//!         36 has version │ 35 has proof │ 34 is chain │ 33 has client flags
//! word1   63                                  32 31                                                      0
//!        ┌──────────────────────────────────────┬────────────────────────────────────────────────────────┐
//!        │ deadline (ticks of the store's clock)│ unique 31…0                                            │
//!        └──────────────────────────────────────┴────────────────────────────────────────────────────────┘
//!
//! free chunk          word0 = 0                          word1 = next free chunk
//! link of a chain     key_len = 0, value_len = its bytes word1 = next link | head, 32 bits each
//!                     63..32: link to prefetch, or 0
//! item being filled   linked = 0
//! ```
//!
//! `unique` is drawn from the store's counter: flushes and rings tell items apart by it. It is also the CAS unique that
//! clients see, unless the item has a version, which a client or replication chose.
//!
//! A linked item's header changes only by atomic operations (I2). `linked` is set with Release after key and value
//! are written. So a pinned thread that sees it (Acquire) may read them.

use crate::base::atomic::fixed::Ordering;
use crate::base::{Deadline, RelTime};
use crate::memory::{ChunkHead, ChunkRef};

use super::link::LINK_AHEAD_SHIFT;
pub use super::link::chain_head;
pub(super) use super::link::{next_link, set_link_ahead, set_next_link, write_link};
pub(super) use super::word1::set_deadline;
pub use super::word1::{Word1, deadline};

const VALUE_LEN_BITS: u32 = 20;
const KEY_LEN_SHIFT: u32 = 20;
const FREQ_SHIFT: u32 = 28;
const FREQ_MASK: u64 = 3 << FREQ_SHIFT;
const QUEUE_MAIN: u64 = 1 << 30;
const LINKED: u64 = 1 << 31;
const FETCHED: u64 = 1 << 32;
const HAS_CLIENT_FLAGS: u64 = 1 << 33;
const IS_CHAIN: u64 = 1 << 34;
const HAS_PROOF: u64 = 1 << 35;
const HAS_VERSION: u64 = 1 << 36;
const STALE: u64 = 1 << 37;
const TOKEN_SENT: u64 = 1 << 38;
const BINARY_KEY: u64 = 1 << 39;
const BEING_TOUCHED: u64 = 1 << 40;
const ACCESS_SHIFT: u32 = 43;
const ACCESS_MASK: u64 = ((1 << 13) - 1) << ACCESS_SHIFT;
const UNIQUE_HIGH_SHIFT: u32 = 56;
/// The bits of word0 that define the layout of the item in its chunk.
const SHAPE_MASK: u64 = HAS_CLIENT_FLAGS | HAS_VERSION | HAS_PROOF | IS_CHAIN | ((1 << FREQ_SHIFT) - 1);
/// The bits of word0 that never change while the item is linked.
const CONSTANT_MASK: u64 = SHAPE_MASK | STALE | BINARY_KEY | 0xff << UNIQUE_HIGH_SHIFT;
/// The bits of an item's word0 that mean nothing yet. They are 0.
const UNUSED_MASK: u64 = 3 << 41;
/// The bits that a hit sets or renews.
const HIT_MASK: u64 = FREQ_MASK | FETCHED | ACCESS_MASK;

/// The last access is kept in units of this many seconds. It is for statistics only, and readers should not store to
/// a shared cache line on every hit.
const ACCESS_GRAIN_S: u32 = 60;

/// The number of bits of a unique that an item keeps.
pub const UNIQUE_BITS: u32 = 40;
/// The longest value whose length fits the header. The length of a chained value is in its optional field.
pub const VALUE_LEN_INLINE_MAX: u32 = (1 << VALUE_LEN_BITS) - 1;
/// Bytes before the first optional field.
pub const HEADER_BYTES: u32 = 16;

/// A field between header and key that only some items have.
struct OptionalField {
    /// The bit of word0 that announces it.
    bit: u64,
    bytes: u32,
}

/// Bytes of the client flags.
pub const CLIENT_FLAGS_BYTES: u32 = 4;
/// Bytes of the version.
pub const VERSION_BYTES: u32 = 8;
/// Bytes of the proof, see `proof.rs`.
pub const PROOF_BYTES: u32 = 4;
/// Bytes of a chain's total value length and first link, 4 bytes each.
pub const CHAIN_BYTES: u32 = 8;

/// The optional fields, in their order in the chunk. The version is the first one: it is an atomic, and so aligned. The
/// chain's field is the last one: its second half, the first link, ends where the key begins.
const OPTIONAL_FIELDS: [OptionalField; 4] = [
    OptionalField { bit: HAS_VERSION, bytes: VERSION_BYTES },
    OptionalField { bit: HAS_CLIENT_FLAGS, bytes: CLIENT_FLAGS_BYTES },
    OptionalField { bit: HAS_PROOF, bytes: PROOF_BYTES },
    OptionalField { bit: IS_CHAIN, bytes: CHAIN_BYTES },
];

/// Bytes of the optional fields of an item with this `word0`. It is the sum over [`OPTIONAL_FIELDS`], without a loop:
/// each get computes it.
#[expect(clippy::cast_possible_truncation, reason = "at most 24")]
const fn optional_bytes(word0: u64) -> u32 {
    let flags_and_chain = (word0 >> 31) & 0b1100;
    let proof_and_version = (word0 >> 33) & 0b1100;
    (flags_and_chain + proof_and_version) as u32
}

/// The offset in the chunk of the optional field that `bit` announces.
const fn optional_offset(word0: u64, bit: u64) -> u32 {
    let (mut offset, mut index) = (HEADER_BYTES, 0);
    while OPTIONAL_FIELDS[index].bit != bit {
        let field = &OPTIONAL_FIELDS[index];
        offset += if word0 & field.bit == 0 { 0 } else { field.bytes };
        index += 1;
    }
    offset
}

/// What the items of a memory file depend on. A file with other numbers is refused.
pub const LAYOUT: [u64; 8] = [
    HEADER_BYTES as u64,
    UNIQUE_BITS as u64,
    VALUE_LEN_BITS as u64,
    OPTIONAL_FIELDS[0].bit | OPTIONAL_FIELDS[0].bytes as u64,
    OPTIONAL_FIELDS[1].bit | OPTIONAL_FIELDS[1].bytes as u64,
    OPTIONAL_FIELDS[2].bit | OPTIONAL_FIELDS[2].bytes as u64,
    OPTIONAL_FIELDS[3].bit | OPTIONAL_FIELDS[3].bytes as u64,
    CONSTANT_MASK,
];

const _: () = assert!(size_of::<ChunkHead>() == HEADER_BYTES as usize, "restart files depend on it");
const _: () = assert!(FREQ_MASK & QUEUE_MAIN == 0 && ACCESS_MASK >> UNIQUE_HIGH_SHIFT == 0);
const _: () = assert!(UNIQUE_HIGH_SHIFT + (UNIQUE_BITS - 32) == 64);
const _: () = {
    let mut combination = 0;
    while combination < 1 << OPTIONAL_FIELDS.len() {
        let (mut word0, mut bytes, mut index) = (0, 0, 0);
        while index < OPTIONAL_FIELDS.len() {
            if combination >> index & 1 == 1 {
                word0 |= OPTIONAL_FIELDS[index].bit;
                assert!(optional_offset(word0, OPTIONAL_FIELDS[index].bit) == HEADER_BYTES + bytes);
                bytes += OPTIONAL_FIELDS[index].bytes;
            }
            index += 1;
        }
        assert!(optional_bytes(word0) == bytes, "the shifts agree with the table");
        combination += 1;
    }
    assert!(OPTIONAL_FIELDS[OPTIONAL_FIELDS.len() - 1].bit == IS_CHAIN, "the first link ends where the key begins");
    assert!(OPTIONAL_FIELDS[0].bit == HAS_VERSION, "the version is aligned like the chunk");
};

/// A copy of `word0`, loaded once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word0(u64);

/// The properties that determine the layout of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes of the key, 1 to 250.
    pub key_len: u8,
    /// The item stores its client flags, because they are not 0.
    pub has_client_flags: bool,
    /// The item stores a version, because its CAS unique is not the one that the store drew.
    pub has_version: bool,
    /// The item proves itself after a restart.
    pub has_proof: bool,
    /// The item is the head of a chain.
    pub is_chain: bool,
    /// Bytes of the value in this chunk; 0 for a chain.
    pub value_len: u32,
}

impl Word0 {
    /// Loads the word. If [`Word0::is_linked`], the item's bytes are readable.
    #[inline]
    pub fn load(head: &ChunkHead) -> Self {
        // Acquire: pairs with `set_linked`.
        Self(head.word0.load(Ordering::Acquire))
    }

    /// The word with these bits, as a memory file has it.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Bytes of the key; 0 if the chunk holds no item.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "the field has 8 bits")]
    pub const fn key_len(self) -> u8 {
        (self.0 >> KEY_LEN_SHIFT) as u8
    }

    /// Bytes of the value, unless the item is a chain. In a link: bytes of its piece.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "20 bits")]
    pub const fn value_len(self) -> u32 {
        (self.0 & VALUE_LEN_INLINE_MAX as u64) as u32
    }

    /// Whether the index refers to the item.
    #[inline]
    pub const fn is_linked(self) -> bool {
        self.0 & LINKED != 0
    }

    /// Whether the client flags precede the key.
    #[inline]
    pub const fn has_client_flags(self) -> bool {
        self.0 & HAS_CLIENT_FLAGS != 0
    }

    /// Whether the value continues in other chunks.
    #[inline]
    pub const fn is_chain(self) -> bool {
        self.0 & IS_CHAIN != 0
    }

    /// Whether the item has a version in place of its unique.
    #[inline]
    pub const fn has_version(self) -> bool {
        self.0 & HAS_VERSION != 0
    }

    /// Whether the item proves itself after a restart.
    #[inline]
    pub const fn has_proof(self) -> bool {
        self.0 & HAS_PROOF != 0
    }

    /// The fields that never change while the item is linked.
    pub(super) const fn constant_bits(self) -> u64 {
        self.0 & CONSTANT_MASK
    }

    /// Whether a client has declared the value to be out of date.
    #[inline]
    pub const fn is_stale(self) -> bool {
        self.0 & STALE != 0
    }

    /// Whether a client has been told to renew the value.
    #[inline]
    pub const fn is_token_sent(self) -> bool {
        self.0 & TOKEN_SENT != 0
    }

    /// Whether the key was sent in base64, because it is not text.
    #[inline]
    pub const fn is_binary_key(self) -> bool {
        self.0 & BINARY_KEY != 0
    }

    /// Whether a client has read the item.
    #[inline]
    pub const fn is_fetched(self) -> bool {
        self.0 & FETCHED != 0
    }

    /// Hits since the CLOCK hand last passed, 0 to 3.
    #[inline]
    pub const fn freq(self) -> u8 {
        ((self.0 & FREQ_MASK) >> FREQ_SHIFT) as u8
    }

    /// Whether the item is in its class's main queue, not in the small queue.
    #[inline]
    pub const fn in_main(self) -> bool {
        self.0 & QUEUE_MAIN != 0
    }

    /// Whether the deadline and the proof are being exchanged, one after the other.
    pub(super) const fn is_being_touched(self) -> bool {
        self.0 & BEING_TOUCHED != 0
    }

    /// Whether the item has this shape.
    pub(super) const fn has_shape(self, shape: Shape) -> bool {
        self.0 & SHAPE_MASK == shape.word0()
    }

    /// Whether bits are set that no item has.
    pub(super) const fn has_unknown_bits(self) -> bool {
        self.0 & UNUSED_MASK != 0
    }

    /// Whether the chunk is a link of a chain.
    #[inline]
    pub const fn is_link(self) -> bool {
        self.key_len() == 0 && self.0 != 0
    }

    /// In a link of a chain: the later link to prefetch, if it exists already. Only a hint.
    #[inline]
    pub const fn link_ahead(self) -> Option<ChunkRef> {
        ChunkRef::from_bits((self.0 >> LINK_AHEAD_SHIFT) as u32)
    }

    /// At least how many seconds have passed since the last access, which may be a minute more; at most six days.
    pub const fn idle_s(self, now: RelTime) -> u32 {
        let then = ((self.0 & ACCESS_MASK) >> ACCESS_SHIFT) as u32;
        let minutes = (now.0 / ACCESS_GRAIN_S).wrapping_sub(then) & (ACCESS_MASK >> ACCESS_SHIFT) as u32;
        // The last access was in that minute, perhaps in its last second.
        if minutes == 0 { 0 } else { (minutes - 1) * ACCESS_GRAIN_S + now.0 % ACCESS_GRAIN_S + 1 }
    }

    /// Bytes before the key.
    #[inline]
    pub const fn key_offset(self) -> u32 {
        HEADER_BYTES + optional_bytes(self.0)
    }

    /// The offset of the client flags, in an item that has them.
    #[inline]
    pub const fn client_flags_offset(self) -> u32 {
        optional_offset(self.0, HAS_CLIENT_FLAGS)
    }

    /// The offset of the proof, in an item that has one.
    #[inline]
    pub const fn proof_offset(self) -> u32 {
        optional_offset(self.0, HAS_PROOF)
    }

    /// The offset of total value length and first link, in a chain.
    #[inline]
    pub const fn chain_offset(self) -> u32 {
        optional_offset(self.0, IS_CHAIN)
    }

    #[inline]
    const fn unique_high(self) -> u64 {
        self.0 >> UNIQUE_HIGH_SHIFT << 32
    }
}

impl Shape {
    /// Bytes before the value, header included.
    pub const fn prefix_bytes(self) -> u32 {
        HEADER_BYTES + self.field_bytes() + self.key_len as u32
    }

    /// Bytes of the optional fields.
    pub const fn field_bytes(self) -> u32 {
        let flags = if self.has_client_flags { CLIENT_FLAGS_BYTES } else { 0 };
        let version = if self.has_version { VERSION_BYTES } else { 0 };
        let proof = if self.has_proof { PROOF_BYTES } else { 0 };
        let chain = if self.is_chain { CHAIN_BYTES } else { 0 };
        flags + version + proof + chain
    }

    /// The offset of the proof, in an item that has one.
    pub(super) const fn proof_offset(self) -> u32 {
        optional_offset(self.optional_bits(), HAS_PROOF)
    }

    const fn optional_bits(self) -> u64 {
        (if self.has_client_flags { HAS_CLIENT_FLAGS } else { 0 })
            | (if self.has_version { HAS_VERSION } else { 0 })
            | (if self.has_proof { HAS_PROOF } else { 0 })
            | (if self.is_chain { IS_CHAIN } else { 0 })
    }

    const fn word0(self) -> u64 {
        self.optional_bits() | ((self.key_len as u64) << KEY_LEN_SHIFT) | (self.value_len & VALUE_LEN_INLINE_MAX) as u64
    }
}

/// The minute of an access, as the header keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccessStamp(u64);

impl AccessStamp {
    /// The stamp of an access at `now`.
    pub const fn at(now: RelTime) -> Self {
        Self(((now.0 / ACCESS_GRAIN_S) as u64) << ACCESS_SHIFT & ACCESS_MASK)
    }
}

/// What a header keeps besides layout, time and queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u64);

impl Marks {
    /// None of them: a new value under a key of text.
    pub const NONE: Self = Self(0);
    /// A client has declared the value to be out of date.
    pub const STALE: Self = Self(STALE);
    /// A client has been told to renew the value.
    pub const TOKEN_SENT: Self = Self(TOKEN_SENT);
    /// The key was sent in base64.
    pub const BINARY_KEY: Self = Self(BINARY_KEY);
    /// A client has read the item.
    pub const FETCHED: Self = Self(FETCHED);

    /// All marks of a header.
    pub const fn of(word0: Word0) -> Self {
        Self(word0.0 & (STALE | TOKEN_SENT | BINARY_KEY | FETCHED))
    }

    /// The marks in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The marks that are in both.
    #[must_use]
    pub const fn only(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// `mark` if the condition holds.
    pub const fn when(condition: bool, mark: Self) -> Self {
        if condition { mark } else { Self::NONE }
    }
}

/// The header fields that are set when the item becomes visible.
#[derive(Clone, Copy, Debug)]
pub struct LinkInfo {
    /// The unique that the store drew; the low [`UNIQUE_BITS`] bits are kept.
    pub unique: u64,
    /// The item's deadline.
    pub deadline: Deadline,
    /// The current minute.
    pub accessed: AccessStamp,
    /// The item's initial state in the eviction policy.
    pub queue: QueueState,
    /// The item's marks.
    pub marks: Marks,
}

#[cfg(test)]
impl LinkInfo {
    /// For tests: an item of the main queue, without marks and without a deadline.
    pub const fn main(unique: u64) -> Self {
        let (deadline, accessed) = (Deadline::NEVER, AccessStamp::at(RelTime(2)));
        Self { unique, deadline, accessed, queue: QueueState::MAIN, marks: Marks::NONE }
    }
}

/// The state of an item in the eviction policy: queue and freq, in the header's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueState(u64);

impl QueueState {
    /// In the main queue, without hits.
    pub const MAIN: Self = Self(QUEUE_MAIN);
    /// In the small queue, without hits.
    pub const SMALL: Self = Self(0);

    /// In the main queue, with `hits` hits (at most 3), for a key that came back.
    #[inline]
    pub const fn returned(hits: u8) -> Self {
        Self(QUEUE_MAIN | (hits as u64) << FREQ_SHIFT & FREQ_MASK)
    }

    /// The state in a header.
    #[inline]
    pub const fn of(word0: Word0) -> Self {
        Self(word0.0 & (FREQ_MASK | QUEUE_MAIN))
    }

    /// The same hits, in the main queue.
    #[inline]
    #[must_use]
    pub const fn moved_to_main(self) -> Self {
        Self(self.0 | QUEUE_MAIN)
    }

    /// Whether the item is in the main queue, not in the small queue.
    #[inline]
    pub const fn in_main(self) -> bool {
        self.0 & QUEUE_MAIN != 0
    }
}

/// Writes the header of an item that is not visible yet.
pub(super) fn write_unlinked(head: &ChunkHead, shape: Shape) {
    // Relaxed: `set_linked` publishes.
    head.word0.store(shape.word0(), Ordering::Relaxed);
}

/// Marks a filled item as linked, ready for the index to refer to it. The caller holds the bucket's lock: no other
/// thread links or unlinks the item.
///
/// `prove` gets both words as they will be, and writes the item's proof if it has one.
#[inline]
pub fn set_linked(head: &ChunkHead, link_info: LinkInfo, prove: impl FnOnce(Word0, Word1)) {
    let LinkInfo { unique, deadline, accessed, queue, marks } = link_info;
    let word1 = u64::from(deadline.0) << 32 | unique & 0xffff_ffff;
    head.word1.store(word1, Ordering::Relaxed);
    let shape = head.word0.load(Ordering::Relaxed);
    let unique_high = unique >> 32 << UNIQUE_HIGH_SHIFT;
    let word0 = shape | accessed.0 | unique_high | queue.0 | marks.0 | LINKED;
    prove(Word0(word0), Word1::of(word1));
    // Release: publishes key, value, proof and word1; pairs with `Word0::load` (I2).
    head.word0.store(word0, Ordering::Release);
}

/// As [`set_linked`], for a copy that replaces its original. All fields but the shape are the original's: what was a
/// chain may be in one chunk now. `seen` is the original's header, and the original is still linked.
pub fn set_linked_as(head: &ChunkHead, original: &ChunkHead, seen: Word0, prove: impl FnOnce(Word0, Word1)) {
    let shape = head.word0.load(Ordering::Relaxed) & SHAPE_MASK;
    debug_assert_eq!((shape ^ seen.0) & (HAS_CLIENT_FLAGS | HAS_VERSION | HAS_PROOF), 0, "the same optional fields");
    let word1 = original.word1.load(Ordering::Relaxed);
    head.word1.store(word1, Ordering::Relaxed);
    let word0 = Word0(shape | seen.0 & !(SHAPE_MASK | BEING_TOUCHED) | LINKED);
    prove(word0, Word1::of(word1));
    // Release: as in `set_linked`.
    head.word0.store(word0.0, Ordering::Release);
}

/// Proof that an item's `linked` bit is cleared. The index requires it before it drops a reference (I14).
#[derive(Debug)]
pub struct Unlinked(());

#[cfg(test)]
impl Unlinked {
    /// For tests of the index, where no chunk holds an item.
    pub const fn assumed() -> Self {
        Self(())
    }
}

/// Clears the `linked` bit of an item that the index is about to drop. The caller holds the bucket's lock. The rest
/// of the header stays, because earlier readers may still look at it.
#[inline]
pub fn clear_linked(head: &ChunkHead) -> Unlinked {
    // Load and store suffice: `linked` changes only under the bucket's lock. A hit or a pass of the CLOCK hand in
    // between is lost with the item.
    head.word0.store(head.word0.load(Ordering::Relaxed) & !LINKED, Ordering::Release);
    Unlinked(())
}

/// Notes a hit: increments freq (at most 3), sets `fetched`, and stamps the minute. Stores nothing if nothing changes,
/// which is the common case for items that are read often.
#[inline]
pub fn note_hit(head: &ChunkHead, seen: Word0, accessed: AccessStamp) {
    if (seen.0 ^ (accessed.0 | FREQ_MASK | FETCHED)) & HIT_MASK != 0 {
        note_changed_hit(head, seen, accessed);
    }
}

fn note_changed_hit(head: &ChunkHead, seen: Word0, accessed: AccessStamp) {
    let freq = (seen.0 & FREQ_MASK) + (1 << FREQ_SHIFT);
    let freq = if freq > FREQ_MASK { FREQ_MASK } else { freq };
    let noted = seen.0 & !(FREQ_MASK | ACCESS_MASK) | freq | accessed.0 | FETCHED;
    // Ignored: if another thread changed the header in between, this hit is not counted. It is only a hint.
    let _ = head.word0.compare_exchange(seen.0, noted, Ordering::Relaxed, Ordering::Relaxed);
}

/// Notes that a client was told to renew the value. The caller holds the bucket's lock, so only one client is told.
pub fn note_token_sent(head: &ChunkHead) {
    head.word0.fetch_or(TOKEN_SENT, Ordering::Relaxed);
}

/// Decrements freq when the CLOCK hand passes. False if the header changed in between.
pub fn lower_freq(head: &ChunkHead, seen: Word0) -> bool {
    debug_assert!(seen.freq() > 0);
    let lowered = seen.0 - (1 << FREQ_SHIFT);
    head.word0.compare_exchange(seen.0, lowered, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Moves the item to the main queue, with a freq of 0. It stays in its chunk.
pub fn promote(head: &ChunkHead, seen: Word0) {
    let promoted = seen.0 & !FREQ_MASK | QUEUE_MAIN;
    if head.word0.compare_exchange(seen.0, promoted, Ordering::Relaxed, Ordering::Relaxed).is_err() {
        // A hit came in between, which may count.
        move_to_main(head);
    }
}

/// Moves the item to the main queue and keeps its hits.
pub fn move_to_main(head: &ChunkHead) {
    head.word0.fetch_or(QUEUE_MAIN, Ordering::Relaxed);
}

/// Marks an item whose deadline and proof are about to change, one after the other.
pub(super) fn begin_touch(head: &ChunkHead) {
    head.word0.fetch_or(BEING_TOUCHED, Ordering::Relaxed);
}

/// Deadline and proof have changed.
pub(super) fn end_touch(head: &ChunkHead) {
    // Release: the proof comes first.
    head.word0.fetch_and(!BEING_TOUCHED, Ordering::Release);
}

/// The unique that the store drew for the item.
#[inline]
pub fn unique(head: &ChunkHead, word0: Word0) -> u64 {
    word0.unique_high() | head.word1.load(Ordering::Relaxed) & 0xffff_ffff
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
