//! Signals as a file that can be polled, so that no code runs in a signal handler.
//!
//! ```text
//! kernel ──▶ blocked in every thread ──▶ signalfd ──poll──▶ Signals::take
//! ```

use std::fs::File;
use std::io::{self, Read as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd as _, OwnedFd, RawFd};

use super::syscall::syscall;

/// What a signal asks of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: exit.
    End,
    /// SIGUSR1: exit, and keep what can be kept.
    EndGracefully,
    /// SIGHUP: read files again.
    Reload,
    /// SIGUSR2: hand everything over to a new process.
    Upgrade,
}

/// The signals that the file receives.
const WAITED: [libc::c_int; 5] = [libc::SIGTERM, libc::SIGINT, libc::SIGUSR1, libc::SIGHUP, libc::SIGUSR2];

/// The pending signals of [`Signal`], as a file that is readable when one has arrived.
#[derive(Debug)]
pub struct Signals {
    file: File,
}

impl Signals {
    /// Blocks the signals of [`Signal`] in this thread and all threads that it starts later, and opens the file. Must
    /// be called before there are other threads.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn open() -> io::Result<Self> {
        let waited = signal_set(&WAITED)?;
        block(&waited)?;
        // SAFETY: the set is initialised and live; -1 asks for a new descriptor.
        let fd = unsafe { syscall!(signalfd(-1, &raw const waited, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)) }?;
        // SAFETY: the descriptor is new and open, and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { file: fd.into() })
    }

    /// The next signal that has arrived, if any. Does not block.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn take(&self) -> io::Result<Option<Signal>> {
        let mut info = [0; size_of::<libc::signalfd_siginfo>()];
        match (&self.file).read(&mut info) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        // The number of the signal comes first (signalfd(2)).
        let number = i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
        Ok(match number {
            libc::SIGTERM | libc::SIGINT => Some(Signal::End),
            libc::SIGUSR1 => Some(Signal::EndGracefully),
            libc::SIGHUP => Some(Signal::Reload),
            libc::SIGUSR2 => Some(Signal::Upgrade),
            _ => None,
        })
    }
}

/// Makes a write without a reader (SIGPIPE), or beyond the limit on file sizes (SIGXFSZ), return an error instead of
/// ending the process. Applies to this thread and all threads that it starts later.
///
/// # Errors
/// The kernel's error.
pub fn block_write_signals() -> io::Result<()> {
    block(&signal_set(&[libc::SIGPIPE, libc::SIGXFSZ])?)
}

/// Sends `signal` to this process, as an operator would.
///
/// # Errors
/// The kernel's error.
pub fn send_to_self(signal: Signal) -> io::Result<()> {
    let number = match signal {
        Signal::End => libc::SIGINT,
        Signal::EndGracefully => libc::SIGUSR1,
        Signal::Reload => libc::SIGHUP,
        Signal::Upgrade => libc::SIGUSR2,
    };
    // SAFETY: takes no pointers.
    let this_process = unsafe { libc::getpid() };
    // SAFETY: takes no pointers.
    unsafe { syscall!(kill(this_process, number)) }?;
    Ok(())
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

fn signal_set(numbers: &[libc::c_int]) -> io::Result<libc::sigset_t> {
    let mut set = MaybeUninit::uninit();
    // SAFETY: the pointer is to room for a whole set.
    unsafe { syscall!(sigemptyset(set.as_mut_ptr())) }?;
    // SAFETY: `sigemptyset` succeeded, so the set is initialised.
    let mut set = unsafe { set.assume_init() };
    for number in numbers {
        // SAFETY: the set is initialised and live.
        unsafe { syscall!(sigaddset(&raw mut set, *number)) }?;
    }
    Ok(set)
}

fn block(set: &libc::sigset_t) -> io::Result<()> {
    // SAFETY: the set is initialised and live; the old mask is not requested.
    let error = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set, std::ptr::null_mut()) };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(test)]
mod tests {
    use super::{Signal, Signals};

    #[test]
    fn a_signal_to_a_thread_that_blocks_it_is_read_from_the_file() {
        let signals = Signals::open().unwrap();
        assert_eq!(signals.take().unwrap(), None);
        for (number, signal) in [
            (libc::SIGHUP, Signal::Reload),
            (libc::SIGUSR1, Signal::EndGracefully),
            (libc::SIGUSR2, Signal::Upgrade),
            (libc::SIGTERM, Signal::End),
        ] {
            // SAFETY: takes no pointers; the signal goes to this thread, which blocks it.
            assert_eq!(unsafe { libc::raise(number) }, 0);
            assert_eq!(signals.take().unwrap(), Some(signal));
        }
        assert_eq!(signals.take().unwrap(), None);
    }
}
