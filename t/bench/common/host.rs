//! What this program asks the kernel for: cores, limits, and what /proc says about a server.

use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::Duration;

/// Moves the calling thread, and the processes it starts from now on, to one core.
pub(crate) fn pin_to_core(core: usize) -> io::Result<()> {
    // SAFETY: `cpu_set_t` is a plain array of bits; all zeroes is the empty set.
    let mut cores: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `cores` is a valid set; the macro checks that the number lies inside it.
    unsafe { libc::CPU_SET(core, &mut cores) };
    // SAFETY: the pointer and the size describe `cores`, which outlives the call; 0 is the calling thread.
    let status = unsafe { libc::sched_setaffinity(0, size_of_val(&cores), &cores) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Puts the calling thread, and the processes it starts from now on, before everything that runs at normal priority.
pub(crate) fn run_at_realtime_priority() -> io::Result<()> {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: `lowest` is a valid parameter block that outlives the call; 0 is the calling thread.
    let status = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &lowest) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// As many descriptors as the kernel allows: servers inherit the limit, and the client needs one for each connection.
pub(crate) fn raise_descriptor_limit() -> io::Result<()> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is a valid rlimit that outlives the call.
    let status = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    if status != 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above; the call only reads it.
    let status = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &limit) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

pub(crate) fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// Has a process end when this thread does: a program that is interrupted leaves no server behind.
pub(crate) fn end_with_this_thread(command: &mut Command) {
    let ask = || {
        // SAFETY: takes numbers alone, and is safe between fork and exec, as any bare system call is.
        let status = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
        if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // SAFETY: `ask` does one system call, allocates nothing and takes no lock.
    unsafe { command.pre_exec(ask) };
}

/// Asks a process to end in order.
pub(crate) fn terminate(pid: u32) {
    if let Ok(pid) = i32::try_from(pid) {
        // SAFETY: a signal number and the id of a child that is not reaped yet; nothing is shared.
        // The status is ignored: whoever calls waits for the child and kills it when it stays.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}

pub(crate) fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Read from the list of processors, because this program itself may be pinned to one of them.
pub(crate) fn cores_and_model() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpuinfo.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("an unknown CPU", |rest| rest.trim_start_matches([' ', '\t', ':']));
    format!("{} × {model}", models.len().max(1))
}

pub(crate) fn kernel_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_string()
}

/// What a process has used of its core up to now.
#[derive(Clone, Copy, Default)]
pub(crate) struct CpuTime {
    /// Run time of all its threads, exact whenever they sleep.
    pub(crate) run_ns: u64,
    /// The kernel's split of it in clock ticks: good for a share over seconds, not for a sum.
    pub(crate) user_ticks: u64,
    pub(crate) system_ticks: u64,
}

impl CpuTime {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let mut run_ns = 0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            run_ns += schedstat_run_ns(task?.path().join("schedstat"))?;
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold blanks; utime and stime are fields 14 and 15, the name is field 2.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut ticks = after_name.split_whitespace().skip(11).map(|field| field.parse().unwrap_or(0));
        Ok(Self { run_ns, user_ticks: ticks.next().unwrap_or(0), system_ticks: ticks.next().unwrap_or(0) })
    }

    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            run_ns: self.run_ns - earlier.run_ns,
            user_ticks: self.user_ticks - earlier.user_ticks,
            system_ticks: self.system_ticks - earlier.system_ticks,
        }
    }
}

fn schedstat_run_ns(path: PathBuf) -> io::Result<u64> {
    let text = fs::read_to_string(&path)?;
    let first = text.split_whitespace().next().and_then(|field| field.parse().ok());
    first.ok_or_else(|| io::Error::other(format!("{}: no run time in {text:?}", path.display())))
}

/// Resident memory, all of it and the part that no file backs.
#[derive(Clone, Copy)]
pub(crate) struct Resident {
    pub(crate) all_kib: u64,
    pub(crate) anonymous_kib: u64,
}

impl Resident {
    pub(crate) fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|rest| rest.split_whitespace().next()).and_then(|field| field.parse().ok());
            value.ok_or_else(|| io::Error::other(format!("process {pid} has no {name}")))
        };
        Ok(Self { all_kib: field("VmRSS:")?, anonymous_kib: field("RssAnon:")? })
    }
}
