//! Finds the end of a line and its verb, and handles incomplete lines.

use memchr::{memchr, memrchr};

use crate::base::{Delta, Key};
use crate::protocol::echo::Reply;
use crate::protocol::meta;
use crate::protocol::reply_line::ReplyLine;
use crate::protocol::request::{Input, KeyList, Keys, LineRest, Parsed, Request, Rest, Retrieval, RetrievalOptions};
use crate::protocol::tokens::Tokens;
use crate::protocol::verb::{Family, Verb};

use super::lines;

/// Limit on the bytes before a line end, except for retrievals. A longer line comes from no memcached client. It is
/// refused whether or not its end has arrived, so the reply does not depend on how the network splits the bytes.
pub const LINE_LEN_MAX: usize = 2048;

/// Shorter lines, including their end, get a format error even if the verb is unknown (memcached 1.6.45's rule).
const LINE_LEN_MIN: usize = 4;

/// Parses the front of `bytes`.
#[inline(never)]
pub fn parse(bytes: &[u8], input: Input) -> Parsed<'_> {
    let Some(line_feed) = memchr(b'\n', bytes) else { return unfinished(bytes, input) };
    let (line, consumed) = (&bytes[..line_feed], line_feed + 1);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if consumed < LINE_LEN_MIN {
        return lines::refuse(ReplyLine::BadFormat, Reply::Wanted, consumed);
    }
    let verb_len = memchr(b' ', line).unwrap_or(line.len());
    let (word, arguments) = (&line[..verb_len], Tokens::new(&line[verb_len..]));
    let Some(verb) = Verb::from_wire(word) else {
        return if line_feed > LINE_LEN_MAX { Parsed::Close } else { unknown(Tokens::new(line), arguments, consumed) };
    };
    if line_feed > LINE_LEN_MAX && !is_retrieval(verb) {
        return Parsed::Close;
    }
    let line_end_len = consumed - line.len();
    let parsed = match verb.family() {
        Family::Retrieval(cas) => lines::retrieval(RetrievalOptions { cas, touch: None }, arguments, line_end_len),
        Family::TouchingRetrieval(cas) => lines::touching_retrieval(cas, arguments, line_end_len),
        Family::Storage(mode) => return lines::storage(mode, arguments, consumed, &bytes[consumed..]),
        Family::CompareAndStore => return lines::compare_and_store(arguments, consumed, &bytes[consumed..]),
        Family::Delete => lines::delete(arguments),
        Family::Incr => lines::arith(Delta::Up, arguments),
        Family::Decr => lines::arith(Delta::Down, arguments),
        Family::Touch => lines::touch(arguments),
        Family::Admin(verb) => lines::admin(verb, arguments),
        Family::Meta(verb) => return meta::parse(verb, arguments, consumed, &bytes[consumed..]),
    };
    match parsed {
        Ok(request) => Parsed::Request { request, consumed },
        Err((error, reply)) => lines::refuse(error, reply, consumed),
    }
}

const fn is_retrieval(verb: Verb) -> bool {
    matches!(verb.family(), Family::Retrieval(_) | Family::TouchingRetrieval(_))
}

/// A line with an unknown verb. An HTTP request line closes the connection. Its header or body must not be executed as
/// commands, because an attacker can make a browser send it.
#[cold]
fn unknown<'a>(words: Tokens<'a>, arguments: Tokens<'a>, consumed: usize) -> Parsed<'a> {
    match arguments.last() {
        Some(last) if last.starts_with(b"HTTP/") => Parsed::Close,
        Some(_) | None => lines::refuse(ReplyLine::Error, Reply::of(words), consumed),
    }
}

/// A line without its end. Only a list of keys may be longer than the buffer.
fn unfinished(bytes: &[u8], input: Input) -> Parsed<'_> {
    let verb_len = memchr(b' ', bytes).unwrap_or(bytes.len());
    let (cas, exptime_first) = match Verb::from_wire(&bytes[..verb_len]).map(Verb::family) {
        Some(Family::Retrieval(cas)) if verb_len < bytes.len() => (cas, false),
        Some(Family::TouchingRetrieval(cas)) if verb_len < bytes.len() => (cas, true),
        Some(_) | None => {
            let endless = bytes.len() > LINE_LEN_MAX || input == Input::Full;
            return if endless { Parsed::Close } else { Parsed::NeedMore };
        }
    };
    if input == Input::Open {
        return Parsed::NeedMore;
    }
    if !exptime_first {
        return some_keys(bytes, verb_len, RetrievalOptions { cas, touch: None });
    }
    let mut arguments = Tokens::new(&bytes[verb_len..]);
    let exptime = arguments.next().and_then(lines::exptime_word);
    let keys_from = bytes.len() - arguments.rest().len();
    match exptime {
        Some(exptime) if keys_from < bytes.len() => {
            some_keys(bytes, keys_from, RetrievalOptions { cas, touch: Some(exptime) })
        }
        // The exptime is invalid or fills the buffer: nothing valid can follow.
        Some(_) | None => Parsed::Close,
    }
}

/// The keys of `bytes[from..]`. The last key may be incomplete; it stays in the buffer.
fn some_keys(bytes: &[u8], from: usize, options: RetrievalOptions) -> Parsed<'_> {
    let list = &bytes[from..];
    let end = memrchr(b' ', list).map_or(0, |blank| blank + 1);
    // Key::LEN_MAX plus one for the CR of the line end. A longer tail is refused with the list.
    let end = if list.len() - end > Key::LEN_MAX + 1 { list.len() } else { end };
    if from + end == 0 {
        // Only a buffer that is shorter than a key can be full without a complete key.
        return if bytes.is_empty() { Parsed::NeedMore } else { Parsed::Close };
    }
    let keys = Keys::List(KeyList { tokens: Tokens::new(&list[..end]), line_end_len: 0 });
    let request = Request::Retrieve(Retrieval { keys, options, rest: Rest::ToCome });
    Parsed::Request { request, consumed: from + end }
}

