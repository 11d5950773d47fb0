//! TLS (-Z): sessions, client certificates, renewal, faults, HTTP, tools.

mod faults;
mod fuzz;
mod http;
mod listeners;
mod renewal;
mod sessions;
mod tools;

use std::net::TcpStream;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};

use crate::support::{Authority, Server, TlsClient};

/// A server with -Z, and the authority of its certificate.
struct TlsServer {
    server: Server,
    authority: Authority,
}

impl TlsServer {
    /// Starts a server with these flags, and these suboptions of -o.
    fn start(flags: &[&str], suboptions: &str) -> Self {
        let authority = Authority::new();
        let suboptions = authority.suboptions(suboptions);
        let server = Server::start(&[&["-Z", "-o", &suboptions], flags].concat());
        Self { server, authority }
    }

    fn socket(&self) -> TcpStream {
        TcpStream::connect(self.server.tcp_address()).expect("the server accepts a connection")
    }

    /// A client with this configuration, which has completed the handshake.
    fn client_with(&self, config: &Arc<ClientConfig>) -> TlsClient {
        let mut client = TlsClient::begin(self.socket(), config, "localhost");
        client.handshake().expect("the handshake succeeds");
        client
    }

    /// A client of TLS 1.3.
    fn client(&self) -> TlsClient {
        self.client_with(&self.config())
    }

    fn config(&self) -> Arc<ClientConfig> {
        Arc::new(self.authority.trusting(None, &[&TLS13]))
    }

    /// Clients of TLS 1.2 and 1.3.
    fn configs(&self) -> [Arc<ClientConfig>; 2] {
        [&TLS12, &TLS13].map(|version| Arc::new(self.authority.trusting(None, &[version])))
    }

    /// A row of `stats`.
    fn stat(&self, name: &str) -> u64 {
        let mut client = self.client();
        client.send("stats\r\n");
        let rows = String::from_utf8(client.read_until(b"END\r\n")).expect("stats are ASCII");
        let row = rows.lines().find_map(|row| row.strip_prefix("STAT ")?.strip_prefix(name)?.strip_prefix(' '));
        row.unwrap_or_else(|| panic!("no row {name}")).parse().expect("a number")
    }
}
