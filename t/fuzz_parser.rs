//! Random lines, valid and broken, for the parser: it must survive, and its results must be right (I11).

use larder::base::{Key, Moment, RelTime};
use larder::protocol::meta::MetaFlag;
use larder::protocol::{
    Grammar, Input, Keys, LineRest, Parsed, Request, Rest, Retrieval, Then, Value, Verb, all_words, text,
};

use crate::model_engine::ModelEngine;
use crate::random::{Random, each_seed};
use crate::session::Session;

/// Maximum repetitions of two conversations that were not in the same second.
const MOMENTS: usize = 10;

#[test]
fn whatever_the_parser_says_of_random_lines_is_so() {
    each_seed("fuzz parser", 20_000, |seed| {
        let mut random = Random::with_seed(seed);
        hold_bytes(&stream(&mut random, 3));
    });
}

/// Checks the parser's results for these bytes, and for each prefix of the first request.
pub(crate) fn hold_bytes(bytes: &[u8]) {
    for input in [Input::Open, Input::Full] {
        let parsed = text::parse(bytes, input);
        if let Some((request, consumed)) = quick(bytes) {
            assert_eq!(parsed, Parsed::Request { request, consumed }, "the fast path differs");
        }
        hold(&parsed, bytes, input);
        for begun in [begun_keys(), LineRest::Refused] {
            hold(&text::parse_rest(bytes, input, begun), bytes, input);
        }
    }
    cut_everywhere(bytes);
}

#[test]
fn answers_do_not_depend_on_how_random_bytes_are_cut() {
    each_seed("fuzz pieces", 1000, |seed| {
        let mut random = Random::with_seed(seed);
        let bytes = stream(&mut random, 12);
        hold_pieces(&bytes, &mut random);
    });
}

/// Checks that the replies to these bytes are the same, whole and cut at random.
pub(crate) fn hold_pieces(bytes: &[u8], random: &mut Random) {
    // If a line is longer than the buffer, its first keys are answered before a later one turns out to be invalid. So
    // the buffer holds every line here.
    let input_len_max = bytes.len().max(4096);
    hold_cuts(bytes, random, || session(1 << 20), || session(input_len_max));
}

/// Checks that two sessions give the same replies to these bytes, one whole and the other cut at random.
pub(crate) fn hold_cuts(
    bytes: &[u8],
    random: &mut Random,
    whole: impl Fn() -> Session<ModelEngine>,
    cut: impl Fn() -> Session<ModelEngine>,
) {
    let seed = random.next();
    for _ in 0..MOMENTS {
        let expected = whole().say(bytes, &());
        let answered = in_pieces(cut(), bytes, &mut Random::with_seed(seed));
        if answered == expected {
            return;
        }
        // Some replies show the date. If they do not, or if it has not changed, a difference is a fault.
        let is_same_moment = whole().say(bytes, &()) == expected;
        assert!(!is_same_moment, "{}\n{}\n{}", show(&answered), show(&expected), show(bytes));
    }
    panic!("the replies change from moment to moment: {}", show(bytes));
}

fn in_pieces(mut session: Session<ModelEngine>, bytes: &[u8], random: &mut Random) -> Vec<u8> {
    session.batch_limit = 1 + random.below(20);
    session.reply_len_max = 1 + random.below(1000);
    let (mut rest, mut answered) = (bytes, Vec::new());
    while !rest.is_empty() {
        let cut = if random.once_in(3) { rest.len() } else { 1 + random.below(rest.len().min(40)) };
        answered.extend_from_slice(&session.say(&rest[..cut], &()));
        rest = &rest[cut..];
    }
    answered
}

fn session(input_len_max: usize) -> Session<ModelEngine> {
    let mut session = Session::new(ModelEngine::new(Moment::at(RelTime(1000))));
    session.input_len_max = input_len_max;
    session.engine.value_len_max = 40;
    session
}

fn begun_keys() -> LineRest {
    match text::parse(b"gets a b\r\n", Input::Open) {
        Parsed::Request { request: Request::Retrieve(retrieval), .. } => LineRest::Keys(retrieval.options),
        other => panic!("{other:?}"),
    }
}

