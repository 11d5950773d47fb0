//! Busy polling of network queues (-o busy_poll_usecs): an epoll asks the network card itself before it sleeps.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::syscall::syscall;

/// `struct epoll_params` of linux/eventpoll.h.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct EpollParams {
    busy_poll_usecs: u32,
    busy_poll_budget: u16,
    prefer_busy_poll: u8,
    padding: u8,
}

const _: () = assert!(size_of::<EpollParams>() == 8, "the size is part of the request numbers");

/// `_IOW(0x8A, 1, struct epoll_params)`.
const SET_PARAMS: libc::Ioctl = 0x4008_8a01;
/// Packets of one poll: what an unprivileged process may ask for at most.
const BUDGET: u16 = 64;

/// Makes the epoll instance `poll` poll the queue of its sockets for `usecs` microseconds before it sleeps.
///
/// # Errors
/// The kernel's error: it has no busy polling per epoll (Linux before 6.9).
pub fn set_busy_poll(poll: BorrowedFd<'_>, usecs: u32) -> io::Result<()> {
    let params = EpollParams { busy_poll_usecs: usecs, busy_poll_budget: BUDGET, prefer_busy_poll: 1, padding: 0 };
    // SAFETY: the request reads a whole `EpollParams`, and the pointer is to a live one.
    unsafe { syscall!(ioctl(poll.as_raw_fd(), SET_PARAMS, &raw const params)) }.map(drop)
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, AsRawFd};

    use super::{BUDGET, EpollParams, set_busy_poll};

    /// `_IOR(0x8A, 2, struct epoll_params)`.
    const GET_PARAMS: libc::Ioctl = 0x8008_8a02u32 as libc::Ioctl;

    #[test]
    fn the_kernel_knows_what_it_was_told_if_it_can_busy_poll() {
        let poll = mio::Poll::new().unwrap();
        let fd = poll.registry().as_fd();
        let Err(error) = set_busy_poll(fd, 64) else {
            let mut params = EpollParams::default();
            // SAFETY: the request writes a whole `EpollParams`, and the pointer is to a live one.
            assert_eq!(unsafe { libc::ioctl(fd.as_raw_fd(), GET_PARAMS, &raw mut params) }, 0);
            let told = EpollParams { busy_poll_usecs: 64, busy_poll_budget: BUDGET, prefer_busy_poll: 1, padding: 0 };
            return assert_eq!(params, told);
        };
        assert!(matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTTY)), "an older kernel: {error}");
    }
}
