//! Items over HTTP (`/cache/KEY`, -o http_cache).

use larder::protocol::HttpReply;

use crate::http::{reply, with_fields};
use crate::support::{Client, Server};

const CACHE: &[&str] = &["--http=0", "-o", "http_cache"];

/// Sends a request and returns the head and the body of its reply.
pub(crate) fn asked(client: &mut Client, request_line: &str, fields: &str, body: &[u8]) -> (String, Vec<u8>) {
    let head = format!("{request_line} HTTP/1.1\r\nHost: h\r\n{fields}");
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    client.send([head.as_bytes(), length.as_bytes(), b"\r\n", body].concat());
    replied(client, request_line.starts_with("HEAD"))
}

fn replied(client: &mut Client, is_head: bool) -> (String, Vec<u8>) {
    let head = client.read_until(b"\r\n\r\n").expect("a head arrives");
    let head = String::from_utf8(head).expect("a head is text");
    let length = field(&head, "Content-Length").map_or(0, |length| length.parse().expect("it is a number"));
    let body = if is_head { Vec::new() } else { client.read_exactly(length).expect("a body arrives") };
    (head, body)
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).map(str::trim)
}

fn status(head: &str) -> &str {
    head.split(' ').nth(1).expect("a status line has a code")
}

#[test]
fn an_item_is_stored_fetched_and_removed() {
    let server = Server::start(CACHE);
    let (mut client, mut text) = (server.http_client(), server.client());
    let (stored, _) = asked(&mut client, "PUT /cache/colour", "Larder-Flags: 5\r\nLarder-TTL: 100\r\n", b"green");
    assert_eq!(status(&stored), "204");
    let etag = field(&stored, "ETag").expect("an item has a tag").to_owned();
    text.ask("gets colour\r\n", format!("VALUE colour 5 5 {}\r\ngreen\r\nEND\r\n", etag.trim_matches('"')));
    let (head, body) = asked(&mut client, "GET /cache/colour", "", b"");
    assert_eq!(body, b"green");
    let expected = format!(
        "HTTP/1.1 200 OK\r\nETag: {etag}\r\nLarder-Flags: 5\r\nLarder-TTL: 100\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: 5\r\n\r\n"
    );
    assert_eq!(head.replace("TTL: 99", "TTL: 100"), expected);
    let (head, _) = asked(&mut client, "HEAD /cache/colour", "", b"");
    assert_eq!(head.replace("TTL: 99", "TTL: 100"), expected);
    text.ask("set colour 0 0 3\r\nred\r\n", "STORED\r\n");
    assert_eq!(asked(&mut client, "GET /cache/colour", "", b"").1, b"red");
    client.ask("DELETE /cache/colour HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n");
    for method in ["GET", "DELETE"] {
        client.ask(format!("{method} /cache/colour HTTP/1.1\r\nHost: h\r\n\r\n"), reply(HttpReply::NoItem));
    }
    let stats = server.stats("");
    for (name, value) in [("get_hits", "4"), ("get_misses", "1"), ("delete_hits", "1"), ("delete_misses", "1")] {
        assert_eq!(stats[name], value, "{name}");
    }
}

#[test]
fn conditions_are_checked() {
    let server = Server::start(CACHE);
    let mut client = server.http_client();
    let mut ask = |line: &str, fields: &str, body: &[u8]| {
        let (head, _) = asked(&mut client, line, fields, body);
        (status(&head).to_owned(), field(&head, "ETag").unwrap_or_default().to_owned())
    };
    assert_eq!(ask("PUT /cache/a", "If-Match: *\r\n", b"x").0, "412");
    assert_eq!(ask("PUT /cache/a", "If-Match: \"1\"\r\n", b"x").0, "412");
    assert_eq!(ask("DELETE /cache/a", "If-Match: *\r\n", b"").0, "412");
    let (created, first) = ask("POST /cache/a", "", b"1");
    assert_eq!(created, "201");
    assert_eq!(ask("POST /cache/a", "", b"x").0, "409");
    assert_eq!(ask("PUT /cache/a", "If-None-Match: *\r\n", b"x").0, "412");
    let (stored, second) = ask("PUT /cache/a", &format!("If-Match: {first}\r\n"), b"2");
    assert_eq!(stored, "204");
    assert_eq!(ask("PUT /cache/a", &format!("If-Match: {first}\r\n"), b"x").0, "412");
    assert_eq!(ask("PUT /cache/a", &format!("If-Match: {first}, {second}\r\n"), b"x").0, "400");
    assert_eq!(ask("GET /cache/a", &format!("If-None-Match: {first}\r\n"), b"").0, "200");
    let known = format!("If-None-Match: {first}, W/{second}\r\n");
    assert_eq!(ask("GET /cache/a", &known, b""), ("304".into(), second.clone()));
    assert_eq!(ask("HEAD /cache/a", "If-None-Match: *\r\n", b"").0, "304");
    assert_eq!(ask("GET /cache/a", &format!("If-Match: {first}\r\n"), b"").0, "412");
    assert_eq!(ask("GET /cache/b", &format!("If-Match: {first}\r\n"), b"").0, "412");
    assert_eq!(ask("DELETE /cache/a", &format!("If-Match: {first}\r\n"), b"").0, "412");
    assert_eq!(ask("DELETE /cache/a", &format!("If-Match: {second}\r\n"), b"").0, "204");
}

