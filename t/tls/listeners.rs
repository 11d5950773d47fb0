//! Listeners with and without TLS, and what else a server with -Z offers.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::version::TLS13;

use super::TlsServer;
use crate::support::{Authority, Client, Server, TlsClient, scratch_directory, wait_until};

/// The addresses of a server whose first listener uses TLS. Each has a port of its own.
fn addresses(authority: &Authority, server: &Server) -> Vec<SocketAddr> {
    let socket = TcpStream::connect(server.tcp_address()).expect("the server accepts a connection");
    let mut client = TlsClient::begin(socket, &Arc::new(authority.trusting(None, &[&TLS13])), "localhost");
    client.send("stats conns\r\n");
    let rows = String::from_utf8(client.read_until(b"END\r\n")).expect("stats are ASCII");
    rows.lines().filter_map(|row| row.split_once(":addr tcp:")?.1.parse().ok()).collect()
}

fn socket(addresses: &[SocketAddr], host: &str) -> TcpStream {
    let address = addresses.iter().find(|address| address.ip().to_string() == host).expect("it listens there");
    TcpStream::connect(address).expect("the server accepts a connection")
}

#[test]
fn each_listener_has_the_security_that_its_prefix_says() {
    let authority = Authority::new();
    let suboptions = authority.suboptions("");
    let listen = "notls:127.0.0.2,btls:127.0.0.3,mtls:127.0.0.4";
    let server = Server::start(&["-Z", "-o", &suboptions, "-l", listen]);
    let addresses = addresses(&authority, &server);
    let socket = |host: &str| socket(&addresses, host);
    Client::over_tcp(socket("127.0.0.2")).expect("a socket").ask("get none\r\n", "END\r\n");
    let own = authority.sign("client");
    let served = |host: &str, shows: bool| {
        let config = Arc::new(authority.trusting(shows.then_some(&own), &[&TLS13]));
        let mut client = TlsClient::begin(socket(host), &config, "localhost");
        client.handshake().is_ok() && {
            client.send("get none\r\n");
            client.receive().is_ok()
        }
    };
    assert_eq!(
        [served("127.0.0.1", false), served("127.0.0.3", false), served("127.0.0.4", false)],
        [true, true, false]
    );
    assert!(served("127.0.0.4", true));
    assert_eq!(
        server_inter(&mut Client::over_tcp(socket("127.0.0.2")).expect("a socket")),
        format!("127.0.0.1,{listen}")
    );
}

fn server_inter(client: &mut Client) -> String {
    let rows = client.stats("settings");
    assert_eq!(rows["ssl_enabled"], "yes");
    rows["inter"].clone()
}

#[test]
fn a_ticket_of_one_listener_does_not_open_another_one() {
    let authority = Authority::new();
    let suboptions = authority.suboptions("ssl_session_cache");
    let server = Server::start(&["-Z", "-o", &suboptions, "-l", "mtls:127.0.0.4"]);
    let addresses = addresses(&authority, &server);
    let socket = |host: &str| socket(&addresses, host);
    let config = Arc::new(authority.trusting(None, &[&TLS13]));
    TlsClient::begin(socket("127.0.0.1"), &config, "localhost").ask("get none\r\n", "END\r\n");
    let mut client = TlsClient::begin(socket("127.0.0.4"), &config, "localhost");
    assert!(client.handshake().is_err() || client.receive().is_err(), "no certificate was shown");
}

#[test]
fn clients_authenticate_over_tls() {
    let directory = scratch_directory();
    let users = directory.join("users");
    fs::write(&users, "foo:bar\n").expect("the scratch directory is writable");
    let server = TlsServer::start(&["-Y", users.to_str().expect("the path is UTF-8")], "");
    let mut client = server.client();
    client.ask("get none\r\n", "CLIENT_ERROR unauthenticated\r\n");
    client.ask("set x 0 0 7\r\nfoo bar\r\n", "STORED\r\n");
    client.ask("get none\r\n", "END\r\n");
}

#[test]
fn a_client_beyond_the_limit_is_turned_away_before_its_handshake() {
    let server = TlsServer::start(&["-c", "2"], "");
    let (one, two) = (server.client(), server.client());
    let mut third = TlsClient::begin(server.socket(), &server.config(), "localhost");
    assert!(third.handshake().is_err());
    drop(one);
    let config = server.config();
    wait_until("there is room again", || TlsClient::begin(server.socket(), &config, "localhost").handshake().is_ok());
    drop(two);
}

#[test]
fn an_upgrade_closes_sessions_in_order_and_serves_new_ones() {
    let mut server = TlsServer::start(&["-l", "notls:127.0.0.2"], "");
    let addresses = addresses(&server.authority, &server.server);
    let mut plain = Client::over_tcp(socket(&addresses, "127.0.0.2")).expect("a socket");
    let mut client = server.client();
    client.ask("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    server.server.upgrade_asked_by(&mut plain);
    client.expect_close();
    server.client().ask("get key\r\n", "VALUE key 0 1\r\nx\r\nEND\r\n");
    assert_eq!(plain.stats("")["upgrade_closed"], "1");
}

#[test]
fn a_client_watches_over_tls() {
    let server = TlsServer::start(&[], "");
    let (mut watcher, mut client) = (server.client(), server.client());
    watcher.ask("watch mutations\r\n", "OK\r\n");
    client.ask("set key 0 0 1\r\nx\r\n", "STORED\r\n");
    let line = watcher.read_until(b"\n");
    assert!(line.windows(8).any(|bytes| bytes == b"key=key "), "{}", line.escape_ascii());
}
