//! Listening sockets and UDP sockets as -l, -p, -U, -s, -a and --http define them.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::protocol::Grammar;
use crate::settings::{Endpoint, ListenerTls, Settings};
use crate::sys::datagram::bind_udp;
use crate::sys::socket::{listen_tcp, listen_unix, local_address};
use crate::upgrade::{ListenerRecord, SocketKind};

/// A listening socket.
pub struct Listener {
    socket: OwnedFd,
    address: Bound,
    audience: Audience,
    tls: ListenerTls,
}

/// The clients that a listener is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Clients of the cache.
    Clients,
    /// The operator, whose connections have places of their own.
    Admins,
    /// Clients of HTTP.
    Http,
}

impl Audience {
    /// The grammar that its connections begin with.
    pub(super) const fn grammar(self) -> Grammar {
        match self {
            Self::Clients | Self::Admins => Grammar::Unknown,
            Self::Http => Grammar::Http,
        }
    }
}

/// What the TCP sockets of each kind are for, and whether their clients use TLS.
const TCP_KINDS: [(SocketKind, Audience, ListenerTls); 8] = [
    (SocketKind::Tcp, Audience::Clients, ListenerTls::Off),
    (SocketKind::Tls, Audience::Clients, ListenerTls::Standard),
    (SocketKind::BasicTls, Audience::Clients, ListenerTls::Basic),
    (SocketKind::MutualTls, Audience::Clients, ListenerTls::Mutual),
    (SocketKind::Http, Audience::Http, ListenerTls::Off),
    (SocketKind::HttpTls, Audience::Http, ListenerTls::Standard),
    (SocketKind::HttpBasicTls, Audience::Http, ListenerTls::Basic),
    (SocketKind::HttpMutualTls, Audience::Http, ListenerTls::Mutual),
];

/// The UDP sockets of one address.
pub struct DatagramAddress {
    /// One for each worker.
    pub sockets: Vec<OwnedFd>,
    /// Where they are bound.
    pub address: Bound,
}