/// The result of the fast path.
fn quick(bytes: &[u8]) -> Option<(Request<'_>, usize)> {
    if let Some((key, consumed)) = Grammar::Text.get(bytes) {
        return Some((Request::Retrieve(Retrieval::plain(key)), consumed));
    }
    if let Some((set, consumed)) = Grammar::Text.set(bytes).or_else(|| Grammar::Text.meta_set(bytes)) {
        return Some((Request::Store(set.into()), consumed));
    }
    if let Some((fetch, consumed)) = Grammar::Text.fetch(bytes) {
        return Some((Request::Fetch(fetch.into()), consumed));
    }
    Grammar::Text.arith(bytes).map(|(arith, consumed)| (Request::Arith(arith), consumed))
}

/// Checks what must hold for every result of the parser.
fn hold(parsed: &Parsed<'_>, bytes: &[u8], input: Input) {
    let line_feed = bytes.iter().position(|byte| *byte == b'\n');
    match *parsed {
        Parsed::NeedMore => {
            assert_eq!(line_feed, None, "a whole line is there");
            assert!(input == Input::Open || bytes.is_empty(), "there is no room for more");
        }
        Parsed::Close => {}
        Parsed::Skipped { consumed, begun } => {
            assert_eq!(consumed, line_feed.map_or(bytes.len(), |at| at + 1));
            assert_eq!(begun.is_none(), line_feed.is_some());
        }
        Parsed::Refused { consumed, then, .. } => {
            assert_eq!(Some(consumed), line_feed.map(|at| at + 1), "a refused line is a line");
            let Then::Swallow(swallow) = then else { panic!("a line has an end") };
            assert!(swallow == 0 || (2..=1 << 31).contains(&swallow));
        }
        Parsed::Request { request, consumed } => {
            assert!((1..=bytes.len()).contains(&consumed));
            hold_request(&request, bytes, consumed, line_feed);
        }
    }
}

fn hold_request(request: &Request<'_>, bytes: &[u8], consumed: usize, line_feed: Option<usize>) {
    let line_len = line_feed.map(|at| at + 1);
    match request {
        Request::Retrieve(retrieval) => {
            match retrieval.rest {
                Rest::None => assert_eq!(Some(consumed), line_len),
                Rest::ToCome => assert_eq!(line_len, None),
            }
            match retrieval.keys {
                Keys::One(key) => hold_key(key, bytes),
                Keys::List(mut keys) => {
                    assert!(keys.unread() <= consumed);
                    while let Some(key) = keys.next_key() {
                        key.into_iter().for_each(|key| hold_key(key, bytes));
                    }
                    assert!(keys.is_over() && keys.unread() <= 2);
                }
            }
        }
        Request::Fetch(fetch) => hold_key(fetch.key, bytes),
        Request::Store(storage) => {
            hold_key(storage.key, bytes);
            let line_len = line_len.expect("a storage line is whole");
            let behind = bytes.len() - line_len;
            let block_len = storage.value_len as usize + 2;
            match storage.value {
                Value::Whole(value) => {
                    assert_eq!(value, &bytes[line_len..line_len + storage.value_len as usize]);
                    assert_eq!(&bytes[consumed - 2..consumed], b"\r\n");
                    assert_eq!(consumed, line_len + block_len);
                }
                Value::BadTerminator => {
                    assert_ne!(&bytes[consumed - 2..consumed], b"\r\n");
                    assert_eq!(consumed, line_len + block_len);
                }
                Value::Coming => assert!(consumed == line_len && behind < block_len),
            }
        }
        Request::Delete(delete) => hold_key(delete.key, bytes),
        Request::Arith(arith) => hold_key(arith.key, bytes),
        Request::Touch(touch) => hold_key(touch.key, bytes),
        Request::Inspect(inspect) => hold_key(inspect.key, bytes),
        Request::Admin(..) => assert_eq!(Some(consumed), line_len),
        Request::Http(_) => panic!("no line is HTTP"),
    }
}

/// A key is a word of the bytes that were parsed.
fn hold_key(key: Key<'_>, bytes: &[u8]) {
    assert!((1..=Key::LEN_MAX).contains(&key.bytes().len()));
    assert!(key.bytes().iter().all(|byte| *byte != b' ' && *byte != b'\n'));
    assert!(bytes.as_ptr_range().contains(&key.bytes().as_ptr()), "a key is borrowed");
}

