//! What is refused: clients that break the protocol, and starts without usable certificates.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};

use super::TlsServer;
use crate::support::{Authority, TlsClient, program_under_test, wait_until};

#[test]
fn plain_text_to_a_tls_port_ends_the_connection_and_is_counted() {
    let server = TlsServer::start(&[], "");
    // The first one is shorter than the head of a record.
    for text in
        [&b"mn\r\n"[..], b"get key\r\n", b"\x80\x0a\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &[0x16; 40_000]]
    {
        let before = server.stat("ssl_handshake_errors");
        let mut socket = server.socket();
        // Ignored: the server may have closed before it has read everything.
        let _ = socket.write_all(text);
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"E"), "{}", answer.escape_ascii());
        wait_until("the failure is counted", || server.stat("ssl_handshake_errors") == before + 1);
    }
    wait_until("all are forgotten", || server.stat("curr_connections") == 1);
}

#[test]
fn a_watcher_of_connections_sees_a_handshake_that_fails() {
    let server = TlsServer::start(&[], "");
    let mut watcher = server.client();
    watcher.ask("watch connevents\r\n", "OK\r\n");
    let mut stranger = server.socket();
    stranger.write_all(b"get key\r\n").expect("the server has not read anything yet");
    wait_until("the failure is shown", || {
        let line = String::from_utf8(watcher.read_until(b"\n")).expect("lines are text");
        line.contains(" type=conntlserr fd=") && line.contains(" rip=127.0.0.1 msg=not TLS")
    });
}

#[test]
fn a_damaged_record_ends_the_session_with_an_alert() {
    let server = TlsServer::start(&[], "");
    for config in server.configs() {
        let before = server.stat("ssl_proto_errors");
        let mut client = server.client_with(&config);
        // The server's end of the handshake is over with its first reply.
        client.ask("get none\r\n", "END\r\n");
        client.connection.writer().write_all(b"get key\r\n").expect("the session takes it");
        let mut sealed = Vec::new();
        client.connection.write_tls(&mut sealed).expect("a vector takes it");
        *sealed.last_mut().expect("a record") ^= 1;
        client.socket.write_all(&sealed).expect("the server takes it");
        let error = client.receive().expect_err("the server sends an alert");
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
        wait_until("the fault is counted", || server.stat("ssl_proto_errors") == before + 1);
    }
}

#[test]
fn plain_text_within_a_session_ends_it() {
    let server = TlsServer::start(&[], "");
    let mut client = server.client();
    client.ask("get none\r\n", "END\r\n");
    client.socket.write_all(b"get key\r\nget key\r\n").expect("the server takes it");
    assert!(client.receive().is_err());
    wait_until("the fault is counted", || server.stat("ssl_proto_errors") == 1);
}

#[test]
fn a_client_with_an_older_version_than_allowed_is_refused() {
    let server = TlsServer::start(&[], "ssl_min_version=3");
    let old = Arc::new(server.authority.trusting(None, &[&TLS12]));
    assert!(TlsClient::begin(server.socket(), &old, "localhost").handshake().is_err());
    server.client().ask("get none\r\n", "END\r\n");
}

