//! The head of a request.
//!
//! httparse splits the head into words. It bounds nothing by itself, so this file does: bytes of a head, fields, and
//! the body's length, which must be known.

use std::mem::MaybeUninit;

use httparse::{Error, Header, Status};

use crate::base::{Exptime, Key, parse_i64, parse_u32, parse_u64};
use crate::protocol::request::{Parsed, Request, Value};

use super::request::{EntityTags, HttpEcho, HttpMethod, HttpRequest, KeptFlags, Persistence};
use super::status::HttpReply;
use super::target::CACHE_PATH;

/// The longest head, in bytes.
pub const HEAD_BYTES_MAX: usize = 8 << 10;
/// Most fields of a head.
pub const FIELDS_MAX: usize = 64;

/// Parses the request at the front of `bytes`.
pub(in crate::protocol) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let bounded = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
    let head_len = match head.parse_with_uninit_headers(bounded, &mut fields) {
        Ok(Status::Complete(len)) => len,
        Ok(Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Parsed::NeedMore,
        Ok(Status::Partial) | Err(Error::TooManyHeaders) => return refused(HttpReply::HeadTooLarge, bytes),
        Err(Error::Version) => return refused(HttpReply::UnknownVersion, bytes),
        Err(_) => return refused(HttpReply::BadRequest, bytes),
    };
    let mut facts = Facts { is_1_0: head.version == Some(0), ..Facts::default() };
    let read = head.headers.iter().try_for_each(|field| facts.read(field));
    match read.and_then(|()| facts.request(head.method, head.path)) {
        Ok(mut request) => {
            let (mut consumed, body_len) = (head_len, request.body_len as usize);
            if let Some(body) = bytes[head_len..].get(..body_len) {
                request.body = Value::Whole(body);
                consumed += body_len;
            }
            Parsed::Request { request: Request::Http(Ok(request)), consumed }
        }
        Err(reply) => refused(reply, bytes),
    }
}

/// The end of what was refused is unknown, so all bytes go with it.
fn refused(reply: HttpReply, bytes: &[u8]) -> Parsed<'_> {
    Parsed::Request { request: Request::Http(Err(reply)), consumed: bytes.len() }
}

/// The key of a request for an item whose key is in the path as it is.
pub fn simple_key<'a>(request: &HttpRequest<'a>) -> Option<Key<'a>> {
    let key = request.target.strip_prefix(CACHE_PATH)?;
    if memchr::memchr2(b'%', b'?', key).is_none() { Key::new(key) } else { None }
}

/// What the fields of a head say.
#[derive(Default)]
struct Facts<'a> {
    is_1_0: bool,
    host: Option<&'a [u8]>,
    origin: Option<&'a [u8]>,
    token: Option<&'a [u8]>,
    if_match: Option<EntityTags<'a>>,
    if_none_match: Option<EntityTags<'a>>,
    content_type: Option<&'a [u8]>,
    flags: Option<KeptFlags>,
    exptime: Exptime,
    content_len: Option<u64>,
    is_coded: bool,
    awaits_continue: bool,
    closes: bool,
    keeps_alive: bool,
}

impl<'a> Facts<'a> {
    fn read(&mut self, field: &Header<'a>) -> Result<(), HttpReply> {
        let (name, value) = (field.name, field.value.trim_ascii());
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // The length first: most fields are of no interest, and differ in it.
        match name.len() {
            4 if is("host") => self.host = Some(value),
            6 if is("origin") => self.origin = Some(value),
            6 if is("expect") => {
                if !value.eq_ignore_ascii_case(b"100-continue") {
                    return Err(HttpReply::UnknownExpectation);
                }
                self.awaits_continue = true;
            }
            8 if is("if-match") => self.if_match = Some(EntityTags(value)),
            10 if is("connection") => self.read_connection(value),
            10 if is("larder-ttl") => {
                self.exptime = parse_i64(value).map(Exptime::new).ok_or(HttpReply::BadRequest)?;
            }
            12 if is("content-type") => self.content_type = Some(value),
            12 if is("larder-flags") => {
                let number = || parse_u32(value).map(KeptFlags::Number).ok_or(HttpReply::BadRequest);
                let is_type = value.eq_ignore_ascii_case(b"content-type");
                self.flags = Some(if is_type { KeptFlags::ContentType } else { number()? });
            }
            13 if is("authorization") => self.token = bearer(value),
            13 if is("if-none-match") => self.if_none_match = Some(EntityTags(value)),
            14 if is("content-length") => {
                let len = parse_u64(value).ok_or(HttpReply::BadRequest)?;
                if self.content_len.replace(len).is_some_and(|before| before != len) {
                    return Err(HttpReply::BadRequest);
                }
            }
            17 if is("transfer-encoding") => self.is_coded = true,
            _ => {}
        }
        Ok(())
    }

