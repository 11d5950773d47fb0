//! Where threads run and when: cores, priority, and the ends of processes that this one started.
//!
//! For the programs that measure. The daemon leaves this to the operator.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Moves the calling thread, and the threads and processes it starts from now on, to these cores.
///
/// # Errors
/// The kernel's error: there is no such core, or this process may not use it.
pub fn pin_to_cores(cores: &[usize]) -> io::Result<()> {
    // SAFETY: `cpu_set_t` is a plain array of bits; all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    for &core in cores {
        if core >= 8 * size_of::<libc::cpu_set_t>() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        // SAFETY: the number lies inside the set.
        unsafe { libc::CPU_SET(core, &mut set) };
    }
    // SAFETY: the pointer and the size describe `set`, which outlives the call; 0 is the calling thread.
    checked(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
}

/// Which thread runs first if there are more threads than cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// As other processes.
    Normal,
    /// Before all threads at normal priority. The process needs the right to it.
    Realtime,
}

/// Sets the priority of the calling thread, and of the threads and processes it starts from now on.
///
/// # Errors
/// The kernel's error: the process has no right to it.
pub fn set_priority(priority: Priority) -> io::Result<()> {
    let (policy, number) = match priority {
        Priority::Normal => (libc::SCHED_OTHER, 0),
        Priority::Realtime => (libc::SCHED_FIFO, 1),
    };
    let parameters = libc::sched_param { sched_priority: number };
    // SAFETY: the pointer is to a whole parameter block that lives; 0 is the calling thread.
    checked(unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) })
}

/// Ends a process when the calling thread ends: an interrupted program leaves no server behind.
pub fn end_with_this_thread(command: &mut Command) {
    let ask = || {
        // SAFETY: takes numbers alone, and is safe between fork and exec, as any bare system call is.
        checked(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) })
    };
    // SAFETY: `ask` does one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(ask) };
}

/// Asks a child that is not reaped yet to end in order.
///
/// # Errors
/// The kernel's error. A number that no process can have is invalid input.
pub fn terminate(pid: u32) -> io::Result<()> {
    let pid = libc::pid_t::try_from(pid).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: takes no pointers; nothing is shared with the child.
    checked(unsafe { libc::kill(pid, libc::SIGTERM) })
}

/// The result of a C function that returns -1 on failure. Call it before anything else can change errno.
fn checked(returned: libc::c_int) -> io::Result<()> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    use super::{Priority, end_with_this_thread, pin_to_cores, set_priority, terminate};

    #[test]
    fn a_core_that_cannot_be_is_refused() {
        assert_eq!(pin_to_cores(&[usize::MAX]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(pin_to_cores(&[]).is_err());
    }

    #[test]
    fn normal_priority_needs_no_privilege() {
        set_priority(Priority::Normal).unwrap();
    }

    #[test]
    fn a_child_ends_when_it_is_asked_to() {
        let mut command = Command::new("sleep");
        end_with_this_thread(command.arg("60"));
        let mut child = command.spawn().unwrap();
        terminate(child.id()).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        assert!(terminate(u32::MAX).is_err());
    }
}
