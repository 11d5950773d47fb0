//! System calls as `io::Result`: a result of -1 becomes the kernel's error.
//!
//! ```text
//! // SAFETY: takes no pointers.
//! let session = unsafe { syscall!(setsid()) }?;
//! ```
//!
//! The `unsafe` stays at the call, next to its argument; the macro only checks the result.

use std::io;

/// Calls `libc::$name($args)`, and turns a result of -1 into the `io::Error` for errno.
macro_rules! syscall {
    ($name:ident ( $($arg:expr),* $(,)? )) => {
        $crate::sys::syscall::checked(libc::$name($($arg),*))
    };
}
pub(crate) use syscall;

/// The result type of a C function that reports failure as -1.
pub(crate) trait Returned: Copy {
    /// Whether this value is -1, so that errno holds the error.
    fn is_failure(self) -> bool;
}

impl Returned for i32 {
    fn is_failure(self) -> bool {
        self == -1
    }
}

impl Returned for i64 {
    fn is_failure(self) -> bool {
        self == -1
    }
}

impl Returned for isize {
    fn is_failure(self) -> bool {
        self == -1
    }
}

/// The value, or the error in errno. Must be called directly after the system call, before any other call can change
/// errno.
#[inline]
pub(crate) fn checked<T: Returned>(returned: T) -> io::Result<T> {
    if returned.is_failure() { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_failed_call_gives_the_kernels_error() {
        // SAFETY: takes no pointers; descriptor -1 is never open.
        let failed = unsafe { syscall!(close(-1)) };
        assert_eq!(failed.unwrap_err().raw_os_error(), Some(libc::EBADF));
        // SAFETY: takes no pointers.
        assert!(unsafe { syscall!(getppid()) }.is_ok());
    }
}