    fn read_connection(&mut self, value: &[u8]) {
        for option in value.split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            self.closes |= option.eq_ignore_ascii_case(b"close");
            self.keeps_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// The request, whose body is not looked for yet.
    fn request(&self, method: Option<&'a str>, target: Option<&'a str>) -> Result<HttpRequest<'a>, HttpReply> {
        if !self.is_1_0 && self.host.is_none() {
            return Err(HttpReply::BadRequest);
        }
        match (self.is_coded, self.content_len) {
            (false, _) => {}
            (true, None) => return Err(HttpReply::LengthRequired),
            // Two lengths of one body: another server on the way may have believed the other one.
            (true, Some(_)) => return Err(HttpReply::BadRequest),
        }
        let body_len = u32::try_from(self.content_len.unwrap_or(0)).map_err(|_| HttpReply::TooLarge)?;
        let method = match method {
            Some("GET") => HttpMethod::Get,
            Some("HEAD") => HttpMethod::Head,
            Some("PUT") => HttpMethod::Put,
            Some("POST") => HttpMethod::Post,
            Some("DELETE") => HttpMethod::Delete,
            Some(_) | None => return Err(HttpReply::UnknownMethod),
        };
        let persistence = match (self.closes, self.is_1_0, self.keeps_alive) {
            (false, false, _) => Persistence::Stays,
            (false, true, true) => Persistence::StaysAsked,
            (true, ..) | (false, true, false) => Persistence::Ends,
        };
        let is_conditional = self.if_match.is_some() || self.if_none_match.is_some();
        Ok(HttpRequest {
            target: path_of(target.unwrap_or_default().as_bytes()),
            token: self.token,
            if_match: self.if_match,
            if_none_match: self.if_none_match,
            content_type: self.content_type,
            flags: self.flags.unwrap_or(KeptFlags::Number(0)),
            exptime: self.exptime,
            body_len,
            body: if body_len == 0 { Value::Whole(b"") } else { Value::Coming },
            awaits_continue: self.awaits_continue && !self.is_1_0,
            is_foreign: self.is_foreign(),
            echo: HttpEcho { method, persistence, is_conditional },
        })
    }

    /// Whether the page that a browser sends this for came from another host.
    fn is_foreign(&self) -> bool {
        let Some(origin) = self.origin else { return false };
        let after_scheme = memchr::memmem::find(origin, b"://").map(|at| &origin[at + 3..]);
        after_scheme.is_none() || after_scheme != self.host
    }
}

