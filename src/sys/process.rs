//! Process attributes: user, limits, locked memory, running in the background.
//!
//! Attributes are changed while there is only one thread, before workers are started.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use super::syscall::syscall;

/// The ids of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserIds {
    /// The user id.
    pub uid: u32,
    /// The id of the user's primary group.
    pub gid: u32,
}

/// The id of the user whose rights the process has.
pub fn effective_user() -> u32 {
    current_ids().uid
}

/// Whether the process runs as root.
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

/// Looks up a user by name. `None` if there is no such user.
///
/// # Errors
/// The user database cannot be read.
pub fn user_ids(name: &str) -> io::Result<Option<UserIds>> {
    let Ok(name) = CString::new(name) else { return Ok(None) };
    let mut text = vec![0; PASSWD_BYTES];
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut found = std::ptr::null_mut();
    // SAFETY: the name ends with a zero byte; all three buffers are live, and the call gets their lengths.
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

/// An upper bound for a line of the user database, in bytes.
const PASSWD_BYTES: usize = 16 << 10;

/// Switches to another user for good. Does nothing if the process already runs as that user.
///
/// # Errors
/// The kernel's error, if the process lacks the privilege.
pub fn become_user(ids: UserIds) -> io::Result<()> {
    if current_ids() == ids {
        return Ok(());
    }
    // SAFETY: the list has no entries, so its pointer is not read.
    unsafe { syscall!(setgroups(0, std::ptr::null())) }?;
    // SAFETY: takes no pointers.
    unsafe { syscall!(setgid(ids.gid)) }?;
    // SAFETY: takes no pointers.
    unsafe { syscall!(setuid(ids.uid)) }?;
    Ok(())
}

/// Allows `wanted` open files, or what the hard limit allows if that is at least `least`. Raises the soft
/// limit, and the hard limit if the kernel permits it; never lowers either. Returns the new limit.
///
/// # Errors
/// The kernel's error; the limit is unchanged.
pub fn raise_open_files(wanted: u64, least: u64) -> io::Result<u64> {
    let Err(refused) = raise(libc::RLIMIT_NOFILE, wanted) else { return Ok(wanted) };
    let hard = limit(libc::RLIMIT_NOFILE)?.rlim_max;
    if hard < least {
        return Err(refused);
    }
    raise(libc::RLIMIT_NOFILE, hard)?;
    Ok(hard)
}

/// Memory of this process: its address space and what of it is resident, in bytes. `None`: the kernel does not tell.
pub fn memory_bytes() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let mut pages = text.split(' ').map_while(|word| word.parse::<u64>().ok());
    let page_bytes = page_bytes();
    Some((pages.next()? * page_bytes, pages.next()? * page_bytes))
}

/// Open descriptors of this process. `None`: the kernel is older than 6.2.
pub fn open_descriptors() -> Option<u64> {
    std::fs::metadata("/proc/self/fd").ok().map(|facts| facts.len()).filter(|count| *count > 0)
}

/// The limits on open files and on the address space in bytes. `None`: there is no limit.
pub fn process_limits() -> [Option<u64>; 2] {
    [libc::RLIMIT_NOFILE, libc::RLIMIT_AS]
        .map(|of| limit(of).ok().map(|limit| limit.rlim_cur).filter(|limit| *limit != libc::RLIM_INFINITY))
}

/// Lets the calling thread run after others that want the same core: adds `more` to its nice value.
///
/// # Errors
/// That of the kernel.
pub fn be_nice(more: i32) -> io::Result<()> {
    // SAFETY: numbers only. On Linux, 0 is the calling thread.
    let now = unsafe { libc::getpriority(libc::PRIO_PROCESS, 0) };
    // SAFETY: as above.
    unsafe { syscall!(setpriority(libc::PRIO_PROCESS, 0, now + more)) }.map(drop)
}

/// Allows core files of any size, or up to the hard limit.
///
/// # Errors
/// The kernel's error, or `PermissionDenied` if the hard limit forbids core files.
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

/// Allows any amount of memory to be locked, so that [`lock_memory`] works later without privileges.
///
/// # Errors
/// The kernel's error.
pub fn allow_locked_memory() -> io::Result<()> {
    raise(libc::RLIMIT_MEMLOCK, libc::RLIM_INFINITY)
}

/// The number of bytes that the process may still map under its limits on address space (`ulimit -v`) and data
/// (`ulimit -d`). `None` if there is no limit.
pub fn mappable_bytes() -> Option<u64> {
    let finite = |resource| limit(resource).ok().map(|now| now.rlim_cur).filter(|most| *most != libc::RLIM_INFINITY);
    let (of_space, of_data) = (finite(libc::RLIMIT_AS), finite(libc::RLIMIT_DATA));
    if of_space.is_none() && of_data.is_none() {
        return None;
    }
    // In kernel pages: total size, resident, shared, text, lib, data and stack (proc_pid_statm(5)).
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

/// Makes all threads share one heap. By default the allocator reserves 64 MiB of address space for each thread's
/// heap. Must be called before there are other threads.
pub fn share_one_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointers, and there is one thread.
    let _is_understood = unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) };
}

