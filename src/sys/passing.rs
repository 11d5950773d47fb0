//! Passes open descriptors to another process, over a Unix socket that keeps messages apart.
//!
//! ```text
//! one process ──send_message──▶ bytes, and up to 128 descriptors ──receive_message──▶ the other process
//! ```
//!
//! A descriptor that has been passed refers to the same open file in both processes.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use libc::{c_int, c_uint};

use super::datagram::request_destinations;
use super::socket::{local_address, local_path, socket_option, socklen};
use super::syscall::syscall;

/// Descriptors of one message. The kernel's own limit is 253.
pub const DESCRIPTORS_MAX: usize = 128;

/// Room for the control message that carries the descriptors, in words, so that it is aligned.
const CONTROL_WORDS: usize = 80;
const _: () = assert!(
    CONTROL_WORDS * size_of::<u64>() >= 64 + DESCRIPTORS_MAX * size_of::<c_int>(),
    "the header of a control message takes less than 64 bytes"
);
#[expect(clippy::cast_possible_truncation, reason = "512 bytes")]
const DESCRIPTOR_BYTES: c_uint = size_of::<c_int>() as c_uint;

/// A pair of connected sockets that keep messages apart. Both close on exec.
///
/// # Errors
/// The kernel's error.
pub fn message_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: the pointer is to room for two descriptors.
    unsafe { syscall!(socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr())) }?;
    let [one, other] = ends;
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    let one = unsafe { OwnedFd::from_raw_fd(one) };
    // SAFETY: as above.
    Ok((one, unsafe { OwnedFd::from_raw_fd(other) }))
}

/// Lets the programs that this process starts inherit a descriptor.
///
/// # Errors
/// The kernel's error.
pub fn set_inheritable(descriptor: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes no pointers.
    unsafe { syscall!(fcntl(descriptor.as_raw_fd(), libc::F_SETFD, 0)) }.map(drop)
}

/// Held while an inherited descriptor is taken. It is a `static` because the descriptors are those of the process.
static TAKING: Mutex<()> = Mutex::new(());

/// Takes over a descriptor that this process has inherited. It can be taken once: from then on it closes on exec.
///
/// # Errors
/// No such descriptor is open, it is a standard stream, or it was not inherited.
pub fn take_inherited(number: RawFd) -> io::Result<OwnedFd> {
    if number <= libc::STDERR_FILENO {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: takes no pointers.
    let flags = unsafe { syscall!(fcntl(number, libc::F_GETFD)) }?;
    if flags & libc::FD_CLOEXEC != 0 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: as above.
    unsafe { syscall!(fcntl(number, libc::F_SETFD, flags | libc::FD_CLOEXEC)) }?;
    // SAFETY: the descriptor is open, and it did not close on exec. All descriptors that this process opens do, apart
    // from one that `set_inheritable` has changed for a program that is being started. So it is inherited, and no part
    // of this process owns it. The lock and the flag let only one caller come here.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// What an inherited descriptor is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PassedSocket {
    /// A TCP socket that listens.
    Tcp(SocketAddr),
    /// A UDP socket.
    Udp(SocketAddr),
    /// A Unix socket that listens, and its path.
    Unix(String),
    /// Something else.
    Other,
}

/// Says what a descriptor is. A socket to listen on is set up as one that this process has opened.
///
/// # Errors
/// The kernel's error.
pub fn prepare_passed(descriptor: BorrowedFd<'_>) -> io::Result<PassedSocket> {
    let option = |name| socket_option(descriptor, name).unwrap_or(0);
    let listens = option(libc::SO_ACCEPTCONN) != 0;
    let passed = match (option(libc::SO_TYPE), local_address(descriptor)) {
        (libc::SOCK_STREAM, Some(address)) if listens => PassedSocket::Tcp(address),
        (libc::SOCK_STREAM, None) if listens => PassedSocket::Unix(local_path(descriptor).unwrap_or_default()),
        (libc::SOCK_DGRAM, Some(address)) => {
            request_destinations(descriptor, address)?;
            PassedSocket::Udp(address)
        }
        _ => return Ok(PassedSocket::Other),
    };
    // SAFETY: takes no pointers.
    let flags = unsafe { syscall!(fcntl(descriptor.as_raw_fd(), libc::F_GETFL)) }?;
    // SAFETY: as above.
    unsafe { syscall!(fcntl(descriptor.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK)) }?;
    Ok(passed)
}

/// Bounds the time that a call on `socket` waits. It then fails with `WouldBlock`.
///
/// # Errors
/// The kernel's error.
pub fn set_timeouts(socket: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    // A time of 0 would mean no bound.
    let us = timeout.as_micros().max(1);
    let second = 1_000_000;
    let time = libc::timeval {
        tv_sec: libc::time_t::try_from(us / second).unwrap_or(libc::time_t::MAX),
        tv_usec: libc::suseconds_t::try_from(us % second).unwrap_or(0),
    };
    for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
        let (start, len) = ((&raw const time).cast(), socklen::<libc::timeval>());
        // SAFETY: `start` points to a live timeval, and `len` is its size.
        unsafe { syscall!(setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, start, len)) }?;
    }
    Ok(())
}