/// The path and query of a target, without the scheme and the host that a client of a proxy writes.
fn path_of(target: &[u8]) -> &[u8] {
    for scheme in [&b"http://"[..], b"https://"] {
        if let Some((front, rest)) = target.split_at_checked(scheme.len())
            && front.eq_ignore_ascii_case(scheme)
        {
            return memchr::memchr(b'/', rest).map_or(b"/", |at| &rest[at..]);
        }
    }
    target
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::{HEAD_BYTES_MAX, HttpMethod, HttpReply, HttpRequest, Parsed, Persistence, Request, Value, parse};

    fn parsed(bytes: &str) -> (Result<HttpRequest<'_>, HttpReply>, usize) {
        match parse(bytes.as_bytes()) {
            Parsed::Request { request: Request::Http(request), consumed } => (request, consumed),
            other => panic!("{other:?} of {bytes:?}"),
        }
    }

    fn fault(bytes: &str) -> HttpReply {
        let (request, consumed) = parsed(bytes);
        assert_eq!(consumed, bytes.len());
        request.expect_err("it is refused")
    }

    #[test]
    fn a_request_is_parsed_up_to_the_next_one() {
        let text = "\r\nPUT /cache/a HTTP/1.1\r\nhost: h\r\nContent-Length: 3\r\nLarder-TTL: 60\r\n\r\nabcGET /";
        let (request, consumed) = parsed(text);
        let request = request.unwrap();
        assert_eq!((request.target, request.body), (&b"/cache/a"[..], Value::Whole(b"abc")));
        assert_eq!((request.echo.method, request.echo.persistence), (HttpMethod::Put, Persistence::Stays));
        assert_eq!(&text[consumed..], "GET /");
        for len in 0..text.len() - 8 - 3 {
            assert_eq!(parse(&text.as_bytes()[..len]), Parsed::NeedMore, "{len} bytes");
        }
        let (request, consumed) = parsed(&text[..text.len() - 6]);
        assert_eq!(request.unwrap().body, Value::Coming);
        assert_eq!(&text[consumed..], "abcGET /");
    }

    #[test]
    fn what_is_wrong_is_named() {
        assert_eq!(fault("get a\r\n"), HttpReply::BadRequest);
        assert_eq!(fault("GET / HTTP/1.1\r\n\r\n"), HttpReply::BadRequest);
        assert_eq!(fault("GET / HTTP/2.0\r\n\r\n"), HttpReply::UnknownVersion);
        assert_eq!(fault("BREW / HTTP/1.0\r\n\r\n"), HttpReply::UnknownMethod);
        assert_eq!(fault("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), HttpReply::LengthRequired);
        for two in ["Transfer-Encoding: chunked", "Content-Length: 2"] {
            let text = format!("PUT / HTTP/1.0\r\nContent-Length: 1\r\n{two}\r\n\r\n");
            assert_eq!(fault(&text), HttpReply::BadRequest);
        }
        assert_eq!(fault("PUT / HTTP/1.0\r\nContent-Length: 4294967296\r\n\r\n"), HttpReply::TooLarge);
        for bad in ["Content-Length: -1", "Larder-TTL: soon", "Larder-Flags: 4294967296"] {
            assert_eq!(fault(&format!("PUT / HTTP/1.0\r\n{bad}\r\n\r\n")), HttpReply::BadRequest, "{bad}");
        }
        assert_eq!(fault("PUT / HTTP/1.0\r\nExpect: tea\r\n\r\n"), HttpReply::UnknownExpectation);
    }

    #[test]
    fn a_head_is_bounded() {
        let with_fields = |count| format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(count));
        assert!(parsed(&with_fields(64)).0.is_ok());
        assert_eq!(fault(&with_fields(65)), HttpReply::HeadTooLarge);
        let long = format!("GET /{}", "x".repeat(HEAD_BYTES_MAX));
        assert_eq!(parse(&long.as_bytes()[..HEAD_BYTES_MAX - 1]), Parsed::NeedMore);
        assert_eq!(fault(&long), HttpReply::HeadTooLarge);
    }

    #[test]
    fn the_client_says_whether_the_connection_stays() {
        let persistence = |text: &str| parsed(text).0.unwrap().echo.persistence;
        assert_eq!(persistence("GET / HTTP/1.0\r\n\r\n"), Persistence::Ends);
        assert_eq!(persistence("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"), Persistence::StaysAsked);
        assert_eq!(persistence("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), Persistence::Stays);
        assert_eq!(persistence("GET / HTTP/1.1\r\nHost: h\r\nConnection: te, close\r\n\r\n"), Persistence::Ends);
    }

    #[test]
    fn a_request_for_a_page_of_another_origin_is_known() {
        let is_foreign = |origin: &str| {
            let text = format!("POST / HTTP/1.1\r\nHost: h:1\r\nOrigin: {origin}\r\n\r\n");
            parsed(&text).0.unwrap().is_foreign
        };
        assert!(!is_foreign("http://h:1"));
        for origin in ["http://h", "http://evil.example", "null"] {
            assert!(is_foreign(origin), "{origin}");
        }
    }

    #[test]
    fn a_token_is_behind_bearer() {
        let text = "GET http://h/live?x HTTP/1.0\r\nAuthorization: bearer  abc \r\n\r\n";
        let request = parsed(text).0.unwrap();
        assert_eq!((request.token, request.target), (Some(&b"abc"[..]), &b"/live?x"[..]));
        assert!(parsed("GET / HTTP/1.0\r\nAuthorization: Basic YTpi\r\n\r\n").0.unwrap().token.is_none());
        assert_eq!(parsed("GET HTTPS://h/live HTTP/1.0\r\n\r\n").0.unwrap().target, b"/live");
    }
}
