//! Administration as an operator sees it: the limit, the version, the end of the process.

use crate::support::{Server, wait_until};

#[test]
fn version_is_memcacheds_three_numbers_and_stats_has_larders() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("version\r\n", "VERSION 1.6.45\r\n");
    let rows = client.stats("");
    assert_eq!((rows["version"].as_str(), rows["larder_version"].as_str()), ("1.6.45", env!("CARGO_PKG_VERSION")));
}

#[test]
fn cache_memlimit_shows_in_stats() {
    let server = Server::start(&["-m", "64"]);
    let mut client = server.client();
    assert_eq!(client.stats("")["limit_maxbytes"], (64 << 20).to_string());
    client.ask("cache_memlimit 100\r\n", "OK\r\n");
    assert_eq!(client.stats("")["limit_maxbytes"], (100 << 20).to_string());
}

#[test]
fn verbosity_shows_in_stats_and_is_at_most_2() {
    let server = Server::start(&[]);
    let mut client = server.client();
    client.ask("verbosity 9\r\n", "OK\r\n");
    assert_eq!(client.stats("settings")["verbosity"], "2");
    client.ask("verbosity 0\r\n", "OK\r\n");
    assert_eq!(client.stats("settings")["verbosity"], "0");
}

#[test]
fn shutdown_ends_the_process_cleanly() {
    for line in ["shutdown\r\n", "shutdown graceful\r\n"] {
        let mut server = Server::start(&["-A"]);
        server.client().send(line);
        let status = server.wait_for_end();
        assert!(status.success(), "{line:?}: {status}, stderr {}", server.stderr());
    }
}

#[test]
fn a_server_that_has_shut_down_listens_no_more() {
    let mut server = Server::start(&["-A"]);
    server.client().send("shutdown\r\n");
    server.wait_for_end();
    wait_until("the port is closed", || server.try_client().is_err());
}
