//! Mapped memory: address space that is reserved at once and touched as it is needed.
//!
//! Untouched parts cost nothing and read as zeros, which is why a table in a fresh mapping needs no
//! initialising.

use std::io;

use memmap2::{Advice, MmapOptions, MmapRaw};

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
}

#[cfg(test)]
mod tests {
    use super::Mapping;

    #[test]
    fn a_reserve_beyond_the_address_space_shrinks_to_what_can_be_had() {
        let mapping = Mapping::reserve(1 << 50, 1 << 20).unwrap();
        assert!(mapping.len() >= 1 << 20);
    }
}