/// The bound address. Its port is the actual one if the kernel chose it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bound {
    /// TCP, IPv4 or IPv6.
    Tcp(SocketAddr),
    /// UDP, IPv4 or IPv6.
    Udp(SocketAddr),
    /// TCP, for HTTP.
    Http(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Udp(address) => write!(f, "{address} (UDP)"),
            Self::Http(address) => write!(f, "{address} (HTTP)"),
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

    /// Whether its clients use TLS.
    pub const fn tls(&self) -> ListenerTls {
        self.tls
    }

    /// What another process must know of it.
    pub fn record(&self) -> ListenerRecord {
        let kind = match (&self.address, self.audience) {
            (Bound::Unix(_), Audience::Admins) => SocketKind::Admin,
            (Bound::Unix(_), Audience::Clients | Audience::Http) => SocketKind::Unix,
            (Bound::Tcp(_) | Bound::Udp(_) | Bound::Http(_), audience) => {
                let is_this = |(_, of, tls): &&(SocketKind, Audience, ListenerTls)| *of == audience && *tls == self.tls;
                TCP_KINDS.iter().find(is_this).map_or(SocketKind::Tcp, |(kind, ..)| *kind)
            }
        };
        let address = match &self.address {
            Bound::Tcp(address) | Bound::Udp(address) | Bound::Http(address) => address.to_string().into_bytes(),
            Bound::Unix(path) => path.as_os_str().as_bytes().to_vec(),
        };
        ListenerRecord { kind, address }
    }

    /// Its descriptor.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The sockets that another process has handed over.
#[derive(Default)]
pub struct HandedSockets {
    /// Those that accept clients.
    pub listeners: Vec<Listener>,
    /// Those that receive datagrams.
    pub datagrams: Vec<DatagramAddress>,
}

impl HandedSockets {
    /// Adds a socket. False: its address is unknown.
    pub fn push(&mut self, record: &ListenerRecord, socket: OwnedFd) -> bool {
        let path = || Bound::Unix(PathBuf::from(OsStr::from_bytes(&record.address)));
        let address = || std::str::from_utf8(&record.address).ok()?.parse().ok();
        let kind = TCP_KINDS.iter().find(|(kind, ..)| *kind == record.kind);
        let (audience, tls, bound) = match (record.kind, kind) {
            (SocketKind::Admin, _) => (Audience::Admins, ListenerTls::Off, Some(path())),
            (_, Some((_, Audience::Http, tls))) => (Audience::Http, *tls, address().map(Bound::Http)),
            (_, Some((_, audience, tls))) => (*audience, *tls, address().map(Bound::Tcp)),
            (SocketKind::Udp, _) => {
                let Some(bound) = address().map(Bound::Udp) else { return false };
                match self.datagrams.iter_mut().find(|datagrams| datagrams.address == bound) {
                    Some(datagrams) => datagrams.sockets.push(socket),
                    None => self.datagrams.push(DatagramAddress { sockets: vec![socket], address: bound }),
                }
                return true;
            }
            // Unix: all others are in the table.
            (_, None) => (Audience::Clients, ListenerTls::Off, Some(path())),
        };
        let Some(address) = bound else { return false };
        self.listeners.push(Listener { socket, address, audience, tls });
        true
    }
}

/// Opens all listening sockets. With -p 0 there may be none.
///
/// # Errors
/// The first address that could not be bound.
pub fn listen(settings: &Settings) -> Result<Vec<Listener>, BindFailure> {
    let backlog = settings.tcp_backlog;
    let mut listeners = Vec::new();
    for (path, audience) in [(&settings.admin_socket, Audience::Admins), (&settings.unix_socket, Audience::Clients)] {
        let Some(path) = path else { continue };
        let failure = |error| BindFailure { what: format!("listen on {}", path.display()), error };
        let socket = listen_unix(path, settings.unix_mask, backlog).map_err(failure)?;
        listeners.push(Listener { socket, address: Bound::Unix(path.clone()), audience, tls: ListenerTls::Off });
    }
    let open_one = |address| listen_tcp(address, backlog).map(|socket| vec![socket]);
    for OpenedAddress { address, tls, sockets } in open_all("listen on", &settings.tcp_endpoints(), &open_one)? {
        let tls = if settings.ssl_enabled { tls } else { ListenerTls::Off };
        let tcp = |socket| Listener { socket, address: Bound::Tcp(address), audience: Audience::Clients, tls };
        listeners.extend(sockets.into_iter().map(tcp));
    }
    let http = open_all("--http: listen on", &settings.http_endpoints(), &open_one)?;
    for OpenedAddress { address, tls, sockets } in http {
        let tls = if settings.ssl_enabled { tls } else { ListenerTls::Off };
        let http = |socket| Listener { socket, address: Bound::Http(address), audience: Audience::Http, tls };
        listeners.extend(sockets.into_iter().map(http));
    }
    Ok(listeners)
}

/// Opens the UDP sockets of each worker: no socket without -U.
///
/// # Errors
/// The first address that could not be bound.
pub fn bind_datagrams(settings: &Settings) -> Result<Vec<DatagramAddress>, BindFailure> {
    let open_one = |address| bind_udp(address, settings.threads as usize);
    let opened = open_all("bind UDP", &settings.udp_endpoints(), &open_one)?;
    let udp = |OpenedAddress { address, sockets, .. }| DatagramAddress { sockets, address: Bound::Udp(address) };
    Ok(opened.into_iter().map(udp).collect())
}

/// Opens the sockets of one address.
type OpenOne<'a> = &'a dyn Fn(SocketAddr) -> io::Result<Vec<OwnedFd>>;

/// A bound address with its sockets.
struct OpenedAddress {
    address: SocketAddr,
    tls: ListenerTls,
    sockets: Vec<OwnedFd>,
}

/// Opens the sockets of all `endpoints`. `purpose` begins the message about one that could not be opened.
fn open_all(
    purpose: &'static str,
    endpoints: &[Endpoint],
    open_one: OpenOne<'_>,
) -> Result<Vec<OpenedAddress>, BindFailure> {
    let tls = ListenerTls::Standard;
    let mut opening = Opening { purpose, open_one, tls, asked: Vec::new(), opened: Vec::new() };
    for endpoint in endpoints {
        opening.tls = endpoint.tls;
        match &endpoint.host {
            Some(host) => opening.open_named(host, endpoint.port)?,
            None => opening.open_everywhere(endpoint.port)?,
        }
    }
    Ok(opening.opened)
}

/// The sockets opened so far.
struct Opening<'a> {
    purpose: &'static str,
    open_one: OpenOne<'a>,
    /// Whether the present endpoint uses TLS.
    tls: ListenerTls,
    /// The addresses as requested, before the kernel chose ports. `127.0.0.1,localhost` names one address twice.
    asked: Vec<SocketAddr>,
    opened: Vec<OpenedAddress>,
}

