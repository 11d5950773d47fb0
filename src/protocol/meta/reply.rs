//! Replies: a return code, then the flags that the reply repeats.
//!
//! ```text
//! HD <flag>*\r\n                        VA <bytes> <flag>*\r\n<value>\r\n
//! EN  NF  NS  EX  with k and O          ME <key> exp=… la=… cas=… fetch=… cls=… size=…\r\n
//! ```

use base64ct::{Base64, Encoding as _};

use crate::base::{Key, push_u64};
use crate::protocol::answer::Answer;
use crate::protocol::echo::MetaEcho;
use crate::protocol::found::{FoundItem, ValueShown};
use crate::protocol::reply_line::ReplyLine;
use crate::protocol::request::KeyCoding;
use crate::protocol::text::{ready_digits, value_len_word};
use crate::sys::append::append_framed;

use super::flags::MetaFlag;

/// The length of the longest key in base64.
const BASE64_LEN_MAX: usize = Key::LEN_MAX.div_ceil(3) * 4;

/// What flags can show of an item that was stored or changed. `None`: the flag is ignored.
#[derive(Clone, Copy, Default)]
struct Shown {
    cas: Option<u64>,
    value_len: Option<u32>,
    /// After and before the change.
    ttl: Option<[Ttl; 2]>,
    is_created: bool,
}

/// Seconds until an item expires. None: it does not.
#[derive(Clone, Copy)]
struct Ttl(Option<u32>);

impl Ttl {
    fn push_to(self, out: &mut Vec<u8>) {
        match self.0 {
            Some(seconds) => push_u64(out, seconds.into()),
            None => out.extend_from_slice(b"-1"),
        }
    }
}

/// Appends an answer.
pub(in crate::protocol) fn compose(echo: MetaEcho<'_>, answer: Answer, out: &mut Vec<u8>) {
    let (code, shown) = match answer {
        Answer::Stored { .. } | Answer::Deleted { .. } | Answer::Number { .. } | Answer::Miss if echo.is_quiet() => {
            return;
        }
        Answer::Stored { cas, value_len } => {
            (b"HD", Shown { cas: Some(cas), value_len: Some(value_len), ..Shown::default() })
        }
        Answer::Deleted { .. } | Answer::Touched => (b"HD", Shown::default()),
        Answer::Number { value, cas, ttl_s, ttl_before_s, is_created } => {
            let ttl = Some([Ttl(ttl_s), Ttl(ttl_before_s)]);
            return push_number(echo, value, Shown { cas: Some(cas), ttl, value_len: None, is_created }, out);
        }
        Answer::Miss => (b"EN", Shown::default()),
        Answer::Line(ReplyLine::NotFound) => (b"NF", not_stored(echo)),
        Answer::Line(ReplyLine::NotStored) => (b"NS", not_stored(echo)),
        Answer::Line(ReplyLine::Exists) => (b"EX", not_stored(echo)),
        Answer::Line(line) => return out.extend_from_slice(line.bytes()),
    };
    out.extend_from_slice(code);
    push_flags(echo, shown, out);
    out.extend_from_slice(b"\r\n");
}

/// What a condition that did not hold shows: of ms a CAS unique of 0, and the length that the line announces.
fn not_stored(echo: MetaEcho<'_>) -> Shown {
    let word = echo.words().split(|byte| *byte == b' ').find(|word| !word.is_empty());
    let value_len = word.and_then(value_len_word);
    Shown { cas: value_len.map(|_| 0), value_len, ..Shown::default() }
}

