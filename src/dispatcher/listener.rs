//! Listening sockets as -l, -p, -s and -a define them.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use crate::settings::Settings;
use crate::sys::socket::{listen_tcp, listen_unix, local_address};

/// A listening socket.
pub struct Listener {
    socket: OwnedFd,
    address: Bound,
    audience: Audience,
}

/// The clients that a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Clients of the cache.
    Clients,
    /// The operator, whose connections have places of their own.
    Admins,
}

/// The bound address. Its port is the actual one if the kernel chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// TCP, IPv4 or IPv6.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// An address that could not be bound, and why.
#[derive(Debug)]
pub struct BindFailure {
    /// `listen on 10.0.0.7:11211`.
    pub what: String,
    /// The error of the kernel or the resolver.
    pub error: io::Error,
}

impl fmt::Display for BindFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

impl Listener {
    /// Its bound address.
    pub const fn address(&self) -> &Bound {
        &self.address
    }

    /// The clients that it is for.
    pub const fn audience(&self) -> Audience {
        self.audience
    }

    /// Its descriptor.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Opens all listening sockets. With -p 0 there may be none.
///
/// # Errors
/// The first address that could not be bound.
pub fn listen(settings: &Settings) -> Result<Vec<Listener>, BindFailure> {
    let backlog = settings.tcp_backlog;
    let mut opening = Opening { backlog, asked: Vec::new(), listeners: Vec::new() };
    for (path, audience) in [(&settings.admin_socket, Audience::Admins), (&settings.unix_socket, Audience::Clients)] {
        let Some(path) = path else { continue };
        let failure = |error| BindFailure { what: format!("listen on {}", path.display()), error };
        let socket = listen_unix(path, settings.unix_mask, backlog).map_err(failure)?;
        opening.listeners.push(Listener { socket, address: Bound::Unix(path.clone()), audience });
    }
    for endpoint in settings.tcp_endpoints() {
        match &endpoint.host {
            Some(host) => opening.listen_named(host, endpoint.port)?,
            None => opening.listen_everywhere(endpoint.port)?,
        }
    }
    Ok(opening.listeners)
}

/// The TCP sockets opened so far.
struct Opening {
    backlog: u32,
    /// The addresses as requested, before the kernel chose ports. `127.0.0.1,localhost` names one address twice.
    asked: Vec<SocketAddr>,
    listeners: Vec<Listener>,
}

impl Opening {
    /// Listens on every address that `host` resolves to.
    fn listen_named(&mut self, host: &str, port: u16) -> Result<(), BindFailure> {
        let written = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let failure = |error| BindFailure { what: format!("listen on {written}"), error };
        let mut result = Err(io::Error::other("the name has no address"));
        for address in (host, port).to_socket_addrs().map_err(failure)? {
            // One working address of the name is enough.
            result = self.open(address).map(drop).or_else(|error| result.map_err(|_| error));
        }
        result.map_err(failure)
    }

    /// Listens on all IPv4 interfaces and, if the machine has IPv6, on all IPv6 interfaces, with the same port.
    fn listen_everywhere(&mut self, port: u16) -> Result<(), BindFailure> {
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let opened = self.open(v4).map_err(|error| BindFailure { what: format!("listen on {v4}"), error })?;
        let Some(bound) = opened else { return Ok(()) };
        let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, bound.port()));
        match self.open(v6) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(BindFailure { what: format!("listen on {v6}"), error })
            }
            // Without IPv6 the server listens on IPv4 only.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Listens on `address` and returns the bound address. `None` if it was already open.
    fn open(&mut self, address: SocketAddr) -> io::Result<Option<SocketAddr>> {
        if self.asked.contains(&address) {
            return Ok(None);
        }
        let socket = listen_tcp(address, self.backlog)?;
        let bound = local_address(socket.as_fd()).unwrap_or(address);
        self.asked.push(address);
        self.listeners.push(Listener { socket, address: Bound::Tcp(bound), audience: Audience::Clients });
        Ok(Some(bound))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{Bound, Listener, listen};
    use crate::settings::{ListenAddress, Settings};

    fn settings(port: i32, hosts: &[(Option<&str>, Option<u16>)]) -> Settings {
        let address =
            |(host, port): &(Option<&str>, Option<u16>)| ListenAddress { host: host.map(str::to_owned), port: *port };
        Settings { tcp_port: port, listen: hosts.iter().map(address).collect(), ..Settings::default() }
    }

    #[test]
    fn any_free_port_is_the_same_on_every_interface() {
        let listeners = listen(&settings(-1, &[])).unwrap_or_default();
        let ports = listeners.iter().map(|listener| match listener.address() {
            Bound::Tcp(address) => address.port(),
            Bound::Unix(_) => 0,
        });
        let ports: Vec<u16> = ports.collect();
        assert!(!ports.is_empty());
        assert!(ports.iter().all(|port| *port != 0 && *port == ports[0]));
    }

    #[test]
    fn port_0_is_no_network() {
        assert!(listen(&settings(0, &[])).is_ok_and(|listeners| listeners.is_empty()));
    }

    #[test]
    fn an_address_that_is_named_twice_is_opened_once() {
        let opened = |hosts: &[(Option<&str>, Option<u16>)]| {
            let listeners = listen(&settings(-1, hosts)).unwrap_or_default();
            let is_v4 = |listener: &&Listener| matches!(listener.address(), Bound::Tcp(SocketAddr::V4(_)));
            listeners.iter().filter(is_v4).count()
        };
        assert_eq!(opened(&[(Some("127.0.0.1"), None), (Some("localhost"), None), (Some("127.0.0.1"), Some(0))]), 1);
        assert_eq!(opened(&[(None, None), (Some("0.0.0.0"), None), (None, Some(0))]), 1);
    }

    #[test]
    fn an_address_in_use_is_named() {
        let first = listen(&settings(-1, &[(Some("127.0.0.1"), None)])).unwrap_or_default();
        let Bound::Tcp(address) = first[0].address() else { panic!("TCP was asked for") };
        let second = listen(&settings(-1, &[(Some("127.0.0.1"), Some(address.port()))]));
        let failure = second.err().expect("the port is taken").to_string();
        assert!(failure.starts_with(&format!("listen on {address}: Address already in use")), "{failure}");
    }

    #[test]
    fn a_name_that_does_not_resolve_is_named() {
        let failure = listen(&settings(-1, &[(Some("no such host"), None)])).err().expect("blanks are in no name");
        assert!(failure.to_string().starts_with("listen on no such host:0: "));
    }
}
