//! The 16-byte item header, and the first words of all other kinds of chunk.
//!
//! ```text
//! word0   63       56 55        37 36    35    34   33    32      31     30    29 28 27     20 19        0
//!        ┌───────────┬────────────┬─────┬─────┬────┬─────┬───────┬──────┬─────┬─────┬─────────┬───────────┐
//!        │CAS 39..32 │ access (s) │token│stale│ext.│flags│fetched│linked│queue│freq │ key_len │ value_len │
//!        └───────────┴────────────┴─────┴─────┴────┴─────┴───────┴──────┴─────┴─────┴─────────┴───────────┘
//! word1   63                                  32 31                                                       0
//!        ┌──────────────────────────────────────┬─────────────────────────────────────────────────────────┐
//!        │ deadline (ticks of the store's clock)│ CAS 31..0                                               │
//!        └──────────────────────────────────────┴─────────────────────────────────────────────────────────┘
//!
//! free chunk          word0 = 0                          word1 = next free chunk
//! link of a chain     key_len = 0, value_len = its bytes word1 = next link | head, 32 bits each
//!                     63..32: link to prefetch, or 0
//! item being filled   linked = 0
//! ```
//!
//! A linked item's header changes only by atomic operations (I2). `linked` is set with Release after key and value
//! are written. So a pinned thread that sees it (Acquire) may read them.

use crate::base::atomic::fixed::Ordering;
use crate::base::{Deadline, RelTime};
use crate::memory::{ChunkHead, ChunkRef};

const VALUE_LEN_BITS: u32 = 20;
const KEY_LEN_SHIFT: u32 = 20;
const FREQ_SHIFT: u32 = 28;
const FREQ_MASK: u64 = 3 << FREQ_SHIFT;
const QUEUE_MAIN: u64 = 1 << 30;
const LINKED: u64 = 1 << 31;
const FETCHED: u64 = 1 << 32;
const HAS_CLIENT_FLAGS: u64 = 1 << 33;
const HAS_EXTENSION: u64 = 1 << 34;
/// A link has none of the fields above bit 31. Its high half is the reference of a later link, which readers
/// prefetch.
const LINK_AHEAD_SHIFT: u32 = 32;
/// The bits `flags` and `ext.`, shifted right by this, are the byte lengths of the fields that they announce.
const OPTIONAL_SHIFT: u32 = 31;
const ACCESS_SHIFT: u32 = 37;
const ACCESS_MASK: u64 = ((1 << 19) - 1) << ACCESS_SHIFT;
const CAS_HIGH_SHIFT: u32 = 56;
/// The bits of word0 that define the layout of the item in its chunk.
const SHAPE_MASK: u64 = HAS_CLIENT_FLAGS | HAS_EXTENSION | ((1 << FREQ_SHIFT) - 1);

/// The access time is stamped again only after this many seconds. It is for statistics only, and readers should not
/// store to a shared cache line on every hit.
const ACCESS_GRAIN_S: u32 = 60;

/// The number of bits of a CAS unique that an item keeps.
pub const CAS_BITS: u32 = 40;
/// The longest value whose length fits the header. The length of a chained value is in the extension.
pub const VALUE_LEN_INLINE_MAX: u32 = (1 << VALUE_LEN_BITS) - 1;
/// Bytes before the first optional field.
pub const HEADER_BYTES: u32 = 16;
/// Bytes of the optional client flags.
pub const CLIENT_FLAGS_BYTES: u32 = 4;
/// Bytes of the optional extension: total value length and first link of the chain, 4 bytes each.
pub const EXTENSION_BYTES: u32 = 8;

const _: () = assert!(size_of::<ChunkHead>() == HEADER_BYTES as usize, "restart files depend on it");
const _: () = assert!(FREQ_MASK & QUEUE_MAIN == 0 && ACCESS_MASK >> CAS_HIGH_SHIFT == 0);
const _: () = assert!(CAS_HIGH_SHIFT + (CAS_BITS - 32) == 64);
const _: () = assert!(HAS_CLIENT_FLAGS >> OPTIONAL_SHIFT == CLIENT_FLAGS_BYTES as u64);
const _: () = assert!(HAS_EXTENSION >> OPTIONAL_SHIFT == EXTENSION_BYTES as u64);

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
    /// The item is the head of a chain.
    pub has_extension: bool,
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
    pub const fn has_extension(self) -> bool {
        self.0 & HAS_EXTENSION != 0
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

    /// Seconds since the last stamped access, at most six days. The stamp may lag by `ACCESS_GRAIN_S`.
    pub const fn idle_s(self, now: RelTime) -> u32 {
        let then = ((self.0 & ACCESS_MASK) >> ACCESS_SHIFT) as u32;
        now.0.wrapping_sub(then) & (ACCESS_MASK >> ACCESS_SHIFT) as u32
    }

    /// Bytes before the key.
    #[inline]
    pub const fn key_offset(self) -> u32 {
        HEADER_BYTES + ((self.0 & (HAS_CLIENT_FLAGS | HAS_EXTENSION)) >> OPTIONAL_SHIFT) as u32
    }

    #[inline]
    const fn cas_high(self) -> u64 {
        self.0 >> CAS_HIGH_SHIFT << 32
    }
}

