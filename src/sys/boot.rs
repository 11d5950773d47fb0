//! What outlives a process: the time since the machine started, the start's id, and locks on files.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;

use super::syscall::syscall;

/// The id that the kernel draws when the machine starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootId(pub [u8; 16]);

/// Where Linux shows the id.
const BOOT_ID_FILE: &str = "/proc/sys/kernel/random/boot_id";

impl BootId {
    /// The id of this start of the machine. All zeros, which equals no other start, if the kernel does not show it.
    pub fn read() -> Self {
        let text = fs::read_to_string(BOOT_ID_FILE).unwrap_or_default();
        let digits: Vec<u8> =
            text.bytes().filter_map(|digit| char::from(digit).to_digit(16)).filter_map(byte).collect();
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair[0] << 4 | pair[1];
        }
        Self(id)
    }

    /// Whether both are known and the same.
    pub fn is_same(self, other: Self) -> bool {
        self == other && self != Self::default()
    }
}

fn byte(digit: u32) -> Option<u8> {
    u8::try_from(digit).ok()
}

/// Milliseconds since the machine started, sleep included. Setting the wall clock does not change it.
///
/// # Errors
/// The kernel's error.
pub fn since_boot_ms() -> io::Result<u64> {
    since_boot_us().map(|us| us / 1000)
}

/// As [`since_boot_ms`], in microseconds.
///
/// # Errors
/// The kernel's error.
pub fn since_boot_us() -> io::Result<u64> {
    time_us(libc::CLOCK_BOOTTIME)
}

/// Microseconds of the clock by which service managers order messages: since the machine started, without sleep.
///
/// # Errors
/// The kernel's error.
pub fn monotonic_us() -> io::Result<u64> {
    time_us(libc::CLOCK_MONOTONIC)
}

fn time_us(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid place for the result.
    unsafe { syscall!(clock_gettime(clock, &raw mut time)) }?;
    let whole = |number: i64| u64::try_from(number).unwrap_or(0);
    Ok(whole(time.tv_sec) * 1_000_000 + whole(time.tv_nsec) / 1000)
}

/// Locks `file` until this process has closed it. False: another process holds the lock.
///
/// # Errors
/// The kernel's error.
pub fn try_lock(file: &File) -> io::Result<bool> {
    // SAFETY: takes no pointers, and the file is open.
    match unsafe { syscall!(flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB)) } {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether another process has locked `file`.
///
/// # Errors
/// The kernel's error.
pub fn is_locked(file: &File) -> io::Result<bool> {
    // SAFETY: takes no pointers, and the file is open.
    match unsafe { syscall!(flock(file.as_raw_fd(), libc::LOCK_SH | libc::LOCK_NB)) } {
        // SAFETY: as above.
        Ok(_) => unsafe { syscall!(flock(file.as_raw_fd(), libc::LOCK_UN)) }.map(|_| false),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
#[cfg(not(miri))]
mod tests {
    use super::{BootId, is_locked, since_boot_ms, try_lock};

    #[test]
    fn the_start_of_the_machine_has_one_id_and_is_in_the_past() {
        let id = BootId::read();
        assert!(id.is_same(BootId::read()));
        assert!(!BootId::default().is_same(BootId::default()), "an unknown start is like no other");
        let before = since_boot_ms().unwrap();
        assert!(before > 0 && since_boot_ms().unwrap() >= before);
    }

    #[test]
    fn a_locked_file_is_locked_for_every_other_descriptor() {
        let path = std::env::temp_dir().join(format!("larder-lock-{}", std::process::id()));
        let open = || std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&path).unwrap();
        let (one, other) = (open(), open());
        assert!(try_lock(&one).unwrap());
        assert!(!try_lock(&other).unwrap() && is_locked(&other).unwrap());
        drop(one);
        assert!(!is_locked(&other).unwrap());
        assert!(try_lock(&other).unwrap());
        std::fs::remove_file(path).unwrap();
    }
}
