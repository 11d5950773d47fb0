//! The servers, amount and rate of a run, from `LARDER_BENCH_*` variables.

use std::io;
use std::time::Duration;

use larder_bench::comparison::{Comparison, number};
use larder_bench::server::{Server, ServerCommand};

pub(crate) struct Options {
    pub(crate) comparison: Comparison,
    /// Percentage of the requests and of the time of each row: 100, or less for a quick run.
    pub(crate) percent: u64,
    /// Requests per second of the rows in which time matters; 0 for as fast as the server answers.
    pub(crate) rate: u64,
    /// Of rows with several cells, those whose name contains this; empty for all.
    cells: String,
}

impl Options {
    pub(crate) fn from_environment() -> io::Result<Self> {
        let percent = number("LARDER_BENCH_PERCENT", 100)?;
        if !(1..=100).contains(&percent) {
            return Err(io::Error::other(format!("LARDER_BENCH_PERCENT: {percent} is outside 1 to 100")));
        }
        Ok(Self {
            comparison: Comparison::from_environment()?,
            percent,
            rate: number("LARDER_BENCH_RATE", 200_000)?,
            cells: std::env::var("LARDER_BENCH_CELLS").unwrap_or_default(),
        })
    }

    pub(crate) fn wants(&self, cell: &str) -> bool {
        cell.contains(&self.cells)
    }

    pub(crate) fn share_of(&self, count: u64) -> u64 {
        (count * self.percent / 100).max(1)
    }

    pub(crate) fn share_of_time(&self, duration: Duration) -> Duration {
        duration * u32::try_from(self.percent).unwrap_or(100) / 100
    }

    /// A fresh server with one worker and this much memory.
    pub(crate) fn start(&self, command: &ServerCommand, megabytes: u64) -> io::Result<Server> {
        self.start_with(command, megabytes, &[])
    }

    /// The same with more arguments.
    pub(crate) fn start_with(&self, command: &ServerCommand, megabytes: u64, more: &[&str]) -> io::Result<Server> {
        let megabytes = megabytes.to_string();
        let arguments = [&["-t", "1", "-m", &megabytes], more].concat();
        Ok(Server::start(&self.comparison.place, command, &[], &arguments)?.0)
    }

    /// The same for both servers, larder first in every second cell: periodic work of the machine should not always
    /// hit the same server.
    pub(crate) fn both<T>(
        &self,
        cell: usize,
        mut measure: impl FnMut(&ServerCommand) -> io::Result<T>,
    ) -> io::Result<[T; 2]> {
        let [ours, yardstick] = &self.comparison.servers;
        if cell.is_multiple_of(2) {
            let first = measure(ours)?;
            Ok([first, measure(yardstick)?])
        } else {
            let first = measure(yardstick)?;
            Ok([measure(ours)?, first])
        }
    }
}
