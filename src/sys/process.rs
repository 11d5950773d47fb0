//! What a process may change about itself: user, limits, memory in RAM, its place in the background.
//!
//! Everything here runs on the one thread there is before workers are started.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::syscall::syscall;

/// A user's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserIds {
    /// User.
    pub uid: u32,
    /// The user's first group.
    pub gid: u32,
}

/// Whether the process has root's powers.
pub fn is_root() -> bool {
    current_ids().uid == 0
}

fn current_ids() -> UserIds {
    // SAFETY: takes no pointers and cannot fail.
    let uid = unsafe { libc::geteuid() };
    // SAFETY: takes no pointers and cannot fail.
    let gid = unsafe { libc::getegid() };
    UserIds { uid, gid }
}

/// Looks a user up by name. None: there is no such user.
///
/// # Errors
/// The user database could not be read.
pub fn user_ids(name: &str) -> io::Result<Option<UserIds>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    let mut text = vec![0; PASSWD_BYTES];
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut found = std::ptr::null_mut();
    // SAFETY: the name ends with a zero byte, and all three places live and are as long as the call is told.
    let error =
        unsafe { libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), text.as_mut_ptr(), text.len(), &raw mut found) };
    match error {
        0 | libc::ENOENT | libc::ESRCH if found.is_null() => Ok(None),
        0 => {
            // SAFETY: the call succeeded and set `found`, which it does only after filling the entry.
            let entry = unsafe { entry.assume_init() };
            Ok(Some(UserIds { uid: entry.pw_uid, gid: entry.pw_gid }))
        }
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// A line of the user database is shorter than this.
const PASSWD_BYTES: usize = 16 << 10;

/// Becomes another user for good. Nothing happens when the process is that user already.
///
/// # Errors
/// The kernel's word: the process may not.
pub fn become_user(ids: UserIds) -> io::Result<()> {
    if current_ids() == ids {
        return Ok(());
    }
    // SAFETY: a list of no groups needs no memory behind its pointer.
    unsafe { syscall!(setgroups(0, std::ptr::null())) }?;
    // SAFETY: takes no pointers.
    unsafe { syscall!(setgid(ids.gid)) }?;
    // SAFETY: takes no pointers.
    unsafe { syscall!(setuid(ids.uid)) }?;
    Ok(())
}

/// Allows `wanted` open files, or as many as the hard limit does if those are at least `least`: raises the soft limit,
/// and the hard one where the kernel lets us. Never lowers it. Says how many are allowed now.
///
/// # Errors
/// The kernel's word; the limit is then as it was.
pub fn raise_open_files(wanted: u64, least: u64) -> io::Result<u64> {
    let Err(refused) = raise(libc::RLIMIT_NOFILE, wanted) else { return Ok(wanted) };
    let hard = limit(libc::RLIMIT_NOFILE)?.rlim_max;
    if hard < least {
        return Err(refused);
    }
    raise(libc::RLIMIT_NOFILE, hard)?;
    Ok(hard)
}

/// Allows core files of any size, or of the hard limit's.
///
/// # Errors
/// The kernel's word, or that the hard limit forbids core files.
pub fn allow_core_files() -> io::Result<()> {
    if raise(libc::RLIMIT_CORE, libc::RLIM_INFINITY).is_ok() {
        return Ok(());
    }
    let hard = limit(libc::RLIMIT_CORE)?.rlim_max;
    if hard == 0 {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the hard limit is 0"));
    }
    raise(libc::RLIMIT_CORE, hard)
}

/// Allows any amount of memory to be locked, for an unprivileged [`lock_memory`] later.
///
/// # Errors
/// The kernel's word.
pub fn allow_locked_memory() -> io::Result<()> {
    raise(libc::RLIMIT_MEMLOCK, libc::RLIM_INFINITY)
}

/// How many more bytes the process may map: what its limits on address space (`ulimit -v`) and on data (`ulimit -d`)
/// leave. None: there is no limit.
pub fn mappable_bytes() -> Option<u64> {
    let finite = |resource| limit(resource).ok().map(|now| now.rlim_cur).filter(|most| *most != libc::RLIM_INFINITY);
    let (of_space, of_data) = (finite(libc::RLIMIT_AS), finite(libc::RLIMIT_DATA));
    if of_space.is_none() && of_data.is_none() {
        return None;
    }
    // In kernel pages: the whole, resident, shared, text, lib, data and stack (proc_pid_statm(5)).
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let used = |field| statm.split(' ').nth(field).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0);
    let left = |most: Option<u64>, field| most.map(|most| most.saturating_sub(used(field) * page_bytes()));
    [left(of_space, 0), left(of_data, 5)].into_iter().flatten().min()
}

fn page_bytes() -> u64 {
    const USUAL: u64 = 4096;
    // SAFETY: takes no pointers.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(USUAL)
}

/// Has all threads share one heap. By itself the allocator reserves 64 MiB of address space for each thread's own.
/// To be called before there are threads.
pub fn share_one_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointers, and there is one thread.
    let _is_understood = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

type Resource = libc::__rlimit_resource_t;

fn limit(resource: Resource) -> io::Result<libc::rlimit> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a whole `rlimit` that lives.
    unsafe { syscall!(getrlimit(resource, &raw mut now)) }?;
    Ok(now)
}

