//! Mapped memory: address space that is reserved at once and touched as it is needed.
//!
//! Untouched parts cost nothing and read as zeros, which is why a table in a fresh mapping needs no
//! initialising.

use std::io;

use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};

/// What ranges of a mapping are aligned to. Where the kernel's pages are larger, `discard` needs larger ranges.
const KERNEL_PAGE_MIN: usize = 4096;

/// One stretch of anonymous, zeroed, readable and writable memory. Given back when dropped.
pub struct Mapping {
    raw: MmapRaw,
}

impl Mapping {
    /// Reserves `wanted` bytes, or half of it, or half of that, but not less than `least`: what the machine
    /// grants depends on its overcommit policy and on resource limits.
    ///
    /// # Errors
    /// What the kernel said to the last and smallest attempt.
    pub fn reserve(wanted: usize, least: usize) -> io::Result<Self> {
        let mut len = wanted.max(least);
        loop {
            let mut options = MmapOptions::new();
            options.len(len);
            if !cfg!(miri) {
                // Not counted against what the machine could back: the memory limit says how much will be touched.
                // Miri knows no such flag.
                options.no_reserve_swap();
            }
            match options.map_anon() {
                Ok(map) => return Ok(Self { raw: map.into() }),
                Err(error) if len == least => return Err(error),
                Err(_) => len = (len / 2).max(least),
            }
        }
    }

    /// The first byte.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.raw.as_mut_ptr()
    }

    /// How many bytes were granted.
    #[inline]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Never: the kernel maps at least a page.
    pub fn is_empty(&self) -> bool {
        self.raw.len() == 0
    }

    /// Asks for huge pages.
    ///
    /// # Errors
    /// The kernel's, where it has none; the mapping is as good as before.
    pub fn advise_huge_pages(&self) -> io::Result<()> {
        self.raw.advise(Advice::HugePage)
    }

    /// Gives the memory of a range back to the kernel. When it is touched again it is zeros.
    ///
    /// # Errors
    /// The kernel's; the range is as it was.
    ///
    /// # Safety
    /// Nobody reads or writes the range, or holds a reference to anything in it.
    pub unsafe fn discard(&self, offset: usize, len: usize) -> io::Result<()> {
        assert!(offset.is_multiple_of(KERNEL_PAGE_MIN), "the kernel would round {offset} down");
        assert!(offset <= self.len());
        assert!(len <= self.len() - offset);
        // SAFETY: the range lies in the mapping, and what is in it is lost to nobody, as the caller knows.
        unsafe { self.raw.unchecked_advise_range(UncheckedAdvice::DontNeed, offset, len) }
    }
}

#[cfg(test)]
mod tests {
    use super::Mapping;

    #[test]
    #[cfg(not(miri))]
    fn a_discarded_range_is_zeros_again() {
        let mapping = Mapping::reserve(1 << 20, 1 << 20).unwrap();
        // SAFETY: the mapping is a mebibyte long and nobody else knows it.
        unsafe { mapping.as_ptr().write_bytes(7, 8192) };
        // SAFETY: nobody looks at the first 4096 bytes meanwhile.
        unsafe { mapping.discard(0, 4096) }.unwrap();
        let at = |offset: usize| {
            // SAFETY: the offsets asked for are below 8192.
            let byte = unsafe { mapping.as_ptr().add(offset) };
            // SAFETY: mapped memory is initialised.
            unsafe { byte.read() }
        };
        assert_eq!((at(0), at(4095), at(4096)), (0, 0, 7));
    }

    #[test]
    fn a_reserve_beyond_the_address_space_shrinks_to_what_can_be_had() {
        let mapping = Mapping::reserve(1 << 50, 1 << 20).unwrap();
        assert!(mapping.len() >= 1 << 20);
    }
}