type Resource = libc::__rlimit_resource_t;

fn limit(resource: Resource) -> io::Result<libc::rlimit> {
    let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a whole `rlimit` that is live.
    unsafe { syscall!(getrlimit(resource, &raw mut now)) }?;
    Ok(now)
}

fn raise(resource: Resource, wanted: u64) -> io::Result<()> {
    let now = limit(resource)?;
    if now.rlim_cur >= wanted {
        return Ok(());
    }
    let new = libc::rlimit { rlim_cur: wanted, rlim_max: now.rlim_max.max(wanted) };
    // SAFETY: the pointer is to a whole `rlimit` that is live.
    unsafe { syscall!(setrlimit(resource, &raw const new)) }?;
    Ok(())
}

/// Locks every mapped page in RAM when it is first touched. If the limit on locked memory is infinite, this includes
/// later mappings.
///
/// # Errors
/// The kernel's error: usually the limit on locked memory is too low.
pub fn lock_memory() -> io::Result<()> {
    // On fault: the whole item arena is reserved, and most of it may never be touched. Under a limit, locking later
    // mappings would make allocations fail that have nothing to do with items.
    let is_unlimited = limit(libc::RLIMIT_MEMLOCK)?.rlim_cur == libc::RLIM_INFINITY;
    let future = if is_unlimited { libc::MCL_FUTURE } else { 0 };
    // SAFETY: takes no pointers.
    unsafe { syscall!(mlockall(libc::MCL_CURRENT | future | libc::MCL_ONFAULT)) }?;
    Ok(())
}

/// Returns to the kernel the freed memory that the allocator keeps, as far as it forms whole pages. Takes some
/// milliseconds: call it after much memory was freed.
pub fn trim_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: takes no pointers, and may be called from any thread at any time.
    let _is_any_given_back = unsafe { libc::malloc_trim(0) };
}

/// Processor time used so far: in user mode and in the kernel.
pub fn cpu_times() -> (Duration, Duration) {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole `rusage` that is live.
    let filled = unsafe { syscall!(getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr())) };
    debug_assert!(filled.is_ok(), "getrusage fails only for unknown subjects");
    // SAFETY: all zeros are a valid `rusage`, whatever the call did.
    let usage = unsafe { usage.assume_init() };
    let duration = |time: libc::timeval| {
        let micros = u64::try_from(time.tv_usec).unwrap_or(0);
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
    };
    (duration(usage.ru_utime), duration(usage.ru_stime))
}

/// In a child that starts in the background: the connection to its parent, which still holds the terminal.
#[derive(Debug)]
pub struct Foreground {
    parent: UnixStream,
}

/// What happens to standard input, output and error in the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// They stay unchanged.
    Keep,
    /// They are redirected to /dev/null.
    Discard,
}

/// Forks and leaves the session. Only the child returns. The parent waits for the child's [`Foreground::release`] and
/// exits with 0. If the child ends before, the parent exits with the child's code. So the caller of the program
/// learns whether the server serves.
///
/// Must be called before there are other threads.
///
/// # Errors
/// The kernel's error.
pub fn fork_to_background() -> io::Result<Foreground> {
    let (mut parent_end, child_end) = UnixStream::pair()?;
    // SAFETY: takes no pointers. There is only one thread, so no other thread holds a lock that the child would
    // inherit.
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

/// Waits for the end of a child. Returns its exit code; 1 if a signal killed it.
fn exit_code(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: the pointer is to an `int` that is live.
    let waited = unsafe { syscall!(waitpid(child, &raw mut status, 0)) };
    if waited.is_ok() && libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 1 }
}

impl Foreground {
    /// Releases the terminal and reports success to the parent.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn release(mut self, output: Output) -> io::Result<()> {
        if output == Output::Discard {
            let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
            for standard in [libc::STDIN_FILENO, libc::STDOUT_FILENO, libc::STDERR_FILENO] {
                // SAFETY: takes no pointers. No object owns the standard descriptors, so no owned file is closed.
                unsafe { syscall!(dup2(null.as_raw_fd(), standard)) }?;
            }
        }
        // Ignored: the parent may have been killed.
        let _ = self.parent.write_all(b".");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{UserIds, become_user, cpu_times, current_ids, raise_open_files, user_ids};

    #[test]
    fn root_is_found_by_name_and_an_unknown_user_is_not() {
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
