//! One of the compared servers, and the cost of a window of load on it.

use std::io;
use std::time::Duration;

use larder::sys::log::{Level, log_line};

use super::super::comparison::Cores;
use super::super::host::{CpuTime, Resident, pause};
use super::super::op::Op;
use super::super::outcome::Outcome;
use super::super::plan::{KeyPlan, Mix, Plan, Sharing, SizePlan, Target, Wire, invalid};
use super::super::server::{Control, Server, ServerCommand};
use super::super::session::Session;

/// A server is quiet when its background threads take less than one percent of a core.
const QUIET_LOOK: Duration = Duration::from_millis(200);
const QUIET_RUN_NS_MAX: u64 = 2_000_000;
const QUIET_LOOKS_MAX: u32 = 100;
/// The run time of a thread is exact while it sleeps, and only known up to the last tick while it runs.
const REST: Duration = Duration::from_millis(3);

/// A running server and the items that were stored in it.
pub(super) struct Candidate {
    /// Its name in the tables.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// The process.
    pub(super) server: Server,
    /// Whether it is the floor, which has one item. Loads name only that.
    is_floor: bool,
    filled: Vec<(KeyPlan, SizePlan)>,
}

/// One window of load on one server.
pub(super) struct LoadWindow {
    /// CPU time of all threads of the server.
    pub(super) cpu: CpuTime,
    /// The client's counts and latencies.
    pub(super) outcome: Outcome,
}

/// The answer to `version`. larder answers memcached's version, so its own is added.
fn version(control: &mut Control, command: &ServerCommand) -> io::Result<String> {
    let version = control.ask("version")?.trim_start_matches("VERSION ").to_string();
    if command.is_floor() {
        return Ok(version);
    }
    let own = control.stats()?.remove("larder_version");
    Ok(own.map_or_else(|| version.clone(), |own| format!("{version} (larder {own})")))
}

impl Candidate {
    /// Whether it answers requests of this protocol.
    pub(super) fn speaks(&self, wire: Wire) -> bool {
        wire == Wire::Text || !self.is_floor
    }

    /// Starts the server.
    ///
    /// # Errors
    /// It does not start.
    pub(super) fn start(place: &Cores, command: &ServerCommand, arguments: &[&str]) -> io::Result<Self> {
        let (server, _) = Server::start(place, command, &[], arguments)?;
        // For a profiler: perf record -p.
        log_line(Level::Info, format!("{} is process {}", command.name, server.pid()).as_bytes());
        let version = version(&mut server.control()?, command)?;
        Ok(Self { name: command.name.clone(), version, server, is_floor: command.is_floor(), filled: Vec::new() })
    }

    /// Opens connections for this load, and stores its items if they are not stored yet.
    ///
    /// # Errors
    /// An item was not stored, or a system call failed.
    pub(super) fn open(&mut self, plan: &Plan) -> io::Result<Session> {
        let mut plan = plan.clone();
        if self.is_floor {
            plan.keys.count = 1;
            // All connections share its one item.
            plan.keys.sharing = Sharing::Shared;
        }
        let wanted = (plan.keys.clone(), plan.values.clone());
        if !self.filled.contains(&wanted) {
            self.fill(&plan)?;
            if self.is_floor {
                self.filled.clear();
            }
            self.filled.push(wanted);
        }
        self.connect(&plan)
    }

    /// Connects. An error names the server, unless the plan is invalid.
    fn connect(&self, plan: &Plan) -> io::Result<Session> {
        let address = match plan.tls {
            None => self.server.address,
            Some(_) => {
                let missing = || invalid(format!("{}: the load uses TLS, and the server does not: -Z", self.name));
                self.server.tls_address.ok_or_else(missing)?
            }
        };
        Session::open(plan, &Target::Tcp(address)).map_err(|error| match error.kind() {
            io::ErrorKind::InvalidInput => error,
            kind => io::Error::new(kind, format!("{}: {error}", self.name)),
        })
    }

    fn fill(&self, plan: &Plan) -> io::Result<()> {
        let outcome = self.connect(&fill_plan(plan))?.fill()?;
        let said = outcome.notes.join("; ");
        if outcome.errors + outcome.faults + outcome.lost_connections > 0 || outcome.stored < plan.keys.count {
            let message = format!("{}: {} of {} items stored; {said}", self.name, outcome.stored, plan.keys.count);
            return Err(io::Error::other(message));
        }
        if !self.is_floor {
            self.server.control()?.wait_for_settled_index()?;
            self.wait_until_quiet()?;
        }
        Ok(())
    }

    /// Waits for background work. Sorting a million new items into queues takes seconds and would count in the first
    /// row.
    fn wait_until_quiet(&self) -> io::Result<()> {
        for _ in 0..QUIET_LOOKS_MAX {
            let before = self.resting_cpu_time()?;
            pause(QUIET_LOOK);
            if self.resting_cpu_time()?.since(before).run_ns < QUIET_RUN_NS_MAX {
                return Ok(());
            }
        }
        log_line(
            Level::Info,
            format!("{} does not come to rest: its background work is part of what follows", self.name).as_bytes(),
        );
        Ok(())
    }

    /// Puts on the load for this time. The server sleeps at the start and at the end.
    ///
    /// # Errors
    /// A reply was wrong, or a system call failed.
    pub(super) fn window(&self, session: &mut Session, duration: Duration) -> io::Result<LoadWindow> {
        let before = self.resting_cpu_time()?;
        let outcome = session.run(duration)?;
        let cpu = self.resting_cpu_time()?.since(before);
        if outcome.faults + outcome.errors + outcome.lost_connections > 0 {
            return Err(io::Error::other(format!("{}: wrong replies: {}", self.name, outcome.notes.join("; "))));
        }
        if outcome.requests == 0 {
            return Err(io::Error::other(format!("{} answered nothing in {duration:?}", self.name)));
        }
        Ok(LoadWindow { cpu, outcome })
    }

    /// Number of evicted items; `None` for the floor, which evicts nothing.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn evictions(&self) -> io::Result<Option<u64>> {
        if self.is_floor { Ok(None) } else { self.server.control()?.stat("evictions").map(Some) }
    }

    /// Its present memory.
    ///
    /// # Errors
    /// It has ended.
    pub(super) fn resident(&self) -> io::Result<Resident> {
        Resident::of(self.server.pid())
    }

    fn resting_cpu_time(&self) -> io::Result<CpuTime> {
        pause(REST);
        CpuTime::of(self.server.pid())
    }
}

impl LoadWindow {
    /// CPU µs of the server for one key.
    pub(super) fn cpu_us(&self) -> f64 {
        self.cpu.run_ns as f64 / 1e3 / self.outcome.keys as f64
    }

    /// Keys a second.
    pub(super) fn per_second(&self) -> f64 {
        self.outcome.keys as f64 / self.outcome.elapsed.as_secs_f64()
    }

    /// Share of the time in which the server was idle, on one core.
    pub(super) fn server_idle(&self) -> f64 {
        1.0 - (self.cpu.run_ns + self.cpu.waited_ns) as f64 / 1e9 / self.outcome.elapsed.as_secs_f64()
    }

    /// The latency that this percentage of the requests did not exceed, in microseconds.
    pub(super) fn latency_us(&self, percent: f64) -> f64 {
        self.outcome.latency_ns(percent) as f64 / 1e3
    }
}

/// A plan that stores the same items as fast as possible.
fn fill_plan(plan: &Plan) -> Plan {
    let stores = if plan.mix.0.iter().any(|(op, _)| op.counts()) { plan.mix.clone() } else { Mix::only(Op::Set) };
    Plan { mix: stores, ..plan.clone() }
}
