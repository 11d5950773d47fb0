//! Fast path: parses the most common requests in as few instructions as possible. Any other request goes to
//! [`parse`](super::parse), which gives the same result for these, too.

use crate::base::{Exptime, Key};
use crate::protocol::echo::{BinaryEcho, Echo};
use crate::protocol::request::PlainSet;

use super::header::{HEADER_LEN, RequestHeader};
use super::opcode::Opcode;

/// Bytes of client flags and exptime.
const STORE_EXTRAS_LEN: usize = 8;

/// A fetch without a touch at the front of `bytes`, and its length.
#[inline(always)]
pub fn get(bytes: &[u8]) -> Option<(Key<'_>, BinaryEcho, usize)> {
    const GET: u8 = Opcode::Get as u8;
    const GET_Q: u8 = Opcode::GetQ as u8;
    const GET_K: u8 = Opcode::GetK as u8;
    const GET_K_Q: u8 = Opcode::GetKQ as u8;
    let header = RequestHeader::of(bytes)?;
    let key_len = header.key_len();
    if !header.is_request() || header.extras_len() != 0 || header.body_len() != key_len {
        return None;
    }
    let (GET | GET_Q | GET_K | GET_K_Q) = header.opcode() else { return None };
    let key = Key::new(bytes[HEADER_LEN..].get(..key_len)?)?;
    Some((key, header.echo(), HEADER_LEN + key_len))
}

/// A set without a CAS unique and with its whole value at the front of `bytes`, and its length.
#[inline(always)]
pub fn set(bytes: &[u8]) -> Option<(PlainSet<'_>, usize)> {
    const SET: u8 = Opcode::Set as u8;
    const SET_Q: u8 = Opcode::SetQ as u8;
    let header = RequestHeader::of(bytes)?;
    let (SET | SET_Q) = header.opcode() else { return None };
    if !header.is_request() || header.extras_len() != STORE_EXTRAS_LEN || header.compare().is_some() {
        return None;
    }
    let (extras, behind) = bytes[HEADER_LEN..].split_first_chunk()?;
    let [a, b, c, d, e, f, g, h]: [u8; STORE_EXTRAS_LEN] = *extras;
    let (key, behind) = behind.split_at_checked(header.key_len())?;
    let value_len = header.body_len().checked_sub(STORE_EXTRAS_LEN + key.len())?;
    let (client_flags, exptime) = (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]));
    let (key, value) = (Key::new(key)?, behind.get(..value_len)?);
    let (exptime, echo) = (Exptime::unsigned(exptime), Echo::Binary(header.echo()));
    Some((PlainSet { key, client_flags, exptime, value, echo }, HEADER_LEN + header.body_len()))
}
