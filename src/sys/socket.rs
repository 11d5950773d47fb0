//! Sockets: listen, accept, options, receive, send. All sockets are non-blocking and close on exec.
//!
//! ```text
//! listen_tcp / listen_unix ──▶ accept ──▶ receive … send / send_pieces
//! ```
//!
//! `unsafe` is needed only where the kernel takes a pointer; the public functions are safe.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::{MaybeUninit, size_of};
use std::net::{IpAddr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::{AsFd as _, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;
use std::ptr::null_mut;

use libc::{c_int, c_void, sockaddr_storage, socklen_t};

use super::syscall::syscall;

// The calls of every request bypass the C library. Its `recv` and `send` are thread cancellation points, which costs
// two atomic read-modify-writes per call, and no thread is ever cancelled here.

/// Maximum number of pieces of one [`send_pieces`] or [`receive_pieces`]; the kernel's own limit is 1024.
pub const PIECES_MAX: usize = 64;

/// A TCP socket that listens on `address`.
///
/// # Errors
/// The kernel's error; usually the address is in use.
pub fn listen_tcp(address: SocketAddr, backlog: u32) -> io::Result<OwnedFd> {
    let domain = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    let socket = open(domain, libc::SOCK_STREAM)?;
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    set_option(socket.as_fd(), libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    set_option(socket.as_fd(), libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    if address.is_ipv6() {
        // Allows 0.0.0.0 and [::] to be bound side by side.
        set_option(socket.as_fd(), libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
    }
    bind(&socket, address)?;
    start_listening(&socket, backlog)?;
    Ok(socket)
}

/// Binds a socket to `address`.
pub(super) fn bind(socket: &OwnedFd, address: SocketAddr) -> io::Result<()> {
    let (storage, len) = encode_address(address);
    // SAFETY: `storage` is a live socket address, of which `len` bytes are written.
    unsafe { syscall!(bind(socket.as_raw_fd(), (&raw const storage).cast(), len)) }.map(drop)
}

/// A unix stream socket that listens at `path`, with the permissions `mode`. Replaces a socket file that an earlier
/// server left there, but no other file.
///
/// # Errors
/// The kernel's error; `InvalidInput` if the path is empty or longer than a socket address can hold.
pub fn listen_unix(path: &Path, mode: u32, backlog: u32) -> io::Result<OwnedFd> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let (address, len) = encode_path(path)?;
    let socket = open(libc::AF_UNIX, libc::SOCK_STREAM)?;
    // SAFETY: `address` is a live socket address, of which `len` bytes are written.
    unsafe { syscall!(bind(socket.as_raw_fd(), (&raw const address).cast(), len)) }?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))?;
    start_listening(&socket, backlog)?;
    Ok(socket)
}

/// A new socket of this family and kind, such as `SOCK_STREAM`.
pub(super) fn open(domain: c_int, kind: c_int) -> io::Result<OwnedFd> {
    let kind = kind | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointer.
    let fd = unsafe { syscall!(socket(domain, kind, 0)) }?;
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn start_listening(socket: &OwnedFd, backlog: u32) -> io::Result<()> {
    let backlog = c_int::try_from(backlog).unwrap_or(c_int::MAX);
    // SAFETY: takes no pointer.
    unsafe { syscall!(listen(socket.as_raw_fd(), backlog)) }.map(drop)
}

/// Accepts the next connection that waits on `listener`.
///
/// # Errors
/// `WouldBlock` if no connection waits; descriptor exhaustion (see [`is_exhaustion`]); other errors of the kernel.
pub fn accept(listener: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: null pointers tell the kernel that the peer's address is not requested.
    let fd = unsafe { syscall!(accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags)) }?;
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether an accept failed because descriptors or memory ran out: an immediate retry cannot help.
pub fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Sets TCP_NODELAY, to send small replies at once, and SO_KEEPALIVE, to notice peers that vanished. On Linux,
/// sockets inherit both from the listener; other systems do not guarantee that.
///
/// # Errors
/// The kernel's error.
pub fn prepare_client(socket: &OwnedFd) -> io::Result<()> {
    let socket = socket.as_fd();
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)
}

pub(super) fn set_option(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let value: *const c_int = &raw const value;
    let len = socklen::<c_int>();
    // SAFETY: `value` points to a live c_int, and `len` is its size.
    unsafe { syscall!(setsockopt(socket.as_raw_fd(), level, name, value.cast(), len)) }.map(drop)
}

/// Receives into `buffer`. Returns the number of bytes; 0 means that the peer has closed its side.
///
/// # Errors
/// `WouldBlock` if no bytes have arrived; other errors of the kernel.
#[inline]
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<usize> {
    #[cfg(test)]
    calls::count(&calls::RECEIVES);
    let start = buffer.as_mut_ptr().cast::<c_void>();
    let (fd, no_address, no_len) = (socket.as_raw_fd(), null_mut::<c_void>(), null_mut::<c_void>());
    // SAFETY: `start` and the length describe a live, exclusively borrowed slice; the sender's address is not
    // requested.
    unsafe { syscall!(syscall(libc::SYS_recvfrom, fd, start, buffer.len(), 0, no_address, no_len)) }.map(whole)
}

/// The byte count that a call on one buffer returned.
#[inline]
fn whole(count: libc::c_long) -> usize {
    usize::try_from(count).expect("no more bytes than the buffer has, and -1 is an error")
}

/// Receives into `pieces`, one after the other, at most [`PIECES_MAX`] of them. Returns the number of bytes.
///
/// # Errors
/// As [`receive`].
pub fn receive_pieces(socket: BorrowedFd<'_>, pieces: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    #[cfg(test)]
    calls::count(&calls::RECEIVES);
    let count = c_int::try_from(pieces.len().min(PIECES_MAX)).unwrap_or(0);
    // SAFETY: an IoSliceMut has the layout of an iovec, as documented, and each one is a live exclusive borrow.
    unsafe { syscall!(readv(socket.as_raw_fd(), pieces.as_mut_ptr().cast(), count)) }.map(|count| count as usize)
}

/// Sends as much of `bytes` as the kernel takes. Returns the number of bytes.
///
/// # Errors
/// `WouldBlock` if the peer must read first; other errors of the kernel.
#[inline]
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    #[cfg(test)]
    calls::count(&calls::SENDS);
    let start = bytes.as_ptr().cast::<c_void>();
    let (fd, no_address) = (socket.as_raw_fd(), null_mut::<c_void>());
    // SAFETY: `start` and the length describe a live slice. MSG_NOSIGNAL: a vanished peer is an error, without
    // SIGPIPE.
    unsafe { syscall!(syscall(libc::SYS_sendto, fd, start, bytes.len(), libc::MSG_NOSIGNAL, no_address, 0)) }.map(whole)
}

/// Sends as much of `pieces` as the kernel takes, in order, at most [`PIECES_MAX`] of them. Returns the number of
/// bytes.
///
/// # Errors
/// As [`send`].
pub fn send_pieces(socket: BorrowedFd<'_>, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
    #[cfg(test)]
    calls::count(&calls::SENDS);
    let count = pieces.len().min(PIECES_MAX);
    // SAFETY: all-zero bytes are a valid msghdr: null pointers, zero lengths.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = count as _;
    // SAFETY: an IoSlice has the layout of an iovec, as documented; the kernel only reads them and the bytes they
    // borrow.
    unsafe { syscall!(sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)) }.map(|count| count as usize)
}

