//! `larder-bench` with TLS, and with new connections beside its load.

use std::fs;

use crate::support::{Authority, Server};

use super::tool::bench;

/// A server with TLS, and the authority of its certificate.
fn start(suboptions: &str) -> (Server, Authority) {
    let authority = Authority::new();
    let server = Server::start(&["-Z", "-o", &authority.suboptions(suboptions)]);
    (server, authority)
}

fn flags(server: &Server, authority: &Authority) -> String {
    format!("-H localhost:{} --tls-ca {}", server.tcp_address().port(), authority.file("ca.pem").display())
}

#[test]
fn every_protocol_is_spoken_over_tls() {
    let (server, authority) = start("");
    for wire in ["text", "meta", "binary"] {
        let common = flags(&server, &authority);
        let mix = "-x get=5,set=2,cas=1,delete=1,incr=1 -v 1-40000";
        let ran = bench(&format!("{common} -w {wire} -n 200 -c 3 -d 0.1 --sleep -P 9 {mix}"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
        assert!(ran.stdout.contains(&format!(", {wire} over TLS, 3 connections")), "{}", ran.stdout);
        let ran = bench(&format!("{common} -w {wire} -n 200 -c 3 -d 0.1 --sleep -r 500 --json"));
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{}", ran.stdout);
        assert!(ran.stdout.contains("\"tls\": true"), "{}", ran.stdout);
    }
}

#[test]
fn a_certificate_of_an_unknown_authority_is_refused_unless_all_are_accepted() {
    let (server, authority) = start("");
    let other = Authority::new();
    let ran = bench(&format!("{} -n 10 -c 1 -d 0.02 --sleep", flags(&server, &other)));
    assert_eq!(ran.code, Some(69), "{}", ran.stdout);
    assert!(ran.stderr.contains("TLS: invalid peer certificate"), "{}", ran.stderr);
    assert!(ran.stderr.contains("--tls-ca names an authority"), "{}", ran.stderr);
    let port = server.tcp_address().port();
    let ran = bench(&format!("-p {port} -n 10 -c 1 -d 0.02 --sleep --tls-insecure"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let ran = bench(&format!("{} --tls-name elsewhere.example -n 10 -c 1", flags(&server, &authority)));
    assert_eq!(ran.code, Some(69), "another name: {}", ran.stdout);
}

#[test]
fn a_certificate_of_the_client_is_shown_if_the_server_demands_one() {
    let (server, authority) = start("ssl_verify_mode=2");
    let signed = authority.sign("client");
    authority.write("client.pem", &signed.chain);
    authority.write("client.key", &signed.key.serialize_pem());
    let file = |name| authority.file(name).display().to_string();
    let common = format!("{} -n 10 -c 1 -d 0.02 --sleep", flags(&server, &authority));
    let own = format!("--tls-cert {} --tls-key {}", file("client.pem"), file("client.key"));
    let ran = bench(&format!("{common} {own}"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert_eq!(bench(&common).code, Some(69));
    let ran = bench(&format!("{common} --tls-cert {}", file("key.pem")));
    assert_eq!(ran.code, Some(64), "a key is no certificate: {}", ran.stderr);
}

#[test]
fn a_server_without_tls_is_exit_code_69() {
    let server = Server::start(&[]);
    let ran = bench(&format!("-p {} -n 10 -c 1 --tls-insecure", server.tcp_address().port()));
    assert_eq!(ran.code, Some(69), "{}", ran.stdout);
    assert!(ran.stderr.starts_with("larder-bench: connect to 127.0.0.1:"), "{}", ran.stderr);
    assert!(ran.stderr.contains("TLS: "), "{}", ran.stderr);
}

#[test]
fn a_server_with_tls_is_named_as_such() {
    let (server, _authority) = start("");
    for wire in ["text", "binary"] {
        let ran = bench(&format!("-p {} -w {wire} -n 10 -c 1", server.tcp_address().port()));
        let cure = "the server uses TLS on this port; --tls, --tls-ca or --tls-insecure turns it on";
        assert!(ran.code == Some(69) && ran.stderr.contains(cure), "{}{}", ran.stdout, ran.stderr);
    }
}

#[test]
fn new_connections_come_beside_the_load() {
    let (server, authority) = start("");
    let common = flags(&server, &authority);
    let ran = bench(&format!("{common} -n 10 -c 2 -d 1 --sleep -r 100 --connect-rate 50 --json"));
    assert_eq!(ran.code, Some(0), "{}{}", ran.stdout, ran.stderr);
    let number = |name: &str| -> f64 {
        let line = ran.stdout.lines().find_map(|line| line.trim().strip_prefix(&format!("\"{name}\": ")));
        line.and_then(|value| value.trim_end_matches(',').parse().ok()).expect("the object has the number")
    };
    let connects = number("connects");
    assert!((2.0..=51.0).contains(&connects), "{connects}");
    assert!(number("connect_p50_us") > 0.0 && number("connect_p99_us") >= number("connect_p50_us"));
    // Those of the load come on top.
    let ran = bench(&format!("{common} -n 10 -c 2 -d 0.2 --sleep --connect-rate 50"));
    assert!(ran.stdout.contains(", 2 connections and 50 new ones a second, "), "{}", ran.stdout);
    assert!(ran.stdout.lines().any(|line| line.starts_with("connects ")), "{}", ran.stdout);
}

#[test]
fn a_new_connection_that_is_refused_is_a_fault() {
    let server = Server::start(&["-c", "3"]);
    let port = server.tcp_address().port();
    let ran = bench(&format!("-p {port} -n 10 -c 3 -d 0.5 --sleep --connect-rate 50"));
    assert_eq!(ran.code, Some(1), "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("a new connection: "), "{}", ran.stdout);
}

#[test]
fn the_page_names_every_flag_of_tls() {
    let page = fs::read_to_string("doc/larder-bench.md").expect("the page is there");
    for flag in ["tls", "tls-ca", "tls-insecure", "tls-name", "tls-cert", "tls-key", "connect-rate"] {
        assert!(page.contains(&format!("`--{flag}")), "doc/larder-bench.md lacks --{flag}");
    }
}