#[test]
fn only_the_ciphers_of_the_list_are_used_for_tls_1_2() {
    let server = TlsServer::start(&[], "ssl_ciphers=ECDHE-ECDSA-CHACHA20-POLY1305");
    let [old, new] = server.configs();
    let suite = |client: &TlsClient| {
        client.connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default()
    };
    assert_eq!(suite(&server.client_with(&old)), "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
    assert!(suite(&server.client_with(&new)).starts_with("TLS13_"));
}

#[test]
fn client_certificates_are_demanded_or_asked_for() {
    let stranger = Authority::new().sign("client");
    for (mode, without, with_strange) in [(0, true, true), (1, true, false), (2, false, false), (3, false, false)] {
        let server = TlsServer::start(&[], &format!("ssl_verify_mode={mode}"));
        let own = server.authority.sign("client");
        for version in [&TLS12, &TLS13] {
            for (shown, is_served) in [(None, without), (Some(&stranger), with_strange), (Some(&own), true)] {
                let config = Arc::new(server.authority.trusting(shown, &[version]));
                let mut client = TlsClient::begin(server.socket(), &config, "localhost");
                // With TLS 1.3, a client hears of its refusal after the handshake.
                let served = client.handshake().is_ok() && {
                    client.connection.writer().write_all(b"get none\r\n").expect("the session takes it");
                    client.connection.write_tls(&mut client.socket).is_ok() && client.receive().is_ok()
                };
                assert_eq!(served, is_served, "ssl_verify_mode={mode}, {version:?}");
            }
        }
    }
}

/// The exit code and the message of a server that does not start.
fn refused(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(program_under_test());
    command.args(["-l", "127.0.0.1", "-p", "-1", "-u", "root"]).args(arguments);
    let ended = command.stdin(Stdio::null()).output().expect("the program starts");
    (ended.status.code(), String::from_utf8(ended.stderr).expect("the message is UTF-8"))
}

#[test]
fn a_start_without_usable_certificates_ends_with_one_clear_line() {
    let authority = Authority::new();
    let other = authority.sign("localhost");
    authority.write("other.pem", &other.key.serialize_pem());
    authority
        .write("encrypted.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n");
    authority.write("empty.pem", "");
    let path = |name: &str| authority.file(name).display().to_string();
    let (chain, key) = (path("chain.pem"), path("key.pem"));
    let options = |chain: &str, key: &str| format!("ssl_chain_cert={chain},ssl_key={key}");
    for (suboptions, code, line) in [
        (options("/none.pem", &key), 71, "-Z, --enable-ssl: read /none.pem: No such file or directory".into()),
        (options(&chain, "/none.pem"), 71, "-Z, --enable-ssl: read /none.pem: No such file or directory".into()),
        (options(&path("empty.pem"), &key), 64, format!("{}: no certificate in PEM format", path("empty.pem"))),
        (options(&chain, &path("empty.pem")), 64, format!("{}: no private key in PEM format", path("empty.pem"))),
        (options(&chain, &path("other.pem")), 64, format!("the key does not belong to the certificate in {chain}")),
        (options(&chain, &path("encrypted.pem")), 64, "the key is encrypted; larder needs one without a pass".into()),
        (
            format!("{},ssl_ciphers=HIGH", options(&chain, &key)),
            64,
            "-o ssl_ciphers: \"HIGH\" is not one of ECDHE".into(),
        ),
        (format!("{},ssl_keyformat=2", options(&chain, &key)), 64, format!("{key}: no private key in DER format")),
        (format!("{},ssl_verify_mode=2", options(&chain, &key)), 64, "needs -o ssl_ca_cert=<file>".into()),
        ("ssl_key=f".into(), 64, "-Z, --enable-ssl: needs -o ssl_chain_cert=<file>".into()),
    ] {
        let (ended, said) = refused(&["-Z", "-o", &suboptions]);
        assert!(said.contains(&line) && said.lines().count() == 1, "{suboptions}: {said}");
        assert_eq!(ended, Some(code), "{suboptions}: {said}");
    }
    assert!(refused(&["-l", "mtls:127.0.0.1"]).1.contains("the prefix mtls: needs -Z"));
}

#[test]
fn a_key_may_be_in_der_format_or_in_the_file_of_the_certificate() {
    let authority = Authority::new();
    let signed = authority.sign("localhost");
    fs::write(authority.file("key.der"), signed.key.serialize_der()).expect("the scratch directory is writable");
    authority.write("chain.pem", &signed.chain);
    authority.write("both.pem", &(signed.chain.clone() + &signed.key.serialize_pem()));
    let path = |name: &str| authority.file(name).display().to_string();
    for suboptions in [
        format!("ssl_chain_cert={},ssl_key={},ssl_keyformat=DER", path("chain.pem"), path("key.der")),
        format!("ssl_chain_cert={}", path("both.pem")),
    ] {
        let server = crate::support::Server::start(&["-Z", "-o", &suboptions]);
        let config = Arc::new(authority.trusting(None, &[&TLS13]));
        let socket = std::net::TcpStream::connect(server.tcp_address()).expect("the server accepts a connection");
        TlsClient::begin(socket, &config, "localhost").ask("get none\r\n", "END\r\n");
    }
}