/// The address that `socket` is bound to, from which a listener on port 0 learns its port. `None` for a unix socket.
pub fn local_address(socket: BorrowedFd<'_>) -> Option<SocketAddr> {
    decode_address(&name_of(socket.as_raw_fd(), Side::Ours)?)
}

/// The IP address of the client's end. `None` for a unix socket, or if the client is already gone.
pub fn peer_ip(socket: BorrowedFd<'_>) -> Option<IpAddr> {
    decode_address(&name_of(socket.as_raw_fd(), Side::Theirs)?).map(|address| address.ip())
}

/// The path that a unix socket is bound to. `None` for other sockets.
pub(super) fn local_path(socket: BorrowedFd<'_>) -> Option<String> {
    let name = name_of(socket.as_raw_fd(), Side::Ours)?;
    (c_int::from(name.storage.ss_family) == libc::AF_UNIX).then(|| name.path())
}

/// An option of a socket.
pub(super) fn socket_option(socket: BorrowedFd<'_>, name: c_int) -> io::Result<c_int> {
    let (mut value, mut len) = (0, socklen::<c_int>());
    let (fd, start, len_at) = (socket.as_raw_fd(), (&raw mut value).cast(), &raw mut len);
    // SAFETY: both pointers are to live locals, and `len` is the size of the first.
    unsafe { syscall!(getsockopt(fd, libc::SOL_SOCKET, name, start, len_at)) }.map(|_| value)
}

/// The number of the network queue (NAPI id) over which the client's packets come. 0 if there is no queue, as over
/// loopback.
pub fn incoming_queue(socket: BorrowedFd<'_>) -> u32 {
    let (mut queue, mut len) = (0u32, socklen::<u32>());
    let (fd, start, len_at) = (socket.as_raw_fd(), (&raw mut queue).cast(), &raw mut len);
    // SAFETY: both pointers are to live locals, and `len` is the size of the first.
    let told = unsafe { syscall!(getsockopt(fd, libc::SOL_SOCKET, libc::SO_INCOMING_NAPI_ID, start, len_at)) };
    if told.is_ok() { queue } else { 0 }
}