impl Shape {
    /// Bytes before the value, header included.
    pub const fn prefix_bytes(self) -> u32 {
        let flags = if self.has_client_flags { CLIENT_FLAGS_BYTES } else { 0 };
        let extension = if self.has_extension { EXTENSION_BYTES } else { 0 };
        HEADER_BYTES + flags + extension + self.key_len as u32
    }

    const fn word0(self) -> u64 {
        (if self.has_client_flags { HAS_CLIENT_FLAGS } else { 0 })
            | (if self.has_extension { HAS_EXTENSION } else { 0 })
            | ((self.key_len as u64) << KEY_LEN_SHIFT)
            | (self.value_len & VALUE_LEN_INLINE_MAX) as u64
    }
}

/// The header fields that are set when the item becomes visible.
#[derive(Clone, Copy, Debug)]
pub struct LinkInfo {
    /// The CAS unique; the low [`CAS_BITS`] bits are kept.
    pub cas: u64,
    /// The item's deadline.
    pub deadline: Deadline,
    /// The current time.
    pub now: RelTime,
    /// The item's initial state in the eviction policy.
    pub place: QueueState,
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

/// Writes the header of a chain's link. `next` is `None` in the last link.
pub(super) fn write_link(head: &ChunkHead, piece_len: u32, next: Option<ChunkRef>, first: ChunkRef) {
    let next = next.map_or(0, |next| u64::from(next.bits()));
    head.word1.store(next << 32 | u64::from(first.bits()), Ordering::Relaxed);
    // Release: a thread that sees a link also sees the link's head.
    head.word0.store(u64::from(piece_len), Ordering::Release);
}

/// Sets the link after this one. The chain is not visible yet.
pub(super) fn set_next_link(head: &ChunkHead, next: ChunkRef) {
    let first = head.word1.load(Ordering::Relaxed) & 0xffff_ffff;
    head.word1.store(u64::from(next.bits()) << 32 | first, Ordering::Relaxed);
}

/// Sets the later link that a reader of this link prefetches. The chain is not visible yet.
pub(super) fn set_link_ahead(head: &ChunkHead, ahead: ChunkRef) {
    let word0 = head.word0.load(Ordering::Relaxed);
    head.word0.store(u64::from(ahead.bits()) << LINK_AHEAD_SHIFT | word0, Ordering::Release);
}

/// The next link after this one.
pub(super) fn next_link(head: &ChunkHead) -> Option<ChunkRef> {
    ChunkRef::from_bits((head.word1.load(Ordering::Relaxed) >> 32) as u32)
}

/// The head of the chain that this link belongs to.
pub fn chain_head(head: &ChunkHead) -> Option<ChunkRef> {
    #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
    ChunkRef::from_bits(head.word1.load(Ordering::Relaxed) as u32)
}

/// Marks a filled item as linked, ready for the index to refer to it. The caller holds the bucket's lock: no other
/// thread links or unlinks the item.
pub fn set_linked(head: &ChunkHead, link_info: LinkInfo) {
    let word1 = u64::from(link_info.deadline.0) << 32 | link_info.cas & 0xffff_ffff;
    head.word1.store(word1, Ordering::Relaxed);
    let shape = head.word0.load(Ordering::Relaxed);
    let access = (u64::from(link_info.now.0) << ACCESS_SHIFT) & ACCESS_MASK;
    let cas_high = link_info.cas >> 32 << CAS_HIGH_SHIFT;
    // Release: publishes key, value and word1; pairs with `Word0::load` (I2).
    head.word0.store(shape | access | cas_high | link_info.place.0 | LINKED, Ordering::Release);
}

/// As [`set_linked`], for a copy that replaces its original. All fields are the original's. `seen` is the original's
/// header, and the original is still linked.
pub fn set_linked_as(head: &ChunkHead, original: &ChunkHead, seen: Word0) {
    debug_assert_eq!(head.word0.load(Ordering::Relaxed) & SHAPE_MASK, seen.0 & SHAPE_MASK);
    head.word1.store(original.word1.load(Ordering::Relaxed), Ordering::Relaxed);
    // Release: as in `set_linked`.
    head.word0.store(seen.0 | LINKED, Ordering::Release);
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

/// Notes a hit: increments freq (at most 3), sets `fetched`, and stamps the access time at its grain. Stores nothing
/// if nothing changes, which is the common case for items that are read often.
#[inline]
pub fn note_hit(head: &ChunkHead, seen: Word0, now: RelTime) {
    let stale = seen.idle_s(now) >= ACCESS_GRAIN_S;
    if seen.0 & (FREQ_MASK | FETCHED) != FREQ_MASK | FETCHED || stale {
        note_changed_hit(head, seen, now);
    }
}

fn note_changed_hit(head: &ChunkHead, seen: Word0, now: RelTime) {
    let freq = (seen.0 & FREQ_MASK) + (1 << FREQ_SHIFT);
    let freq = if freq > FREQ_MASK { FREQ_MASK } else { freq };
    let access = (u64::from(now.0) << ACCESS_SHIFT) & ACCESS_MASK;
    let noted = seen.0 & !(FREQ_MASK | ACCESS_MASK) | freq | access | FETCHED;
    // Ignored: if another thread changed the header in between, this hit is not counted. It is only a hint.
    let _ = head.word0.compare_exchange(seen.0, noted, Ordering::Relaxed, Ordering::Relaxed);
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

/// The item's deadline.
#[inline]
pub fn deadline(head: &ChunkHead) -> Deadline {
    Deadline((head.word1.load(Ordering::Relaxed) >> 32) as u32)
}

/// Sets the item's deadline. The caller holds the bucket's lock, so of two touches the later one wins.
pub fn set_deadline(head: &ChunkHead, deadline: Deadline) {
    let cas_low = head.word1.load(Ordering::Relaxed) & 0xffff_ffff;
    head.word1.store(u64::from(deadline.0) << 32 | cas_low, Ordering::Relaxed);
}

/// The CAS unique.
#[inline]
pub fn cas(head: &ChunkHead, word0: Word0) -> u64 {
    word0.cas_high() | head.word1.load(Ordering::Relaxed) & 0xffff_ffff
}

#[cfg(test)]
mod tests {
    use super::{
        ChunkHead, Deadline, LinkInfo, QueueState, RelTime, Shape, Word0, cas, clear_linked, deadline, lower_freq,
        note_hit, promote, set_deadline, set_linked, write_unlinked,
    };
    use crate::base::atomic::fixed::AtomicU64;

    fn linked() -> ChunkHead {
        let head = ChunkHead { word0: AtomicU64::new(0), word1: AtomicU64::new(0) };
        write_unlinked(
            &head,
            Shape { key_len: 250, has_client_flags: true, has_extension: false, value_len: 1_048_575 },
        );
        let link_info =
            LinkInfo { cas: 0xff_1234_5678, deadline: Deadline(77), now: RelTime(1000), place: QueueState::SMALL };
        set_linked(&head, link_info);
        head
    }

    #[test]
    fn every_field_keeps_to_its_own_bits() {
        let head = linked();
        let word0 = Word0::load(&head);
        assert_eq!((word0.key_len(), word0.value_len(), word0.key_offset()), (250, 1_048_575, 20));
        assert_eq!((cas(&head, word0), deadline(&head)), (0xff_1234_5678, Deadline(77)));
        assert!(word0.is_linked() && word0.has_client_flags() && !word0.has_extension() && !word0.is_fetched());
        set_deadline(&head, Deadline(u32::MAX));
        assert_eq!((cas(&head, word0), deadline(&head)), (0xff_1234_5678, Deadline(u32::MAX)));
        clear_linked(&head);
        assert!(!Word0::load(&head).is_linked());
        assert_eq!(Word0::load(&head).value_len(), 1_048_575);
    }

    #[test]
    fn hits_count_to_three_and_the_hand_takes_them_back() {
        let head = linked();
        for expected in [1, 2, 3, 3] {
            note_hit(&head, Word0::load(&head), RelTime(1000));
            assert_eq!(Word0::load(&head).freq(), expected);
        }
        assert!(Word0::load(&head).is_fetched());
        let seen = Word0::load(&head);
        assert!(lower_freq(&head, seen));
        assert!(!lower_freq(&head, seen), "the header has changed since");
        assert_eq!(Word0::load(&head).freq(), 2);
    }

    #[test]
    fn an_item_goes_over_into_main_without_its_hits() {
        let head = linked();
        note_hit(&head, Word0::load(&head), RelTime(1000));
        let seen = Word0::load(&head);
        assert!(!seen.in_main());
        promote(&head, seen);
        assert_eq!((Word0::load(&head).in_main(), Word0::load(&head).freq()), (true, 0));
        note_hit(&head, Word0::load(&head), RelTime(1000));
        let heir = linked();
        let place = QueueState::of(Word0::load(&head));
        set_linked(&heir, LinkInfo { cas: 1, deadline: Deadline(0), now: RelTime(1), place });
        assert_eq!((Word0::load(&heir).in_main(), Word0::load(&heir).freq()), (true, 1));
    }

    #[test]
    fn a_saturated_hit_stores_nothing_until_the_access_stamp_is_old() {
        let head = linked();
        for _ in 0..3 {
            note_hit(&head, Word0::load(&head), RelTime(1000));
        }
        let before = Word0::load(&head);
        note_hit(&head, before, RelTime(1059));
        assert_eq!(Word0::load(&head), before);
        note_hit(&head, before, RelTime(1060));
        assert_eq!(Word0::load(&head).idle_s(RelTime(1060)), 0);
    }
}
