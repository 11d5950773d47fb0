//! Appends several pieces to a vector with one capacity check. A `Vec` loads, checks and stores its length again for
//! each piece, which costs more than copying a short piece.

use std::ptr::NonNull;

use super::short;

/// Appends `head`, `name`, `middle`, the first `line_end_len` bytes of `line_end`, `body` and `end`. Pieces of
/// constant length are plain stores, without a copy loop. All of `line_end` is stored, because that is cheaper than a
/// part of it. Optimised for a short `name`; a long one is slower but correct.
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
    // SAFETY: `reserve` made room for all pieces, so each one ends within the spare capacity, after the one before.
    // The vector is borrowed exclusively, so no piece lies there.
    let at = unsafe { put_all(first, head) };
    // SAFETY: as above.
    unsafe { short::copy(name, at) };
    // SAFETY: as above.
    let at = unsafe { at.add(name.len()) };
    // SAFETY: as above.
    let at = unsafe { put_all(at, middle) };
    // SAFETY: as above. `body` and `end` may overwrite the rest of `line_end` afterwards. The room includes LINE_END
    // bytes and not only `line_end_len`, so the rest also lies in the spare capacity.
    unsafe { put_all(at, line_end) };
    // SAFETY: as above: `line_end_len` <= LINE_END was asserted, so this is not beyond the end of `line_end`.
    let at = unsafe { at.add(line_end_len) };
    // SAFETY: as above.
    unsafe { at.copy_from_nonoverlapping(NonNull::from(body).cast(), body.len()) };
    // SAFETY: as above.
    let at = unsafe { at.add(body.len()) };
    // SAFETY: as above.
    unsafe { put_all(at, end) };
    let len = out.len() + HEAD + name.len() + MIDDLE + line_end_len + body.len() + END;
    // SAFETY: the first `len` bytes are initialised now, and lie within the capacity.
    unsafe { out.set_len(len) };
}

/// Writes `bytes` at `at`. Returns the address after them.
///
/// # Safety
/// `N` bytes can be written at `at`, and they do not overlap `bytes`.
#[inline]
unsafe fn put_all<const N: usize>(at: NonNull<u8>, bytes: &[u8; N]) -> NonNull<u8> {
    // SAFETY: the caller guarantees it.
    unsafe { at.cast().write_unaligned(*bytes) };
    // SAFETY: as above: the end of the writable range still belongs to the same object.
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
