//! A listening socket, whose connections are accepted a few at a time.

use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::sys::socket::listen_tcp;

/// Connections that the kernel keeps until the thread accepts them.
const BACKLOG: u32 = 128;
/// Connections that one turn accepts, so that links get their turn.
pub(super) const ACCEPTS_MAX: usize = 16;

/// A listening socket.
#[derive(Debug)]
pub(super) struct LinkListener {
    socket: TcpListener,
    /// The kernel has reported connections, and there may be more. It does not report them again.
    pub(super) is_ready: bool,
}

impl LinkListener {
    /// Listens on `address`, and has `registry` report connections as `token`.
    ///
    /// # Errors
    /// The address cannot be bound, or the kernel has no descriptor.
    pub(super) fn bind(address: SocketAddr, registry: &Registry, token: Token) -> io::Result<Self> {
        let mut socket = TcpListener::from_std(listen_tcp(address, BACKLOG)?.into());
        registry.register(&mut socket, token, Interest::READABLE)?;
        Ok(Self { socket, is_ready: false })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The kernel's error.
    pub(super) fn address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Accepts what has come, up to [`ACCEPTS_MAX`] connections. The second result says that there may be more at
    /// once. After an error, such as a lack of descriptors, the next turn tries again.
    pub(super) fn accept(&mut self) -> (Vec<(TcpStream, SocketAddr)>, bool) {
        let mut accepted = Vec::new();
        while self.is_ready && accepted.len() < ACCEPTS_MAX {
            match self.socket.accept() {
                Ok(one) => accepted.push(one),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_ready = false,
                Err(_) => break,
            }
        }
        let has_more = accepted.len() == ACCEPTS_MAX;
        (accepted, has_more)
    }
}

/// The site of an address: itself, or the network of an IPv6 host, which has 2^64 addresses.
pub(super) fn site_of(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => IpAddr::V4(ip),
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use mio::{Poll, Token};

    use super::{ACCEPTS_MAX, BACKLOG, LinkListener};

    #[test]
    fn a_turn_accepts_a_bounded_number_of_connections_and_later_ones_the_others() {
        const CONNECTIONS: usize = 2 * ACCEPTS_MAX + 3;
        const { assert!(CONNECTIONS < BACKLOG as usize) };
        let poll = Poll::new().unwrap();
        let mut listener = LinkListener::bind("127.0.0.1:0".parse().unwrap(), poll.registry(), Token(0)).unwrap();
        let address = listener.address().unwrap();
        let _clients: Vec<TcpStream> = (0..CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
        assert_eq!(listener.accept().0.len(), 0, "the kernel has reported nothing");
        listener.is_ready = true;
        let turns = [(); 4].map(|()| {
            let (accepted, has_more) = listener.accept();
            (accepted.len(), has_more, listener.is_ready)
        });
        let all = (ACCEPTS_MAX, true, true);
        assert_eq!(turns, [all, all, (3, false, false), (0, false, false)]);
    }
}
