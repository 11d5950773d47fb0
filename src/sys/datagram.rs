//! UDP sockets, and several datagrams in one call. All sockets are non-blocking and close on exec.
//!
//! ```text
//! bind_udp ──▶ one socket for each worker ──▶ receive_datagrams … send_datagrams
//! ```
//!
//! `unsafe` is needed only where the kernel takes a pointer; the public functions are safe.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{MaybeUninit, align_of, offset_of, size_of};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::ptr::null_mut;

use libc::{c_int, c_uint, mmsghdr, sockaddr_storage, socklen_t};

use super::socket::{bind, local_address, open, set_option, socklen};
use super::syscall::syscall;

/// Maximum number of datagrams of one [`receive_datagrams`].
pub const RECEIVED_MAX: usize = 8;
/// Maximum number of datagrams of one [`send_datagrams`].
pub const SENT_MAX: usize = 16;

/// Where the reply to a datagram goes, and from which address, as the kernel wrote them.
#[derive(Clone, Copy)]
pub struct ReplyAddress {
    storage: sockaddr_storage,
    len: socklen_t,
    control: Control,
    control_len: usize,
}

/// A control message: the address that a datagram was sent to, if the socket has several. A reply must come from there,
/// or its receiver does not take it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL_LEN_MAX]);

/// Where the data of a control message begins.
// SAFETY: it only computes.
const CONTROL_DATA: usize = unsafe { libc::CMSG_LEN(0) } as usize;
/// The largest control message, that of IPv6.
#[expect(clippy::cast_possible_truncation, reason = "40")]
// SAFETY: it only computes.
const CONTROL_LEN_MAX: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::in6_pktinfo>() as u32) } as usize;

const _: () = assert!(align_of::<Control>() >= align_of::<libc::cmsghdr>());

impl ReplyAddress {
    /// Forgets over which interface the datagram came: the way back may be another one.
    fn forget_interface(&mut self) {
        let at = match c_int::from(self.storage.ss_family) {
            libc::AF_INET => CONTROL_DATA + offset_of!(libc::in_pktinfo, ipi_ifindex),
            _ => CONTROL_DATA + offset_of!(libc::in6_pktinfo, ipi6_ifindex),
        };
        if self.control_len > 0 {
            self.control.0[at..at + size_of::<c_int>()].fill(0);
        }
    }
}

/// A datagram that was received.
#[derive(Clone, Copy)]
pub struct Arrival {
    /// Where a reply goes.
    pub reply_to: ReplyAddress,
    /// Its length in bytes. What did not fit the buffer is lost.
    pub len: usize,
}

impl Default for Arrival {
    fn default() -> Self {
        // SAFETY: all-zero bytes are a valid sockaddr_storage: an address of no family.
        let storage: sockaddr_storage = unsafe { MaybeUninit::zeroed().assume_init() };
        let control = Control([0; CONTROL_LEN_MAX]);
        Self { reply_to: ReplyAddress { storage, len: 0, control, control_len: 0 }, len: 0 }
    }
}

/// A datagram to be sent: `header` and `payload`, one after the other.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// Where to.
    pub to: &'a ReplyAddress,
    /// Its first bytes.
    pub header: &'a [u8],
    /// The others.
    pub payload: &'a [u8],
}

