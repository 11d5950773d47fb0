//! The server of a tool, as the command line names it.

use std::fmt;
use std::path::PathBuf;

use crate::settings::{ListenAddress, Settings};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerAddress {
    /// A host name or a numeric address without brackets, and a port.
    Tcp(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
}

impl ServerAddress {
    /// The address in `word`. A word with a slash names a Unix socket.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(word: &str) -> Result<Self, String> {
        if word.contains('/') {
            return Ok(Self::Unix(word.into()));
        }
        let ListenAddress { host, port, .. } = ListenAddress::parse(word)?;
        let host = host.ok_or_else(|| format!("{word:?} names no host"))?;
        let usual = u16::try_from(Settings::default().tcp_port).unwrap_or(0);
        Ok(Self::Tcp(host, port.unwrap_or(usual)))
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServerAddress;

    #[test]
    fn a_server_is_a_host_with_or_without_a_port_or_a_unix_socket() {
        for (word, expected) in [
            ("cache1", "cache1:11211"),
            ("127.0.0.1:5", "127.0.0.1:5"),
            ("[::1]:5", "[::1]:5"),
            ("::1", "[::1]:11211"),
            ("./socket", "./socket"),
        ] {
            assert_eq!(ServerAddress::parse(word).unwrap().to_string(), expected);
        }
        for word in ["", ":5", "*:5", "cache1:99999"] {
            assert!(ServerAddress::parse(word).is_err(), "{word:?}");
        }
    }
}
