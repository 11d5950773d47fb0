//! Processor features: prefetch hints, and searches in many bytes at once.

/// Prefetches the cache line at `address`. Any address is allowed: a hint never faults.
#[inline]
pub fn prefetch(address: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch affects only caches, whatever the address; SSE is part of x86-64.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(address.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Finds the bytes that are `limit` or less. Bit i of the result is for byte i.
#[inline]
pub fn find_up_to(bytes: &[u8; 16], limit: u8) -> u32 {
    // SAFETY: SSE2 is part of x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        find_up_to_at_once(bytes, limit)
    }
    #[cfg(not(target_arch = "x86_64"))]
    bytes.iter().rev().fold(0, |found, byte| found << 1 | u32::from(*byte <= limit))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn find_up_to_at_once(bytes: &[u8; 16], limit: u8) -> u32 {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_set1_epi8};
    // SAFETY: the reference guarantees that sixteen bytes are readable; this load needs no alignment.
    let bytes = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let least = _mm_min_epu8(bytes, _mm_set1_epi8(limit.cast_signed()));
    _mm_movemask_epi8(_mm_cmpeq_epi8(least, bytes)).cast_unsigned()
}

/// Finds the bytes that are `wanted`, in a multiple of 16 bytes, 64 at most. Bit i of the result is for byte i.
#[inline]
pub fn find<const BYTES: usize>(bytes: &[u8; BYTES], wanted: u8) -> u64 {
    const { assert!(BYTES.is_multiple_of(16) && BYTES <= 64, "the result has a bit for each byte") };
    // SAFETY: SSE2 is part of x86-64.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        find_at_once(bytes, wanted)
    }
    #[cfg(not(target_arch = "x86_64"))]
    bytes.iter().rev().fold(0, |found, byte| found << 1 | u64::from(*byte == wanted))
}

#[cfg(target_arch = "x86_64")]
#[inline]
#[target_feature(enable = "sse2")]
fn find_at_once(bytes: &[u8], wanted: u8) -> u64 {
    use core::arch::x86_64::{_mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_set1_epi8};
    let wanted = _mm_set1_epi8(wanted.cast_signed());
    let (sixteens, _) = bytes.as_chunks::<16>();
    sixteens.iter().rev().fold(0, |found, sixteen| {
        // SAFETY: the reference guarantees that sixteen bytes are readable; this load needs no alignment.
        let sixteen = unsafe { _mm_loadu_si128(sixteen.as_ptr().cast()) };
        found << 16 | u64::from(_mm_movemask_epi8(_mm_cmpeq_epi8(sixteen, wanted)).cast_unsigned())
    })
}

#[cfg(test)]
mod tests {
    use super::{find, find_up_to};

    #[test]
    fn a_byte_is_found_wherever_it_stands() {
        for (first, second) in (0..64).flat_map(|first| (0..64).map(move |second| (first, second))) {
            let mut bytes: [u8; 64] = std::array::from_fn(|index| 0xf7 ^ (index.to_le_bytes()[0] % 32));
            assert_eq!(find(&bytes, b' '), 0);
            bytes[first] = b' ';
            bytes[second] = b' ';
            assert_eq!(find(&bytes, b' '), 1 << first | 1 << second);
            assert_eq!(find(bytes.first_chunk::<16>().unwrap(), b' '), (1 << first | 1 << second) & 0xffff);
        }
    }

    #[test]
    fn bytes_up_to_a_limit_are_found_wherever_they_stand() {
        for (byte, at) in (0..=255).flat_map(|byte| (0..16).map(move |at| (byte, at))) {
            let mut bytes = [b'k'; 16];
            bytes[at] = byte;
            assert_eq!(find_up_to(&bytes, b' '), u32::from(byte <= b' ') << at);
        }
    }
}
