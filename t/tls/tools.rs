//! The tools of `larder` over TLS. `larder-cli`, `larder-top` and `larder-bench` connect with the same code.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use larder::tls::{TlsClientOptions, Trust};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use super::TlsServer;
use crate::support::{Authority, Server, WAIT_MAX, program_under_test};

/// Runs a tool. Returns its exit code, and what it has written to standard output and standard error.
fn run(words: &[&str]) -> (i32, String, String) {
    run_on_machine("/dev/null", words)
}

/// The same, on a machine with the authorities of a file.
fn run_on_machine(authorities: &str, words: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program_under_test());
    let output = command.env("SSL_CERT_FILE", authorities).args(words).output().expect("it runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

/// The server by the name of its certificate.
fn named(server: &Server) -> String {
    format!("localhost:{}", server.tcp_address().port())
}

fn file(authority: &Authority, name: &str) -> String {
    authority.file(name).display().to_string()
}

#[test]
fn items_are_dumped_and_loaded_over_tls() {
    let (source, target) = (TlsServer::start(&["-m", "64"], ""), TlsServer::start(&["-m", "64"], ""));
    let mut client = source.client();
    let large = "x".repeat(700_000);
    client.ask(format!("set large 7 0 700000\r\n{large}\r\n"), "STORED\r\n");
    for number in 0..2000 {
        client.send(format!("set {number} 0 0 1 noreply\r\nv\r\n"));
    }
    client.ask("mn\r\n", "MN\r\n");
    let items = file(&source.authority, "items");
    let ca = |server: &TlsServer| file(&server.authority, "ca.pem");
    let (code, _, said) = run(&["dump", "--tls-ca", &ca(&source), &named(&source.server), &items]);
    assert!(code == 0 && said.contains("larder dump: 2001 items"), "{said}");
    let (code, _, said) = run(&["load", "--tls-ca", &ca(&target), &named(&target.server), &items]);
    assert!(code == 0 && said.contains("larder load: 2001 items"), "{said}");
    target.client().ask("get large\r\n", format!("VALUE large 7 700000\r\n{large}\r\nEND\r\n"));
    let (code, text, said) = run(&["doctor", "--tls-ca", &ca(&target), &named(&target.server)]);
    assert!((code == 0 || code == 1) && text.contains(": larder "), "{text}{said}");
}

#[test]
fn a_tool_accepts_only_the_certificates_that_it_is_told_to() {
    let server = TlsServer::start(&[], "");
    let (address, other) = (named(&server.server), Authority::new());
    let (ca, foreign) = (file(&server.authority, "ca.pem"), file(&other, "ca.pem"));
    for (flags, code, expected) in [
        (&["--tls-ca", &ca][..], 0, ""),
        (&["--tls-insecure"], 0, ""),
        (&["--tls-ca", &foreign], 69, "; --tls-ca names an authority, and --tls-insecure accepts any certificate"),
        (&["--tls-ca", &ca, "--tls-name", "elsewhere.example"], 69, "TLS: invalid peer certificate: "),
        (&["--tls-ca", "/no/such/file"], 64, "/no/such/file: "),
        (&["--tls-insecure", "--tls-key", &ca], 64, "--tls-key: needs a certificate: --tls-cert"),
        (&[], 69, ""),
    ] {
        let (ended, _, said) = run(&[&["ping"], flags, &[&address]].concat());
        assert!(ended == code && said.contains(expected), "{flags:?}: {ended} {said}");
    }
    for (authorities, flags, code) in
        [(&ca, &["--tls"][..], 0), (&ca, &["--tls-name", "elsewhere.example"], 69), (&foreign, &["--tls"], 69)]
    {
        let (ended, _, said) = run_on_machine(authorities, &[&["ping"], flags, &[&address]].concat());
        assert_eq!(ended, code, "{authorities} {flags:?}: {said}");
    }
}

#[test]
fn a_tool_shows_its_certificate_to_a_server_that_demands_one() {
    let server = TlsServer::start(&[], "ssl_verify_mode=2");
    let signed = server.authority.sign("client");
    server.authority.write("client.pem", &signed.chain);
    server.authority.write("client.key", &signed.key.serialize_pem());
    let [ca, certificate, key] = ["ca.pem", "client.pem", "client.key"].map(|name| file(&server.authority, name));
    let address = named(&server.server);
    let own = ["--tls-cert", &certificate, "--tls-key", &key];
    let (code, _, said) = run(&[&["ping", "--tls-ca", &ca], &own[..], &[&address]].concat());
    assert_eq!(code, 0, "{said}");
    let (code, _, said) = run(&["ping", "--tls-ca", &ca, &address]);
    assert!(code == 69 && said.contains("CertificateRequired"), "{said}");
}

/// A server of TLS that reads nothing behind the handshake, until `goes_on`. Returns its port.
fn reads_late(authority: &Authority, goes_on: Receiver<()>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    let chain = CertificateDer::from_pem_file(authority.file("chain.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(authority.file("key.pem")).expect("a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.expect("ring knows the versions").with_no_client_auth().with_single_cert(vec![chain], key);
    let mut session = ServerConnection::new(Arc::new(config.expect("the key belongs to it"))).expect("a configuration");
    thread::spawn(move || {
        let (mut socket, _) = listener.accept().expect("a client connects");
        while session.is_handshaking() {
            session.complete_io(&mut socket).expect("the handshake succeeds");
        }
        while goes_on.recv().is_ok() {
            socket.read_exact(&mut vec![0; 1 << 20]).expect("the client has sent more");
        }
    });
    port
}

#[test]
fn a_send_that_times_out_is_the_last_one() {
    let (authority, (go_on, goes_on)) = (Authority::new(), channel());
    let port = reads_late(&authority, goes_on);
    let options = TlsClientOptions { server_name: "localhost".into(), trust: Trust::Any, identity: None };
    let socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the server accepts a connection");
    socket.set_write_timeout(Some(Duration::from_millis(50))).expect("a time limit");
    let mut stream = options.connector().and_then(|tls| tls.connect(socket, WAIT_MAX)).expect("the handshake succeeds");
    let failed = (0..1000).find_map(|_| stream.write_all(&[0; 1 << 16]).err()).expect("the buffers of the kernel end");
    assert_eq!(failed.kind(), ErrorKind::WouldBlock);
    // There is room now.
    go_on.send(()).expect("the server waits");
    assert_eq!(stream.flush().expect_err("it has failed").kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_server_with_tls_is_named_as_such() {
    let server = TlsServer::start(&[], "");
    let (address, items) = (named(&server.server), file(&server.authority, "items"));
    std::fs::write(&items, "").expect("the directory is writable");
    for words in [&["ping", &address][..], &["doctor", &address], &["dump", &address, &items]] {
        let (code, _, said) = run(words);
        let cure = "the server uses TLS on this port; --tls, --tls-ca or --tls-insecure turns it on\n";
        assert!(code == 69 && said.ends_with(cure), "{words:?}: {said}");
    }
}

#[test]
fn a_server_without_tls_is_named_as_such() {
    let server = Server::start(&[]);
    let (code, _, said) = run(&["ping", "--tls-insecure", &server.tcp_address().to_string()]);
    assert!(code == 69 && said.contains("TLS on this port"), "{said}");
    assert!(said.contains("leave out the flags of TLS"), "{said}");
    let (code, _, said) = run(&["ping", "--tls", "./socket"]);
    assert!(code == 64 && said.contains("--tls: Unix sockets do not use TLS: ./socket"), "{said}");
}
