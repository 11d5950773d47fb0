//! A server with TLS that knows a few lines, for the programs whose tests do not start larder.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Lines, and their answers.
type Answers = &'static [(&'static str, &'static str)];

/// A running server, which ends with the test.
pub(crate) struct TlsStub {
    /// By the name of its certificate.
    pub(crate) address: String,
    /// The file of its authority.
    pub(crate) ca: PathBuf,
}

impl TlsStub {
    /// Starts a server that answers these lines. `file`: where its certificate is written.
    pub(crate) fn start(answers: Answers, file: &Path) -> Self {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a name of a host");
        std::fs::write(file, cert.pem()).expect("the directory is writable");
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("ring knows the versions").with_no_client_auth();
        let config = Arc::new(config.with_single_cert(vec![cert.der().clone()], key).expect("the key belongs to it"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                serve(socket, &config, answers);
            }
        });
        Self { address: format!("localhost:{port}"), ca: file.to_owned() }
    }

    /// The file of the authority as the value of a flag.
    pub(crate) fn ca(&self) -> &str {
        self.ca.to_str().expect("the path is UTF-8")
    }
}

/// Serves a client until it goes, or breaks the protocol.
fn serve(socket: TcpStream, config: &Arc<ServerConfig>, answers: Answers) {
    let session = ServerConnection::new(Arc::clone(config)).expect("a configuration that fits");
    let mut stream = BufReader::new(StreamOwned::new(session, socket));
    let mut line = String::new();
    while stream.read_line(&mut line).is_ok_and(|len| len > 0) {
        let answer = answers.iter().find(|(asked, _)| *asked == line.trim_end()).map_or("ERROR\r\n", |known| known.1);
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
        line.clear();
    }
}
