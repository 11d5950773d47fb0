//! Compares and copies short byte strings, such as keys, inline: a call of the C library would take longer.
//!
//! ```text
//! N to 2N bytes    ├──N──┤
//!                     ├──N──┤      the first and the last N, which may overlap; N is 8, 16 or 32
//! ```

use std::ptr::NonNull;

/// Whether both have the same bytes.
#[inline]
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // Here and below: most keys have 17 to 48 bytes, so 16 and 32 are tried before 8.
    if let (Some(ours), Some(theirs)) = (ends::<16>(one), ends::<16>(other)) {
        ours == theirs
    } else if let (Some(ours), Some(theirs)) = (ends::<32>(one), ends::<32>(other)) {
        ours == theirs
    } else if let (Some(ours), Some(theirs)) = (ends::<8>(one), ends::<8>(other)) {
        ours == theirs
    } else {
        one == other
    }
}

/// Copies `source` to `target`.
///
/// # Safety
/// `source.len()` bytes can be written at `target`, and they do not overlap `source`.
#[inline]
pub(super) unsafe fn copy(source: &[u8], target: NonNull<u8>) {
    let len = source.len();
    if let Some(pair) = ends::<16>(source) {
        // SAFETY: these are the ends of `source`. The caller guarantees that `target` has room for it and does not
        // overlap it.
        unsafe { put_ends(pair, len, target) };
    } else if let Some(pair) = ends::<32>(source) {
        // SAFETY: as above.
        unsafe { put_ends(pair, len, target) };
    } else if let Some(pair) = ends::<8>(source) {
        // SAFETY: as above.
        unsafe { put_ends(pair, len, target) };
    } else {
        // SAFETY: `source` has `len` readable bytes. The caller guarantees that `len` bytes can be written at
        // `target`, and that they do not overlap.
        unsafe { target.copy_from_nonoverlapping(NonNull::from(source).cast(), len) };
    }
}

/// The first and the last N bytes of a slice of N to 2N bytes: together they cover all of it.
#[inline]
fn ends<const N: usize>(bytes: &[u8]) -> Option<[&[u8; N]; 2]> {
    if bytes.len() <= 2 * N { Some([bytes.first_chunk()?, bytes.last_chunk()?]) } else { None }
}

/// Writes the two ends of a slice of `len` bytes to their positions in `target`.
///
/// # Safety
/// `first` and `last` are the ends of a slice of `len` bytes, as returned by [`ends`]. `len` bytes can be written at
/// `target`, and they do not overlap the slice.
#[inline]
unsafe fn put_ends<const N: usize>([first, last]: [&[u8; N]; 2], len: usize, target: NonNull<u8>) {
    // SAFETY: the slice has a first chunk of N bytes, so N <= len, and `len` bytes can be written here.
    unsafe { target.cast().write_unaligned(*first) };
    // SAFETY: N <= len as above, so the offset is at most `len` bytes, within the writable range.
    let last_at = unsafe { target.add(len - N) };
    // SAFETY: N writable bytes follow the first len - N.
    unsafe { last_at.cast().write_unaligned(*last) };
}

#[cfg(test)]
mod tests {
    use super::{copy, equal};
    use std::ptr::NonNull;

    fn bytes() -> [u8; 100] {
        std::array::from_fn(|index| index.to_le_bytes()[0])
    }

    #[test]
    fn bytes_are_equal_if_none_differs() {
        let one = bytes();
        for len in 0..one.len() {
            assert!(equal(&one[..len], &bytes()[..len]));
            assert!(!equal(&one[..len], &one[..len + 1]));
            for place in 0..len {
                let mut other = one;
                other[place] ^= 0x80;
                assert!(!equal(&one[..len], &other[..len]), "{place} of {len}");
            }
        }
    }

    #[test]
    fn all_bytes_are_copied_and_no_more() {
        for len in 0..100 {
            let mut target = [0xff; 100];
            // SAFETY: the target has room for a hundred bytes.
            unsafe { copy(&bytes()[..len], NonNull::from(&mut target).cast()) };
            assert_eq!(target[..len], bytes()[..len]);
            assert!(target[len..].iter().all(|byte| *byte == 0xff));
        }
    }
}
