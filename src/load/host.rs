//! Figures of the machine and of a server from /proc: processors, run time, memory.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

/// Waits for a process that reports no readiness.
#[expect(clippy::disallowed_methods, reason = "another process does not report the end of its background work")]
pub fn pause(duration: Duration) {
    thread::sleep(duration);
}

/// Number and model of the processors. Read from /proc, because this program may be pinned to one of them.
pub fn cores_and_model() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> = cpuinfo.lines().filter_map(|line| line.strip_prefix("model name")).collect();
    let model = models.first().map_or("an unknown CPU", |rest| rest.trim_start_matches([' ', '\t', ':']));
    format!("{} × {model}", models.len().max(1))
}

/// `6.18.0`.
pub fn kernel_release() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_string()
}

/// CPU time of a process up to now.
#[derive(Clone, Copy, Default)]
pub struct CpuTime {
    /// Run time of all its threads. It is exact while they sleep.
    pub run_ns: u64,
    /// Time in which its threads were ready to run, and other threads ran.
    pub waited_ns: u64,
    /// Clock ticks in the program. The share of ticks is good over seconds; their sum is not exact.
    pub user_ticks: u64,
    /// Clock ticks in the kernel.
    pub system_ticks: u64,
}

impl CpuTime {
    /// The CPU time of process `pid`.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let (mut run_ns, mut waited_ns) = (0, 0);
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            let (run, waited) = match schedstat(task?.path().join("schedstat")) {
                // The thread ended between the two reads, and its time is lost.
                Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => continue,
                times => times?,
            };
            run_ns += run;
            waited_ns += waited;
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold blanks; utime and stime are fields 14 and 15, the name is field 2.
        let after_name = stat.rsplit(')').next().unwrap_or_default();
        let mut ticks = after_name.split_whitespace().skip(11).map(|field| field.parse().unwrap_or(0));
        Ok(Self { run_ns, waited_ns, user_ticks: ticks.next().unwrap_or(0), system_ticks: ticks.next().unwrap_or(0) })
    }

    /// The CPU time since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            run_ns: self.run_ns.saturating_sub(earlier.run_ns),
            waited_ns: self.waited_ns.saturating_sub(earlier.waited_ns),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            system_ticks: self.system_ticks.saturating_sub(earlier.system_ticks),
        }
    }
}

/// Nanoseconds that a thread ran, and that it waited for a core.
fn schedstat(path: PathBuf) -> io::Result<(u64, u64)> {
    let text = fs::read_to_string(&path)?;
    let mut fields = text.split_whitespace().map(str::parse);
    match (fields.next(), fields.next()) {
        (Some(Ok(run_ns)), Some(Ok(waited_ns))) => Ok((run_ns, waited_ns)),
        _ => Err(io::Error::other(format!("{}: no run time in {text:?}", path.display()))),
    }
}

/// Resident memory, all of it and the part that no file backs.
#[derive(Clone, Copy)]
pub struct Resident {
    /// VmRSS.
    pub all_kib: u64,
    /// RssAnon and RssShmem.
    pub anonymous_kib: u64,
}

impl Resident {
    /// The memory of process `pid`.
    ///
    /// # Errors
    /// There is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let value = line.and_then(|rest| rest.split_whitespace().next()).and_then(|field| field.parse().ok());
            value.ok_or_else(|| io::Error::other(format!("process {pid} has no {name}")))
        };
        Ok(Self { all_kib: field("VmRSS:")?, anonymous_kib: field("RssAnon:")? + field("RssShmem:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::{CpuTime, Resident};

    #[test]
    fn a_process_that_computes_uses_its_core() {
        let own = std::process::id();
        let before = CpuTime::of(own).unwrap();
        let mut used = CpuTime::default();
        let mut sum = 0u64;
        while used.run_ns < 1_000_000 {
            sum = std::hint::black_box(sum + 1);
            used = CpuTime::of(own).unwrap().since(before);
        }
        assert!(Resident::of(own).unwrap().all_kib >= Resident::of(own).unwrap().anonymous_kib);
        assert!(CpuTime::of(u32::MAX).is_err());
    }
}