/// Waits until a message has come on `socket`, or `other` is readable, or the time is over. Returns whether a message
/// has come, or the end of the stream.
///
/// # Errors
/// The kernel's error.
pub fn await_message_or(socket: BorrowedFd<'_>, other: RawFd, timeout: Duration) -> io::Result<bool> {
    let wanted = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let mut polled = [wanted(socket.as_raw_fd()), wanted(other)];
    let ms = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the pointer and the length are those of a live array.
    match unsafe { syscall!(poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, ms)) } {
        Ok(_) => Ok(polled[0].revents != 0),
        Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sends a message with descriptors, at most [`DESCRIPTORS_MAX`].
///
/// # Errors
/// The kernel's error; `InvalidInput` if there are too many descriptors.
pub fn send_message(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if descriptors.len() > DESCRIPTORS_MAX {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let mut piece = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let mut control = [0u64; CONTROL_WORDS];
    let mut message = message_over(&mut piece);
    if !descriptors.is_empty() {
        let data_bytes = DESCRIPTOR_BYTES * c_uint::try_from(descriptors.len()).unwrap_or(0);
        message.msg_control = control.as_mut_ptr().cast();
        // SAFETY: computes a number.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(data_bytes) } as _;
        // SAFETY: the message has room for a control message, as the assertion above shows.
        let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
        // SAFETY: computes a number.
        let len = unsafe { libc::CMSG_LEN(data_bytes) };
        let first = libc::cmsghdr { cmsg_len: len as _, cmsg_level: libc::SOL_SOCKET, cmsg_type: libc::SCM_RIGHTS };
        // SAFETY: `header` points into `control`, which is aligned and has room for it.
        unsafe { header.write(first) };
        // SAFETY: as above; the data follows the header.
        let data = unsafe { libc::CMSG_DATA(header) }.cast::<c_int>();
        for (index, descriptor) in descriptors.iter().enumerate() {
            // SAFETY: there is room for `DESCRIPTORS_MAX` numbers, and `index` is below that.
            let place = unsafe { data.add(index) };
            // SAFETY: as above.
            unsafe { place.write_unaligned(descriptor.as_raw_fd()) };
        }
    }
    loop {
        // SAFETY: the message refers to live locals and to `bytes`, which the kernel only reads.
        match unsafe { syscall!(sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL)) } {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Receives a message into `buffer`. Returns its length, 0 at the end of the stream, and its descriptors, which close
/// on exec.
///
/// # Errors
/// The kernel's error; `InvalidData` if the message does not fit.
pub fn receive_message(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let mut control = [0u64; CONTROL_WORDS];
    let mut message = message_over(&mut piece);
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    let len = loop {
        // SAFETY: the message refers to live locals and to `buffer`, which are borrowed exclusively.
        match unsafe { syscall!(recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC)) } {
            Ok(len) => break len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    };
    let descriptors = passed_in(&message);
    if message.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok((usize::try_from(len).unwrap_or(0), descriptors))
}

/// A message of one piece, without control messages.
fn message_over(piece: &mut libc::iovec) -> libc::msghdr {
    // SAFETY: all-zero bytes are a valid msghdr: null pointers, zero lengths.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = piece;
    message.msg_iovlen = 1;
    message
}

/// The descriptors in the control messages that the kernel has written.
fn passed_in(message: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the kernel has filled the control messages of this message, whose buffer is live.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: the header lies in the buffer, which is aligned.
        let cmsghdr = unsafe { header.read() };
        if (cmsghdr.cmsg_level, cmsghdr.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: computes a number.
            let header_bytes = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = (cmsghdr.cmsg_len as usize).saturating_sub(header_bytes) / size_of::<c_int>();
            // SAFETY: the data follows the header.
            let data = unsafe { libc::CMSG_DATA(header) }.cast::<c_int>();
            for index in 0..count {
                // SAFETY: the kernel has written `count` numbers.
                let place = unsafe { data.add(index) };
                // SAFETY: as above.
                let number = unsafe { place.read_unaligned() };
                // SAFETY: the kernel has just opened this descriptor for this process, and it has no other owner.
                descriptors.push(unsafe { OwnedFd::from_raw_fd(number) });
            }
        }
        // SAFETY: as for the first header.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    descriptors
}

/// A file without a name whose bytes are in memory. It is gone when no process has it open or mapped.
///
/// # Errors
/// The kernel's error.
pub fn memory_file() -> io::Result<File> {
    let flags = libc::MFD_CLOEXEC;
    // SAFETY: the name ends with a zero byte.
    let fd = unsafe { syscall!(memfd_create(c"larder".as_ptr(), flags)) }?;
    // SAFETY: the kernel has just returned this descriptor, and it has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) }.into())
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
    use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, IntoRawFd as _};
    use std::time::Duration;

    use super::{
        DESCRIPTORS_MAX, memory_file, message_pair, receive_message, send_message, set_inheritable, set_timeouts,
        take_inherited,
    };

    #[test]
    fn messages_stay_apart_and_bring_their_descriptors() {
        let (one, other) = message_pair().unwrap();
        let mut file = memory_file().unwrap();
        file.write_all(b"kept").unwrap();
        let many: Vec<BorrowedFd<'_>> = vec![file.as_fd(); DESCRIPTORS_MAX];
        send_message(one.as_fd(), b"first", &many).unwrap();
        send_message(one.as_fd(), b"second", &[]).unwrap();
        let mut buffer = [0; 64];
        let (len, descriptors) = receive_message(other.as_fd(), &mut buffer).unwrap();
        assert_eq!((&buffer[..len], descriptors.len()), (&b"first"[..], DESCRIPTORS_MAX));
        let mut same = std::fs::File::from(descriptors.into_iter().next_back().unwrap());
        let mut text = String::new();
        same.rewind().unwrap();
        same.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kept");
        let (len, descriptors) = receive_message(other.as_fd(), &mut buffer).unwrap();
        assert_eq!((&buffer[..len], descriptors.len()), (&b"second"[..], 0));
        drop(one);
        assert_eq!(receive_message(other.as_fd(), &mut buffer).unwrap().0, 0);
    }

    #[test]
    fn a_message_that_does_not_fit_is_an_error_and_waiting_has_an_end() {
        let (one, other) = message_pair().unwrap();
        send_message(one.as_fd(), b"too long", &[]).unwrap();
        assert_eq!(receive_message(other.as_fd(), &mut [0; 3]).unwrap_err().kind(), ErrorKind::InvalidData);
        set_timeouts(other.as_fd(), Duration::from_millis(1)).unwrap();
        assert_eq!(receive_message(other.as_fd(), &mut [0; 3]).unwrap_err().kind(), ErrorKind::WouldBlock);
        let too_many: Vec<BorrowedFd<'_>> = vec![one.as_fd(); DESCRIPTORS_MAX + 1];
        assert_eq!(send_message(one.as_fd(), b"x", &too_many).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn only_an_inherited_descriptor_is_taken_and_only_once() {
        let is_taken = |number| take_inherited(number).is_ok();
        assert!(!is_taken(2), "a standard stream");
        assert!(!is_taken(-1));
        assert!(!is_taken(1 << 20), "not open");
        let file = memory_file().unwrap();
        assert!(!is_taken(file.as_raw_fd()), "a descriptor of this process");
        // As if a program had been started that inherits it.
        set_inheritable(file.as_fd()).unwrap();
        let taken = take_inherited(file.into_raw_fd()).unwrap();
        assert!(!is_taken(taken.as_raw_fd()), "it is taken");
    }
}
