//! Random requests over HTTP, some of them broken. For any cuts the client gets the same bytes, and a cut head is
//! parsed as soon as it is whole and not before.

use larder::protocol::http::{FIELDS_MAX, HEAD_BYTES_MAX};
use larder::protocol::{Grammar, Input, Parsed, Request, Value};

use crate::fuzz_connection::Worker;
use crate::random::{Random, each_seed};

#[test]
fn answers_do_not_depend_on_how_an_http_connection_is_used() {
    let mut worker = Worker::new_http();
    each_seed("fuzz HTTP connection", 1500, |seed| {
        let mut random = Random::with_seed(seed);
        let mut bytes = Vec::new();
        for _ in 0..1 + random.below(20) {
            request(&mut random, &mut bytes);
        }
        if random.once_in(4) {
            spoil(&mut random, &mut bytes);
        }
        worker.hold_lines(&bytes, &mut random);
    });
}

#[test]
fn a_head_means_nothing_before_its_end_and_the_same_behind_it() {
    each_seed("fuzz HTTP parser", 1000, |seed| {
        let mut random = Random::with_seed(seed);
        let mut bytes = Vec::new();
        request(&mut random, &mut bytes);
        if random.once_in(2) {
            spoil(&mut random, &mut bytes);
        }
        hold(&bytes);
    });
}

fn parse(bytes: &[u8]) -> Parsed<'_> {
    Grammar::Http.next(bytes, Input::Open, None)
}

/// Checks every cut of `bytes`.
fn hold(bytes: &[u8]) {
    let shown = || bytes[..bytes.len().min(300)].escape_ascii().to_string();
    let mut is_decided = false;
    let all = parse(bytes);
    // Each cut at the front, where heads mostly end, and some of the others.
    let cuts = (0..600).chain((600..=HEAD_BYTES_MAX + 1).step_by(61)).chain(HEAD_BYTES_MAX - 2..=HEAD_BYTES_MAX + 1);
    for len in cuts.take_while(|len| *len <= bytes.len()) {
        let part = &bytes[..len];
        let decided = match parse(part) {
            Parsed::NeedMore => {
                assert!(!is_decided && len < HEAD_BYTES_MAX, "{len} bytes of {}", shown());
                continue;
            }
            Parsed::Request { request: Request::Http(request), consumed } => (request, consumed),
            other => panic!("{other:?}"),
        };
        is_decided = true;
        let Parsed::Request { request: Request::Http(whole), .. } = all else { panic!("{}", shown()) };
        match (decided, whole) {
            ((Err(reply), consumed), Err(same)) => {
                assert_eq!((reply, consumed), (same, len), "{}", shown());
                // A connection parses nothing behind it.
                return;
            }
            ((Ok(request), consumed), Ok(same)) => {
                assert_eq!(larder::protocol::HttpRequest { body: same.body, ..request }, same);
                match request.body {
                    Value::Whole(body) => assert_eq!(body, &bytes[consumed - body.len()..consumed]),
                    Value::Coming => assert_eq!(consumed, len.min(consumed), "the body follows the head"),
                    Value::BadTerminator => panic!("a body has no terminator"),
                }
            }
            ((one, _), other) => panic!("{one:?} of {len} bytes, {other:?} of all of {}", shown()),
        }
    }
}

/// A request. No reply to it depends on the moment.
fn request(random: &mut Random, bytes: &mut Vec<u8>) {
    let method = random.pick(&["GET", "GET", "GET", "HEAD", "PUT", "PUT", "PUT", "POST", "DELETE", "TRACE"]);
    let path = random.pick(&[
        "/cache/a",
        "/cache/a",
        "/cache/b",
        "/cache/%61",
        "/cache/a%20b",
        "/cache/%",
        "/cache/",
        "/cache/a?b",
        "/live",
        "/ready",
        "/",
        "/none",
        "http://h/cache/b",
        "*",
    ]);
    let version = random.pick(&["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.1\r\nConnection: keep-alive", "HTTP/1.0"]);
    bytes.extend_from_slice(format!("{method} {path} {version}\r\nHost: h\r\n").as_bytes());
    for _ in 0..random.below(4) {
        let field = random.pick(&[
            "If-None-Match: *",
            "If-Match: *",
            "If-Match: \"18446744073709551615\"",
            "If-None-Match: \"x\", W/\"18446744073709551614\"",
            "Larder-Flags: 7",
            "Larder-Flags: content-type",
            "Content-Type: text/html",
            "Larder-TTL: -1",
            "Larder-TTL: 0",
            "Origin: http://h",
            "Origin: null",
            "Accept: */*",
            "authorization: Bearer x",
            "X-Empty:",
            "Connection: close",
        ]);
        bytes.extend_from_slice(field.as_bytes());
        bytes.extend_from_slice(random.pick(&["\r\n", "\r\n", "\n"]).as_bytes());
    }
    if random.once_in(40) {
        bytes.extend("a: b\r\n".repeat(FIELDS_MAX - 6 + random.below(8)).bytes());
    }
    if random.once_in(40) {
        bytes.extend(format!("a: {}\r\n", "x".repeat(HEAD_BYTES_MAX - 200 + random.below(300))).bytes());
    }
    let body_len = match random.below(12) {
        0 => 190_000 + random.below(20_000),
        1 => 60_000 + random.below(20_000),
        2 => 3000 + random.below(3000),
        3..=6 => random.below(50),
        _ => 0,
    };
    if body_len > 0 || random.once_in(4) {
        bytes.extend_from_slice(format!("Content-Length: {body_len}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend((0..body_len).map(|at| at.to_le_bytes()[0]));
}

/// Changes, removes or inserts a few bytes, most of them at the front.
fn spoil(random: &mut Random, bytes: &mut Vec<u8>) {
    for _ in 0..1 + random.below(3) {
        let at = if random.once_in(2) { random.below(bytes.len()) } else { random.below(bytes.len().min(300)) };
        let byte = random.pick(&[&b"\r"[..], b"\n", b"\0", b":", b" ", b"%", b"9", b"\xff", b"\"", b","])[0];
        match random.below(3) {
            0 => bytes[at] = byte,
            1 => drop(bytes.remove(at)),
            _ => bytes.insert(at, byte),
        }
        if bytes.is_empty() {
            bytes.push(b'G');
        }
    }
}
