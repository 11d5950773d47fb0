//! An item that is complete, but not linked yet and so not visible. Upholds I12.
//!
//! ```text
//! whole value at hand ──fill──────────────────▶ CompleteItem ──link──▶ ChunkRef for the index
//! PendingItem, nothing remaining ──complete──▶
//! ```
//!
//! Nearly all values arrive together with their request. They need no `PendingItem`, whose progress fields take
//! longer to write than the value itself.

use std::slice;

use crate::base::Key;
use crate::base::atomic::fixed::Ordering;
use crate::memory::{ChunkHead, ChunkRef, SlabAllocator};

use super::header::{self, CLIENT_FLAGS_BYTES, HEADER_BYTES, LinkInfo, Shape, VERSION_BYTES};
use super::layout::{Extras, Layout};
use super::proof::{Content, Proving};
use super::version;

/// The owner links the item, or gives its chunks back.
#[must_use = "otherwise its chunks are lost"]
pub struct CompleteItem {
    chunk: ChunkRef,
    head: &'static ChunkHead,
    class: u8,
    bytes: u64,
    links: Option<[(u8, u32); 2]>,
    /// Writes the item's proof, if it has one.
    proving: Option<Proving<'static>>,
}

impl CompleteItem {
    /// Writes an item of one chunk into `chunk`, which no other thread has.
    ///
    /// # Panics
    /// If `layout` is for another value, a chain or another class.
    #[inline(always)]
    pub fn fill(
        slabs: &'static SlabAllocator,
        chunk: ChunkRef,
        layout: Layout,
        key: Key<'_>,
        extras: Extras,
        value: &[u8],
    ) -> Self {
        let shape = layout.shape;
        assert!(!shape.is_chain, "a chain is filled link by link");
        let (first, head, chunk_bytes) = slabs.arena().locate_sized(chunk);
        let end = shape.prefix_bytes() + layout.value_len;
        assert!(end <= chunk_bytes, "the layout was made for this class (I3)");
        header::write_unlinked(head, shape);
        // SAFETY: the bytes after the header lie within the chunk, as asserted above.
        let start = unsafe { first.add(HEADER_BYTES as usize) };
        // SAFETY: no other thread can see the chunk (I12), so this is the only reference to these bytes. Mapped
        // memory is initialised.
        let room = unsafe { slice::from_raw_parts_mut(start.as_ptr(), (end - HEADER_BYTES) as usize) };
        let (fields, room) = room.split_at_mut(shape.field_bytes() as usize);
        if !fields.is_empty() {
            write_fields(fields, shape, extras);
        }
        let (key_room, value_room) = room.split_at_mut(usize::from(shape.key_len));
        key_room.copy_from_slice(key.bytes());
        value_room.copy_from_slice(value);
        let content = shape.has_proof.then(|| Content::of(extras.client_flags, room));
        // SAFETY: the proof is one of the fields, which lie within the chunk. No slice is made of them any more.
        let proving = content.map(|content| unsafe { Proving::new(content, extras.version, first, shape) });
        Self { chunk, head, class: layout.head_class, bytes: u64::from(end), links: None, proving }
    }

    /// Converts a `PendingItem`.
    pub(super) fn new(
        chunk: ChunkRef,
        head: &'static ChunkHead,
        layout: Layout,
        proving: Option<Proving<'static>>,
    ) -> Self {
        let bytes = u64::from(layout.shape.prefix_bytes()) + u64::from(layout.value_len);
        Self { chunk, head, class: layout.head_class, bytes, links: layout.links_by_class(), proving }
    }

    /// The class of its first or only chunk.
    #[inline]
    pub fn class(&self) -> u8 {
        self.class
    }

    /// Bytes of header, fields, key and value together, without the headers of links.
    #[inline]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// For a chain, the number of links by class: of the largest class, and of the last link's class.
    #[inline]
    pub fn links_by_class(&self) -> Option<[(u8, u32); 2]> {
        self.links
    }

    /// The chunk of an item of one chunk that is not wanted after all. The caller gives the chunk back.
    pub fn give_up(self) -> ChunkRef {
        self.chunk
    }