/// One end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The local end.
    Ours,
    /// The client's end.
    Theirs,
}

/// Formats an address as `stats conns` does: `tcp:1.2.3.4:5`, `tcp6:[::1]:5`, `unix:/path`. The descriptor may
/// already be closed: the result is `None` if it is not a socket.
pub fn describe(fd: RawFd, side: Side) -> Option<String> {
    let name = name_of(fd, side)?;
    match c_int::from(name.storage.ss_family) {
        libc::AF_UNIX => Some(format!("unix:{}", name.path())),
        _ => match decode_address(&name)? {
            SocketAddr::V4(address) => Some(format!("tcp:{address}")),
            SocketAddr::V6(address) => Some(format!("tcp6:[{}]:{}", address.ip(), address.port())),
        },
    }
}

/// A socket address that the kernel wrote.
struct Name {
    storage: sockaddr_storage,
    len: usize,
}

impl Name {
    /// The path in the address of a unix socket; empty if it has none.
    fn path(&self) -> String {
        let start = (&raw const self.storage).cast::<u8>();
        // SAFETY: sockaddr_storage is plain bytes, all initialised (zeroed, then written by the kernel).
        let bytes = unsafe { std::slice::from_raw_parts(start, size_of::<sockaddr_storage>()) };
        let path = &bytes[size_of::<libc::sa_family_t>()..self.len.clamp(size_of::<libc::sa_family_t>(), bytes.len())];
        let end = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
        String::from_utf8_lossy(&path[..end]).into_owned()
    }
}

fn name_of(fd: RawFd, side: Side) -> Option<Name> {
    // SAFETY: all-zero bytes are a valid sockaddr_storage: an address of no family.
    let mut storage: sockaddr_storage = unsafe { MaybeUninit::zeroed().assume_init() };
    let mut len = socklen::<sockaddr_storage>();
    let (start, len_at) = ((&raw mut storage).cast(), &raw mut len);
    let asked = match side {
        // SAFETY: both pointers are to live locals, and `len` is the size of the storage.
        Side::Ours => unsafe { syscall!(getsockname(fd, start, len_at)) },
        // SAFETY: as above.
        Side::Theirs => unsafe { syscall!(getpeername(fd, start, len_at)) },
    };
    asked.ok().map(|_| Name { storage, len: len as usize })
}

fn encode_address(address: SocketAddr) -> (sockaddr_storage, socklen_t) {
    // SAFETY: all-zero bytes are a valid sockaddr_storage: an address of no family.
    let mut storage: sockaddr_storage = unsafe { MaybeUninit::zeroed().assume_init() };
    let start = &raw mut storage;
    match address {
        SocketAddr::V4(v4) => {
            let encoded = libc::sockaddr_in {
                sin_family: family(libc::AF_INET),
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            // SAFETY: a sockaddr_storage is larger than, and aligned for, every other socket address.
            unsafe { start.cast::<libc::sockaddr_in>().write(encoded) };
            (storage, socklen::<libc::sockaddr_in>())
        }
        SocketAddr::V6(v6) => {
            let encoded = libc::sockaddr_in6 {
                sin6_family: family(libc::AF_INET6),
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: as above.
            unsafe { start.cast::<libc::sockaddr_in6>().write(encoded) };
            (storage, socklen::<libc::sockaddr_in6>())
        }
    }
}

fn decode_address(name: &Name) -> Option<SocketAddr> {
    let start = &raw const name.storage;
    match c_int::from(name.storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in; the storage is larger and aligned for it.
            let v4 = unsafe { start.cast::<libc::sockaddr_in>().read() };
            let ip = v4.sin_addr.s_addr.to_ne_bytes().into();
            Some(SocketAddr::V4(SocketAddrV4::new(ip, u16::from_be(v4.sin_port))))
        }
        libc::AF_INET6 => {
            // SAFETY: the family says that the kernel wrote a sockaddr_in6; the storage is larger and aligned for it.
            let v6 = unsafe { start.cast::<libc::sockaddr_in6>().read() };
            let IpAddr::V6(ip) = IpAddr::from(v6.sin6_addr.s6_addr) else { return None };
            let port = u16::from_be(v6.sin6_port);
            Some(SocketAddr::V6(SocketAddrV6::new(ip, port, v6.sin6_flowinfo, v6.sin6_scope_id)))
        }
        _ => None,
    }
}

/// The size of a `T`, in the type of the socket calls.
#[expect(clippy::cast_possible_truncation, reason = "socket addresses are a few dozen bytes")]
pub(super) const fn socklen<T>() -> socklen_t {
    size_of::<T>() as socklen_t
}

/// An address family, in the type of socket addresses.
#[expect(clippy::cast_possible_truncation, reason = "families are small numbers")]
const fn family(domain: c_int) -> libc::sa_family_t {
    domain as libc::sa_family_t
}

fn encode_path(path: &Path) -> io::Result<(libc::sockaddr_un, socklen_t)> {
    // SAFETY: all-zero bytes are a valid sockaddr_un: an address of no family with an empty path.
    let mut address: libc::sockaddr_un = unsafe { MaybeUninit::zeroed().assume_init() };
    address.sun_family = family(libc::AF_UNIX);
    let bytes = path.as_os_str().as_bytes();
    // The last byte stays zero: it ends the path.
    if bytes.is_empty() || bytes.len() >= address.sun_path.len() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "path is empty or too long for a socket"));
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    Ok((address, socklen::<libc::sockaddr_un>()))
}

