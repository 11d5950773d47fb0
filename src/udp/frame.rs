//! The header of a datagram, and the bound of its replies. Pure.
//!
//! ```text
//! request   │ id │ 0        │ 1     │ any │ requests …
//! reply     │ id │ sequence │ total │ 0   │ a part of the reply to one request
//!             2    2          2       2     up to 1392 bytes
//! ```
//!
//! The address of a sender may be forged, and the replies then reach a victim. Three rules limit the harm:
//!
//! - The replies to a datagram have at most the bytes of -o udp_reply_max, or [`REPLY_FACTOR`] times its own bytes.
//! - The requests of a datagram have at most the cost [`COST_MAX`], which is enough for 512 replies. Each reply is a
//!   datagram of its own, with more headers.
//! - A datagram that begins like a reply is not answered. Otherwise two servers could answer each other's errors
//!   forever.

use std::ops::Range;

use crate::protocol::binary::REQUEST_MAGIC;

/// Bytes before requests and replies.
pub(super) const HEADER_LEN: usize = 8;
/// The longest reply datagram, as in memcached. With the headers of IP and UDP it fits an Ethernet frame.
pub(super) const DATAGRAM_LEN_MAX: usize = 1400;
/// The replies to a datagram may have this many times its bytes, headers included. One datagram in reply to the
/// shortest `get` is 33 times its packet, so a higher bound for longer requests gives an attacker nothing. A list of
/// keys may ask for values that are this many times longer.
const REPLY_FACTOR: usize = 32;
/// Cost of the requests of one datagram, in small requests. The other clients of the worker wait for them.
pub(super) const COST_MAX: u32 = 4096;
/// The cost of a reply datagram, beside that of its request: to send it takes microseconds. An Ethernet frame has room
/// for fewer requests than the [`COST_MAX`] of 512 replies.
pub(super) const REPLY_COST: u32 = 7;
const _: () = assert!(COST_MAX / (1 + REPLY_COST) == 512);

/// The id of a datagram, as on the wire. Its replies repeat it.
pub(super) type Id = [u8; 2];

/// The id and the requests of a datagram. `None`: it is not a request.
pub(super) fn requests_of(datagram: &[u8]) -> Option<(Id, &[u8])> {
    let (header, requests) = datagram.split_first_chunk::<HEADER_LEN>()?;
    let &[id_high, id_low, 0, 0, 0, 1, _, _] = header else { return None };
    match requests.first()? {
        // Each text command begins with a small letter, and no reply does.
        &REQUEST_MAGIC | b'a'..=b'z' => Some(([id_high, id_low], requests)),
        _ => None,
    }
}

/// Bytes that the replies to a datagram may have. `any_max`: those to any datagram, however short.
pub(super) fn reply_room(datagram_len: usize, any_max: usize) -> usize {
    any_max.max(datagram_len * REPLY_FACTOR)
}

/// The longest reply that fits `room` bytes of datagrams.
pub(super) const fn reply_len_max(room: usize) -> usize {
    let last = (room % DATAGRAM_LEN_MAX).saturating_sub(HEADER_LEN);
    room / DATAGRAM_LEN_MAX * (DATAGRAM_LEN_MAX - HEADER_LEN) + last
}

/// Splits a reply of `len` bytes into datagrams: the header of each, and which bytes of the reply follow it.
pub(super) fn framed(id: Id, len: usize) -> impl Iterator<Item = ([u8; HEADER_LEN], Range<usize>)> {
    const PAYLOAD_LEN_MAX: usize = DATAGRAM_LEN_MAX - HEADER_LEN;
    // Exact: -o udp_reply_max allows fewer parts.
    let total = u16::try_from(len.div_ceil(PAYLOAD_LEN_MAX)).unwrap_or(u16::MAX).to_be_bytes();
    (0u16..).zip((0..len).step_by(PAYLOAD_LEN_MAX)).map(move |(sequence, at)| {
        let sequence = sequence.to_be_bytes();
        let header = [id[0], id[1], sequence[0], sequence[1], total[0], total[1], 0, 0];
        (header, at..len.min(at + PAYLOAD_LEN_MAX))
    })
}

#[cfg(test)]
mod tests {
    use super::{framed, reply_len_max, reply_room, requests_of};

    #[test]
    fn only_a_whole_request_is_one() {
        assert_eq!(requests_of(b"\x01\x02\0\0\0\x01\0\0get a\r\n"), Some(([1, 2], &b"get a\r\n"[..])));
        assert_eq!(requests_of(b"\x01\x02\0\0\0\x01\x09\x09\x80"), Some(([1, 2], &b"\x80"[..])));
        for (header, requests) in [
            (&b"\x01\x02\0\0\0\x01\0"[..], &b""[..]),
            (b"\x01\x02\0\0\0\x01\0\0", b""),
            (b"\x01\x02\0\x01\0\x01\0\0", b"get a\r\n"),
            (b"\x01\x02\0\0\0\0\0\0", b"get a\r\n"),
            (b"\x01\x02\0\0\0\x02\0\0", b"get a\r\n"),
            (b"\x01\x02\0\0\x01\x01\0\0", b"get a\r\n"),
        ] {
            assert_eq!(requests_of(&[header, requests].concat()), None);
        }
    }

    #[test]
    fn no_reply_is_a_request() {
        assert_eq!(requests_of(b"\x01\x02\0\0\0\x01\0\0\x81\0"), None);
        for reply in ["ERROR", "CLIENT_ERROR x", "STORED", "VALUE a 0 1", "END", "HD", "5", "\r\n", " get a"] {
            assert_eq!(requests_of(&[b"\x01\x02\0\0\0\x01\0\0", reply.as_bytes()].concat()), None);
        }
    }

    #[test]
    fn a_reply_is_split_into_datagrams_that_are_numbered() {
        let parts: Vec<_> = framed([1, 2], 1392 * 2 + 1).collect();
        assert_eq!(
            parts,
            [
                ([1, 2, 0, 0, 0, 3, 0, 0], 0..1392),
                ([1, 2, 0, 1, 0, 3, 0, 0], 1392..2784),
                ([1, 2, 0, 2, 0, 3, 0, 0], 2784..2785)
            ]
        );
        assert_eq!((framed([1, 2], 0).count(), framed([1, 2], 1392).count()), (0, 1));
    }

    #[test]
    fn replies_have_a_bound_and_use_it() {
        assert_eq!([0, 43, 44, 65_527].map(|len| reply_room(len, 1400)), [1400, 1400, 1408, 2_096_864]);
        assert_eq!([0, 15, 32_768].map(|len| reply_room(len, 1 << 20)), [1 << 20; 3]);
        for room in [0, 7, 8, 9, 1400, 1407, 1408, 1409, 2800, 2_096_864] {
            let datagrams = framed([0, 0], reply_len_max(room));
            let bytes: usize = datagrams.map(|(header, payload)| header.len() + payload.len()).sum();
            assert!(bytes <= room && room - bytes <= 8, "{room}: {bytes}");
        }
    }
}
