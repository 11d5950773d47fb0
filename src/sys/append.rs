//! Appending to a vector in several pieces, with one look at its capacity: what a `Vec` loads, checks and stores again for
//! each piece is more work than copying a short one.

use std::ptr::NonNull;

use super::short;

/// Appends `head`, `name`, `middle`, as many bytes of `line_end` as are said, `body` and `end`. What has a length that the
/// compiler knows is stored and not copied; so is all of `line_end`, which is cheaper than some of it. Made for a `name` that
/// is short; a long one takes longer and is right.
#[inline(always)]
pub fn append_framed<const HEAD: usize, const MIDDLE: usize, const LINE_END: usize, const END: usize>(
    out: &mut Vec<u8>,
    head: &[u8; HEAD],
    name: &[u8],
    middle: &[u8; MIDDLE],
    (line_end, line_end_len): (&[u8; LINE_END], usize),
    body: &[u8],
    end: &[u8; END],
) {
    assert!(line_end_len <= LINE_END);
    out.reserve(HEAD + name.len() + MIDDLE + LINE_END + body.len() + END);
    let first = NonNull::from(out.spare_capacity_mut()).cast::<u8>();
    // SAFETY: room was made for all of the pieces; so each ends within the spare capacity, after the one before. The vector
    // is borrowed exclusively, so none of them lies there.
    let at = unsafe { put_all(first, head) };
    // SAFETY: as above.
    unsafe { short::copy(name, at) };
    // SAFETY: as above.
    let at = unsafe { at.add(name.len()) };
    // SAFETY: as above.
    let at = unsafe { put_all(at, middle) };
    // SAFETY: as above. It is written as a whole, and so may lie where `body` and `end` are about to be written over it; room
    // was made for LINE_END bytes and not for `line_end_len`, so also what lies behind those is in the spare capacity.
    unsafe { put_all(at, line_end) };
    // SAFETY: as above: `line_end_len` <= LINE_END was asserted, so this is no further than where all of it ends.
    let at = unsafe { at.add(line_end_len) };
    // SAFETY: as above.
    unsafe { at.copy_from_nonoverlapping(NonNull::from(body).cast(), body.len()) };
    // SAFETY: as above.
    let at = unsafe { at.add(body.len()) };
    // SAFETY: as above.
    unsafe { put_all(at, end) };
    let len = out.len() + HEAD + name.len() + MIDDLE + line_end_len + body.len() + END;
    // SAFETY: so many bytes follow each other now, and they are in the capacity.
    unsafe { out.set_len(len) };
}

/// Puts `bytes`, and says where they end.
///
/// # Safety
/// As many bytes can be written at `at`, and are not part of them.
#[inline]
unsafe fn put_all<const N: usize>(at: NonNull<u8>, bytes: &[u8; N]) -> NonNull<u8> {
    // SAFETY: as the caller knows.
    unsafe { at.cast().write_unaligned(*bytes) };
    // SAFETY: as above: the end of what can be written there is still the same object's.
    unsafe { at.add(N) }
}

#[cfg(test)]
mod tests {
    use super::append_framed;

    #[test]
    fn pieces_follow_each_other_and_what_was_there() {
        let (name, body) = ([b'n'; 300], [b'b'; 300]);
        for len in (0..300).step_by(7) {
            let mut out = b"before ".to_vec();
            append_framed(&mut out, b"VALUE ", &name[..len], b" 0 ", (b"5\r\nignored", 3), &body[..len / 2], b"!");
            append_framed(&mut out, b"", b"", b"", (b"?", 1), b"", b"");
            let expected = [b"before VALUE ", &name[..len], b" 0 5\r\n", &body[..len / 2], b"!?"].concat();
            assert_eq!(out, expected);
        }
    }

    #[test]
    #[should_panic(expected = "line_end_len <= LINE_END")]
    fn there_is_no_more_of_the_line_end_than_all_of_it() {
        append_framed(&mut Vec::new(), b"", b"", b"", (b"0", 2), b"", b"");
    }
}
