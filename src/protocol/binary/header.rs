//! The header of a request or a reply.

use crate::protocol::echo::BinaryEcho;

/// Bytes of a header.
pub const HEADER_LEN: usize = 24;

/// The first byte of every request.
pub const REQUEST_MAGIC: u8 = 0x80;
/// The first byte of every reply.
const REPLY_MAGIC: u8 = 0x81;

/// The header of a request.
#[derive(Clone, Copy)]
pub(super) struct RequestHeader<'a>(&'a [u8; HEADER_LEN]);

impl<'a> RequestHeader<'a> {
    /// The header at the front of `bytes`. `None`: it is incomplete.
    #[inline]
    pub(super) fn of(bytes: &'a [u8]) -> Option<Self> {
        bytes.first_chunk().map(Self)
    }

    #[inline]
    pub(super) const fn is_request(self) -> bool {
        self.0[0] == REQUEST_MAGIC
    }

    #[inline]
    pub(super) const fn opcode(self) -> u8 {
        self.0[1]
    }

    #[inline]
    pub(super) const fn key_len(self) -> usize {
        let [_, _, high, low, ..] = *self.0;
        u16::from_be_bytes([high, low]) as usize
    }

    #[inline]
    pub(super) const fn extras_len(self) -> usize {
        self.0[4] as usize
    }

    /// Bytes of extras, key and value together.
    #[inline]
    pub(super) const fn body_len(self) -> usize {
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *self.0;
        u32::from_be_bytes([a, b, c, d]) as usize
    }

    #[inline]
    pub(super) const fn opaque(self) -> [u8; 4] {
        let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] = *self.0;
        [a, b, c, d]
    }

    /// Of a reply: how the request ended.
    #[inline]
    pub(super) const fn status(self) -> u16 {
        let [_, _, _, _, _, _, high, low, ..] = *self.0;
        u16::from_be_bytes([high, low])
    }

    /// What the reply repeats.
    #[inline]
    pub(super) const fn echo(self) -> BinaryEcho {
        BinaryEcho { opcode: self.opcode(), opaque: self.opaque() }
    }

    /// The CAS unique that the item must have. `None`: any.
    #[inline]
    pub(super) const fn compare(self) -> Option<u64> {
        let [.., a, b, c, d, e, f, g, h] = *self.0;
        match u64::from_be_bytes([a, b, c, d, e, f, g, h]) {
            0 => None,
            unique => Some(unique),
        }
    }
}

/// The header of a reply.
#[derive(Clone, Copy)]
pub(super) struct ReplyHeader {
    pub(super) opcode: u8,
    pub(super) key_len: usize,
    pub(super) extras_len: u8,
    pub(super) status: u16,
    pub(super) body_len: usize,
    pub(super) opaque: [u8; 4],
    pub(super) cas: u64,
}

impl ReplyHeader {
    /// Its bytes on the wire.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "keys have at most 250 bytes, and bodies fewer than 2^32")]
    pub(super) fn bytes(self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = REPLY_MAGIC;
        bytes[1] = self.opcode;
        bytes[2..4].copy_from_slice(&(self.key_len as u16).to_be_bytes());
        bytes[4] = self.extras_len;
        bytes[6..8].copy_from_slice(&self.status.to_be_bytes());
        bytes[8..12].copy_from_slice(&(self.body_len as u32).to_be_bytes());
        bytes[12..16].copy_from_slice(&self.opaque);
        bytes[16..].copy_from_slice(&self.cas.to_be_bytes());
        bytes
    }
}
