//! Servers with TLS: their certificate, and what a new connection costs them.
//!
//! ```text
//! new connection    TCP, a full handshake, one request, close      at a fixed rate; the client has a core of its own
//! figure            CPU time of the server over the window / connections
//! ```

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use larder::sys::log::{Level, log_line};
use larder::tls::{TlsClientOptions, Trust};
use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::super::plan::{KeyPlan, Pacing, Plan, Waiting};
use super::rounds::order_of;
use super::rows::{Row, Stage};
use super::runs::Runs;
use super::table::Verdict;

/// The name in the certificate.
const NAME: &str = "localhost";
/// Windows are longer by this factor: a connection costs as much as hundreds of requests.
const LONGER: u32 = 4;
/// Requests per second on the one connection that stays.
const REQUESTS_PER_SECOND: f64 = 2.0;

/// A certificate with an ECDSA key (P-256), in files that end with this.
pub(super) struct Certificate {
    directory: PathBuf,
}

impl Certificate {
    /// Makes it.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn new() -> io::Result<Self> {
        let certificate = Self { directory: std::env::temp_dir().join(format!("larder-bench-{}", std::process::id())) };
        fs::create_dir_all(&certificate.directory)?;
        let made = generate_simple_self_signed(vec![NAME.to_string()]).map_err(io::Error::other)?;
        let CertifiedKey { cert, signing_key } = made;
        fs::write(certificate.file("chain.pem"), cert.pem())?;
        let mut key = OpenOptions::new();
        key.write(true).create(true).truncate(true).mode(0o600);
        key.open(certificate.file("key.pem"))?.write_all(signing_key.serialize_pem().as_bytes())?;
        Ok(certificate)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The flags of a server.
    pub(super) fn flags(&self) -> [String; 3] {
        let [chain, key] = ["chain.pem", "key.pem"].map(|name| self.file(name).display().to_string());
        ["-Z".into(), "-o".into(), format!("ssl_chain_cert={chain},ssl_key={key}")]
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // Ignored: the directory is one for files that may go at any time.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The load over TLS. The certificate is not checked: it is new.
pub(super) fn over_tls(plan: Plan) -> Plan {
    let tls = TlsClientOptions { server_name: NAME.to_string(), trust: Trust::Any, identity: None };
    Plan { tls: Some(tls), ..plan }
}

/// CPU time of the server for each of `per_second` new connections a second.
pub(super) fn new_connections(runs: &Runs, row: &'static Row, per_second: f64) -> io::Result<Verdict> {
    log_line(Level::Info, format!("== {}", row.name));
    let certificate = Certificate::new()?;
    let mut candidates = runs.start_tls(&certificate, Stage::Tls)?;
    let plan = Plan {
        connections: 1,
        connects_per_second: Some(per_second),
        pacing: Pacing::Open { per_second: REQUESTS_PER_SECOND },
        waiting: Waiting::Sleep,
        keys: KeyPlan { count: 10, ..Plan::default().keys },
        ..Plan::default()
    };
    let plan = runs.pinned(&over_tls(plan));
    let mut sessions = Vec::new();
    for candidate in &mut candidates {
        sessions.push(candidate.open(&plan)?);
    }
    let mut rounds = vec![Vec::new(); candidates.len()];
    for round in 0..runs.rounds {
        for place in order_of(round, candidates.len()) {
            let window = candidates[place].window(&mut sessions[place], runs.window * LONGER)?;
            let connects = window.outcome.connects;
            if connects == 0 {
                return Err(io::Error::other(format!("{}: no new connection was served", candidates[place].name)));
            }
            rounds[place].push(window.cpu.run_ns as f64 / 1e3 / connects as f64);
        }
    }
    let mut rounds: Vec<Option<Vec<f64>>> = rounds.into_iter().map(Some).collect();
    rounds.resize(runs.servers.len(), None);
    Ok(Verdict::by_own(row, &rounds))
}
