//! The cost of a second thread: CPU per request with two, wherever the kernel puts them, relative to the same server
//! with one.
//!
//! ```text
//! one thread     server on its core, the client polls on the other      as in the other rows
//! two threads    three threads on two cores: the client sleeps, or it would take one of them for itself
//! ```

use std::io;
use std::thread::available_parallelism;

use crate::schedule::{Priority, pin_to_cores, set_priority};
use larder::sys::log::{Level, log_line};

use super::super::comparison::Cores;
use super::super::plan::{Plan, Waiting};
use super::candidate::{Candidate, LoadWindow};
use super::rounds::order_of;
use super::rows::{Row, Stage};
use super::runs::Runs;
use super::table::Verdict;

pub(super) fn measure(runs: &Runs, row: &'static Row, plan: &Plan) -> io::Result<Verdict> {
    let mut rounds = Vec::new();
    for server in &runs.servers {
        // The floor always has one thread.
        if server.is_floor() {
            rounds.push(None);
            continue;
        }
        log_line(Level::Info, format!("== {}: {}", row.name, server.name).as_bytes());
        let everywhere: Vec<usize> = (0..available_parallelism()?.get()).collect();
        let unpinned =
            Cores { server_cores: everywhere.clone(), client_cores: everywhere.clone(), priority: Priority::Normal };
        let arguments = |threads| [&["-t", threads], Stage::Roomy.arguments()].concat();
        // Three threads share two cores here, so they need equal priorities.
        set_priority(Priority::Normal)?;
        let mut one = Candidate::start(&runs.place, server, &arguments("1"))?;
        let mut two = Candidate::start(&unpinned, server, &arguments("2"))?;
        let mut one_session = one.open(&runs.pinned(plan))?;
        let mut two_session = two.open(&Plan { waiting: Waiting::Sleep, cores: everywhere, ..plan.clone() })?;
        let mut ratios = Vec::new();
        for round in 0..=runs.rounds {
            let mut figures = [0.0; 2];
            for which in order_of(round, 2) {
                let window = match which {
                    0 => one.window(&mut one_session, runs.window)?,
                    _ => two.window(&mut two_session, runs.window)?,
                };
                figures[which] = LoadWindow::cpu_us(&window);
            }
            // The first round does not count: buffers grow, and the kernel spreads the threads.
            if round > 0 {
                ratios.push(figures[1] / figures[0]);
            }
        }
        rounds.push(Some(ratios));
    }
    pin_to_cores(&runs.place.client_cores)?;
    set_priority(runs.place.priority)?;
    Ok(Verdict::by_own(row, &rounds))
}
