//! A load's connections, open from the first window to the last, and the threads that serve them.

use std::io;
use std::thread;
use std::time::Duration;

use larder::base::atomic::{AtomicBool, Ordering};
use larder::sys::process::raise_open_files;

use super::connection::Connection;
use super::connects::Connector;
use super::driver::{Driver, Task};
use super::live::Live;
use super::op::Shape;
use super::outcome::Outcome;
use super::plan::{Pacing, Plan, Sharing, Target, invalid};
use super::socket::Dialer;

/// Connections to one server, and the requests on them.
pub struct Session {
    plan: Plan,
    drivers: Vec<Driver>,
    /// Connections that are open and silent.
    idle: Vec<Connection>,
    connector: Option<Connector>,
}

const THREADS_MAX: usize = 256;
const PIPELINE_MAX: u32 = 100_000;
const KEYS_PER_GET_MAX: u32 = 100_000;
/// Descriptors beside the connections: standard streams, polls, files of the caller.
const FILES_BESIDE: u64 = 256;

impl Session {
    /// Connects, and checks that the server speaks the protocol.
    ///
    /// # Errors
    /// The plan is invalid, a system call failed, or (`Unsupported`) the server does not speak the protocol.
    pub fn open(plan: &Plan, target: &Target) -> io::Result<Self> {
        check(plan)?;
        let files = (plan.connections + plan.idle_connections) as u64 + FILES_BESIDE;
        raise_open_files(files, files)
            .map_err(|error| io::Error::new(error.kind(), format!("{files} open files: {error}")))?;
        let dialer = Dialer::new(plan, target)?;
        let drivers =
            (0..plan.threads).map(|thread| Driver::connect(plan, &dialer, thread)).collect::<io::Result<_>>()?;
        let idle = (0..plan.idle_connections).map(|_| Connection::open(&dialer)).collect::<io::Result<_>>()?;
        Ok(Self { plan: plan.clone(), drivers, idle, connector: Connector::new(plan, target)? })
    }

    /// Stores every key once, and the counters if the mix has arithmetic.
    ///
    /// # Errors
    /// The server fell silent, or a system call failed.
    pub fn fill(&mut self) -> io::Result<Outcome> {
        self.fill_watched(&Live::default())
    }

    /// As `fill`, with progress in `live`.
    ///
    /// # Errors
    /// As `fill`.
    pub fn fill_watched(&mut self, live: &Live) -> io::Result<Outcome> {
        self.all(Task::Fill, live)
    }

    /// Puts on the load for this time, then waits for the last replies.
    ///
    /// # Errors
    /// The server fell silent, or a system call failed.
    pub fn run(&mut self, how_long: Duration) -> io::Result<Outcome> {
        self.run_watched(how_long, Duration::ZERO, &Live::default())
    }

    /// As `run`, with progress in `live`. The load grows during `ramp`, the first part of the time.
    ///
    /// # Errors
    /// As `run`.
    pub fn run_watched(&mut self, how_long: Duration, ramp: Duration, live: &Live) -> io::Result<Outcome> {
        let task = match self.plan.pacing {
            Pacing::Closed => Task::Closed { time: how_long, ramp },
            Pacing::Open { per_second } => {
                Task::Open { time: how_long, ramp, per_second: per_second / self.plan.threads as f64 }
            }
        };
        self.all(task, live)
    }

    /// Changes what decides when a request is sent.
    ///
    /// # Errors
    /// The plan is invalid with it.
    pub fn set_pacing(&mut self, pacing: Pacing) -> io::Result<()> {
        let plan = Plan { pacing, ..self.plan.clone() };
        check(&plan)?;
        self.plan = plan;
        Ok(())
    }

    /// Connections that are open and silent.
    pub fn idle_connections(&self) -> usize {
        self.idle.len()
    }

    /// The first driver works on the calling thread, the others on threads of their own.
    fn all(&mut self, task: Task, live: &Live) -> io::Result<Outcome> {
        let [first, others @ ..] = &mut self.drivers[..] else { return Ok(Outcome::default()) };
        let connector = self.connector.as_ref().filter(|_| !matches!(task, Task::Fill));
        let is_over = &AtomicBool::new(false);
        let (parts, connects) = thread::scope(|scope| {
            let connects: Vec<_> = connector
                .into_iter()
                .flat_map(|connector| (0..connector.threads()).map(move |thread| (connector, thread)))
                .map(|(connector, thread)| scope.spawn(move || connector.run(thread, is_over)))
                .collect();
            let others: Vec<_> = others.iter_mut().map(|driver| scope.spawn(|| driver.run(task, live))).collect();
            let first = first.run(task, live);
            let others = others.into_iter().map(|other| other.join().expect("a driver does not panic"));
            let parts = [first].into_iter().chain(others).collect::<Vec<_>>();
            is_over.store(true, Ordering::Relaxed);
            let connects = connects.into_iter().map(|part| part.join().expect("a connector does not panic"));
            (parts, connects.collect::<Vec<_>>())
        });
        let mut sum = Outcome::default();
        connects.iter().for_each(|outcome| sum.absorb(outcome));
        let mut failed = None;
        for (outcome, done) in parts {
            sum.absorb(&outcome);
            failed = failed.or(done.err());
        }
        match failed {
            None => Ok(sum),
            Some(error) if sum.notes.is_empty() => Err(error),
            Some(error) => Err(io::Error::new(error.kind(), format!("{error}; before that: {}", sum.notes.join("; ")))),
        }
    }
}

fn check(plan: &Plan) -> io::Result<()> {
    let wrong = |what: String| Err(invalid(what));
    let in_range = |name: &str, value: u64, most: u64| {
        if (1..=most).contains(&value) { Ok(()) } else { wrong(format!("{value} {name} is outside 1 to {most}")) }
    };
    in_range("threads", plan.threads as u64, THREADS_MAX as u64)?;
    in_range("requests in a pipeline", u64::from(plan.pipeline), u64::from(PIPELINE_MAX))?;
    in_range("keys of a get", u64::from(plan.keys_per_get), u64::from(KEYS_PER_GET_MAX))?;
    if plan.connections < plan.threads {
        return wrong(format!("{} connections for {} threads: each needs one", plan.connections, plan.threads));
    }
    if plan.keys.sharing == Sharing::Private {
        if plan.keys.count < plan.connections as u64 {
            return wrong(format!("--private-keys: {} keys for {} connections", plan.keys.count, plan.connections));
        }
        if plan.noreply {
            return wrong("--private-keys and --noreply: a store without a reply is not acknowledged".to_string());
        }
    }
    if let Pacing::Open { per_second } = plan.pacing {
        if !(0.001..=1e9).contains(&per_second) {
            return wrong(format!("{per_second} requests a second is outside 0.001 to 1e9"));
        }
        if plan.noreply {
            return wrong("requests without replies cannot be timed, so they are for the closed loop".to_string());
        }
        if plan.mix.has(Shape::Swap) {
            return wrong("cas is two requests, one after the other, so it is for the closed loop".to_string());
        }
    }
    Ok(())
}
