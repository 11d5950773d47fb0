//! Approximate heap sizes of data structures, for statistics and limits.

/// Bytes that glibc's allocator takes for `len` bytes: one extra word, rounded up to a multiple of 16.
pub const fn allocation_bytes(len: usize) -> usize {
    const OWN: usize = 8;
    const LEAST: usize = 32;
    let bytes = (len + OWN).next_multiple_of(16);
    if bytes < LEAST { LEAST } else { bytes }
}

/// Bytes of a std map with a capacity of `capacity` entries of `K` and `V`, without what these point to. Each slot has
/// a control byte, and one slot in eight stays empty.
pub const fn map_bytes<K, V>(capacity: usize) -> usize {
    if capacity == 0 { 0 } else { (capacity * 8 / 7).next_power_of_two() * (size_of::<(K, V)>() + 1) }
}

#[cfg(test)]
mod tests {
    use super::{allocation_bytes, map_bytes};

    #[test]
    fn small_and_odd_lengths_are_rounded_up() {
        assert_eq!([0, 24, 25, 250].map(allocation_bytes), [32, 32, 48, 272]);
    }

    #[test]
    fn a_map_is_as_large_as_its_places() {
        assert_eq!([0, 3, 28, 57_344].map(map_bytes::<u64, u64>), [0, 4 * 17, 32 * 17, 65_536 * 17]);
    }
}
