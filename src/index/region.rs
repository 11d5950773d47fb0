//! The buckets of one kind, numbered from 0: address space reserved at once, memory touched as the numbers grow.

use std::io;

use super::bucket::Bucket;
#[cfg(not(loom))]
use crate::sys::mapping::{HUGE_PAGE_BYTES, Mapping};

const BUCKET_BYTES: usize = 64;
/// Buckets in a huge page.
#[cfg(not(loom))]
pub(super) const HUGE_BUCKETS: usize = HUGE_PAGE_BYTES / BUCKET_BYTES;
#[cfg(loom)]
pub(super) const HUGE_BUCKETS: usize = 1;
/// Bucket numbers are 32 bits, and a split doubles a mask of them.
const BUCKETS_MAX: usize = 1 << 31;

#[cfg(not(loom))]
pub(super) struct Region {
    /// The mapping's first byte.
    base: *const Bucket,
    len: usize,
    mapping: Mapping,
}

// SAFETY: `base` points into the mapping, which is as much the Region's own as a Box would be, and what it hands out
// are shared references to buckets, which are made of atomics.
#[cfg(not(loom))]
unsafe impl Send for Region {}
// SAFETY: as above.
#[cfg(not(loom))]
unsafe impl Sync for Region {}

#[cfg(not(loom))]
impl Region {
    /// Room for `wanted` buckets, or for as many as can be had, but at least `least`.
    pub(super) fn new(wanted: usize, least: usize) -> io::Result<Self> {
        let mapping = Mapping::reserve(wanted.min(BUCKETS_MAX) * BUCKET_BYTES, least * BUCKET_BYTES)?;
        let base = mapping.as_ptr().cast::<Bucket>().cast_const();
        assert!(base.is_aligned(), "a mapping starts on a page boundary");
        Ok(Self { base, len: mapping.len() / BUCKET_BYTES, mapping })
    }

    /// How many buckets there is room for.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes every store to a bucket from now on end the process.
    #[cfg(test)]
    pub(super) fn forbid_stores(&self) -> io::Result<()> {
        self.mapping.forbid_stores()
    }

    /// Asks for huge pages from bucket `start` on.
    pub(super) fn advise_huge_pages(&self, start: usize) {
        // Ignored: without huge pages it is slower and right.
        let _ = self.mapping.advise_huge_pages(start * BUCKET_BYTES);
    }

    /// Asks for small pages, whatever the system gives by itself.
    pub(super) fn advise_small_pages(&self) {
        // Ignored: a system without huge pages gives none.
        let _ = self.mapping.advise_small_pages();
    }

    /// Takes memory for `count` buckets from bucket `start` on. They are nobody's yet.
    pub(super) fn populate(&self, start: usize, count: usize) {
        // Ignored: what is not populated is when it is touched.
        let _ = self.mapping.populate(start * BUCKET_BYTES, count * BUCKET_BYTES);
    }

    /// Gives the memory of `count` buckets from bucket `start` on back to the kernel: from now on they are new ones.
    ///
    /// # Safety
    /// Nobody holds the lock of any of them, looks in one for what it may hold, or waits at one.
    pub(super) unsafe fn discard(&self, start: usize, count: usize) -> io::Result<()> {
        // SAFETY: the caller knows that nobody relies on what is there. A thread that has only asked for such a bucket to
        // be loaded may still do that, or read it as a hint: it is made of atomics, and zeros are as good a value of theirs
        // as any.
        unsafe { self.mapping.discard(start * BUCKET_BYTES, count * BUCKET_BYTES) }
    }

    /// The bucket `number`.
    #[inline]
    pub(super) fn bucket(&self, number: u32) -> &Bucket {
        let index = number as usize;
        assert!(index < self.len);
        // SAFETY: `index < len`, so the result lies inside the mapping.
        let bucket = unsafe { self.base.add(index) };
        // SAFETY: it is aligned, since the mapping starts on a page; zeroed memory is an empty bucket; the mapping lives
        // as long as `self`; and buckets are made of atomics, which any number of threads may refer to.
        unsafe { &*bucket }
    }
}

/// For the models: a few buckets on the heap, so that loom knows their atomics.
#[cfg(loom)]
pub(super) struct Region(Box<[Bucket]>);

#[cfg(loom)]
impl Region {
    pub(super) fn new(wanted: usize, least: usize) -> io::Result<Self> {
        assert!(wanted.max(least) <= BUCKETS_MAX / BUCKET_BYTES);
        Ok(Self((0..wanted.max(least)).map(|_| Bucket::new()).collect()))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn advise_huge_pages(&self, _start: usize) {}

    pub(super) fn advise_small_pages(&self) {}

    pub(super) fn populate(&self, _start: usize, _count: usize) {}

    /// The models keep their buckets.
    #[expect(clippy::unused_self, reason = "as the other one")]
    pub(super) unsafe fn discard(&self, _start: usize, _count: usize) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn bucket(&self, number: u32) -> &Bucket {
        &self.0[number as usize]
    }
}
