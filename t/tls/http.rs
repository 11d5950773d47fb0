//! HTTP over TLS (-Z with --http).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use larder::protocol::HttpReply;

use super::TlsServer;
use crate::http::{reply, with_fields};
use crate::support::{Authority, Client, Server, TlsClient, wait_until};

const LIVE: &str = "GET /live HTTP/1.1\r\nHost: h\r\n\r\n";

impl TlsServer {
    /// A client of HTTP that has sent nothing yet.
    fn http_client(&self) -> TlsClient {
        let socket = TcpStream::connect(self.server.http_address()).expect("the server accepts a connection");
        TlsClient::begin(socket, &self.config(), "localhost")
    }

    /// What a client of HTTP without TLS gets until the server closes the connection.
    fn plain_http(&self, request: &[u8]) -> String {
        let mut socket = TcpStream::connect(self.server.http_address()).expect("the server accepts a connection");
        socket.write_all(request).expect("the server takes it");
        let mut answer = Vec::new();
        // Ignored: a reset is an end, too.
        let _ = socket.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

#[test]
fn requests_are_answered_on_a_session_that_stays() {
    let server = TlsServer::start(&["--http=0", "-m", "64"], "http_cache");
    for config in server.configs() {
        let socket = TcpStream::connect(server.server.http_address()).expect("the server accepts a connection");
        let mut client = TlsClient::begin(socket, &config, "localhost");
        client.ask(LIVE.repeat(20), reply(HttpReply::Ok).repeat(20));
        let value = "v".repeat(700_000);
        client.send(format!("PUT /cache/a HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{value}", value.len()));
        let stored = client.read_until(b"\r\n\r\n");
        assert!(stored.starts_with(b"HTTP/1.1 204 "), "{}", stored.escape_ascii());
        client.send("GET /cache/a HTTP/1.1\r\nHost: h\r\n\r\n");
        let head = client.read_until(b"\r\n\r\n");
        assert!(head.starts_with(b"HTTP/1.1 200 "), "{}", head.escape_ascii());
        client.expect(&value);
        // A page of the same origin, whose scheme is https now.
        client.ask("GET /live HTTP/1.1\r\nHost: h:1\r\nOrigin: https://h:1\r\n\r\n", reply(HttpReply::Ok));
        client.send("GET /live HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
        client.expect(with_fields(HttpReply::Ok, "Connection: close\r\n"));
        client.expect_close();
    }
}

#[test]
fn a_head_may_be_cut_into_records_anywhere() {
    let server = TlsServer::start(&["--http=0"], "");
    let mut client = server.http_client();
    for byte in LIVE.bytes() {
        client.send([byte]);
    }
    client.expect(reply(HttpReply::Ok));
}

#[test]
fn a_request_without_tls_gets_a_reply_that_says_so() {
    let server = TlsServer::start(&["--http=0", "-v"], "");
    let before = server.stat("ssl_handshake_errors");
    let expected = with_fields(HttpReply::NeedsTls, "Connection: close\r\n");
    assert_eq!(server.plain_http(LIVE.as_bytes()), expected);
    assert_eq!(server.stat("ssl_handshake_errors"), before + 1);
    let logged = "TLS handshake with 127.0.0.1: a request without TLS";
    wait_until("the fault is logged", || server.server.stderr().contains(logged));
    // It is no request of HTTP that a damaged handshake gets as its reply.
    assert!(!server.plain_http(&[0x16; 40_000]).contains("HTTP"));
    // A request on the port of the cache is not answered in the clear.
    let mut socket = server.socket();
    socket.write_all(LIVE.as_bytes()).expect("the server takes it");
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{}", answer.escape_ascii());
    wait_until("all are forgotten", || server.stat("curr_connections") == 1);
}

#[test]
fn a_handshake_on_a_port_without_tls_ends_the_connection() {
    let server = TlsServer::start(&["--http=notls:0"], "");
    assert_eq!(
        server.plain_http(&[LIVE.as_bytes(), b"x\r\n\r\n"].concat()).split("\r\n").next(),
        Some("HTTP/1.1 200 OK")
    );
    let error = server.http_client().handshake().expect_err("the port has no TLS");
    assert!(error.to_string().contains("InvalidContentType"), "{error}");
    wait_until("it is forgotten", || server.stat("curr_connections") == 1);
}

fn is_served(client: &mut TlsClient) -> bool {
    client.handshake().is_ok() && {
        client.send(LIVE);
        client.receive().is_ok()
    }
}

#[test]
fn a_prefix_asks_for_a_client_certificate_or_for_none() {
    for (flag, suboption, needs_one) in [
        ("--http=mtls:0", "", true),
        ("--http=btls:0", "ssl_verify_mode=2", false),
        ("--http=0", "ssl_verify_mode=2", true),
    ] {
        let authority = Authority::new();
        let suboptions = authority.suboptions(suboption);
        let server = Server::start(&["-Z", "-o", &suboptions, flag]);
        let own = authority.sign("client");
        for shown in [None, Some(&own)] {
            let socket = TcpStream::connect(server.http_address()).expect("the server accepts a connection");
            let config = authority.trusting(shown, &[&rustls::version::TLS13]).into();
            let mut client = TlsClient::begin(socket, &config, "localhost");
            assert_eq!(is_served(&mut client), shown.is_some() || !needs_one, "{flag} {suboption}");
        }
    }
}

#[test]
fn an_upgrade_ends_sessions_in_order_and_keeps_the_port_and_its_tls() {
    let mut server = TlsServer::start(&["--http=0,mtls:127.0.0.2:0", "-l", "notls:127.0.0.3"], "");
    let mut client = server.http_client();
    client.ask(LIVE, reply(HttpReply::Ok));
    let address = server.server.http_address();
    let rows = {
        let mut client = server.client();
        client.send("stats conns\r\n");
        String::from_utf8(client.read_until(b"END\r\n")).expect("stats are ASCII")
    };
    let connect = |host: &str| {
        let port = rows.lines().find_map(|row| row.split_once(&format!(":addr tcp:{host}:"))?.1.parse().ok());
        TcpStream::connect((host, port.expect("it listens there"))).expect("it accepts")
    };
    let socket = connect("127.0.0.3");
    server.server.upgrade_asked_by(&mut Client::over_tcp(socket).expect("a socket has options"));
    client.expect_close();
    assert_eq!(server.server.http_address(), address);
    server.http_client().ask(LIVE, reply(HttpReply::Ok));
    assert_eq!(server.plain_http(LIVE.as_bytes()), with_fields(HttpReply::NeedsTls, "Connection: close\r\n"));
    let mut nameless = TlsClient::begin(connect("127.0.0.2"), &server.config(), "localhost");
    assert!(!is_served(&mut nameless), "a port of mtls: serves a client without a certificate");
}

#[test]
fn http_uses_renewed_certificates() {
    let server = TlsServer::start(&["--http=0"], "");
    server.client().ask("get none\r\n", "END\r\n");
    server.authority.renew("other.host");
    wait_until("the new certificate is used", || {
        let socket = TcpStream::connect(server.server.http_address()).expect("the server accepts a connection");
        TlsClient::begin(socket, &server.config(), "other.host").handshake().is_ok()
    });
}

#[test]
fn http_alone_may_use_tls() {
    let authority = Authority::new();
    let suboptions = authority.suboptions("");
    let socket = authority.file("socket");
    let server =
        Server::start(&["-Z", "-o", &suboptions, "-s", socket.to_str().expect("the path is UTF-8"), "--http=0"]);
    let config = authority.trusting(None, &[&rustls::version::TLS13]).into();
    let connected = TcpStream::connect(server.http_address()).expect("the server accepts a connection");
    TlsClient::begin(connected, &config, "localhost").ask(LIVE, reply(HttpReply::Ok));
    server.client().ask("get none\r\n", "END\r\n");
}