/// Appends the answer of ma: the number itself only if the client wants it.
fn push_number(echo: MetaEcho<'_>, value: u64, shown: Shown, out: &mut Vec<u8>) {
    if words(echo).any(|word| word[0] == MetaFlag::ReturnValue.letter()) {
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(value).as_bytes();
        out.extend_from_slice(b"VA ");
        push_u64(out, digits.len() as u64);
        push_flags(echo, shown, out);
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(digits);
    } else {
        out.extend_from_slice(b"HD");
        push_flags(echo, shown, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// The words behind the key. They are few and short, so they are searched byte by byte.
#[inline]
fn words<'a>(echo: MetaEcho<'a>) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = echo.words();
    std::iter::from_fn(move || {
        while let [b' ', behind @ ..] = rest {
            rest = behind;
        }
        let len = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(len);
        rest = behind;
        (!word.is_empty()).then_some(word)
    })
}

/// Appends the flags that the reply repeats. As in memcached, flags are executed in their order: `t` behind T or N
/// shows the new time, and before them the old one.
fn push_flags(echo: MetaEcho<'_>, shown: Shown, out: &mut Vec<u8>) {
    let mut is_touched = false;
    for word in words(echo) {
        let start = out.len();
        out.extend_from_slice(&[b' ', word[0]]);
        match (MetaFlag::from_letter(word[0]), shown) {
            (Some(MetaFlag::Opaque), _) => out.extend_from_slice(&word[1..]),
            (Some(MetaFlag::ReturnKey), _) => {
                out.extend_from_slice(echo.key());
                if echo.coding() == KeyCoding::Base64 {
                    out.extend_from_slice(BASE64_MARK);
                }
            }
            (Some(MetaFlag::ReturnCas), Shown { cas: Some(cas), .. }) => push_u64(out, cas),
            (Some(MetaFlag::ReturnSize), Shown { value_len: Some(len), .. }) => push_u64(out, len.into()),
            (Some(MetaFlag::ReturnTtl), Shown { ttl: Some([after, before]), .. }) => {
                let ttl = if is_touched { after } else { before };
                ttl.push_to(out);
            }
            (flag, _) => {
                is_touched |= flag == Some(MetaFlag::Exptime) || flag == Some(MetaFlag::Vivify) && shown.is_created;
                out.truncate(start);
            }
        }
    }
}

/// Follows a key that is written in base64.
const BASE64_MARK: &[u8] = b" b";

/// Appends the answer of mg to a hit, up to the value.
#[inline(never)]
pub(in crate::protocol) fn push_found(echo: MetaEcho<'_>, item: &impl FoundItem, value: ValueShown, out: &mut Vec<u8>) {
    match (value, ready_digits(item.value_len())) {
        (ValueShown::Yes, Some(digits)) => append_framed(out, b"VA ", b"", b"", digits, b"", b""),
        (ValueShown::Yes, None) => {
            out.extend_from_slice(b"VA ");
            push_u64(out, item.value_len().into());
        }
        (ValueShown::No, _) => out.extend_from_slice(b"HD"),
    }
    let mut is_touched = false;
    for word in words(echo) {
        match MetaFlag::from_letter(word[0]) {
            // The value follows the line.
            Some(MetaFlag::ReturnValue) => {}
            Some(MetaFlag::ReturnKey) if !item.is_binary_key() => {
                append_framed(out, b" k", item.key(), b"", (b"", 0), b"", b"");
            }
            Some(MetaFlag::ReturnCas) => push_flag(b" c", item.cas(), out),
            Some(MetaFlag::ReturnClientFlags) => push_flag(b" f", item.client_flags().into(), out),
            Some(MetaFlag::Exptime) => is_touched = true,
            Some(MetaFlag::Vivify) => is_touched |= item.is_created(),
            Some(flag) => push_rarer_flag(flag, word, item, is_touched, out),
            None => {}
        }
    }
    if item.is_stale() || item.is_won() || item.was_token_sent() {
        push_marks(item, out);
    }
    out.extend_from_slice(b"\r\n");
}

/// Fast path: appends the answer of mg with its value, if the request has only the flag v, or v and k. False: nothing
/// was appended.
#[inline(always)]
#[expect(clippy::inline_always, reason = "as `compose_value`")]
pub(in crate::protocol) fn push_plain_value(
    echo: MetaEcho<'_>,
    item: &impl FoundItem,
    value: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    let Some((digits, digits_len)) = ready_digits(item.value_len()) else { return false };
    if item.is_stale() || item.is_won() || item.was_token_sent() {
        return false;
    }
    match echo.words() {
        b" v" => append_framed(out, b"VA ", b"", b"", (digits, digits_len + 2), value, b"\r\n"),
        b" v k" | b" k v" if !item.is_binary_key() => {
            append_framed(out, b"VA ", b"", b"", (digits, digits_len), b"", b" k");
            append_framed(out, b"", item.key(), b"\r\n", (b"", 0), value, b"\r\n");
        }
        _ => return false,
    }
    true
}

#[inline]
fn push_flag(name: &[u8; 2], number: u64, out: &mut Vec<u8>) {
    let mut digits = itoa::Buffer::new();
    append_framed(out, name, digits.format(number).as_bytes(), b"", (b"", 0), b"", b"");
}

#[inline(never)]
fn push_rarer_flag(flag: MetaFlag, word: &[u8], item: &impl FoundItem, is_touched: bool, out: &mut Vec<u8>) {
    match flag {
        MetaFlag::ReturnKey => {
            out.extend_from_slice(b" k");
            push_item_key(item, out);
            out.extend_from_slice(BASE64_MARK);
        }
        MetaFlag::ReturnSize => push_flag(b" s", item.value_len().into(), out),
        MetaFlag::ReturnFetched => push_flag(b" h", item.was_fetched().into(), out),
        MetaFlag::ReturnIdle => push_flag(b" l", item.idle_s().into(), out),
        MetaFlag::ReturnTtl => {
            out.extend_from_slice(b" t");
            Ttl(if is_touched { item.ttl_s() } else { item.ttl_before_s() }).push_to(out);
        }
        MetaFlag::Opaque => {
            out.push(b' ');
            out.extend_from_slice(word);
        }
        // Every other flag changes what is done and returns nothing.
        _ => {}
    }
}

/// Appends the marks of renewal.
#[cold]
fn push_marks(item: &impl FoundItem, out: &mut Vec<u8>) {
    for (is_shown, mark) in [(item.was_token_sent(), b" Z"), (item.is_stale(), b" X"), (item.is_won(), b" W")] {
        if is_shown {
            out.extend_from_slice(mark);
        }
    }
}

/// Appends the key of an item as its last writer wrote it.
fn push_item_key(item: &impl FoundItem, out: &mut Vec<u8>) {
    push_key(item.key(), item.is_binary_key(), out);
}

/// Appends a key, in base64 if `is_encoded`.
pub fn push_key(key: &[u8], is_encoded: bool, out: &mut Vec<u8>) {
    if !is_encoded {
        return out.extend_from_slice(key);
    }
    // It fits: no key is longer than the longest.
    if let Ok(encoded) = Base64::encode(key, &mut [0; BASE64_LEN_MAX]) {
        out.extend_from_slice(encoded.as_bytes());
    }
}

/// Appends the answer of me to a hit.
pub fn push_report(item: &impl FoundItem, place: ItemPlace, out: &mut Vec<u8>) {
    out.extend_from_slice(b"ME ");
    push_item_key(item, out);
    out.extend_from_slice(b" exp=");
    Ttl(item.ttl_s()).push_to(out);
    out.extend_from_slice(b" la=");
    push_u64(out, item.idle_s().into());
    out.extend_from_slice(b" cas=");
    push_u64(out, item.cas());
    out.extend_from_slice(if item.was_fetched() { b" fetch=yes cls=" } else { b" fetch=no cls=" });
    push_u64(out, place.class.into());
    out.extend_from_slice(b" size=");
    push_u64(out, place.bytes);
    out.extend_from_slice(b"\r\n");
}

/// The memory of an item.
#[derive(Clone, Copy, Debug)]
pub struct ItemPlace {
    /// Its slab class.
    pub class: u8,
    /// Bytes of header, key and value together.
    pub bytes: u64,
}
