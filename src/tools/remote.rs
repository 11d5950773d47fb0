//! The server that a tool connects to: its address, and TLS if the flags ask for it.

use std::fmt;

use getopts::{Matches, Options};

use crate::tls::{TLS_FLAGS, TlsClientOptions, TlsConnector};

use super::address::ServerAddress;

/// A server that a tool connects to.
#[derive(Clone, Debug)]
pub struct RemoteServer {
    pub(super) address: ServerAddress,
    /// `None`: without TLS.
    pub(super) tls: Option<TlsConnector>,
}

impl RemoteServer {
    /// Adds the flags of TLS to a command line.
    pub fn add_flags(options: &mut Options) {
        for flag in TLS_FLAGS {
            match flag.hint {
                None => options.optflag("", flag.name, ""),
                Some(hint) => options.optopt("", flag.name, "", hint),
            };
        }
    }

    /// The server with the address in `word`, and the flags of TLS. Reads their files.
    ///
    /// # Errors
    /// What is wrong with the address or the flags.
    pub fn read(word: &str, given: &Matches) -> Result<Self, String> {
        let address = ServerAddress::parse(word)?;
        let host = match &address {
            ServerAddress::Tcp(host, _) => host.as_str(),
            ServerAddress::Unix(path) => {
                return match TLS_FLAGS.iter().find(|flag| given.opt_present(flag.name)) {
                    Some(flag) => Err(format!("--{}: Unix sockets do not use TLS: {}", flag.name, path.display())),
                    None => Ok(Self { address, tls: None }),
                };
            }
        };
        let asked = TlsClientOptions::from_flags(|flag| given.opt_present(flag), |flag| given.opt_str(flag), host)?;
        let tls = asked.map(|options| options.connector()).transpose().map_err(|error| error.to_string())?;
        Ok(Self { address, tls })
    }
}

impl From<ServerAddress> for RemoteServer {
    fn from(address: ServerAddress) -> Self {
        Self { address, tls: None }
    }
}

impl fmt::Display for RemoteServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use getopts::Options;

    use super::RemoteServer;

    #[test]
    fn any_flag_of_tls_turns_it_on_and_contradictions_are_named() {
        let read = |line: &str| {
            let mut options = Options::new();
            RemoteServer::add_flags(&mut options);
            let matches = options.parse(line.split_whitespace()).unwrap();
            RemoteServer::read(&matches.free[0], &matches)
        };
        assert!(read("cache1").unwrap().tls.is_none());
        for line in ["cache1 --tls-insecure", "[::1]:5 --tls-insecure"] {
            assert!(read(line).unwrap().tls.is_some(), "{line}");
        }
        for (line, said) in [
            ("./socket --tls", "--tls: Unix sockets do not use TLS: ./socket"),
            ("cache1 --tls-key k", "--tls-key: needs a certificate: --tls-cert"),
            ("cache1 --tls-ca f --tls-insecure", "--tls-ca and --tls-insecure: certificates are checked or not"),
            ("cache1 --tls-name n --tls-insecure", "--tls-name and --tls-insecure: certificates are checked or not"),
            ("cache1 --tls-name a..b", "\"a..b\" is no name of a certificate"),
        ] {
            assert_eq!(read(line).unwrap_err(), said, "{line}");
        }
        assert!(read("cache1 --tls-ca /no/such/file").unwrap_err().starts_with("/no/such/file: "));
    }
}