/// Parses the front of `bytes`, which continue a line that was begun before.
pub fn parse_rest(bytes: &[u8], input: Input, begun: LineRest) -> Parsed<'_> {
    let line_feed = memchr(b'\n', bytes);
    match (begun, line_feed) {
        (LineRest::Keys(options), Some(line_feed)) => {
            let line = &bytes[..line_feed];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let consumed = line_feed + 1;
            let keys = KeyList { tokens: Tokens::new(line), line_end_len: consumed - line.len() };
            let retrieval = Retrieval { keys: Keys::List(keys), options, rest: Rest::None };
            Parsed::Request { request: Request::Retrieve(retrieval), consumed }
        }
        (LineRest::Keys(options), None) => match input {
            Input::Open => Parsed::NeedMore,
            Input::Full => some_keys(bytes, 0, options),
        },
        (LineRest::Refused, Some(line_feed)) => Parsed::Skipped { consumed: line_feed + 1, begun: None },
        (LineRest::Refused, None) if bytes.is_empty() => Parsed::NeedMore,
        (LineRest::Refused, None) => Parsed::Skipped { consumed: bytes.len(), begun: Some(begun) },
    }
}

#[cfg(test)]
mod tests {
    use super::{Input, LINE_LEN_MAX, Parsed, parse, parse_rest};
    use crate::protocol::request::{KeyTooLong, Keys, LineRest, Request, Rest, Retrieval};

    /// The keys of a parsed retrieval, the bytes consumed, and whether the line continues.
    fn keys(parsed: Parsed<'_>) -> (Vec<Result<&[u8], KeyTooLong>>, usize, Rest) {
        let Parsed::Request { request: Request::Retrieve(Retrieval { keys, rest, .. }), consumed } = parsed else {
            panic!("{parsed:?}");
        };
        let keys = match keys {
            Keys::One(key) => vec![Ok(key.bytes())],
            Keys::List(mut list) => std::iter::from_fn(|| list.next_key()).map(|key| key.map(|k| k.bytes())).collect(),
        };
        (keys, consumed, rest)
    }

    #[test]
    fn only_a_list_of_keys_may_go_on_without_a_line_end() {
        for (word, endless) in [("set", true), ("gett", true), ("get", false), ("gats", false), ("bget", false)] {
            let line = format!("{word} {}", "a".repeat(LINE_LEN_MAX));
            let cut = line.as_bytes();
            assert_eq!(parse(&cut[..LINE_LEN_MAX], Input::Open), Parsed::NeedMore);
            assert_eq!(parse(cut, Input::Open) == Parsed::Close, endless, "{word}");
            let mut whole = cut.to_vec();
            whole.push(b'\n');
            assert_eq!(parse(&whole, Input::Open) == Parsed::Close, endless, "{word}");
            whole[LINE_LEN_MAX] = b'\n';
            assert_ne!(parse(&whole, Input::Open), Parsed::Close, "{word}");
        }
    }

    #[test]
    fn a_full_buffer_gives_up_its_whole_keys_and_keeps_the_cut_one() {
        assert_eq!(keys(parse(b"get a bb cc", Input::Full)), (vec![Ok(&b"a"[..]), Ok(b"bb")], 9, Rest::ToCome));
        assert_eq!(keys(parse(b"gat 5 a bb ", Input::Full)), (vec![Ok(&b"a"[..]), Ok(b"bb")], 11, Rest::ToCome));
        for line in ["gat", "gat 5", "gat x a ", "set a"] {
            assert_eq!(parse(line.as_bytes(), Input::Full), Parsed::Close, "{line}");
        }
        let cut = [b"get a ", &[b'k'; 251][..]].concat();
        assert_eq!(keys(parse(&cut, Input::Full)), (vec![Ok(&b"a"[..])], 6, Rest::ToCome));
        let endless = [&cut[..], b"k"].concat();
        assert_eq!(keys(parse(&endless, Input::Full)), (vec![Ok(&b"a"[..]), Err(KeyTooLong)], 258, Rest::ToCome));
    }

    #[test]
    fn a_line_that_was_begun_goes_on_to_its_end() {
        let Parsed::Request { request: Request::Retrieve(begun), .. } = parse(b"gets a b\r\n", Input::Open) else {
            panic!("a retrieval");
        };
        let begun = LineRest::Keys(begun.options);
        assert_eq!(keys(parse_rest(b"c d\r\nget", Input::Open, begun)), (vec![Ok(&b"c"[..]), Ok(b"d")], 5, Rest::None));
        assert_eq!(keys(parse_rest(b"\r\n", Input::Open, begun)), (vec![], 2, Rest::None));
        assert_eq!(keys(parse_rest(b"c d", Input::Full, begun)), (vec![Ok(&b"c"[..])], 2, Rest::ToCome));
        assert_eq!(parse_rest(b"c d", Input::Open, begun), Parsed::NeedMore);
        assert_eq!(parse_rest(b"cd", Input::Full, begun), Parsed::Close);
        let refused = LineRest::Refused;
        assert_eq!(parse_rest(b"", Input::Open, refused), Parsed::NeedMore);
        assert_eq!(parse_rest(b"ab", Input::Open, refused), Parsed::Skipped { consumed: 2, begun: Some(refused) });
        assert_eq!(parse_rest(b"ab\nget", Input::Open, refused), Parsed::Skipped { consumed: 3, begun: None });
    }
}