    /// Gives the item another version than the one that it was filled with. It has the field.
    pub fn set_version(&mut self, slabs: &SlabAllocator, version: u64) {
        version::field(slabs, self.chunk).store(version, Ordering::Relaxed);
        self.proving = self.proving.map(|proving| proving.with_version(version));
    }

    /// Writes what `link_info` says, and makes the item visible to the CLOCK hand. The caller holds the
    /// bucket's lock, and now makes the index refer to the returned chunk.
    #[inline]
    pub fn link(self, link_info: LinkInfo) -> ChunkRef {
        let Self { chunk, head, proving, .. } = self;
        header::set_linked(head, link_info, |word0, word1| {
            if let Some(proving) = proving {
                proving.write(word0, word1);
            }
        });
        chunk
    }
}

/// Writes version and client flags. The proof follows when the item is linked.
fn write_fields(fields: &mut [u8], shape: Shape, extras: Extras) {
    let (version, rest) = fields.split_at_mut(if shape.has_version { VERSION_BYTES as usize } else { 0 });
    if let Some(chosen) = extras.version {
        version.copy_from_slice(&chosen.to_ne_bytes());
    }
    if shape.has_client_flags {
        rest[..CLIENT_FLAGS_BYTES as usize].copy_from_slice(&extras.client_flags.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::{ChunkRef, CompleteItem, Extras, Layout, LinkInfo, SlabAllocator};
    use crate::base::{Deadline, Key, KeyHasher, RelTime};
    use crate::item::{AccessStamp, ItemRef, Marks, PendingItem, QueueState};
    use crate::memory::{ClassPlan, SizeClasses};
    use crate::sync::Epochs;
    use std::sync::Arc;

    #[test]
    fn an_item_that_is_filled_at_once_reads_as_one_that_is_filled_piece_by_piece() {
        let plan = ClassPlan { first: 64, growth_factor: 1.5, chunk_max: 4096, explicit: Vec::new() };
        let slabs: &'static SlabAllocator =
            Box::leak(Box::new(SlabAllocator::new(SizeClasses::build(&plan), 8 << 20).unwrap()));
        let epochs = Arc::new(Epochs::new(1));
        let mut reader = epochs.join();
        let pin = reader.pin();
        let hashed = KeyHasher::with_seed(7).hash(Key::new(b"colour").unwrap());
        let (accessed, queue, marks) = (AccessStamp::at(RelTime(200)), QueueState::MAIN, Marks::BINARY_KEY);
        let link_info = LinkInfo { unique: 5, deadline: Deadline(9), accessed, queue, marks };
        let value: Vec<u8> = (0..4000_u32).map(|number| number.to_le_bytes()[0]).collect();
        let all_extras = [(0, None), (77, None), (0, Some(u64::MAX)), (77, Some(1 << 40))];
        for (len, (client_flags, version)) in
            (0..200).chain([1000, 3999]).flat_map(|len| all_extras.map(|extras| (len, extras)))
        {
            let (value, extras) = (&value[..len], Extras { client_flags, version });
            let layout = Layout::new(&slabs.classes, hashed.key, extras, u32::try_from(len).unwrap());
            let [one, other] = [0, 1].map(|_| {
                let mut taken: Option<ChunkRef> = None;
                let mut class = slabs.lock(layout.head_class);
                while class.take(1, |chunk| taken = Some(chunk)) == 0 && class.grow(0, false) {}
                taken.unwrap()
            });
            let at_once = CompleteItem::fill(slabs, one, layout, hashed.key, extras, value);
            let mut pending = PendingItem::new(slabs, other, layout, hashed, extras, link_info.deadline);
            pending.fill(value);
            let in_steps = pending.complete();
            assert_eq!((at_once.class(), at_once.bytes()), (in_steps.class(), in_steps.bytes()));
            let [one, other] = [at_once, in_steps]
                .map(|item| ItemRef::try_view(&pin, slabs, item.link(link_info)).expect("it is linked"));
            assert_eq!(one.word0(), other.word0());
            for item in [one, other] {
                assert_eq!((item.key(), item.contiguous()), (&b"colour"[..], Some(value)));
                assert_eq!((item.client_flags(), item.cas()), (client_flags, version.unwrap_or(5)));
            }
        }
    }
}