impl Opening<'_> {
    fn failure(&self, address: impl fmt::Display, error: io::Error) -> BindFailure {
        BindFailure { what: format!("{} {address}", self.purpose), error }
    }

    /// Opens every address that `host` resolves to.
    fn open_named(&mut self, host: &str, port: u16) -> Result<(), BindFailure> {
        let written = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut result = Err(io::Error::other("the name has no address"));
        for address in (host, port).to_socket_addrs().map_err(|error| self.failure(&written, error))? {
            // One working address of the name is enough.
            result = self.open(address).map(drop).or_else(|error| result.map_err(|_| error));
        }
        result.map_err(|error| self.failure(written, error))
    }

    /// Opens all IPv4 interfaces and, if the machine has IPv6, all IPv6 interfaces, with the same port.
    fn open_everywhere(&mut self, port: u16) -> Result<(), BindFailure> {
        let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        let opened = self.open(v4).map_err(|error| self.failure(v4, error))?;
        let Some(bound) = opened else { return Ok(()) };
        let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, bound.port()));
        match self.open(v6) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(self.failure(v6, error)),
            // Without IPv6 the server uses IPv4 only.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Opens `address` and returns the bound address. `None` if it was already open.
    fn open(&mut self, address: SocketAddr) -> io::Result<Option<SocketAddr>> {
        if self.asked.contains(&address) {
            return Ok(None);
        }
        let sockets = (self.open_one)(address)?;
        let bound = sockets.first().and_then(|socket| local_address(socket.as_fd())).unwrap_or(address);
        self.asked.push(address);
        self.opened.push(OpenedAddress { address: bound, tls: self.tls, sockets });
        Ok(Some(bound))
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::{Bound, Listener, bind_datagrams, listen};
    use crate::settings::{ListenAddress, ListenerTls, Settings};

    fn settings(port: i32, hosts: &[(Option<&str>, Option<u16>)]) -> Settings {
        let address = |(host, port): &(Option<&str>, Option<u16>)| ListenAddress {
            host: host.map(str::to_owned),
            port: *port,
            tls: ListenerTls::Standard,
        };
        Settings { tcp_port: port, listen: hosts.iter().map(address).collect(), ..Settings::default() }
    }

    #[test]
    fn any_free_port_is_the_same_on_every_interface() {
        let listeners = listen(&settings(-1, &[])).unwrap_or_default();
        let ports = listeners.iter().map(|listener| match listener.address() {
            Bound::Tcp(address) => address.port(),
            Bound::Udp(_) | Bound::Http(_) | Bound::Unix(_) => 0,
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
    fn udp_has_a_socket_for_each_worker_and_address() {
        let settings = Settings { udp_port: -1, threads: 3, ..settings(0, &[(Some("127.0.0.1"), None)]) };
        let addresses = bind_datagrams(&settings).unwrap_or_default();
        assert_eq!(addresses.len(), 1);
        assert_eq!(addresses[0].sockets.len(), 3);
        let Bound::Udp(address) = addresses[0].address else { panic!("UDP was asked for") };
        assert_ne!(address.port(), 0);
        let again = bind_datagrams(&Settings { udp_port: address.port().into(), ..settings.clone() });
        let failure = again.err().expect("the port is taken").to_string();
        assert!(failure.starts_with(&format!("bind UDP {address}: Address already in use")), "{failure}");
        assert!(bind_datagrams(&Settings { udp_port: 0, ..settings }).is_ok_and(|addresses| addresses.is_empty()));
    }

    #[test]
    fn the_error_names_an_address_in_use() {
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