#[test]
fn a_pipeline_is_answered_in_order() {
    let server = Server::start(CACHE);
    let mut client = server.http_client();
    let put = |n: u32| format!("POST /cache/{n} HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n{n}");
    client.send((0..10).map(put).collect::<String>());
    for _ in 0..10 {
        assert_eq!(status(&replied(&mut client, false).0), "201");
    }
    client.send((0..40).map(|n| format!("GET /cache/{} HTTP/1.1\r\nHost: h\r\n\r\n", n % 10)).collect::<String>());
    for n in 0..40 {
        assert_eq!(replied(&mut client, false).1, format!("{}", n % 10).into_bytes());
    }
}

#[test]
fn values_of_all_sizes_arrive_and_leave() {
    let server = Server::start(CACHE);
    let mut client = server.http_client();
    for len in [0, 1, 4095, 4096, 70_000, 1_000_000] {
        let value: Vec<u8> = (0..len).map(|at: u32| at.to_le_bytes()[1]).collect();
        let (stored, _) = asked(&mut client, "PUT /cache/v", "", &value);
        assert_eq!(status(&stored), "204", "{len} bytes");
        assert_eq!(asked(&mut client, "GET /cache/v", "", b"").1, value, "{len} bytes");
    }
    // A value that is too large is refused, and the old one is gone, as with `set`.
    let (refused, _) = asked(&mut client, "PUT /cache/v", "", &vec![b'x'; (1 << 20) + 1]);
    assert_eq!(status(&refused), "413");
    client.ask("GET /cache/v HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::NoItem));
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let server = Server::start(CACHE);
    let mut client = server.http_client();
    let head = |path: &str, len: u32| {
        format!("PUT {path} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: {len}\r\n\r\n")
    };
    client.ask(head("/cache/a", 3), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abc");
    assert_eq!(status(&replied(&mut client, false).0), "204");
    // Otherwise the client may send the body or not, so the connection ends.
    for (path, len, status_code) in [("/cache/a", 2 << 20, "413"), ("/cache/", 3, "400"), ("/live", 3, "405")] {
        let mut client = server.http_client();
        client.send(head(path, len));
        assert_eq!(status(&replied(&mut client, false).0), status_code);
        client.expect_close();
    }
}

#[test]
fn the_connection_ends_behind_a_value_if_the_client_says_so() {
    let server = Server::start(CACHE);
    for (len, code) in [(3, "204"), (500_000, "204"), (2 << 20, "413")] {
        let mut client = server.http_client();
        client.send(format!("PUT /cache/a HTTP/1.0\r\nContent-Length: {len}\r\n\r\nab"));
        if code == "204" {
            client.send(vec![b'c'; len - 2]);
        }
        let (head, _) = replied(&mut client, false);
        assert_eq!((status(&head), field(&head, "Connection")), (code, Some("close")), "{len}");
        client.expect_close();
    }
}

#[test]
fn keys_are_decoded_and_checked() {
    let server = Server::start(CACHE);
    let (mut client, mut text) = (server.http_client(), server.client());
    for path in ["/cache/a%2Fb%3a", "/cache/a/b:"] {
        assert_eq!(status(&asked(&mut client, &format!("PUT {path}"), "", path.as_bytes()).0), "204");
        text.ask("mg a/b: v\r\n", format!("VA {}\r\n{path}\r\n", path.len()));
    }
    // A key that no line of text can name.
    assert_eq!(status(&asked(&mut client, "PUT /cache/a%20b", "", b"x").0), "204");
    text.ask("mg YSBi b k v\r\n", "VA 1 kYSBi b\r\nx\r\n");
    assert_eq!(asked(&mut client, "GET /cache/%61%20b", "", b"").1, b"x");
    for path in ["/cache/", "/cache/%2", "/cache/%zz", "/cache/a?b", &format!("/cache/{}", "k".repeat(251))] {
        client.ask(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"), reply(HttpReply::BadKey));
    }
}

#[test]
fn an_item_keeps_its_content_type_if_asked() {
    let server = Server::start(CACHE);
    let mut client = server.http_client();
    let mut put = |fields: &str| {
        let (head, _) = asked(&mut client, "PUT /cache/a", fields, b"{}");
        let (shown, _) = asked(&mut client, "GET /cache/a", "", b"");
        (status(&head).to_owned(), field(&shown, "Content-Type").unwrap_or_default().to_owned())
    };
    let octets = || ("204".to_owned(), "application/octet-stream".to_owned());
    assert_eq!(put("Content-Type: application/json\r\n"), octets());
    let kept = put("Content-Type: application/json\r\nLarder-Flags: content-type\r\n");
    assert_eq!(kept, ("204".into(), "application/json".into()));
    let refused = put("Content-Type: text/unheard-of\r\nLarder-Flags: content-type\r\n");
    assert_eq!(refused, ("415".into(), "application/json".into()));
    assert_eq!(put(""), octets());
}

#[test]
fn items_are_not_served_unless_asked_for() {
    let server = Server::start(&["--http=0"]);
    let mut client = server.http_client();
    for method in ["GET", "PUT", "DELETE"] {
        client.ask(format!("{method} /cache/a HTTP/1.1\r\nHost: h\r\n\r\n"), reply(HttpReply::CacheOff));
    }
    let foreign = "POST /cache/a HTTP/1.1\r\nHost: h\r\nOrigin: http://x\r\n\r\n";
    client.ask(foreign, with_fields(HttpReply::Foreign, ""));
}
