//! The layout of an item in its chunk or chain of chunks.
//!
//! ```text
//! one chunk   │ header 16 │ version 8? │ client flags 4? │ proof 4? │ key │ value │
//!
//! chain       │ header 16 │ version 8? │ client flags 4? │ proof 4? │ length 4, first link 4 │ key │ value … │
//!                                                                               ▼
//!                                                                     │ link 16 │ … value … │
//!                                                                          ▼ next
//!                                                                     │ link 16 │ … value │
//! ```
//!
//! The head of a chain and all links but the last are full chunks of the largest class. The last link takes the
//! smallest class for links that holds it.
//!
//! There is no NUL and no CRLF. The client flags are stored only if they are not 0, and the proof only in a memory file
//! (-e). The version is stored only if a client or replication chose the CAS unique. Upholds I3.

use crate::base::Key;
use crate::memory::SizeClasses;

use super::header::{HEADER_BYTES, Shape};

/// What an item keeps in optional fields, besides a chain's links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// The client's own 32 bits.
    pub client_flags: u32,
    /// The CAS unique that clients see, if it is not the one that the store draws.
    pub version: Option<u64>,
}

impl Extras {
    /// Client flags, and a unique that the store draws.
    pub const fn flags(client_flags: u32) -> Self {
        Self { client_flags, version: None }
    }
}

/// The chunks that an item needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The layout fields of its header.
    pub shape: Shape,
    /// Bytes of the whole value.
    pub value_len: u32,
    /// The class of the first or only chunk.
    pub head_class: u8,
    /// The number of full links, of the largest class.
    pub full_links: u32,
    /// The class of the last link, if that is not a full one.
    pub tail_class: Option<u8>,
}

impl Layout {
    /// The layout of an item: a chain if it does not fit the largest chunk.
    #[inline]
    pub fn new(classes: &SizeClasses, key: Key<'_>, extras: Extras, value_len: u32) -> Self {
        let in_one = Self::in_one_chunk(classes, key, extras, value_len);
        in_one.unwrap_or_else(|| Self::chained(classes, key, extras, value_len))
    }

    /// The layout of an item in one chunk; `None` if it does not fit the largest chunk.
    #[inline]
    pub fn in_one_chunk(classes: &SizeClasses, key: Key<'_>, extras: Extras, value_len: u32) -> Option<Self> {
        Self::in_one_chunk_as(classes, key, extras, value_len, classes.has_proofs())
    }

    /// As [`Layout::in_one_chunk`], for a caller that knows whether items have proofs.
    #[inline(always)]
    pub fn in_one_chunk_as(
        classes: &SizeClasses,
        key: Key<'_>,
        extras: Extras,
        value_len: u32,
        has_proof: bool,
    ) -> Option<Self> {
        let shape = Self::shape(key, extras, value_len, has_proof);
        let head_class = classes.class_for(shape.prefix_bytes().saturating_add(value_len))?;
        Some(Self { shape, value_len, head_class, full_links: 0, tail_class: None })
    }

    #[cold]
    fn chained(classes: &SizeClasses, key: Key<'_>, extras: Extras, value_len: u32) -> Self {
        let shape = Self::chain_shape(key, extras, classes.has_proofs());
        let in_head = classes.chunk_max() - shape.prefix_bytes();
        let in_link = classes.chunk_max() - HEADER_BYTES;
        let rest = value_len - in_head.min(value_len);
        let tail_len = rest % in_link;
        let tail_class = if tail_len == 0 { None } else { classes.class_for_link(tail_len + HEADER_BYTES) };
        Self { shape, value_len, head_class: classes.largest(), full_links: rest / in_link, tail_class }
    }

    /// The layout fields of a chain's head.
    pub(super) fn chain_shape(key: Key<'_>, extras: Extras, has_proof: bool) -> Shape {
        Shape { is_chain: true, ..Self::shape(key, extras, 0, has_proof) }
    }

    #[inline]
    fn shape(key: Key<'_>, extras: Extras, value_len: u32, has_proof: bool) -> Shape {
        Shape {
            key_len: key.len(),
            has_client_flags: extras.client_flags != 0,
            has_version: extras.version.is_some(),
            has_proof,
            is_chain: false,
            value_len,
        }
    }

    /// Bytes in the last link of an item of `bytes` (as counted by `PendingItem::bytes`), link header included.
    /// `None` if the item is no chain, or ends in a full link.
    pub fn tail_bytes(chunk_max: u32, bytes: u64) -> Option<u32> {
        let rest = bytes.checked_sub(u64::from(chunk_max))?;
        let tail_len = u32::try_from(rest % u64::from(chunk_max - HEADER_BYTES)).ok()?;
        (tail_len > 0).then_some(tail_len + HEADER_BYTES)
    }

    /// For a chain, the number of links by class: of the largest class, and of the last link's class.
    pub fn links_by_class(&self) -> Option<[(u8, u32); 2]> {
        let tail = self.tail_class.map_or((self.head_class, 0), |class| (class, 1));
        self.shape.is_chain.then_some([(self.head_class, self.full_links), tail])
    }

    /// The number of links after the head.
    pub fn links(&self) -> u32 {
        self.full_links + u32::from(self.tail_class.is_some())
    }

