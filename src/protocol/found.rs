//! What the answer of a fetch can show of an item.

use crate::base::Key;

use super::answer::Answer;
use super::echo::Echo;
use super::http::HttpItem;
use super::{binary, http, meta, text};

/// An item that was found. A command implements this for the engine's items.
pub trait FoundItem {
    /// The key's bytes.
    fn key(&self) -> &[u8];
    /// Whether the key was written in base64 when the item was stored.
    fn is_binary_key(&self) -> bool;
    /// The client's own 32 bits.
    fn client_flags(&self) -> u32;
    /// The CAS unique.
    fn cas(&self) -> u64;
    /// Length of the value in bytes.
    fn value_len(&self) -> u32;
    /// Seconds until the item expires. None: it does not.
    fn ttl_s(&self) -> Option<u32>;
    /// The same before the fetch, which may have given it a new exptime.
    fn ttl_before_s(&self) -> Option<u32>;
    /// Seconds since the last access before this one.
    fn idle_s(&self) -> u32;
    /// Whether a client had read the item before.
    fn was_fetched(&self) -> bool;
    /// Whether this client is told to renew the value.
    fn is_won(&self) -> bool;
    /// Whether the fetch has created the item.
    fn is_created(&self) -> bool;
    /// Whether a client has declared the value to be out of date.
    fn is_stale(&self) -> bool;
    /// Whether another client was told before to renew the value.
    fn was_token_sent(&self) -> bool;
}

/// Whether the value follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueShown {
    /// Yes, and then the terminator of the grammar.
    Yes,
    /// No.
    No,
}

/// Appends the whole answer to a fetch that found an item: with its value.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the item stays in registers")]
pub fn compose_value(echo: Echo<'_>, item: &impl FoundItem, value: &[u8], out: &mut Vec<u8>) {
    if let Echo::Meta(echo) = echo
        && meta::push_plain_value(echo, item, value, out)
    {
        return;
    }
    compose_found(echo, item, ValueShown::Yes, out);
    out.extend_from_slice(value);
    out.extend_from_slice(echo.terminator());
}

/// Appends the answer to a fetch that found an item, up to its value.
#[inline]
pub fn compose_found(echo: Echo<'_>, item: &impl FoundItem, value: ValueShown, out: &mut Vec<u8>) {
    match echo {
        // A classic command fetches with `Request::Retrieve`, which writes its own replies.
        Echo::Text(_) => {}
        Echo::Meta(echo) => meta::push_found(echo, item, value, out),
        Echo::Binary(echo) => binary::push_found(echo, item, value, out),
        Echo::Http(echo) => {
            let (client_flags, cas, value_len) = (item.client_flags(), item.cas(), item.value_len());
            http::push_hit_head(echo, HttpItem { client_flags, cas, value_len, ttl_s: item.ttl_s() }, out);
        }
    }
}

/// Appends the answer to a fetch of `key` that found no item.
pub fn compose_missed(echo: Echo<'_>, key: Key<'_>, out: &mut Vec<u8>) {
    match echo {
        Echo::Text(reply) => text::compose(reply, Answer::Miss, out),
        Echo::Meta(echo) => meta::compose(echo, Answer::Miss, out),
        Echo::Binary(echo) => binary::push_missed(echo, key, out),
        Echo::Http(echo) => http::compose(echo, Answer::Miss, out),
    }
}
