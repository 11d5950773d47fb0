//! The slowest of small gets: at a fixed rate, and beside clients that ask for much.
//!
//! ```text
//! core 1   watched: 20,000 gets a second, each from the moment it is due     goes first when both want the core
//!          others: closed loop, as fast as the server lets them              a thread of its own
//! ```
//!
//! A latency in open loop counts from the moment a request was due, so a stall is charged to all requests it delayed.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::schedule::{Priority, set_priority};
use larder::base::atomic::{AtomicBool, Ordering};
use larder::sys::log::{Level, log_line};

use super::super::plan::Plan;
use super::super::session::Session;
use super::candidate::{Candidate, LoadWindow};
use super::rounds::{Ready, Series, in_turns, order_of};
use super::rows::{Row, watched};
use super::runs::Runs;
use super::table::Verdict;

const TAIL: f64 = 99.9;
/// A 99.9th percentile needs more requests than a mean: windows are longer by this factor.
const LONGER: u32 = 2;
/// Room for values of 1 MiB.
const ARGUMENTS: &[&str] = &["-t", "1", "-m", "1024", "-c", "4096", "-I", "2m"];
/// Length of a window of the other clients. They can only stop at the end of one.
const OTHERS_WINDOW: Duration = Duration::from_millis(50);

/// Measures the row at a fixed rate.
pub(super) fn tail(
    runs: &Runs,
    candidates: &mut [Candidate],
    row: &'static Row,
    plan: &Plan,
) -> io::Result<(Verdict, Vec<Series>)> {
    let series = in_turns(candidates, &runs.pinned(plan), Ready::AtOnce, runs.rounds, runs.window * LONGER)?;
    let tails = |series: &Series| Some(series.figures(|window: &LoadWindow| window.latency_us(TAIL)));
    let rounds: Vec<Option<Vec<f64>>> = series.iter().map(tails).collect();
    Ok((Verdict::by_ratio(row, &rounds), series))
}

/// How many times longer the slowest small gets take beside others than alone.
pub(super) fn fairness(runs: &Runs, row: &'static Row, others: &Plan) -> io::Result<Verdict> {
    log_line(Level::Info, format!("== {}", row.name).as_bytes());
    // The floor has a single item, so it cannot serve large values and small ones at a time.
    let servers: Vec<_> = runs.servers.iter().filter(|server| !server.is_floor()).collect();
    let mut sides = Vec::new();
    for server in &servers {
        let mut candidate = Candidate::start(&runs.place, server, ARGUMENTS)?;
        let small = candidate.open(&runs.pinned(&watched()))?;
        let many = candidate.open(&runs.pinned(others))?;
        sides.push(Side { candidate, small, many: Some(many) });
    }
    let mut rounds = vec![Vec::new(); servers.len()];
    for round in 0..runs.rounds {
        for place in order_of(round, servers.len()) {
            let side = &mut sides[place];
            let window = runs.window * LONGER;
            let alone = side.candidate.window(&mut side.small, window)?.latency_us(TAIL);
            rounds[place].push(side.beside_others(window, runs.place.priority)? / alone);
        }
    }
    let mut rounds: Vec<Option<Vec<f64>>> = rounds.into_iter().map(Some).collect();
    rounds.resize(runs.servers.len(), None);
    Ok(Verdict::by_ratio(row, &rounds))
}

struct Side {
    candidate: Candidate,
    small: Session,
    /// `None` while its thread has it.
    many: Option<Session>,
}

impl Side {
    /// The tail of the watched gets while the others run.
    fn beside_others(&mut self, window: Duration, before: Priority) -> io::Result<f64> {
        let mut many = self.many.take().expect("it is put back below");
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let others = thread::spawn(move || {
            // Ignored: without the right to it, it is at normal priority already.
            let _ = set_priority(Priority::Normal);
            let mut requests = 0;
            while !told.load(Ordering::Relaxed) {
                let outcome = many.run(OTHERS_WINDOW)?;
                if outcome.faults + outcome.errors + outcome.lost_connections > 0 {
                    return Err(io::Error::other(format!("wrong replies: {}", outcome.notes.join("; "))));
                }
                requests += outcome.requests;
            }
            io::Result::Ok((many, requests))
        });
        // Ignored: a program that may not goes on without; both servers meet the same client.
        let _ = set_priority(Priority::Realtime);
        let seen = self.candidate.window(&mut self.small, window);
        set_priority(before)?;
        stop.store(true, Ordering::Relaxed);
        let ended = others.join().map_err(|_| io::Error::other("the other clients' thread ended"))?;
        let (many, requests) = ended?;
        self.many = Some(many);
        if requests == 0 {
            return Err(io::Error::other(format!("{}: the other clients were not served at all", self.candidate.name)));
        }
        Ok(seen?.latency_us(TAIL))
    }
}