fn raise(resource: Resource, wanted: u64) -> io::Result<()> {
    let now = limit(resource)?;
    if now.rlim_cur >= wanted {
        return Ok(());
    }
    let new = libc::rlimit { rlim_cur: wanted, rlim_max: now.rlim_max.max(wanted) };
    // SAFETY: the pointer is to a whole `rlimit` that lives.
    unsafe { syscall!(setrlimit(resource, &raw const new)) }?;
    Ok(())
}

/// Keeps every page of what is mapped in RAM from the moment it is first touched; where the limit on locked memory
/// is infinite, also of what will be mapped.
///
/// # Errors
/// The kernel's word: usually the limit on locked memory.
pub fn lock_memory() -> io::Result<()> {
    // On fault: the item arena is reserved whole, and most of it may never be touched. Under a limit, locking what is
    // mapped later would make allocations fail that have nothing to do with items.
    let is_unlimited = limit(libc::RLIMIT_MEMLOCK)?.rlim_cur == libc::RLIM_INFINITY;
    let future = if is_unlimited { libc::MCL_FUTURE } else { 0 };
    // SAFETY: takes no pointers.
    unsafe { syscall!(mlockall(libc::MCL_CURRENT | future | libc::MCL_ONFAULT)) }?;
    Ok(())
}

/// Gives back to the kernel what the allocator keeps of freed memory, as far as it lies in whole pages. It takes some
/// milliseconds: for when much has been freed.
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointers, and may be called from any thread at any time.
    let _is_any_given_back = unsafe { libc::malloc_trim(0) };
}

/// Processor time used so far: by the program, and by the kernel for it.
pub fn cpu_times() -> (Duration, Duration) {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole `rusage` that lives.
    let filled = unsafe { syscall!(getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr())) };
    debug_assert!(filled.is_ok(), "getrusage fails only for unknown subjects");
    // SAFETY: all zeroes is a valid `rusage`, whatever the call did.
    let usage = unsafe { usage.assume_init() };
    let duration = |time: libc::timeval| {
        let micros = u64::try_from(time.tv_usec).unwrap_or(0);
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
    };
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

/// In a child that starts in the background: the terminal, which its parent still holds.
#[derive(Debug)]
pub struct Foreground {
    parent: UnixStream,
}

/// What becomes of standard input, output and error in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// They stay as they are.
    Keep,
    /// They lead to /dev/null.
    Discard,
}

/// Forks and leaves the session. Only the child returns. The parent waits for the child's [`Foreground::release`]
/// and exits with 0, or, when the child ends before, with the child's code: whoever started us learns whether
/// we serve.
///
/// To be called before there are threads.
///
/// # Errors
/// The kernel's word.
pub fn fork_to_background() -> io::Result<Foreground> {
    let (mut parent_end, child_end) = UnixStream::pair()?;
    // SAFETY: takes no pointers. There is one thread, so the child finds no lock held by a thread it lacks.
    let child = unsafe { syscall!(fork()) }?;
    if child > 0 {
        drop(child_end);
        let code = match parent_end.read_exact(&mut [0]) {
            Ok(()) => 0,
            Err(_) => exit_code(child),
        };
        std::process::exit(code);
    }
    drop(parent_end);
    // SAFETY: takes no pointers.
    unsafe { syscall!(setsid()) }?;
    Ok(Foreground { parent: child_end })
}

/// The exit code of a child that is about to end; 1 if it was killed.
fn exit_code(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: the pointer is to an `int` that lives.
    let waited = unsafe { syscall!(waitpid(child, &raw mut status, 0)) };
    if waited.is_ok() && libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 }
}

impl Foreground {
    /// Lets go of the terminal and tells the parent that all is well.
    ///
    /// # Errors
    /// The kernel's word.
    pub fn release(mut self, output: Output) -> io::Result<()> {
        if output == Output::Discard {
            let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
            for standard in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
                // SAFETY: takes no pointers. Nobody owns the standard descriptors, so nobody's file is closed.
                unsafe { syscall!(dup2(null.as_raw_fd(), standard)) }?;
            }
        }
        // Ignored: a parent that was killed need not be told.
        let _ = self.parent.write_all(b".");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{UserIds, become_user, cpu_times, current_ids, raise_open_files, user_ids};

    #[test]
    fn root_is_found_by_name_and_nobody_else_is_invented() {
        assert_eq!(user_ids("root").unwrap(), Some(UserIds { uid: 0, gid: 0 }));
        assert_eq!(user_ids("no such user").unwrap(), None);
        assert_eq!(user_ids("zero\0byte").unwrap(), None);
    }

    #[test]
    fn becoming_oneself_changes_nothing() {
        let before = current_ids();
        become_user(before).unwrap();
        assert_eq!(current_ids(), before);
    }

    #[test]
    fn a_limit_is_never_lowered() {
        let before = super::limit(libc::RLIMIT_NOFILE).unwrap().rlim_cur;
        assert_eq!(raise_open_files(1, 1).unwrap(), 1);
        assert_eq!(super::limit(libc::RLIMIT_NOFILE).unwrap().rlim_cur, before);
    }

    #[test]
    fn time_that_was_used_does_not_shrink() {
        let (user, system) = cpu_times();
        let (user_later, system_later) = cpu_times();
        assert!(user_later >= user);
        assert!(system_later >= system);
    }
}
