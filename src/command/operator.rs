//! What commands may ask of the process around them. `daemon` answers.

use std::fmt::Display;

use crate::base::Clock;
use crate::counters::Counters;
use crate::stats::{ConnectionRow, Gauges};

/// The process, as a command sees it.
pub trait Operator {
    /// Ends the server; the call returns at once.
    fn shutdown(&self, mode: Shutdown);

    /// The counters of all workers, summed.
    fn totals(&self) -> Counters;

    /// Zeroes the process's counters (`stats reset`): those of all workers, and of the gate.
    fn reset_counters(&self);

    /// What is open and accepted right now.
    fn gauges(&self) -> Gauges;

    /// Shows the listeners and connections, one row each (`stats conns`).
    fn connections(&self, show: &mut dyn FnMut(&ConnectionRow<'_>));

    /// Shows every setting under memcached's name (`stats settings`).
    fn settings(&self, row: &mut dyn FnMut(&str, &dyn Display));

    /// Sets how much is logged (`verbosity`).
    fn set_verbosity(&self, verbosity: u8);

    /// The clock that all threads read; `debugtime` moves it.
    fn clock(&self) -> &Clock;
}

/// How the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shutdown {
    /// As SIGINT.
    Now,
    /// As SIGUSR1.
    Graceful,
}