/// `count` UDP sockets on `address`, with one port. The kernel distributes the senders among them.
///
/// # Errors
/// The kernel's error; usually the address is in use.
pub fn bind_udp(address: SocketAddr, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut sockets = Vec::with_capacity(count);
    let mut address = address;
    for _ in 0..count {
        let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let socket = open(domain, libc::SOCK_DGRAM)?;
        if address.is_ipv6() {
            // Allows 0.0.0.0 and [::] to be bound side by side.
            set_option(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        request_destinations(socket.as_fd(), address)?;
        // The first socket shares its port only after it is bound. So a second server, whose first socket does not
        // share either, finds the address in use.
        if sockets.is_empty() {
            bind(&socket, address)?;
            set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        } else {
            set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
            bind(&socket, address)?;
        }
        if address.port() == 0
            && let Some(bound) = local_address(socket.as_fd())
        {
            address = bound;
        }
        sockets.push(socket);
    }
    Ok(sockets)
}

/// Asks for the destination of each datagram of a socket that is bound to `address`, if there are several.
pub(super) fn request_destinations(socket: BorrowedFd<'_>, address: SocketAddr) -> io::Result<()> {
    if !address.ip().is_unspecified() {
        return Ok(());
    }
    let (level, name) = if address.is_ipv4() {
        (libc::IPPROTO_IP, libc::IP_PKTINFO)
    } else {
        (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO)
    };
    set_option(socket, level, name, 1)
}

/// Receives datagrams that have arrived, each into one of `buffers`. Returns their number, and describes them at the
/// front of `arrivals`. Fewer than [`RECEIVED_MAX`]: no more had arrived.
///
/// # Errors
/// `WouldBlock` if none has arrived; other errors of the kernel.
pub fn receive_datagrams(
    socket: BorrowedFd<'_>,
    buffers: [&mut [u8]; RECEIVED_MAX],
    arrivals: &mut [Arrival; RECEIVED_MAX],
) -> io::Result<usize> {
    let mut pieces = buffers.map(IoSliceMut::new);
    let mut messages = [no_message(); RECEIVED_MAX];
    for ((message, piece), arrival) in messages.iter_mut().zip(&mut pieces).zip(arrivals.iter_mut()) {
        message.msg_hdr.msg_name = (&raw mut arrival.reply_to.storage).cast();
        message.msg_hdr.msg_namelen = socklen::<sockaddr_storage>();
        message.msg_hdr.msg_iov = (&raw mut *piece).cast();
        message.msg_hdr.msg_iovlen = 1;
        message.msg_hdr.msg_control = (&raw mut arrival.reply_to.control).cast();
        message.msg_hdr.msg_controllen = CONTROL_LEN_MAX as _;
    }
    let (fd, start, len) = (socket.as_raw_fd(), messages.as_mut_ptr(), count_of(messages.len()));
    // SAFETY: each message names a live address, a live buffer and a live control message of the given lengths, all
    // borrowed exclusively. An IoSliceMut has the layout of an iovec, as documented. There is no timeout.
    let received = unsafe { syscall!(recvmmsg(fd, start, len, 0, null_mut())) }?;
    let received = usize::try_from(received).unwrap_or(0).min(RECEIVED_MAX);
    for (message, arrival) in messages[..received].iter().zip(arrivals) {
        arrival.reply_to.len = message.msg_hdr.msg_namelen.min(socklen::<sockaddr_storage>());
        arrival.reply_to.control_len = CONTROL_LEN_MAX.min(message.msg_hdr.msg_controllen as _);
        arrival.reply_to.forget_interface();
        arrival.len = message.msg_len as usize;
    }
    Ok(received)
}

/// Sends datagrams in order, at most [`SENT_MAX`] of them. Returns the number that the kernel took.
///
/// # Errors
/// The kernel did not take the first: `WouldBlock` if its buffer is full; other errors that concern its receiver.
pub fn send_datagrams(socket: BorrowedFd<'_>, datagrams: &[Outgoing<'_>]) -> io::Result<usize> {
    let count = datagrams.len().min(SENT_MAX);
    let mut pieces = [[IoSlice::new(&[]); 2]; SENT_MAX];
    let mut messages = [no_message(); SENT_MAX];
    for ((message, piece), datagram) in messages.iter_mut().zip(&mut pieces).zip(datagrams) {
        *piece = [IoSlice::new(datagram.header), IoSlice::new(datagram.payload)];
        message.msg_hdr.msg_name = (&raw const datagram.to.storage).cast_mut().cast();
        message.msg_hdr.msg_namelen = datagram.to.len;
        message.msg_hdr.msg_iov = piece.as_mut_ptr().cast();
        message.msg_hdr.msg_iovlen = piece.len() as _;
        if datagram.to.control_len > 0 {
            message.msg_hdr.msg_control = (&raw const datagram.to.control).cast_mut().cast();
            message.msg_hdr.msg_controllen = datagram.to.control_len as _;
        }
    }
    let (fd, start) = (socket.as_raw_fd(), messages.as_mut_ptr());
    // SAFETY: each of the first `count` messages names a live address, two live pieces, and at most one control
    // message, which is live, too. The lengths are theirs. The kernel only reads them. An IoSlice has the layout of an
    // iovec, as documented.
    let sent = unsafe { syscall!(sendmmsg(fd, start, count_of(count), libc::MSG_NOSIGNAL)) }?;
    Ok(usize::try_from(sent).unwrap_or(0))
}

fn no_message() -> mmsghdr {
    // SAFETY: all-zero bytes are a valid mmsghdr: null pointers, zero lengths.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// A number of messages, in the type of the calls.
#[expect(clippy::cast_possible_truncation, reason = "at most SENT_MAX")]
const fn count_of(messages: usize) -> c_uint {
    messages as c_uint
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
    use std::os::fd::AsFd as _;

    use super::{Arrival, Outgoing, RECEIVED_MAX, bind_udp, receive_datagrams, send_datagrams};
    use crate::sys::socket::local_address;

    const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

    #[test]
    fn datagrams_come_with_their_senders_and_replies_reach_these() {
        for ip in LOOPBACKS {
            // A machine without IPv6 skips this case.
            let Ok(sockets) = bind_udp(SocketAddr::new(ip, 0), 1) else { continue };
            let socket = sockets[0].as_fd();
            let address = local_address(socket).unwrap();
            let clients = [0, 1].map(|_| UdpSocket::bind((ip, 0)).unwrap());
            let mut buffers = [[0; 16]; RECEIVED_MAX];
            let mut arrivals = [Arrival::default(); RECEIVED_MAX];
            let error = receive_datagrams(socket, buffers.each_mut().map(<[u8; 16]>::as_mut_slice), &mut arrivals);
            assert_eq!(error.unwrap_err().kind(), ErrorKind::WouldBlock);
            assert_eq!(clients[0].send_to(b"one", address).unwrap(), 3);
            assert_eq!(clients[1].send_to(b"", address).unwrap(), 0);
            let received = receive_datagrams(socket, buffers.each_mut().map(<[u8; 16]>::as_mut_slice), &mut arrivals);
            assert_eq!((received.unwrap(), arrivals[0].len, arrivals[1].len), (2, 3, 0));
            assert_eq!(&buffers[0][..3], b"one");
            let replies = [0, 1].map(|n| Outgoing { to: &arrivals[n].reply_to, header: b"h", payload: b"reply" });
            assert_eq!(send_datagrams(socket, &replies).unwrap(), 2);
            for client in clients {
                let mut reply = [0; 16];
                let (len, from) = client.recv_from(&mut reply).unwrap();
                assert_eq!((&reply[..len], from), (&b"hreply"[..], address));
            }
        }
    }

    #[test]
    fn replies_come_from_the_address_that_was_asked() {
        for (everywhere, asked, client) in [
            (Ipv4Addr::UNSPECIFIED.into(), "127.0.0.2".parse::<IpAddr>().unwrap(), LOOPBACKS[0]),
            (Ipv6Addr::UNSPECIFIED.into(), LOOPBACKS[1], LOOPBACKS[1]),
        ] {
            let Ok(sockets) = bind_udp(SocketAddr::new(everywhere, 0), 1) else { continue };
            let port = local_address(sockets[0].as_fd()).unwrap().port();
            // A machine without IPv6 skips this case.
            let Ok(client) = UdpSocket::bind((client, 0)) else { continue };
            client.connect((asked, port)).unwrap();
            assert_eq!(client.send(b"one").unwrap(), 3);
            let mut buffers = [[0; 16]; RECEIVED_MAX];
            let mut arrivals = [Arrival::default(); RECEIVED_MAX];
            let buffers = buffers.each_mut().map(<[u8; 16]>::as_mut_slice);
            assert_eq!(receive_datagrams(sockets[0].as_fd(), buffers, &mut arrivals).unwrap(), 1);
            let reply = Outgoing { to: &arrivals[0].reply_to, header: b"h", payload: b"i" };
            assert_eq!(send_datagrams(sockets[0].as_fd(), &[reply]).unwrap(), 1);
            // A connected socket takes datagrams of its partner only.
            let mut received = [0; 16];
            client.set_nonblocking(true).unwrap();
            assert_eq!((client.recv(&mut received).unwrap(), &received[..2]), (2, &b"hi"[..]));
        }
    }

    #[test]
    fn sockets_share_a_port_with_each_other_and_with_no_other_server() {
        let sockets = bind_udp(SocketAddr::new(LOOPBACKS[0], 0), 3).unwrap();
        let address = local_address(sockets[0].as_fd()).unwrap();
        assert!(sockets.iter().all(|socket| local_address(socket.as_fd()) == Some(address)));
        assert_eq!(bind_udp(address, 3).unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}
