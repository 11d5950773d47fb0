//! Renewal of certificates: by SIGHUP, by `refresh_certs`, and by a changed file.

use std::sync::Arc;

use super::TlsServer;
use crate::support::{Authority, TlsClient, wait_until};

impl TlsServer {
    /// Whether new sessions get a certificate for `name`.
    fn shows(&self, name: &'static str) -> bool {
        TlsClient::begin(self.socket(), &self.config(), name).handshake().is_ok()
    }
}

/// Renews in each way. `renew` gets the server, and orders it to read the files, unless it notices by itself.
fn in_each_way(test: impl Fn(&TlsServer, &dyn Fn(&mut TlsClient, &str))) {
    let server = TlsServer::start(&[], "");
    test(&server, &|client, reply| client.ask("refresh_certs\r\n", reply));
    let server = TlsServer::start(&[], "");
    test(&server, &|_, _| server.server.signal("HUP"));
    let server = TlsServer::start(&[], "");
    test(&server, &|_, _| {});
}

const REFUSED: &str = "Error the certificates cannot be used, the log says why\r\n";

#[test]
fn a_renewal_is_used_by_new_sessions_and_leaves_old_ones_alone() {
    in_each_way(|server, renew| {
        let mut old = server.client();
        let expires = server.stat("ssl_certificate_not_after");
        assert!(expires > 1_700_000_000);
        server.authority.renew("other.host");
        renew(&mut old, "OK\r\n");
        wait_until("the new certificate is used", || server.shows("other.host"));
        assert!(!server.shows("localhost"));
        old.ask("get none\r\n", "END\r\n");
    });
}

#[test]
fn faulty_files_change_nothing_and_the_next_renewal_succeeds() {
    in_each_way(|server, renew| {
        let mut client = server.client();
        let key = Authority::new().sign("localhost").key;
        server.authority.write("key.pem", &key.serialize_pem());
        renew(&mut client, REFUSED);
        let said = "the certificates stay as they were";
        wait_until("the fault is logged", || server.server.stderr().contains(said));
        assert!(server.shows("localhost"));
        std::fs::remove_file(server.authority.file("chain.pem")).expect("the file is there");
        renew(&mut client, REFUSED);
        assert!(server.shows("localhost"));
        server.authority.renew("other.host");
        renew(&mut client, "OK\r\n");
        wait_until("the new certificate is used", || server.shows("other.host"));
        client.ask("get none\r\n", "END\r\n");
    });
}

#[test]
fn a_ticket_does_not_outlive_a_renewal() {
    let server = TlsServer::start(&[], "ssl_session_cache");
    let config: Arc<_> = server.config();
    let mut client = server.client_with(&config);
    client.ask("get none\r\n", "END\r\n");
    client.ask("refresh_certs\r\n", "OK\r\n");
    server.client_with(&config).ask("get none\r\n", "END\r\n");
    assert_eq!(server.stat("ssl_resumed_sessions"), 0, "an authority may have been withdrawn");
}
