//! TLS (-Z): certificates, handshakes and records. The protocol is rustls's.
//!
//! ```text
//! files ──▶ Certificates ──ServerConfig──▶ TlsSession ◀──▶ sealed bytes of a client
//!             ▲ reload: SIGHUP, refresh_certs, a changed file       │
//!             └ the old ones stay if the new ones are faulty        └─▶ opened bytes
//! ```
//!
//! A session has no socket: it opens and seals bytes. Its caller receives and sends them. Buffers belong to the thread
//! ([`TlsBuffers`]), so that an idle session keeps only its keys and the beginning of an incomplete record.
//!
//! client.rs is the other side, for tools. link.rs has both sides, for links between nodes.

mod certificates;
mod client;
mod configuration;
mod expiry;
mod link;
mod session;
mod suites;

pub use certificates::{CertificateError, Certificates};
pub use client::{TLS_FLAGS, TlsClientOptions, TlsConnector, TlsStream, Trust};
pub use configuration::{ClientCertificates, KeyFormat, TlsOptions};
pub use link::{LinkSession, LinkTls, is_tls};
pub use session::{TlsBuffers, TlsFailure, TlsSession};
pub use suites::Suites;
