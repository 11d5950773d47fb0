//! How an item lies in its chunk or chain of chunks.
//!
//! ```text
//! one chunk   │ header 16 │ client flags 4? │ key │ value │
//!
//! chain       │ header 16 │ client flags 4? │ extension 8 │ key │ value … │    largest class
//!                                                  │ first link
//!                                                  ▼
//!                                   │ link 16 │ … value … │                  largest class, filled
//!                                        ▼ next
//!                                   │ link 16 │ … value │                    the class that fits best, not too small
//! ```
//!
//! No NUL, no CRLF; the flags stand there only when they are not 0. Upholds I3.

use crate::base::Key;
use crate::memory::SizeClasses;

use super::header::{HEADER_BYTES, Shape};

/// Which chunks an item needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// What its header says.
    pub shape: Shape,
    /// Bytes of the whole value.
    pub value_len: u32,
    /// The class of the first or only chunk.
    pub head_class: u8,
    /// How many links of the largest class follow.
    pub full_links: u32,
    /// The class of the last link, if the value does not end in a full one.
    pub tail_class: Option<u8>,
}

impl Layout {
    /// The layout of an item. Chained if it does not fit the largest chunk.
    #[inline]
    pub fn new(classes: &SizeClasses, key: Key<'_>, client_flags: u32, value_len: u32) -> Self {
        let in_one = Self::in_one_chunk(classes, key, client_flags, value_len);
        in_one.unwrap_or_else(|| Self::chained(classes, key, client_flags, value_len))
    }

    /// The layout of an item that fits one chunk.
    #[inline]
    pub fn in_one_chunk(classes: &SizeClasses, key: Key<'_>, client_flags: u32, value_len: u32) -> Option<Self> {
        let shape = Shape { key_len: key.len(), has_client_flags: client_flags != 0, has_extension: false, value_len };
        let head_class = classes.class_for(shape.prefix_bytes().saturating_add(value_len))?;
        Some(Self { shape, value_len, head_class, full_links: 0, tail_class: None })
    }

    #[cold]
    fn chained(classes: &SizeClasses, key: Key<'_>, client_flags: u32, value_len: u32) -> Self {
        let has_client_flags = client_flags != 0;
        let shape = Shape { key_len: key.len(), has_client_flags, has_extension: true, value_len: 0 };
        let in_head = classes.chunk_max() - shape.prefix_bytes();
        let in_link = classes.chunk_max() - HEADER_BYTES;
        let rest = value_len - in_head.min(value_len);
        let tail_len = rest % in_link;
        let tail_class = if tail_len == 0 { None } else { classes.class_for_link(tail_len + HEADER_BYTES) };
        Self { shape, value_len, head_class: classes.largest(), full_links: rest / in_link, tail_class }
    }

    /// What must fit the last link of an item of `bytes` (as `PendingItem::bytes` counts), its header included. None: the
    /// item is no chain, or ends in a full link.
    pub fn tail_bytes(chunk_max: u32, bytes: u64) -> Option<u32> {
        let rest = bytes.checked_sub(u64::from(chunk_max))?;
        let tail_len = u32::try_from(rest % u64::from(chunk_max - HEADER_BYTES)).ok()?;
        (tail_len > 0).then_some(tail_len + HEADER_BYTES)
    }

    /// How many links follow the head, if it is a chain, by class: the largest class's, and the last one's.
    pub fn links_by_class(&self) -> Option<[(u8, u32); 2]> {
        let tail = self.tail_class.map_or((self.head_class, 0), |class| (class, 1));
        self.shape.has_extension.then_some([(self.head_class, self.full_links), tail])
    }

    /// How many links follow the head.
    pub fn links(&self) -> u32 {
        self.full_links + u32::from(self.tail_class.is_some())
    }

    /// The class of link number `index`, counted from 0.
    pub fn link_class(&self, index: u32) -> u8 {
        match self.tail_class {
            Some(tail) if index == self.full_links => tail,
            // A chain's links are as large as its head.
            Some(_) | None => self.head_class,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{HEADER_BYTES, Key, Layout};
    use crate::memory::{ClassPlan, SizeClasses};

    #[test]
    fn every_value_fits_its_chunks_and_wastes_no_link() {
        let plan = ClassPlan { first: 64, growth_factor: 1.1, chunk_max: 16384, explicit: Vec::new() };
        let classes = SizeClasses::build(&plan);
        let key = Key::new(b"colour").unwrap();
        for flags in [0, 1] {
            for value_len in (0..200_000).step_by(7).chain(16300..16400).chain(32_700..32_800) {
                let layout = Layout::new(&classes, key, flags, value_len);
                let head = classes.chunk_bytes(layout.head_class) - layout.shape.prefix_bytes();
                let links: u32 =
                    (0..layout.links()).map(|index| classes.chunk_bytes(layout.link_class(index)) - HEADER_BYTES).sum();
                assert!(head + links >= value_len);
                assert!(layout.links() == 0 || head < value_len);
                let bytes = u64::from(layout.shape.prefix_bytes()) + u64::from(value_len);
                let tail = Layout::tail_bytes(classes.chunk_max(), bytes);
                assert_eq!(tail.and_then(|tail| classes.class_for_link(tail)), layout.tail_class);
            }
        }
    }
}
