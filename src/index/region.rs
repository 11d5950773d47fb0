//! A region of buckets, numbered from 0. Address space is reserved at once; memory is touched as the numbers grow.

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
/// A bucket number has 32 bits, and a split doubles a mask of bucket numbers.
const BUCKETS_MAX: usize = 1 << 31;

#[cfg(not(loom))]
pub(super) struct Region {
    /// The mapping's first byte.
    base: *const Bucket,
    len: usize,
    mapping: Mapping,
}

// SAFETY: the Region owns the mapping that `base` points into, as a Box would. It hands out only shared references to
// buckets, which consist of atomics.
#[cfg(not(loom))]
unsafe impl Send for Region {}
// SAFETY: as above.
#[cfg(not(loom))]
unsafe impl Sync for Region {}

#[cfg(not(loom))]
impl Region {
    /// Reserves room for `wanted` buckets. If the kernel grants less, it takes what it can get, but at least `least`
    /// buckets.
    pub(super) fn new(wanted: usize, least: usize) -> io::Result<Self> {
        let mapping = Mapping::reserve(wanted.min(BUCKETS_MAX) * BUCKET_BYTES, least * BUCKET_BYTES)?;
        let base = mapping.as_ptr().cast::<Bucket>().cast_const();
        assert!(base.is_aligned(), "a mapping starts on a page boundary");
        Ok(Self { base, len: mapping.len() / BUCKET_BYTES, mapping })
    }

    /// The number of buckets there is room for.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Makes every later store to a bucket crash the process.
    #[cfg(test)]
    pub(super) fn forbid_stores(&self) -> io::Result<()> {
        self.mapping.forbid_stores()
    }

    /// Requests huge pages from bucket `start` on.
    pub(super) fn advise_huge_pages(&self, start: usize) {
        // Ignored: without huge pages the index is slower, but correct.
        let _ = self.mapping.advise_huge_pages(start * BUCKET_BYTES);
    }

    /// Requests small pages, even if the system prefers huge ones.
    pub(super) fn advise_small_pages(&self) {
        // Ignored: a system without huge pages uses small ones anyway.
        let _ = self.mapping.advise_small_pages();
    }

    /// Takes memory for `count` buckets from bucket `start` on. They must not be in use yet.
    pub(super) fn populate(&self, start: usize, count: usize) {
        // Ignored: memory that is not populated now is populated at its first use.
        let _ = self.mapping.populate(start * BUCKET_BYTES, count * BUCKET_BYTES);
    }

    /// Returns the memory of `count` buckets from bucket `start` on to the kernel. Afterwards they are empty buckets.
    ///
    /// # Safety
    /// No thread may hold the lock of one of these buckets, wait for it, or rely on the bucket's content.
    pub(super) unsafe fn discard(&self, start: usize, count: usize) -> io::Result<()> {
        // SAFETY: the caller guarantees that no thread relies on the content. A thread may still prefetch such a
        // bucket or read it as a hint. That is safe: buckets consist of atomics, for which zero is a valid value.
        unsafe { self.mapping.discard(start * BUCKET_BYTES, count * BUCKET_BYTES) }
    }

    /// The bucket `number`.
    #[inline]
    pub(super) fn bucket(&self, number: u32) -> &Bucket {
        let index = number as usize;
        assert!(index < self.len);
        // SAFETY: `index < len`, so the result lies inside the mapping.
        let bucket = unsafe { self.base.add(index) };
        // SAFETY: the bucket is aligned, because the mapping starts on a page boundary. Zeroed memory is an empty
        // bucket. The mapping lives as long as `self`. Buckets consist of atomics, so any number of threads may refer
        // to them.
        unsafe { &*bucket }
    }
}

/// For the models: a few buckets on the heap, because loom must create their atomics.
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

    /// The models have no memory to give back.
    #[expect(clippy::unused_self, reason = "as the other one")]
    pub(super) unsafe fn discard(&self, _start: usize, _count: usize) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn bucket(&self, number: u32) -> &Bucket {
        &self.0[number as usize]
    }
}
