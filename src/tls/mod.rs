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
//! client.rs is the other side, for tools, and flags.rs has their flags. link.rs has both sides, for links between
//! nodes.

mod certificates;
mod client;
mod configuration;
mod expiry;
mod flags;
mod link;
mod session;
mod suites;

pub use certificates::{CertificateError, Certificates};
pub use client::{MAY_NEED_TLS, NEEDS_TLS, TlsClientOptions, TlsConnector, TlsStream, Trust};
pub use configuration::{ClientCertificates, KeyFormat, TlsOptions};
pub use flags::{TLS_FLAGS, TLS_FLAGS_HEAD, TlsFlag, tls_help, tls_manual, tls_markdown};
pub use link::{LinkFailure, LinkFault, LinkSession, LinkTls, is_tls};
pub use session::{TlsBuffers, TlsFailure, TlsSession};
pub use suites::Suites;
