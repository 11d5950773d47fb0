//! System-call filters (seccomp) for -o drop_privileges: a thread may make only the calls of its lists.
//!
//! ```text
//! main thread ─▶ Starting ──inherited──▶ log thread, background jobs, verifier
//!                   ├───────inherited──▶ a worker ─▶ Worker       when it starts
//!                   └─▶ Dispatcher                                when it begins to accept
//! ```
//!
//! Filters add up: a call must be on each list of the thread. A call that is missing from one ends the process with a
//! line on standard error.

use std::collections::BTreeMap;
use std::io;

use libc::{c_int, c_long, c_void};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter,
};

use super::syscall::syscall;

/// What a thread does, and so which calls it may make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It starts the threads and releases the terminal.
    Starting,
    /// It serves clients.
    Worker,
    /// It accepts clients and reads signals.
    Dispatcher,
}

impl Role {
    fn calls(self) -> [&'static [c_long]; 5] {
        match self {
            Self::Starting => [COMMON, THREADS, CLIENTS, ACCEPTING, STARTING],
            Self::Worker => [COMMON, THREADS, CLIENTS, &[], &[]],
            Self::Dispatcher => [COMMON, THREADS, CLIENTS, ACCEPTING, &[]],
        }
    }
}

/// Memory, clocks, locks, descriptors, and the end of a thread.
const COMMON: &[c_long] = &[
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_statx,
    // Debug builds ask whether a descriptor is open before they close it.
    libc::SYS_fcntl,
    libc::SYS_lseek,
    // The memory file: its superblock, the memory of its pages, and its end.
    libc::SYS_pwrite64,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fdatasync,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Polling and clients, and what their commands ask of the process.
const CLIENTS: &[c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_ctl,
    libc::SYS_recvfrom,
    libc::SYS_readv,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendmmsg,
    libc::SYS_getsockname,
    libc::SYS_getpeername,
    libc::SYS_getrusage,
];

/// New clients, files that SIGHUP makes the server read, and files that it removes at its end.
const ACCEPTING: &[c_long] = &[
    libc::SYS_accept4,
    libc::SYS_setsockopt,
    libc::SYS_getsockopt,
    libc::SYS_newfstatat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_unlink,
    libc::SYS_unlinkat,
];

/// Starting a thread with a poll and a priority. A worker does so when a client wants a thread that is not there yet.
const THREADS: &[c_long] = &[
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_epoll_create1,
    libc::SYS_eventfd2,
    libc::SYS_getpriority,
    libc::SYS_setpriority,
];

/// Locking memory, filters, the parameters of polls, and leaving the terminal.
const STARTING: &[c_long] = &[
    libc::SYS_rt_sigaction,
    libc::SYS_seccomp,
    libc::SYS_ioctl,
    libc::SYS_prlimit64,
    libc::SYS_mlockall,
    libc::SYS_chdir,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_dup2,
    libc::SYS_dup3,
];

/// The exit code after a forbidden call: EX_OSERR.
const EXIT_CODE: c_int = 71;

/// Limits the calling thread, and threads that it starts from now on, to the calls of `role`.
///
/// # Errors
/// The kernel's error: it was built without seccomp.
pub fn restrict(role: Role) -> io::Result<()> {
    report_forbidden_calls()?;
    let program = program(role).map_err(io::Error::other)?;
    apply_filter(&program).map_err(|error| match error {
        seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => error,
        other => io::Error::other(other),
    })
}

fn program(role: Role) -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<c_long, Vec<SeccompRule>> = BTreeMap::new();
    for call in role.calls().into_iter().flatten() {
        rules.insert(*call, Vec::new());
    }
    let this_process = u64::from(std::process::id());
    // No memory with code.
    let no_code = flags_are(2, libc::PROT_EXEC, 0)?;
    rules.insert(libc::SYS_mmap, vec![no_code.clone()]);
    rules.insert(libc::SYS_mprotect, vec![no_code]);
    // `shutdown` and an abort send signals to this process.
    rules.insert(libc::SYS_kill, vec![argument_is(0, this_process)?]);
    rules.insert(libc::SYS_tgkill, vec![argument_is(0, this_process)?]);
    // Existing files, to be read: the user file, and files in /proc that the C library's allocator reads. Leaving the
    // terminal opens /dev/null for writing, too.
    let (new, written) = (libc::O_CREAT | libc::O_TRUNC, libc::O_WRONLY | libc::O_RDWR);
    let forbidden = if role == Role::Starting { new } else { new | written };
    rules.insert(libc::SYS_openat, vec![flags_are(2, forbidden, 0)?]);
    // Allow threads to set their names and to install filters.
    let options = [libc::PR_SET_NAME, libc::PR_SET_NO_NEW_PRIVS].map(|option| argument_is(0, bits(option)));
    rules.insert(libc::SYS_prctl, options.into_iter().collect::<Result<_, _>>()?);
    let arch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::Trap, SeccompAction::Allow, arch)?.try_into()
}

/// A rule: the argument with this index is `value`.
fn argument_is(index: u8, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    SeccompRule::new(vec![SeccompCondition::new(index, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)?])
}

