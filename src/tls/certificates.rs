//! The server's certificates, which can be renewed while it runs.
//!
//! A renewal reads and checks all files before the first new session uses them. Sessions that are open keep theirs.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;

use crate::settings::ListenerTls;
use crate::sync::Leaf;
use crate::sys::boot::since_boot_us;

use super::configuration::{Loaded, TlsOptions};
use super::link::LinkConfigs;

/// Why certificates cannot be used.
#[derive(Debug)]
pub enum CertificateError {
    /// A file cannot be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        error: io::Error,
    },
    /// A file is faulty.
    Invalid(String),
}

impl CertificateError {
    pub(super) fn invalid(path: &Path, what: impl fmt::Display) -> Self {
        Self::Invalid(format!("{}: {what}", path.display()))
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, error } => {
                let text = error.to_string();
                write!(f, "read {}: {}", path.display(), text.split(" (os error").next().unwrap_or_default())
            }
            Self::Invalid(what) => f.write_str(what),
        }
    }
}

/// What tells a file from an earlier one of the same name.
type FileStamp = Option<(u64, u64, i64, i64, u64)>;

/// Certificates in use.
pub struct Certificates {
    options: TlsOptions,
    current: Leaf<Current>,
    /// The files when they were last read, and when they were last looked at.
    stamps: Leaf<[Vec<FileStamp>; 2]>,
}

struct Current {
    loaded: Arc<Loaded>,
    /// When it was read, in microseconds since the machine's start.
    read_us: u64,
}

impl Certificates {
    /// Reads and checks the files.
    ///
    /// # Errors
    /// Why they cannot be used.
    pub fn load(options: TlsOptions) -> Result<Self, CertificateError> {
        let stamps = stamps(&options);
        let current = Current { loaded: Arc::new(options.load()?), read_us: now_us() };
        Ok(Self { options, current: Leaf::new(current), stamps: Leaf::new([stamps.clone(), stamps]) })
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// Why they cannot be used. The certificates stay as they were.
    pub fn reload(&self) -> Result<(), CertificateError> {
        let stamps = stamps(&self.options);
        *self.stamps.lock() = [stamps.clone(), stamps];
        let loaded = Arc::new(self.options.load()?);
        *self.current.lock() = Current { loaded, read_us: now_us() };
        Ok(())
    }

    /// Reads the files again if they have changed since they were last read, and not since the last look: several are
    /// replaced one after the other. `None`: there is nothing new.
    pub fn look(&self) -> Option<Result<(), CertificateError>> {
        let now = stamps(&self.options);
        let is_due = {
            let mut stamps = self.stamps.lock();
            let [read, looked_at] = &mut *stamps;
            let is_due = now != *read && now == *looked_at;
            *looked_at = now;
            is_due
        };
        is_due.then(|| self.reload())
    }

    /// What a new session of such a listener needs.
    pub fn config(&self, listener: ListenerTls) -> Option<Arc<ServerConfig>> {
        let loaded = Arc::clone(&self.current.lock().loaded);
        match listener {
            ListenerTls::Off => None,
            ListenerTls::Standard => Some(Arc::clone(&loaded.standard)),
            ListenerTls::Basic => Some(Arc::clone(&loaded.basic)),
            ListenerTls::Mutual => loaded.mutual.clone(),
        }
    }

    /// What a new session of a link needs. `None`: [`TlsOptions::links`] is off.
    pub(super) fn link_configs(&self) -> Option<Arc<LinkConfigs>> {
        self.current.lock().loaded.links.clone()
    }

    /// Seconds since the certificates were read.
    pub fn age_s(&self) -> u64 {
        now_us().saturating_sub(self.current.lock().read_us) / 1_000_000
    }

    /// The date from which the server's certificate is invalid, in Unix seconds.
    pub fn not_after_unix_s(&self) -> u64 {
        self.current.lock().loaded.not_after_unix_s
    }

    /// The file of the server's certificate.
    pub fn path(&self) -> &Path {
        &self.options.chain
    }
}

fn now_us() -> u64 {
    since_boot_us().unwrap_or(0)
}

fn stamps(options: &TlsOptions) -> Vec<FileStamp> {
    let stamp = |facts: fs::Metadata| (facts.dev(), facts.ino(), facts.mtime(), facts.mtime_nsec(), facts.len());
    options.files().map(|path| fs::metadata(path).ok().map(stamp)).collect()
}