/// Checks that a line has no meaning before its end, and that bytes behind a whole request change nothing.
fn cut_everywhere(bytes: &[u8]) {
    let Parsed::Request { request, consumed } = text::parse(bytes, Input::Open) else { return };
    let line_len = 1 + bytes.iter().position(|byte| *byte == b'\n').expect("a request has a line end");
    for cut in 0..line_len {
        assert_eq!(text::parse(&bytes[..cut], Input::Open), Parsed::NeedMore, "{:?}", show(&bytes[..cut]));
    }
    for cut in line_len..consumed {
        match text::parse(&bytes[..cut], Input::Open) {
            Parsed::Request { request: Request::Store(storage), consumed } => {
                assert_eq!((storage.value, consumed), (Value::Coming, line_len));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(text::parse(&bytes[..consumed], Input::Open), Parsed::Request { request, consumed });
}

/// Random bytes that resemble what clients send.
pub(crate) fn stream(random: &mut Random, lines: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + random.below(lines) {
        match random.below(20) {
            0 => (0..random.below(30)).for_each(|_| bytes.push(random.next().to_le_bytes()[0])),
            1 => sound_set(random, &mut bytes),
            2 => sound_set(random, &mut bytes),
            3 => bytes.extend_from_slice(random.pick(&[
                &b"get a\r\n"[..],
                b"get a b c\r\n",
                b"gets a\n",
                b"mg a v k\r\n",
                b"mg YQ== b k v\r\n",
            ])),
            _ => line(random, &mut bytes),
        }
    }
    if random.once_in(4) {
        let at = random.below(bytes.len() + 1);
        bytes.truncate(at);
    }
    if random.once_in(4) && !bytes.is_empty() {
        let at = random.below(bytes.len());
        bytes[at] = random.next().to_le_bytes()[0];
    }
    bytes
}

fn sound_set(random: &mut Random, bytes: &mut Vec<u8>) {
    let value: Vec<u8> = (0..random.below(60)).map(|_| *random.pick(&[&b'x', &b' ', &b'\r', &b'\n', &b'5'])).collect();
    let key = random.pick(&["a", "b", "key:with:parts", "a_longer_key_of_twenty_8"]);
    let noreply = random.pick(&["", "", " noreply"]);
    if random.once_in(3) {
        let flags = random.pick(&["", " T0 F5", " k q c", " MA N0 s", " b k", " C5 I E9", " O1 Mx"]);
        bytes.extend_from_slice(format!("ms {key} {}{flags}\r\n", value.len()).as_bytes());
        bytes.extend_from_slice(&value);
        bytes.extend_from_slice(if random.once_in(8) { b"\n\r" } else { b"\r\n" });
        return;
    }
    let verb = random.pick(&["set", "set", "add", "append"]);
    let (flags, exptime) = (random.pick(&["0", "5", "4294967295"]), random.pick(&["0", "0", "100", "-1"]));
    bytes.extend_from_slice(format!("{verb} {key} {flags} {exptime} {}{noreply}\r\n", value.len()).as_bytes());
    bytes.extend_from_slice(&value);
    bytes.extend_from_slice(if random.once_in(8) { b"\n\r" } else { b"\r\n" });
}

/// A verb, some words, a line end: each may be wrong.
fn line(random: &mut Random, bytes: &mut Vec<u8>) {
    let verb = Verb::ALL[random.below(Verb::ALL.len())];
    bytes.extend_from_slice(verb.name());
    if random.once_in(30) {
        bytes.push(b'x');
    }
    for _ in 0..random.below(7) {
        bytes.extend_from_slice(random.pick(&[&b" "[..], b" ", b" ", b"  ", b"\t"]));
        match random.below(16) {
            12.. => {
                bytes.push(MetaFlag::ALL[random.below(MetaFlag::ALL.len())].letter());
                bytes.extend_from_slice(random.pick(&[&b""[..], b"", b"", b"5", b"-1", b"S", b"=="]));
            }
            0 => bytes.extend(std::iter::repeat_n(b'k', 240 + random.below(30))),
            1 => bytes.extend_from_slice(random.next().to_string().as_bytes()),
            2 => bytes.extend_from_slice(b"noreply"),
            3 => {
                let words: Vec<&[u8]> = all_words().collect();
                bytes.extend_from_slice(random.pick(&words));
            }
            _ => bytes.extend_from_slice(random.pick(&[
                &b"a"[..],
                b"b",
                b"0",
                b"1",
                b"5",
                b"-1",
                b"+3",
                b"99999999999",
                b"18446744073709551616",
                b"x",
                b"HTTP/1.1",
                b"a\0b",
                b"\xff\xfe",
                b"007",
                b"00000000001",
                b"000000000001",
                b"00000000000000000000005",
                b"64",
            ])),
        }
    }
    bytes.extend_from_slice(random.pick(&[&b"\r\n"[..], b"\r\n", b"\r\n", b"\n", b" \r\n", b"\r\r\n"]));
}

fn show(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