/// A rule: the bits of `mask` in the argument with this index are `value`.
fn flags_are(index: u8, mask: c_int, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let op = SeccompCmpOp::MaskedEq(bits(mask));
    SeccompRule::new(vec![SeccompCondition::new(index, SeccompCmpArgLen::Dword, op, value)?])
}

fn bits(flags: c_int) -> u64 {
    u64::from(flags.cast_unsigned())
}

/// Makes a forbidden call end the process with a line on standard error.
fn report_forbidden_calls() -> io::Result<()> {
    // SAFETY: all-zero bytes are a valid sigaction: the default action, an empty mask.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_forbidden_call;
    action.sa_sigaction = handler as usize;
    action.sa_flags = libc::SA_SIGINFO;
    // SAFETY: the action is whole and live. Its handler only makes calls that are safe in a signal handler.
    unsafe { syscall!(sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut())) }.map(drop)
}

/// The start of `siginfo_t` as the kernel fills it for SIGSYS (sigaction(2)).
#[repr(C)]
struct ForbiddenCall {
    signal: c_int,
    error: c_int,
    code: c_int,
    address: *mut c_void,
    call: c_int,
}

const _: () = assert!(size_of::<ForbiddenCall>() <= size_of::<libc::siginfo_t>());

extern "C" fn on_forbidden_call(_signal: c_int, info: *mut libc::siginfo_t, _context: *mut c_void) {
    // SAFETY: the kernel passes a whole `siginfo_t`, filled for SIGSYS, which lives until the handler returns.
    let call = unsafe { (*info.cast::<ForbiddenCall>()).call };
    let mut digits = [0; 10];
    let line = [b"larder: -o drop_privileges: system call ", decimal(call, &mut digits), b" is not allowed\n"];
    for piece in line {
        // SAFETY: the pointer and the length describe a live slice. Ignored: nothing is left to report a failure to.
        let _ = unsafe { libc::write(libc::STDERR_FILENO, piece.as_ptr().cast(), piece.len()) };
    }
    // SAFETY: takes no pointers, and runs no code of this process.
    unsafe { libc::_exit(EXIT_CODE) }
}

/// `number` in decimal, without an allocation.
fn decimal(number: c_int, digits: &mut [u8; 10]) -> &[u8] {
    let (mut rest, mut start) = (number.unsigned_abs(), digits.len());
    loop {
        start -= 1;
        digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            return &digits[start..];
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use super::{EXIT_CODE, Role, decimal, report_forbidden_calls};
    use seccompiler::apply_filter;

    /// The exit code of a child whose call was not forbidden.
    const ALLOWED: i32 = 3;

    /// What a child writes and its exit code, if it makes `call` under the filter of `role` before it becomes `true`.
    fn child(role: Role, call: fn()) -> (Option<i32>, String) {
        let program = super::program(role).unwrap();
        let mut command = Command::new("true");
        let confined = move || {
            report_forbidden_calls()?;
            apply_filter(&program).map_err(io::Error::other)?;
            call();
            // SAFETY: takes no pointers, and runs no code of this process.
            unsafe { libc::_exit(ALLOWED) }
        };
        // SAFETY: between fork and exec the closure makes system calls only. The program was allocated before.
        unsafe { command.pre_exec(confined) };
        let ended = command.output().unwrap();
        (ended.status.code(), String::from_utf8(ended.stderr).unwrap())
    }

    #[test]
    fn a_forbidden_call_ends_the_process_with_one_line() {
        let execute: fn() = || {
            // SAFETY: the filter forbids the call, so that the kernel reads no pointer.
            unsafe { libc::syscall(libc::SYS_execve, 0, 0, 0) };
        };
        let said = format!("larder: -o drop_privileges: system call {} is not allowed\n", libc::SYS_execve);
        for role in [Role::Starting, Role::Worker, Role::Dispatcher] {
            assert_eq!(child(role, execute), (Some(EXIT_CODE), said.clone()), "{role:?}");
        }
    }

    #[test]
    fn each_role_may_make_its_calls_alone() {
        let accept: fn() = || {
            // SAFETY: takes no pointers; descriptor -1 is never open.
            unsafe { libc::accept4(-1, std::ptr::null_mut(), std::ptr::null_mut(), 0) };
        };
        assert_eq!(child(Role::Dispatcher, accept).0, Some(ALLOWED));
        assert_eq!(child(Role::Worker, accept).0, Some(EXIT_CODE));
        let signal_to_init: fn() = || {
            // SAFETY: takes no pointers; signal 0 does nothing.
            unsafe { libc::kill(1, 0) };
        };
        assert_eq!(child(Role::Dispatcher, signal_to_init).0, Some(EXIT_CODE));
        let code: fn() = || {
            let (read_and_execute, private) = (libc::PROT_READ | libc::PROT_EXEC, libc::MAP_PRIVATE | libc::MAP_ANON);
            // SAFETY: a new mapping, which no other code uses.
            unsafe { libc::mmap(std::ptr::null_mut(), 4096, read_and_execute, private, -1, 0) };
        };
        assert_eq!(child(Role::Starting, code).0, Some(EXIT_CODE));
    }

    #[test]
    fn numbers_are_written_in_decimal() {
        for number in [0, 7, 10, 59, 435, i32::MAX] {
            assert_eq!(decimal(number, &mut [0; 10]), number.to_string().as_bytes());
        }
    }
}
