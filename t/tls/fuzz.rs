//! Handshakes and records, cut anywhere and damaged now and then. What is not damaged is answered right.

use std::io::Write as _;
use std::sync::Arc;

use rustls::ClientConfig;

use super::TlsServer;
use crate::random::{Random, each_seed};
use crate::support::TlsClient;

/// Requests of one case.
const REQUESTS: usize = 20;
/// Longest value.
const VALUE_MAX: usize = 40_000;

#[test]
fn fuzz_of_records_that_are_cut_and_damaged() {
    let server = TlsServer::start(&["-m", "16", "-t", "2"], "ssl_session_cache");
    let configs = server.configs();
    let mut canary = server.client();
    each_seed("fuzz tls", 20, |seed| {
        let mut random = Random::with_seed(seed);
        let config = Arc::clone(&configs[random.below(configs.len())]);
        let damages = random.once_in(2);
        case(&server, &config, &mut random, damages);
        canary.ask("get none\r\n", "END\r\n");
    });
}

fn case(server: &TlsServer, config: &Arc<ClientConfig>, random: &mut Random, damages: bool) {
    let mut client = TlsClient::begin(server.socket(), config, "localhost");
    while client.connection.is_handshaking() {
        if !deliver(&mut client, random, damages) {
            return;
        }
        if client.connection.is_handshaking()
            && (client.connection.read_tls(&mut client.socket).is_err()
                || client.connection.process_new_packets().is_err())
        {
            assert!(damages, "the server breaks the protocol");
            return;
        }
    }
    for number in 0..REQUESTS {
        let value = "x".repeat(random.below(VALUE_MAX));
        let key = format!("key{}", random.below(5));
        let request = format!("set {key} {number} 0 {}\r\n{value}\r\nget {key}\r\n", value.len());
        client.connection.writer().write_all(request.as_bytes()).expect("the session takes it");
        if !deliver(&mut client, random, damages) {
            return;
        }
        client.expect(format!("STORED\r\nVALUE {key} {number} {}\r\n{value}\r\nEND\r\n", value.len()));
    }
    // Half of a record, and then no more.
    client.connection.writer().write_all(b"get key\r\n").expect("the session takes it");
    let mut sealed = Vec::new();
    client.connection.write_tls(&mut sealed).expect("a vector takes it");
    client.socket.write_all(&sealed[..random.below(sealed.len())]).expect("the server takes it");
}

/// Sends what is sealed, in pieces. False: it was damaged, and the server has noticed.
fn deliver(client: &mut TlsClient, random: &mut Random, damages: bool) -> bool {
    let mut sealed = Vec::new();
    while client.connection.wants_write() {
        client.connection.write_tls(&mut sealed).expect("a vector takes it");
    }
    let is_damaged = damages && !sealed.is_empty() && random.once_in(10);
    if is_damaged {
        let at = random.below(sealed.len());
        sealed[at] ^= 1 << random.below(8);
    }
    let mut rest = &sealed[..];
    while !rest.is_empty() {
        let longest = if random.once_in(2) { 20 } else { 20_000 };
        let len = 1 + random.below(rest.len().min(longest));
        // An error is an end, too: the server has noticed the damage.
        if client.socket.write_all(&rest[..len]).is_err() {
            assert!(is_damaged, "the server closes a session that is in order");
            return false;
        }
        rest = &rest[len..];
    }
    !is_damaged
}