    /// The class of link number `index`, counted from 0.
    pub fn link_class(&self, index: u32) -> u8 {
        match self.tail_class {
            Some(tail) if index == self.full_links => tail,
            // A full link is as large as the head.
            Some(_) | None => self.head_class,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Extras, HEADER_BYTES, Key, Layout};
    use crate::memory::{ClassPlan, SizeClasses};

    const VALUE_LEN_MAX: u32 = 64 << 20;

    fn plan(growth_factor: f64, chunk_max: u32) -> ClassPlan {
        ClassPlan { first: 64, growth_factor, chunk_max, explicit: Vec::new() }
    }

    /// The layout of a value, checked for the properties that hold for every value.
    fn checked(classes: &SizeClasses, key: &[u8], flags: u32, value_len: u32) -> Layout {
        let key = Key::new(key).unwrap();
        // An odd number stands for an item with a version, too.
        let extras = Extras { client_flags: flags, version: (flags % 2 == 1).then_some(9) };
        let layout = Layout::new(classes, key, extras, value_len);
        let room = |class: u8| classes.chunk_bytes(class) - HEADER_BYTES;
        let fields = layout.shape.prefix_bytes() - HEADER_BYTES;
        let bytes = u64::from(layout.shape.prefix_bytes() + value_len);
        if !layout.shape.is_chain {
            assert_eq!((layout.links(), layout.links_by_class()), (0, None), "{value_len}");
            assert!(fields + value_len <= room(layout.head_class), "{value_len}");
            assert!(
                classes.ids().all(|class| room(class) < fields + value_len || room(class) >= room(layout.head_class))
            );
            return layout;
        }
        assert_eq!(layout.head_class, classes.largest());
        assert_eq!(Layout::in_one_chunk(classes, key, extras, value_len), None, "{value_len} needs no chain");
        let in_head = room(layout.head_class) - fields;
        let in_full = layout.full_links * room(layout.head_class);
        let in_last = value_len - in_head - in_full;
        assert!(in_last < room(layout.head_class), "{value_len}: the links that are filled are all that can be");
        assert_eq!(layout.tail_class.is_some(), in_last > 0, "{value_len}: a last link holds something");
        assert!(
            layout.tail_class.is_none_or(|class| room(class) >= in_last),
            "{value_len}: the last link is too short"
        );
        assert_eq!(Layout::tail_bytes(classes.chunk_max(), bytes), (in_last > 0).then_some(in_last + HEADER_BYTES));
        assert!((0..layout.full_links).step_by(97).all(|index| layout.link_class(index) == layout.head_class));
        assert_eq!(layout.tail_class.is_some(), layout.links() > layout.full_links);
        assert_eq!(layout.tail_class, (in_last > 0).then(|| layout.link_class(layout.full_links)));
        assert_eq!(layout.tail_class, (in_last > 0).then(|| classes.class_for_link(in_last + HEADER_BYTES).unwrap()));
        layout
    }

    #[test]
    fn every_value_fits_its_chunks_and_wastes_no_link() {
        let classes = SizeClasses::build(&plan(1.1, 16384));
        for flags in [0, 1, 2] {
            for value_len in (0..200_000).step_by(7).chain(16300..16400).chain(32_700..32_800) {
                checked(&classes, b"colour", flags, value_len);
            }
        }
    }

    #[test]
    fn a_link_more_begins_with_the_byte_after_each_chunk_of_a_chain() {
        let added = SizeClasses::build(&plan(1.25, 16384));
        for bytes in [24, 264, 4104, 5016, 16_368, 16_376] {
            added.add(bytes).unwrap();
        }
        let explicit = ClassPlan { explicit: vec![96, 1000, 8192], ..plan(1.25, 16384) };
        let others = [plan(1.25, 1024), plan(1.25, 16384), plan(1.08, 512 << 10), explicit];
        for classes in others.iter().map(SizeClasses::build).chain([added]) {
            let in_link = classes.chunk_max() - HEADER_BYTES;
            for (key, flags) in [(&[b'k'; 1][..], 0), (b"colour", 1), (&[b'k'; 250], 1)] {
                let whole = checked(&classes, key, flags, VALUE_LEN_MAX);
                let in_head = classes.chunk_max() - whole.shape.prefix_bytes();
                for links in 1..=whole.full_links {
                    let end = in_head + links * in_link;
                    let [before, at, after] = [end - 1, end, end + 1].map(|len| checked(&classes, key, flags, len));
                    assert_eq!([before.links(), at.links(), after.links()], [links, links, links + 1], "{end}");
                    assert_eq!([before.full_links, at.full_links, after.full_links], [links - 1, links, links]);
                }
            }
        }
    }

    #[test]
    fn the_last_link_is_of_a_class_that_holds_it_up_to_its_last_byte() {
        let classes = SizeClasses::build(&plan(1.25, 16384));
        for bytes in [264, 1000, 4104, 5016, 16_376] {
            classes.add(bytes).unwrap();
        }
        let (in_head, in_link) = (16384 - HEADER_BYTES - 8 - 6, 16384 - HEADER_BYTES);
        for links in [0, 1, 63, 4095] {
            for class in classes.ids().filter(|class| *class != classes.largest()) {
                let room = classes.chunk_bytes(class) - HEADER_BYTES;
                let end = in_head + links * in_link + room;
                let [before, at, after] = [end - 1, end, end + 1].map(|len| checked(&classes, b"colour", 0, len));
                assert_eq!([before.links(), at.links(), after.links()], [links + 1; 3], "one link, whatever its class");
                let is_for_links = classes.class_for_link(room + HEADER_BYTES) == Some(class);
                assert_eq!(at.tail_class == Some(class), is_for_links, "{end}");
                assert_ne!(after.tail_class, Some(class), "{end}: it would not fit");
            }
        }
    }
}