/// Counts the receive and send calls of each thread. With it, a test checks how many calls a batch of requests makes.
#[cfg(test)]
pub mod calls {
    use std::cell::Cell;
    use std::thread::LocalKey;

    thread_local! {
        pub(super) static RECEIVES: Cell<u64> = const { Cell::new(0) };
        pub(super) static SENDS: Cell<u64> = const { Cell::new(0) };
    }

    pub(super) fn count(calls: &'static LocalKey<Cell<u64>>) {
        calls.set(calls.get() + 1);
    }

    /// Receives and sends of the calling thread so far.
    pub fn by_this_thread() -> [u64; 2] {
        [RECEIVES.get(), SENDS.get()]
    }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, IoSlice, IoSliceMut};
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
    use std::os::fd::{AsFd, AsRawFd};
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixStream;

    use super::{Side, accept, describe, listen_tcp, listen_unix, local_address, receive, receive_pieces, send_pieces};

    #[test]
    fn a_listener_on_port_0_knows_its_port_and_its_clients_address() {
        for ip in [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()] {
            // A machine without IPv6 skips this case.
            let Ok(listener) = listen_tcp(SocketAddr::new(ip, 0), 8) else { continue };
            let address = local_address(listener.as_fd()).expect("it is bound");
            assert_ne!(address.port(), 0);
            assert_eq!(accept(listener.as_fd()).unwrap_err().kind(), ErrorKind::WouldBlock);
            let client = TcpStream::connect(address).unwrap();
            let served = accept(listener.as_fd()).unwrap();
            let (v4, v6) = (format!("tcp:{}", client.local_addr().unwrap()), client.local_addr().unwrap().to_string());
            let expected = if ip.is_ipv4() { v4 } else { format!("tcp6:{v6}") };
            assert_eq!(describe(served.as_raw_fd(), Side::Theirs), Some(expected));
        }
    }

    #[test]
    fn the_same_port_on_v4_and_v6_are_two_listeners() {
        let Ok(six) = listen_tcp(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0), 8) else { return };
        let port = local_address(six.as_fd()).expect("it is bound").port();
        assert!(listen_tcp(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), 8).is_ok());
    }

    #[test]
    fn a_unix_listener_has_the_mode_asked_for_and_replaces_only_a_socket() {
        let path = std::env::temp_dir().join(format!("larder-socket-{}", std::process::id()));
        let listener = listen_unix(&path, 0o700, 8).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o700);
        drop(listener);
        let listener = listen_unix(&path, 0o600, 8).unwrap();
        assert_eq!(describe(listener.as_raw_fd(), Side::Ours), Some(format!("unix:{}", path.display())));
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, b"precious").unwrap();
        assert!(listen_unix(&path, 0o600, 8).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
        std::fs::remove_file(&path).unwrap();
        assert!(listen_unix(&std::path::PathBuf::from("x".repeat(200)), 0o600, 8).is_err());
    }

    #[test]
    fn pieces_arrive_in_order() {
        let (one, two) = UnixStream::pair().unwrap();
        assert_eq!(
            send_pieces(one.as_fd(), &[IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cde")]).unwrap(),
            5
        );
        let (mut first, mut second) = ([0; 3], [0; 9]);
        let mut pieces = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(receive_pieces(two.as_fd(), &mut pieces).unwrap(), 5);
        assert_eq!((&first, &second[..2]), (b"abc", &b"de"[..]));
        drop(one);
        assert_eq!(receive(two.as_fd(), &mut first).unwrap(), 0);
    }
}
