//! HTTP (--http): pages, framing, the token, and limits. Items are in http_items.rs.

use larder::protocol::HttpReply;

use crate::support::{Client, Server, scratch_directory, wait_until};

const HTTP: &[&str] = &["--http=0"];

/// The whole reply with this status, which a client of HTTP/1.1 gets.
pub(crate) fn reply(reply: HttpReply) -> String {
    with_fields(reply, "")
}

/// As [`reply`], with more fields.
pub(crate) fn with_fields(reply: HttpReply, fields: &str) -> String {
    let (code, reason, text) = (reply.code(), reply.reason(), reply.text());
    let kind = if text.is_empty() { "" } else { "Content-Type: text/plain; charset=utf-8\r\n" };
    format!("HTTP/1.1 {code} {reason}\r\n{fields}{kind}Content-Length: {}\r\n\r\n{text}", text.len())
}

/// The reply after which the connection ends.
fn last(reply: HttpReply) -> String {
    with_fields(reply, "Connection: close\r\n")
}

fn expect_end(mut client: Client, reply: &str) {
    client.expect(reply);
    client.expect_close();
}

#[test]
fn probes_are_answered_on_a_connection_that_stays() {
    let server = Server::start(HTTP);
    let mut client = server.http_client();
    let both = [reply(HttpReply::Ok), reply(HttpReply::Ok)].concat();
    client.ask("GET /live HTTP/1.1\r\nHost: h\r\n\r\nGET /ready?x HTTP/1.1\r\nHost: h\r\n\r\n", both);
    let head = reply(HttpReply::Ok);
    client.ask("HEAD /live HTTP/1.1\r\nHost: h\r\n\r\n", head.trim_end_matches("ok\n"));
    client.ask("GET /other HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::NoPage));
    let refused = with_fields(HttpReply::MethodNotAllowed, "Allow: GET, HEAD\r\n");
    client.ask("POST /live HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc", &refused);
    // A body that comes later is discarded.
    client.ask("PUT /live HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\na", &refused);
    client.ask("bcGET /live HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::Ok));
    assert_eq!(server.stats("")["curr_connections"], "2");
}

#[test]
fn a_head_may_come_in_any_pieces() {
    let server = Server::start(HTTP);
    let mut client = server.http_client();
    for byte in "GET /live HTTP/1.1\r\nHost: h\r\n\r\n".bytes() {
        client.send([byte]);
    }
    client.expect(reply(HttpReply::Ok));
}

#[test]
fn the_connection_ends_when_the_client_or_the_version_says_so() {
    let server = Server::start(HTTP);
    let asked = |request: &str| {
        let mut client = server.http_client();
        client.send(request);
        client
    };
    expect_end(asked("GET /live HTTP/1.0\r\n\r\n"), &last(HttpReply::Ok));
    expect_end(asked("GET /live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), &last(HttpReply::Ok));
    let mut stays = asked("GET /live HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    stays.expect(with_fields(HttpReply::Ok, "Connection: keep-alive\r\n"));
    stays.ask("GET /live HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::Ok));
}

#[test]
fn what_cannot_be_parsed_is_answered_and_ends_the_connection() {
    let server = Server::start(HTTP);
    let long = format!("GET /live HTTP/1.1\r\nHost: {}\r\n\r\n", "h".repeat(9000));
    let many = format!("GET /live HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(64));
    for (request, expected) in [
        ("get key\r\n", HttpReply::BadRequest),
        ("\0\r\n\r\n", HttpReply::BadRequest),
        ("GET /live HTTP/1.1\r\n\r\n", HttpReply::BadRequest),
        ("GET /live HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n", HttpReply::BadRequest),
        ("GET /live HTTP/3.0\r\n\r\n", HttpReply::UnknownVersion),
        ("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", HttpReply::UnknownMethod),
        ("PUT /live HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", HttpReply::LengthRequired),
        ("PUT /live HTTP/1.1\r\nHost: h\r\nContent-Length: 5000000000\r\n\r\n", HttpReply::TooLarge),
        ("PUT /live HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n", HttpReply::UnknownExpectation),
        (&long, HttpReply::HeadTooLarge),
        (&many, HttpReply::HeadTooLarge),
    ] {
        let mut client = server.http_client();
        client.send(["GET /live HTTP/1.1\r\nHost: h\r\n\r\n", request].concat());
        client.expect(reply(HttpReply::Ok));
        expect_end(client, &last(expected));
    }
}

#[test]
fn other_pages_need_the_token_and_probes_do_not() {
    let directory = scratch_directory();
    let file = directory.join("token");
    std::fs::write(&file, "s3cret\n").expect("the directory is writable");
    let option = format!("http_token_file={}", file.display());
    let server = Server::start(&["--http=0", "-o", &option, "-o", "http_cache"]);
    let mut client = server.http_client();
    client.ask("GET /live HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::Ok));
    client.ask("GET /ready HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::Ok));
    let refused = with_fields(HttpReply::Unauthorized, "WWW-Authenticate: Bearer\r\n");
    for token in
        ["", "Authorization: Bearer s3cre\r\n", "Authorization: Bearer s3cret!\r\n", "Authorization: s3cret\r\n"]
    {
        for request in ["GET /metrics", "GET /history.json", "GET /cache/a", "DELETE /cache/a"] {
            client.ask(format!("{request} HTTP/1.1\r\nHost: h\r\n{token}\r\n"), &refused);
        }
    }
    let token = "Authorization: Bearer s3cret\r\n";
    client.ask(format!("GET /cache/a HTTP/1.1\r\nHost: h\r\n{token}\r\n"), reply(HttpReply::NoItem));
}

#[test]
fn a_client_without_the_token_puts_no_key_among_the_hot_ones() {
    let directory = scratch_directory();
    let file = directory.join("token");
    std::fs::write(&file, "s3cret\n").expect("the directory is writable");
    let option = format!("http_token_file={}", file.display());
    let server = Server::start(&["--http=0", "-t", "1", "-o", &option, "-o", "http_cache"]);
    let mut client = server.http_client();
    let refused = with_fields(HttpReply::Unauthorized, "WWW-Authenticate: Bearer\r\n");
    for _ in 0..200 {
        let requests = "GET /cache/strange HTTP/1.1\r\nHost: h\r\n\r\n".repeat(50);
        client.ask(requests, refused.repeat(50));
    }
    assert!(!server.stats("hotkeys").contains_key("1:key"));
    let request = "GET /cache/known HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer s3cret\r\n\r\n";
    wait_until("a key that is asked for with the token is sampled", || {
        client.ask(request.repeat(50), reply(HttpReply::NoItem).repeat(50));
        server.stats("hotkeys").get("1:key").is_some_and(|key| key == "known")
    });
}

#[test]
fn a_page_of_another_origin_gets_nothing() {
    let server = Server::start(HTTP);
    let mut client = server.http_client();
    let request = |origin: &str| format!("GET /live HTTP/1.1\r\nHost: h:8080\r\nOrigin: {origin}\r\n\r\n");
    client.ask(request("http://h:8080"), reply(HttpReply::Ok));
    client.ask(request("http://evil.example"), reply(HttpReply::Foreign));
}

#[test]
fn limits_on_clients_apply() {
    let server = Server::start(&["--http=0", "-c", "2", "-o", "idle_timeout=1"]);
    let mut client = server.http_client();
    client.ask("GET /live HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::Ok));
    let mut second = server.client();
    second.ask("mn\r\n", "MN\r\n");
    expect_end(server.http_client(), &last(HttpReply::TooManyConnections));
    // Without a request a client is idle.
    wait_until("the idle client is disconnected", || second.stats("")["idle_kicks"] == "1");
    client.expect_close();
}

#[test]
fn the_ports_serve_one_grammar_each() {
    let server = Server::start(HTTP);
    let mut client = server.client();
    client.send("GET /live HTTP/1.1\r\n");
    // As in memcached, which closes what looks like HTTP.
    client.expect_close();
}

#[test]
fn clients_of_http_stay_connected_over_an_upgrade() {
    let mut server = Server::start(HTTP);
    let mut client = server.http_client();
    client.ask("GET /live HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::Ok));
    client.send("GET /live HTTP/1.1\r\n");
    wait_until("the server has a part of the head", || {
        server.stats("")["read_buf_bytes"] != server.stats("")["read_buf_bytes_free"]
    });
    server.upgrade();
    client.ask("Host: h\r\n\r\n", reply(HttpReply::Ok));
    server.http_client().ask("GET /live HTTP/1.1\r\nHost: h\r\n\r\n", reply(HttpReply::Ok));
}
